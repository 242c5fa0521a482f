"""The disk under a benchmark: which directory is on one, and what a bare sync costs there now.

Law: *beside each durable figure stands the bare fdatasync of the same minute on the same directory.*
"""

import os
import tempfile
from pathlib import Path

from benchmarks.processes import WrongOption
from benchmarks.sampling import clock, middle

IN_MEMORY = frozenset(("tmpfs", "ramfs", "devtmpfs"))


def file_system(path: Path) -> str:
    """The kind of file system that `path` is on, as the system names it; empty where it does not tell."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return ""
    resolved = path.resolve()
    best, kind = -1, ""
    for line in lines:
        fields = line.split()
        mounted = Path(fields[1].replace("\\040", " "))
        if (mounted == resolved or mounted in resolved.parents) and len(mounted.parts) >= best:
            best, kind = len(mounted.parts), fields[2]
    return kind


def directory_on_disk(wanted: Path | None) -> Path:
    """The wanted directory, or a usual one for temporary files that is on a disk.

    Raises `WrongOption` if it is in memory: a sync costs nothing there, and the figures would say nothing.
    """
    usual = (Path(tempfile.gettempdir()), Path("/var/tmp"), Path.cwd())
    candidates = usual if wanted is None else (wanted,)
    for candidate in candidates:
        if candidate.is_dir() and os.access(candidate, os.W_OK) and file_system(candidate) not in IN_MEMORY:
            return candidate
    names = ", ".join(map(str, candidates))
    raise WrongOption(f"none of {names} is a writable directory on a disk; name one with --directory")


def bare_sync_ms(directory: Path, seconds: float = 0.25) -> float:
    """Median milliseconds of appending 256 bytes and syncing them with fdatasync, over `seconds`."""
    durations: list[float] = []
    file, name = tempfile.mkstemp(dir=directory)
    sync = getattr(os, "fdatasync", os.fsync)
    try:
        end = clock() + seconds
        while not durations or clock() < end:
            began = clock()
            os.write(file, b"x" * 256)
            sync(file)
            durations.append(clock() - began)
    finally:
        os.close(file)
        os.unlink(name)
    return 1000 * middle(durations)
