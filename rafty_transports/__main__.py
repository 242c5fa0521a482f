"""`python -m rafty_transports` is the same as `rafty`.

Law: *signals first*: until a program has something to close, a signal ends it without a word.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # before the imports that take time

    import sys

    from rafty_transports.cli import main

    sys.exit(main())
