"""Every kind of message, event and notice has its sentence."""

from typing import get_args

from rafty_core.entries import Batch
from rafty_core.events import LOCAL_EVENT_TYPES
from rafty_core.explain import SENTENCES, explain
from rafty_core.messages import MESSAGE_TYPES, AppendEntries, AppendEntriesResponse, PreVoteResponse, RequestVote
from rafty_core.output import LeaderChanged, Notice, PeerContact


def test_every_kind_has_a_sentence() -> None:
    assert set(SENTENCES) == {*MESSAGE_TYPES, *LOCAL_EVENT_TYPES, *get_args(Notice)}


def test_sentences_say_what_matters() -> None:
    assert explain(RequestVote("n1", "n2", 5, 7, 4)) == (
        "n1 asks n2 for its vote in term 5; its log ends with entry 7 of term 4"
    )
    assert explain(PreVoteResponse("n2", "n1", 4, 5, False)) == "n2, in term 4, refuses n1 a pre-vote for 5"
    batch = Batch(8, 5, [b"\x01a", b"\x01b"])
    assert "entries 8 to 9 of term 5 after entry 7 of term 4" in explain(AppendEntries("n1", "n2", 5, 7, 4, 6, batch))
    assert "nothing new after entry 7" in explain(AppendEntries("n1", "n2", 5, 7, 4, 6))
    assert explain(AppendEntriesResponse("n2", "n1", 5, True, 9)).endswith("holds everything up to 9")
    assert "may agree up to entry 3 of term 2" in explain(AppendEntriesResponse("n2", "n1", 5, False, 7, 3, 2))
    assert explain(LeaderChanged(None, 5)) == "knows no leader in term 5"
    assert explain(LeaderChanged("n1", 5)) == "follows n1"
    assert explain(PeerContact("n3", False)) == "hears nothing of n3 any more"
    assert explain(PeerContact("n3", True)) == "hears n3 again"
