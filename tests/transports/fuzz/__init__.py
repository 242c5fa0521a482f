"""Bytes that nobody sent: whatever comes over the wire, a node refuses it or lives with it.

Law: *an input is a number and a seed, and the same two give the same bytes and the same end again.*

`python -m tests.transports.fuzz --inputs 1000000 --seed 0` runs a campaign; tests/transports/test_fuzz.py runs a slice
of one. Where inputs come from is in `frames.py` (made of bytes), `traffic.py` and `mutations.py` (real traffic,
damaged), `structure.py` (each kind with each field drawn), `sentences.py` (handshakes and RESP). What must hold is in
`wire.py` for bytes, in `subject.py` for the core that gets what they decode to, and in `revival.py` for its life after.
"""
