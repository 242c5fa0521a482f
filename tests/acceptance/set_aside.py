"""What of the acceptance data does not hold for this core, and why.

Law: *nothing is set aside but for a decision of the design, which stands here in its words.*

No rule and no table is set aside as a whole.
"""

from tests.acceptance.data import Json

JOINT_ONLY = "voters change by joint consensus, always"
LEAVES_BY_ITSELF = "the leader, or its successor, leaves the joint configuration by itself"
LEARNER_FIRST = "a new voter is caught up as a learner first"
ALWAYS_ON = "PreVote, leader stickiness and CheckQuorum are always on"
BYTES_APART = "the core sees (index, term, configuration) alone; the bytes of a snapshot are streamed by the IO side"

DECISIONS = (JOINT_ONLY, LEAVES_BY_ITSELF, LEARNER_FIRST, ALWAYS_ON, BYTES_APART)

RULES: dict[str, str] = {}

TABLES: dict[str, str] = {}

TRANSITIONS: dict[str, str] = {"application reports the snapshot succeeded": BYTES_APART}
"""Events of a follower's progress that do not exist: that it has the snapshot, the follower acknowledges by itself."""

REFUSALS: dict[str, str] = {"needs_joint": JOINT_ONLY}
"""Changes that another core refuses to make in one step: here they take the joint configuration, as all do."""

SCRIPTS: dict[str, str] = {"campaign_learner_must_vote": LEARNER_FIRST}
"""Scripts whose states are not compared, by name: here, a learner that is behind is made a voter there."""


def why_not_compared(name: str, script: Json) -> str | None:
    """The decision for which the states of this script cannot be those of this core; None if they can.

    A leader that removes itself needs both halves here, and steps down when all is done: not halfway, and not when it
    is told to leave the joint configuration. A candidate that everybody ignores gets a newer term only where there is
    no pre-vote.
    """
    if name in SCRIPTS:
        return SCRIPTS[name]
    for step in script["steps"]:
        if step["op"] == "propose_conf_change" and ["remove", step["node"]] in step["changes"]:
            return LEAVES_BY_ITSELF if step.get("transition") == "explicit" else JOINT_ONLY
    options = [step["options"] for step in script["steps"] if step["op"] == "add_nodes"]
    campaigns = [step for step in script["steps"] if step["op"] == "campaign"]
    if len(campaigns) > 1 and any(each.get("check_quorum") and not each.get("pre_vote") for each in options):
        return ALWAYS_ON
    return None
