"""Simulated clusters: many nodes with the real core, one thread, one seed, and all that can go wrong.

Law: *one seed, one run*: whatever fails once can be had again, looked at, and made short.

    from rafty_core.simulation import Simulation

    Simulation(machine=Counter, command=lambda random: b"%d" % random.randint(1, 9), seed=7).run()

`python -m rafty_core.simulation` searches, replays and shrinks. To understand a simulation by its code, read the
modules in this order:

    options, world                        what follows from the seed; time, chance, and the record of events
    node, disk, machine, application      one node over all its lives, and what its state machine must be
    network, clients, calls               how messages travel; who asks for things, and whether the answers are true
    callers, registers, linearizability   clients with sessions and without; whether their history has an order
    contracts                             what each step of a core must keep to
    cluster, parts                        all of it together, and which parts can be replaced by real ones
    points, nemesis, hand, strikes        what goes wrong, and at which moments
    churn, stories, behind, late          members that come and go; chains of faults that lead to where chance does not
    intrigues                             such chains that are aimed at a leader, and at what it does not hear
    forged, lies, misshapen, contentless  messages that no node sends
    mistakes, misuse, wrong_sessions      calls that no driver makes, settings and images that cannot be
    trials, long_chains, newcomers        what is tried when nothing goes wrong any more
    liveness                              what must come to pass then
    run, story, failure, tally            a run from start to end, told in English; what many have reached
    replay, shrink                        a failure once more, and in short
    small_world                           every state of a small cluster, instead of many runs of large ones
    simulation, command_line              for users
"""

from rafty_core.simulation.failure import SimulationFailure
from rafty_core.simulation.faults import Faults
from rafty_core.simulation.options import Options
from rafty_core.simulation.run import Report
from rafty_core.simulation.shrink import Shrunk, Size
from rafty_core.simulation.simulation import Simulation

__all__ = ["Faults", "Options", "Report", "Shrunk", "Simulation", "SimulationFailure", "Size"]
