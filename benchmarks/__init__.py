"""What rafty does on this machine, measured: `python -m benchmarks cluster`, `reads`, `catchup`."""
