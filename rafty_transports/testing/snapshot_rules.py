"""What a store must keep of snapshots: whole or not there, and the log right behind the newest.

Law: *a snapshot is named only once it is whole and durable; nothing that another node sends is trusted.*
"""

from contextlib import suppress
from dataclasses import replace

from rafty_core.configuration import Configuration
from rafty_core.output import Write
from rafty_core.stable import Snapshot
from rafty_transports.interfaces import LogStore, SnapshotInfo
from rafty_transports.testing.conformance import Fault, calling, require
from rafty_transports.testing.lives import Lives, Model, batch, image_in, image_of, indexes, keep_snapshot

PIECE = 10_000
"""Bytes that travel at once between two stores here."""


def _at(store: LogStore, index: int, term: int = 1) -> Snapshot:
    return Snapshot(index, term, store.load().snapshot.configuration)


def snapshot_is_whole_or_not_there(lives: Lives) -> None:
    """One that is being written, was given up, or was lost with its process, is not there."""
    store = lives.open()
    begun, given_up = store.snapshots.create(_at(store, 5)), store.snapshots.create(_at(store, 6))
    for writer in (begun, given_up):
        writer.write(b"the first half")
    there = indexes(store.snapshots.infos())
    require(not there, f"a snapshot of index {there[:1]} is there though it is not finished")
    given_up.abort()
    given_up.abort()
    _must_lack(store, 6)
    store = lives.restart()
    there = indexes(store.snapshots.infos())
    require(not there, f"a snapshot of index {there[:1]} that was never finished is there in the next life")
    _must_lack(store, 5)
    with suppress(Exception):  # its process is gone; what it holds in this one is released
        begun.abort()


def _must_lack(store: LogStore, index: int) -> None:
    for what, call in (
        ("open", lambda: store.snapshots.open(index, 1).close()),
        ("read", lambda: store.snapshots.read(index, 1, 0, 10)),
    ):
        raised = False
        try:
            call()
        except LookupError:
            raised = True
        require(raised, f"snapshots.{what}() of a snapshot that is not here must raise LookupError, and returned")


def snapshot_is_durable(lives: Lives) -> None:
    """One that was finished is there in the next life, byte by byte, the newest first."""
    store = lives.open()
    infos = {}
    for index in (3, 20, 7):
        snapshot = _at(store, index)
        infos[index] = keep_snapshot(store, snapshot)
        require(infos[index].snapshot == snapshot, f"finish() says {infos[index]!r:.150} of {snapshot!r:.100}")
    for life in ("at once", "in the next life"):
        there = indexes(store.snapshots.infos())
        require(there == [20, 7, 3], f"{life} infos() names snapshots {there}; these are there: [20, 7, 3]")
        for info in store.snapshots.infos():
            require(info == infos[info.snapshot.index], f"{life} infos() says {info!r:.150}, which finish() did not")
            same = image_in(store, info.snapshot) == image_of(info.snapshot.index)
            require(same, f"{life} the image of the snapshot of index {info.snapshot.index} is another one")
        store = lives.restart()


def _file_of(store: LogStore, info: SnapshotInfo) -> bytes:
    pieces: list[bytes] = []
    while sum(map(len, pieces)) < info.size:
        at = sum(map(len, pieces))
        piece = store.snapshots.read(info.snapshot.index, info.snapshot.term, at, PIECE)
        text = f"read() at offset {at} of {info.size} bytes gave {len(piece)} bytes; {PIECE} were asked for"
        require(0 < len(piece) <= PIECE, text)
        pieces.append(piece)
    return b"".join(pieces)


def snapshot_travels(lives: Lives) -> None:
    """Read in pieces here and received there, it is the same; what was begun goes on where it was."""
    here, there = lives.open(), lives.open("b")
    snapshot = _at(here, 9)
    info = keep_snapshot(here, snapshot)
    data = _file_of(here, info)
    receiver = there.snapshots.receive(snapshot, info.size, info.digest)
    require(receiver.offset == 0, f"a receiver begins at offset {receiver.offset}, not 0")
    receiver.write(0, data[:PIECE])
    again = there.snapshots.receive(snapshot, info.size, info.digest)
    with calling("a receiver that goes on"):
        at = again.offset
        for wrong in (at + 1, at - 1):
            try:
                again.write(wrong, b"x")
            except ValueError:
                continue
            raise Fault(f"a receiver at offset {at} took bytes at offset {wrong}; it raises ValueError")
        while again.offset < info.size:
            again.write(again.offset, data[again.offset : again.offset + PIECE])
        require(not there.snapshots.infos(), "a snapshot is there before its receiver has finished")
        found = again.finish()
    require(found == info, f"the snapshot was announced as {info!r:.150}, and received as {found!r:.150}")
    there = lives.restart("b")
    require(there.snapshots.infos() == [info], "a snapshot that was received is not there in the next life")
    require(image_in(there, snapshot) == image_of(9), "the image of a snapshot that was received is another one")


