"""`python -m rafty_transports` is the same as `rafty`.

Law: *there is one command line*, however it is called.
"""

import sys

from rafty_transports.cli import main

if __name__ == "__main__":
    sys.exit(main())
