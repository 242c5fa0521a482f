"""The kit for state machines: `check_state_machine` runs each rule of `RULES` on machines of yours.

Law: *equal commands lead to equal results and equal states, in every process, in every split, before and after a
snapshot.*
"""

from collections.abc import Callable, Collection, Iterable
from random import Random
from typing import Any, Final

from rafty_transports.interfaces import StateMachine
from rafty_transports.testing import machine_rules as rules
from rafty_transports.testing.conformance import Rule, chosen, judged
from rafty_transports.testing.hash_seed import hash_seed_changes_nothing
from rafty_transports.testing.machine_rules import Trial

RULES: Final[tuple[Rule[Callable[[Trial], None]], ...]] = (
    Rule("one_result_for_each", rules.one_result_for_each),
    Rule("equal_commands_give_equal_results", rules.equal_commands_give_equal_results),
    Rule("splitting_changes_nothing", rules.splitting_changes_nothing),
    Rule("snapshot_is_of_its_moment", rules.snapshot_is_of_its_moment),
    Rule("restore_gives_an_equal_machine", rules.restore_gives_an_equal_machine),
    Rule("applied_index_is_true", rules.applied_index_is_true),
    Rule("restart_goes_on", rules.restart_goes_on),
    Rule("hash_seed_changes_nothing", hash_seed_changes_nothing),
    Rule("simulated_cluster_agrees", rules.simulated_cluster_agrees),
)
"""Every rule, in the order in which they are tried; the docstring of each function says what is asked."""

PROCESSES: Final = "hash_seed_changes_nothing"
"""The rule that starts processes, which takes time: it is tried for the first seed alone."""

OF_SNAPSHOTS: Final = frozenset(("snapshot_is_of_its_moment", "restore_gives_an_equal_machine"))


def check_state_machine(
    machine: Callable[[], StateMachine],
    command: Callable[[Random], bytes],
    *,
    check: Callable[[Any], object] | None = None,
    restart: Callable[[Any], StateMachine] | None = None,
    close: Callable[[Any], object] | None = None,
    equal_images: bool = True,
    seeds: Iterable[int] = range(3),
    count: int = 120,
    only: Collection[str] | None = None,
    skip: Collection[str] = (),
) -> tuple[str, ...]:
    """Try to break every rule of `StateMachine`; returns the names of the rules that were tried.

    machine       makes a machine that has applied nothing. For `hash_seed_changes_nothing` it is made in another
                  process, too, so that it must be a name in a module (a class, a function): with others, that rule is
                  left out
    command       draws a command; it must use no other source of chance than the one it is given
    check         is called with a machine whenever it has changed; it raises, or returns False, if this must not be
    restart       for a machine with durable state: takes one, ends it as its process would end, and gives the one of
                  the next start. None: `restart_goes_on` is not tried
    close         is called with every machine that is no longer needed
    equal_images  whether equal states have equal snapshots, byte for byte. If not, states are compared by what the
                  machines answer later alone, and no cluster is simulated
    seeds         for each of them the rules are tried with other commands
    count         how many commands there are in a trial
    only, skip    names of rules to try, or to leave out

    Rules of snapshots are for machines that have `snapshot` and `restore`; a cluster is not simulated for a machine
    that has an `applied_index`. Raises `ConformanceError` for the first rule that is broken; `ValueError` for names of
    rules that are none.

    Rules (`RULES` has the functions):

    one_result_for_each                a list or tuple of bytes, one for each command; nothing is raised
    equal_commands_give_equal_results  in two machines, at two times, with other numbers drawn in between (fault F102)
    splitting_changes_nothing          one by one, in small and in large batches: the same results and state
    snapshot_is_of_its_moment          written in a thread, later, while commands are applied
    restore_gives_an_equal_machine     into a new machine and over an old one; equal later results, equal snapshot
    applied_index_is_true              never above what was applied; after `restore` what `restore` was given (F101)
    restart_goes_on                    from `applied_index` on, with equal results and state (fault F101)
    hash_seed_changes_nothing          equal results and snapshot under other values of PYTHONHASHSEED (order of sets)
    simulated_cluster_agrees           `rafty_core.simulation.Simulation`: crashes, snapshots, members

    Not promised by passing: determinism. A clock that changes once in a while is not found in a moment.
    """
    left_out = {*skip, *(() if restart else ("restart_goes_on",))}
    trials = [
        Trial(machine, command, check, restart, close or (lambda _: None), equal_images, seed, count) for seed in seeds
    ]
    sample: Any = machine()
    durable, snapshots = hasattr(sample, "applied_index"), hasattr(sample, "snapshot") and hasattr(sample, "restore")
    if close is not None:
        close(sample)
    if not snapshots:
        left_out |= OF_SNAPSHOTS
    if durable or not equal_images:
        left_out.add("simulated_cluster_agrees")
    if not durable:
        left_out |= {"applied_index_is_true", "restart_goes_on"}
    tried = [rule for rule in chosen(RULES, only, left_out) if trials[0].applies(rule.name)]
    for rule in tried:
        for trial in trials[:1] if rule.name == PROCESSES else trials:
            with judged("state machine", rule.name):
                try:
                    rule.attempt(trial)
                finally:
                    trial.end()
    return tuple(rule.name for rule in tried)
