"""The members change; what a leader knows of those who stay does not.

A match index that went back to 0 would take back acknowledgements, and with them what is committed.
"""

from tests.scenarios.story import Story


def test_progress_of_who_stays_is_kept_through_each_step_of_a_change() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    for number in range(5):
        story.propose("A", b"%d" % number)
    story.settle("ABC")
    story.join("D")
    known = dict.fromkeys("BC", 0)
    seen = []

    def done() -> bool:
        status = story["A"].status
        for peer in status.peers:
            if peer.id in known:
                assert (peer.match_index >= known[peer.id], peer.flow) == (True, "replicate")
                known[peer.id] = peer.match_index
        stage = (bool(status.configuration.learners), status.configuration.is_joint)
        if stage not in seen:
            seen.append(stage)
        return "D" in status.configuration.voter_ids and status.configuration.at_rest

    story.change("A", ("add_voter", "D"))
    story.until(done, "ABCD")
    assert seen == [(True, False), (False, True), (False, False)]
    assert min(known.values()) > 5