def damaged_snapshot_is_refused(lives: Lives) -> None:
    """What is not the bytes that were announced raises when it is finished, and leaves nothing."""
    here, there = lives.open(), lives.open("b")
    snapshot = _at(here, 9)
    info = keep_snapshot(here, snapshot)
    data = _file_of(here, info)
    for at in (0, len(data) // 2, len(data) - 1):
        damaged = bytearray(data)
        damaged[at] ^= 1
        _refused(there, snapshot, info, bytes(damaged), f"with byte {at} changed")
    _refused(there, snapshot, info, data[:-1], "with its last byte missing")
    other = replace(snapshot, configuration=Configuration.of("stranger"))
    _refused(there, other, info, data, "announced with another configuration")


def _refused(store: LogStore, snapshot: Snapshot, info: SnapshotInfo, data: bytes, how: str) -> None:
    raised = False
    try:
        receiver = store.snapshots.receive(snapshot, info.size, info.digest)
        receiver.write(receiver.offset, data[receiver.offset :])
        receiver.finish()
    except Exception:
        raised = True
    require(raised, f"a snapshot {how} was received without an error")
    require(not store.snapshots.infos(), f"a snapshot {how} was refused, and is there all the same")


def needed_snapshots_stay(lives: Lives) -> None:
    """`retain` keeps the newest, the one that the log starts behind, and those that are needed; the others go."""
    model, store = Model(), lives.open()
    model.write(store, Write(0, 1, None, [batch(1, 20)]))
    for index in (2, 4, 6, 8, 10):
        keep_snapshot(store, _at(store, index))
    model.write(store, Write(0, 1, None, snapshot=_at(store, 4)))
    for most, needed, kept in ((2, (6,), [10, 8, 6, 4]), (1, (), [10, 4])):
        store.snapshots.retain(most, needed)
        there = indexes(store.snapshots.infos())
        for index in kept:
            require(index in there, f"retain({most}, {needed}) removed the snapshot of index {index}, which is needed")
        require(2 not in there, f"retain({most}, {needed}) left the snapshot of index 2, which nothing needs")
        image_in(store, _at(store, 4))


def log_starts_behind_a_snapshot(lives: Lives) -> None:
    """The snapshot of a write is the one that is loaded, with its configuration; the log behind it stays."""
    model, store = Model(), lives.open()
    changed = Configuration.of("n1", "n2", "n3", "n4")
    for round in range(1, 5):
        last = 10 * round
        model.write(store, Write(0, round, "n1", [batch(last - 9, 10, round)]))
        snapshot = Snapshot(last - 5, round, changed)
        keep_snapshot(store, snapshot)
        model.write(store, Write(0, round, "n1", snapshot=snapshot))
        model.write(store, Write(0, round, "n1", compact_to=last - 5 if round % 2 else 0))
        store = lives.restart()
        model.begin()
        model.compare(store.load(), f"in the life after snapshot {last - 5},")
        require(image_in(store, snapshot) == image_of(last - 5), "the image of the snapshot is another one")
    model.write(store, Write(0, 9, None, [batch(38, 2, 9)], compact_to=35))
    model.compare(lives.restart().load(), "after the end of the log behind a snapshot was replaced,")


def installed_snapshot_replaces_the_log(lives: Lives) -> None:
    """Nothing of the old log is left, also where it was longer than the snapshot; entries go on behind it."""
    for index, term in ((50, 3), (5, 2)):
        disk = f"installed-{index}"
        model, store = Model(), lives.open(disk)
        model.write(store, Write(0, 1, "n1", [batch(1, 20)]))
        snapshot = _at(store, index, term)
        keep_snapshot(store, snapshot)
        model.write(store, Write(0, term, None, snapshot=snapshot, installs=True))
        store = lives.restart(disk)
        model.begin()
        model.compare(store.load(), f"after a snapshot of index {index} was installed over a log of 20,")
        model.write(store, Write(0, term, None, [batch(index + 1, 3, term)]))
        model.compare(lives.restart(disk).load(), "with entries behind a snapshot that was installed,")
