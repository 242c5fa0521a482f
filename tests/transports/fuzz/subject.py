"""What must hold for a core that is told what was made up.

Law: *whatever it is told, a node keeps what it promised, and what it refuses has changed nothing.*

A life begins with a copy of a node of the recorded cluster, and goes on for some inputs: messages, with now and then a
write confirmed, a portion applied, a timer. After each step the invariants of the node are looked at; sometimes the
whole state is compared with that before, which must be the same if the message was refused (invariant I27).
"""

import pickle
import random
from collections.abc import Sequence
from typing import cast

from rafty_core.config import Config
from rafty_core.events import Event, Propose, Read
from rafty_core.explain import explain
from rafty_core.messages import (
    MESSAGE_TYPES,
    AppendEntries,
    ForwardedProposal,
    Heartbeat,
    InstallSnapshot,
    Message,
    PreVote,
    ReadIndexRequest,
    RequestVote,
    TimeoutNow,
)
from rafty_core.node_invariants import NodeInvariants, state_of
from rafty_core.output import Output, ProtocolViolation
from rafty_core.roles import Leader
from rafty_core.simulation.forged import forged
from rafty_core.simulation.lies import lie_to
from rafty_core.simulation.world import World
from rafty_core.state import State
from rafty_transports.codec import encode
from rafty_transports.interfaces import Travelling
from tests.transports.fuzz.driven import Driven, Fellows
from tests.transports.fuzz.picture import Picture, picture_of
from tests.transports.fuzz.traffic import NAMES, STRANGER, Moment
from tests.transports.fuzz.wire import Broken

MOST_STATE = 64 * 1024
"""Bytes that the pickled state of a core may have beyond its log and the configurations that it knows."""

CORE_MESSAGES = frozenset(MESSAGE_TYPES)


