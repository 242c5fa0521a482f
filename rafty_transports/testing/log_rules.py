"""What a store must keep of the log, the term and the vote: rules of `load` and `write`.

Law: *nothing is asked of a store that a correct node would not ask.*
"""

import random
import threading
from collections.abc import Callable
from typing import Any

from rafty_core.configuration import Configuration
from rafty_core.entries import COMMAND, CONFIGURATION, NO_OP, Batch
from rafty_core.output import Write
from rafty_core.stable import Snapshot
from rafty_transports.testing.conformance import Fault, calling, require
from rafty_transports.testing.lives import Lives, Model, batch, image_in, image_of, keep_snapshot

DAMAGES = 12
"""How many disks are damaged, each in another way."""


def begins_with_nothing(lives: Lives) -> None:
    """A new store has term 0, no vote and no entries; its snapshot is of index 0 and names this node."""
    store = lives.open()
    stable, identity = store.load(), store.identity
    require((stable.term, stable.vote) == (0, None), f"a new store has term {stable.term} and the vote {stable.vote}")
    require(not list(stable.batches), "a new store has entries")
    snapshot = stable.snapshot
    require((snapshot.index, snapshot.term) == (0, 0), f"the snapshot of a new store is of index {snapshot.index}")
    named = store.joined or snapshot.configuration.member(identity.node_id) is not None
    require(named, f"the initial configuration of a new store does not name its node, {identity.node_id}")
    require(identity.boot == 1, f"the first boot of a new store is {identity.boot}, not 1")
    require(store.met() == {}, f"a new store has met {store.met()!r:.100}")


def identity_is_kept(lives: Lives) -> None:
    """Names stay the same at each start, with one boot more; each disk has an incarnation of its own."""
    first = lives.open().identity
    other = lives.open("b").identity
    require(first.incarnation != other.incarnation, f"two disks have the same incarnation, {first.incarnation}")
    require(first.cluster_id == other.cluster_id, "two disks of one bootstrap have different cluster ids")
    for boot in range(2, 5):
        store = lives.restart()
        now = store.identity
        require(now.boot == boot, f"the boot after start {boot} is {now.boot}: it is one more at each start")
        for name in ("cluster_id", "node_id", "incarnation", "bootstrap"):
            before, after = getattr(first, name), getattr(now, name)
            require(before == after, f"the {name} was {before!r}, and after a restart it is {after!r}")


def written_is_durable(lives: Lives) -> None:
    """After every write the next life has all of it."""
    model, store = Model(), lives.open()
    for number in range(1, 9):
        entries = batch(3 * number - 2, 3, number)
        model.write(store, Write(0, number, "n2" if number % 2 else None, [entries]))
        store = lives.restart()
        model.begin()
        model.compare(store.load(), f"in the life after write {number}")
    for number in range(9, 20):
        model.write(store, Write(0, number, "n3", [batch(3 * number - 2, 3, number)]))
    store = lives.restart()
    model.begin()
    model.compare(store.load(), "after several writes in one life, in the next life")
    model.write(store, Write(0, 30, "n1"))
    model.compare(lives.restart().load(), "after a write without entries, in the next life")


def all_sizes_are_kept(lives: Lives) -> None:
    """Batches of any count, entries of any length and kind."""
    model, store = Model(), lives.open()
    first = 1
    for count, size in ((1, 0), (2, 0), (255, 0), (10_000, 0), (1, 1 << 20), (100, 30_000)):
        model.write(store, Write(0, 1, "n1", [batch(first, count, 1, size)]))
        first += count
    kinds = [NO_OP, COMMAND, COMMAND + bytes(range(256)), CONFIGURATION + Configuration.of("n1").encode()]
    model.write(store, Write(0, 2, None, [Batch(first, 2, kinds)]))
    model.compare(lives.restart().load(), "in the next life")


def term_and_vote_go_together(lives: Lives) -> None:
    """A vote is of its term: one that stands without a vote has none, whatever was before."""
    model, store = Model(), lives.open()
    for term, vote in ((1, "n1"), (2, None), (2, "n3"), (3, None), (7, "n2"), (2**62, None), (2**62, "x" * 64)):
        model.write(store, Write(0, term, vote))
        store = lives.restart()
        model.begin()
        model.compare(store.load(), "in the next life")
    model.write(store, Write(0, 2**62 + 1, "n1"), Write(0, 2**62 + 2, None))
    model.compare(lives.restart().load(), "in the next life")


