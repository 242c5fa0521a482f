"""rafty_core: Raft as a deterministic state machine. Values in, values out; it does no IO and knows no clock."""