class Subject:
    """One life of a node that is told what was made up."""

    def __init__(self, moment: Moment) -> None:
        self.moment = moment
        self.fellows: Fellows = pickle.loads(moment.cluster)
        self.driven: Driven = self.fellows.nodes[moment.node_id]
        self.raft = self.driven.raft
        self.watch = NodeInvariants(self.raft)
        self.began_as = self.raft.status()
        self.picture: Picture = picture_of(self.raft)
        self._steps = 0
        self._world = World("")
        self._step()  # its clock may have stood still: what is due happens now, and not beside what it hears first

    def hear(self, chance: random.Random, message: Travelling) -> str:
        """Let this message reach the node, readdressed if need be; return what became of it."""
        if type(message) not in CORE_MESSAGES:
            return "for the exchange"
        heard = cast("Message", message)
        if heard.to != self.moment.node_id and chance.random() < 0.9:
            heard.to = self.moment.node_id
        if heard.sender == self.moment.node_id or chance.random() < 0.3:
            heard.sender = self.picture.leader or chance.choice(NAMES)
        return self._hear(chance, heard)

    def lie(self, chance: random.Random) -> bytes:
        """A frame that contradicts what this node knows for certain now; nothing, if chance finds none."""
        self._world.random = chance
        state = state_of(self.raft)
        if state.role.leader == STRANGER:
            return b""  # what `forged` takes for a stranger is not one here
        if chance.random() < 0.7:
            message = forged(state, self._world)
        else:
            leads = Heartbeat(state.role.leader or chance.choice(NAMES), state.id, max(state.term, 1), 0, 1)
            message = None if leads.sender == state.id else lie_to(state, leads, self._world)
        return b"" if message is None else b"".join(encode(message))

    def hear_lie(self, chance: random.Random, message: Travelling) -> str:
        """Let this message, made by `lie`, reach the node. Raises `Broken` if it is not refused."""
        outcome = self._hear(chance, cast("Message", message))
        if outcome != "refused":
            raise Broken(f"a lie is {outcome}: {message!r:.500}")
        return outcome

    def _hear(self, chance: random.Random, heard: Message) -> str:
        self._steps += 1
        if isinstance(state_of(self.raft).role, Leader) and state_of(self.raft).configuration.goal is not None:
            self._step()  # with any step, of whatever reason, it may find that its learners are close
        watched = self._steps % 8 == 0
        before = self._frozen() if watched else b""
        state = state_of(self.raft)
        refused, term, log = state.violations, state.term, (state.log.commit, state.log.last_index, state.log.last_term)
        impossible = _impossible(state, heard)
        output = self._step(heard)
        if impossible and state.violations == refused:
            raise Broken(f"{state.id} takes {heard!r:.500}, and {impossible}")
        if state.violations == refused:
            self._live(chance)
            return "taken"
        if state.term == term:
            self._check_refusal(output, before, refused)
            return "refused"
        # Its term is adopted before it is looked at any closer, and nothing else is: I27, "save term adoption".
        if log != (state.log.commit, state.log.last_index, state.log.last_term) or state.term != heard.term:
            raise Broken(f"a refused message has changed the log from {log}, or the term to {state.term}")
        return "refused in its term"

    def _frozen(self) -> bytes:
        return pickle.dumps(self.raft, pickle.HIGHEST_PROTOCOL)

    def _check_refusal(self, output: Output, before: bytes, refused: int) -> None:
        """I27: it is counted, it is noted, and nothing else has happened."""
        noted = [type(notice) for notice in output.notices]
        state = state_of(self.raft)
        if state.violations != refused + 1 or noted != [ProtocolViolation]:
            raise Broken(f"a refusal is counted {state.violations - refused} times, and noted so: {output.notices!r}")
        if output.messages or output.write or output.apply or output.fetch or output.answers:
            raise Broken(f"a refused message has consequences: {output!r:.1000}")
        if not before:
            return
        state.violations = refused
        after = self._frozen()
        state.violations = refused + 1
        if after != before and after != pickle.dumps(pickle.loads(before), pickle.HIGHEST_PROTOCOL):
            raise Broken(f"a refused message has changed the node: {output.notices!r:.500}")

    def _step(self, *events: Event) -> Output:
        output = self.driven.step(self.fellows.now, *events)
        self.watch.check(self.raft)
        for message in output.messages:
            if message.sender != self.moment.node_id or message.to == message.sender:
                raise Broken(f"{self.moment.node_id} sends {message!r:.500}")
            encode(message)
        for notice in output.notices:
            explain(notice)
        return output

    def _live(self, chance: random.Random) -> None:
        """What else happens in a life: the disk, the machine, the clock, and its own callers."""
        draw = chance.random()
        if draw < 0.5:
            owed = self.driven.owed() if draw < 0.45 else self.driven.lose_fetch()
            if owed is not None:
                self._step(owed)
        elif draw < 0.6:
            self.fellows.now += chance.choice((0.0, 0.001, 0.03, 0.2))
            self._step()
        elif draw < 0.62:
            self.fellows.now = max(self.fellows.now, min(self.raft.deadline, self.fellows.now + 10.0))
            self._step()
        elif draw < 0.65:
            self._step(Propose(None, [b"own"]), Read(None))
        self.picture = picture_of(self.raft)

    def end(self) -> None:
        """The life is over: all that can be asked of a node can be, and it has not grown. Raises `Broken`."""
        self.raft.status()
        state = state_of(self.raft)
        log = state.log
        known = sum(len(pickle.dumps(known)) for known in log.configurations.since(0))
        entries = sum(map(len, log.slice(log.first_index, log.last_index))) + 16 * (log.last_index - log.base_index)
        size = len(self._frozen())
        if size > MOST_STATE + 4 * entries + 2 * known:
            raise Broken(f"the state of {self.moment.node_id} has {size} bytes, of which the log has {entries}")
        _check_bounds(state.config, len(self.driven.writes))

    @property
    def roles(self) -> Sequence[str]:
        """The role at the beginning, and now."""
        return self.began_as.role, self.raft.status().role


LEADERS = (AppendEntries, Heartbeat, InstallSnapshot, TimeoutNow)
"""What only a leader says."""

ASKED = (*LEADERS, RequestVote, PreVote, ForwardedProposal, ReadIndexRequest)
"""What is said by a node that was in a term already."""


def _impossible(state: State, message: Message) -> str:
    """Why no correct node can have sent this one this message now, or "": a few of the reasons, told anew."""
    if message.to != state.id or message.sender == state.id:
        return "it is not for it, or of itself"
    if message.term > state.term + 2**32:
        return "its term is absurd (fault F28)"
    if message.term == 0 and isinstance(message, ASKED):
        return "nobody leads or stands in term 0 (R9)"
    leader = state.role.leader
    if message.term == state.term and isinstance(message, LEADERS[:3]) and leader not in (None, message.sender):
        return f"{leader} leads this term (fault F55)"
    return ""


def _check_bounds(config: Config, writes: int) -> None:
    if writes > 100_000:
        raise Broken(f"{writes} writes wait for the disk of {config.id}")