def suffix_is_replaced(lives: Lives) -> None:
    """A batch replaces what stands at its first index and behind it, wherever that falls within stored batches."""
    for cut in range(1, 11):
        model, store = Model(), lives.open(f"cut-{cut}")
        for first, count in ((1, 4), (5, 3), (8, 2)):
            model.write(store, Write(0, 1, None, [batch(first, count)]))
        model.write(store, Write(0, 2, None, [batch(cut, 1, 2)]))
        when = f"after the log of 9 entries was replaced from index {cut} on,"
        store = lives.restart(f"cut-{cut}")
        model.compare(store.load(), when)
        lives.close(f"cut-{cut}")


def writes_keep_their_order(lives: Lives) -> None:
    """Several writes of one call take effect one after the other, the last word is the last one's."""
    model, store = Model(), lives.open()
    model.write(
        store,
        Write(0, 1, "n1", [batch(1, 5, 1)]),
        Write(0, 2, None, [batch(3, 2, 2)]),
        Write(0, 2, "n3"),
        Write(0, 4, "n2", [batch(4, 1, 3), batch(5, 1, 4)]),
    )
    with calling("write() of nothing"):
        store.write([])
    model.compare(lives.restart().load(), "after four writes of one call,")


def any_thread_may_call(lives: Lives) -> None:
    """Each call in another thread, one at a time, as `Node` does; snapshots beside the log."""
    model, store = Model(), lives.open()
    for number in range(1, 6):
        entries = batch(number, 1)
        _in_thread(lambda entries=entries: model.write(store, Write(0, 1, "n1", [entries])))  # type: ignore[misc]
    snapshot = Snapshot(5, 1, store.load().snapshot.configuration)
    beside = threading.Thread(target=keep_snapshot, args=(store, snapshot))
    beside.start()
    for number in range(6, 30):
        model.write(store, Write(0, 1, "n1", [batch(number, 1)]))
    beside.join()
    require(image_in(store, snapshot) == image_of(5), "a snapshot that was written beside the log is another one now")
    _in_thread(lives.close)
    model.compare(_in_thread(lives.open).load(), "after calls in many threads,")


def _in_thread(function: Callable[[], Any]) -> Any:
    """Call this in a thread of its own; returns or raises what it does."""
    outcome: list[Any] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            outcome.append(function())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        text = str(errors[0]) if isinstance(errors[0], Fault) else f"a call raised {errors[0]!r:.200}"
        raise Fault(f"in a thread that did not open the store, {text}") from errors[0]
    return outcome[0]


def closing_is_harmless(lives: Lives) -> None:
    """A second `close` does nothing; a write after it raises, or is durable."""
    model, store = Model(), lives.open()
    model.write(store, Write(0, 1, "n1", [batch(1, 3)]))
    lives.close()
    with calling("close() for the second time"):
        store.close()
    wrote = True
    try:
        store.write([Write(2, 1, "n1", [batch(4, 1)])])
    except Exception:
        wrote = False
    again = lives.open().load()
    if wrote and not any(one.last >= 4 for one in again.batches):
        raise Fault("write() on a store that was closed returned, and what it wrote is not there")
    if not wrote:
        model.compare(again, "after it was closed twice,")


def damage_is_noticed(lives: Lives) -> None:
    """A disk that was damaged is refused when it is opened or loaded, or all of it is there; never silently less."""
    noticed = 0
    for number in range(DAMAGES):
        disk = f"damaged-{number}"
        model, store = Model(), lives.open(disk)
        for term in range(1, 9):
            model.write(store, Write(0, term, "n1", [batch(5 * term - 4, 5, term, 200)]))
        lives.close(disk)
        lives.damage(disk, random.Random(number))
        try:
            stable = lives.open(disk).load()
        except Fault:
            noticed += 1
            continue
        except Exception:
            noticed += 1
        else:
            model.compare(stable, f"after damage number {number} the store opened without an error, and")
        lives.close(disk)
    require(noticed, f"none of {DAMAGES} damages did anything: let `damage` change what the store needs")
