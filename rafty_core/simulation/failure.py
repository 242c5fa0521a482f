"""A run that failed, with everything that is needed to understand it and to see it again.

Law: *a failure is a gift: it says what broke, what happened just before, and how to have it once more.*
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rafty_core.history import InvariantViolation
from rafty_core.simulation.options import Options
from rafty_core.simulation.story import Happened, tell_all

VERSION = 1
"""Of the form of the files that replay a failure."""

SHOWN = 40
"""So many of the last events are told in the text of a failure."""


class SimulationFailure(Exception):
    """A run broke an invariant, or something raised. The text tells the whole story.

    options   what was run, in full
    number    the invariant that broke ("I4"), or the name of the class of what was raised
    text      what broke, in one sentence
    time      when, in simulated seconds
    strikes   the names of all strikes of the nemesis, of clients and of administrators by then
    happened  how many events there were
    events    the last of them, as `story.tell` takes them
    replay    how to have the run once more, if its options are those that the seed brings
    trace     the traceback, if it was not an invariant that broke
    """

    def __init__(
        self,
        options: Options,
        number: str,
        text: str,
        time: float = 0.0,
        strikes: Sequence[str] = (),
        happened: int = 0,
        events: Sequence[Happened] = (),
        replay: str = "",
        trace: str = "",
    ) -> None:
        super().__init__(options, number, text, time, strikes, happened, events, replay, trace)
        self.options, self.number, self.text = options, number, text
        self.time, self.strikes, self.happened = time, strikes, happened
        self.events, self.replay, self.trace = events, replay, trace

    def __str__(self) -> str:
        return self.story(len(self.events))

    def story(self, most: int = SHOWN) -> str:
        """The whole story, with at most so many of the last events."""
        events = self.events[max(0, len(self.events) - most) :]
        last = [f"The last {len(events)} of {self.happened} events (seconds, where, what):", *tell_all(events)]
        settings = ", ".join(f"{name}={value!r}" for name, value in written(self.options).items())
        after = [self.headline, self.trace, f"Options: {settings}", f"Replay: {self.replay}"]
        return "\n".join([self.headline.splitlines()[0], "", *last, "", *(part for part in after if part)])

    @property
    def headline(self) -> str:
        """Which seed broke what, and when."""
        return f"seed {self.options.seed} after {self.time:.4f} s: {self.number}: {self.text}"

    def save(self, path: Path) -> None:
        """Write a file that replays this failure. `path`: the file to be written, or replaced: whatever ends this
        process, there is all of the old one or all of the new one. What is no file, as a pipe, is written to.
        Raises `OSError`."""
        content = {
            "rafty simulation": VERSION,
            "replay": self.replay,
            "invariant": self.number,
            "text": self.text,
            "options": written(self.options),
        }
        text = json.dumps(content, indent=2) + "\n"
        target = path.resolve()
        if target.exists() and not target.is_file():
            target.write_text(text)
            return
        half = target.with_name(f"{target.name}.half")
        try:
            half.write_text(text)
            half.replace(target)
        except OSError as error:
            with suppress(OSError):
                half.unlink()
            raise OSError(error.errno, error.strerror, str(path)) from error


def number_of(error: Exception) -> str:
    """What broke: the number of an invariant, or the name of the class of what was raised."""
    return error.number if isinstance(error, InvariantViolation) else type(error).__name__


def text_of(error: Exception) -> str:
    """How it broke, with where that was."""
    text = str(error).removeprefix(f"{number_of(error)}: ")
    return "; ".join(part for part in (text, *getattr(error, "__notes__", [])) if part)


def written(options: Options) -> dict[str, Any]:
    """All options as JSON has them."""
    values = asdict(options)
    kept = None if options.kept is None else sorted(options.kept)
    return values | {"kept": kept, "kinds": sorted(options.kinds)}
