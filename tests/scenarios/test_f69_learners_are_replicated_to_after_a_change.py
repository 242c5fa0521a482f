"""The voters change; the learners that stay go on getting the log, from the same place."""

from tests.scenarios.story import Story


def test_learner_gets_the_log_through_each_step_of_a_change_of_voters() -> None:
    story = Story("ABC", learners="L")
    story.elect("A", "ABCL")
    story.join("D")
    story.change("A", ("add_voter", "D"), ("remove", "C"))

    def done() -> bool:
        peers = {peer.id: peer for peer in story["A"].status.peers}
        assert peers["L"].flow == "replicate"
        return story["A"].status.configuration.voter_ids == ("A", "B", "D") and bool(story["A"].answers)

    story.until(done, "ABCDL")
    story.propose("A", b"x")
    story.settle("ABDL")
    assert story["L"].applied == [b"x"]
    assert story["L"].status.configuration == story["A"].status.configuration
