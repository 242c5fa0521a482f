"""How a command of `rafty` ends, as a number for scripts and a sentence for people.

Law: *the number tells apart what was done, what was not done, and what nobody knows.*
"""

DONE = 0
FAILED = 1
WRONG_INPUT = 2
UNKNOWN = 3
ABSENT = 4
REMOVED = 5

EXIT_CODES = """exit codes:
  0  done
  1  failed: nothing was changed (no node reachable, no leader, a node that broke, a check that failed)
  2  wrong input: an option, an address, a data directory, a value; nothing was changed
  3  unknown: the command may have been applied, or may still be; look before you repeat it
  4  there is no such key
  5  this node was removed from its cluster, and is not to be started again with this data directory
  a process that SIGINT, SIGTERM or SIGHUP ends dies by that signal"""


class CommandFailed(Exception):
    """The command ends here; the text is one sentence that says why and what to do, `code` the exit code."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


class WrongInput(CommandFailed):
    """What the person gave cannot be used, and nothing was changed."""

    def __init__(self, text: str) -> None:
        super().__init__(text, WRONG_INPUT)
