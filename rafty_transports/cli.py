"""The command line: `rafty serve`, `status`, `get`, `put` and so on; `arguments` has all commands.

Law: *signals first*: until a program has something to close, a signal ends it at once and without a word.

So this module imports nothing that takes time; `arguments` understands what was typed. What the interpreter does before
it comes here is not ours: during the first hundredth of a second or so SIGINT may still show a traceback of its own.
"""

import sys


def main(arguments: list[str] | None = None) -> int:
    """Run the command that `arguments` (None: those of this process) ask for; return its exit code.

    For the main thread of a process of its own: it sets the action of signals, and may end by one.
    """
    let_signals_end_this_process()
    from rafty_transports.arguments import parse
    from rafty_transports.exits import CommandFailed

    try:
        options = parse(arguments)
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except CommandFailed as failure:
        print(f"rafty: {failure}", file=sys.stderr, flush=True)
        return failure.code
    except BrokenPipeError:
        return stop_for_want_of_a_reader()


def let_signals_end_this_process() -> None:
    """Give SIGINT its default action now, SIGTERM and the mask theirs a moment later."""
    import _signal  # type: ignore[import-not-found]  # built in, while `signal` takes ten milliseconds to import

    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    from rafty_transports.signals import end_at_once

    end_at_once()


def stop_for_want_of_a_reader() -> int:
    """Die by SIGPIPE, as `yes` does in `yes | head`: what was asked for is not done, and nobody wants to read why."""
    import signal

    from rafty_transports.signals import die_by

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    die_by(signal.SIGPIPE)
