"""What of the acceptance data does not hold for this core, and why.

Law: *a rule is set aside only for a feature that is not there yet, or for a decision of the design.*
"""

MEMBERSHIP = "changes of membership are not there yet"
SNAPSHOTS = "installing snapshots and compacting the log are not there yet"
READS = "linearizable reads are not there yet"
TRANSFER = "leadership transfer is not there yet"
JOINT_ONLY = "voters change by joint consensus, always"

RULES: dict[str, str] = {
    "6-01": MEMBERSHIP,
    "6-02": MEMBERSHIP,
    "6-03": MEMBERSHIP,
    "6-04": MEMBERSHIP,
    "6-06": MEMBERSHIP,
    "6-07": MEMBERSHIP,
    "6-17": MEMBERSHIP,
    "6-18": MEMBERSHIP,
    "6-21": MEMBERSHIP,
    "6-22": MEMBERSHIP,
    "6-23": MEMBERSHIP,
    "7-01": SNAPSHOTS,
    "7-02": SNAPSHOTS,
    "7-04": SNAPSHOTS,
    "7-05": SNAPSHOTS,
    "7-06": SNAPSHOTS,
    "7-07": SNAPSHOTS,
    "7-08": SNAPSHOTS,
    "7-10": SNAPSHOTS,
    "7-11": SNAPSHOTS,
    "7-12": SNAPSHOTS,
    "7-13": SNAPSHOTS,
    "7-17": SNAPSHOTS,
    "7-21": SNAPSHOTS,
    "RO-05": READS,
}

TABLES: dict[str, str] = {
    "conf_change_one_at_a_time": MEMBERSHIP,
    "new_leader_pending_config": MEMBERSHIP,
    "log_compaction": SNAPSHOTS,
    "log_term_pending_snapshot": SNAPSHOTS,
}

FLOW_STATES = {"probe", "replicate"}
"""A follower that waits for a snapshot comes with snapshots; rows about it are not run."""

SCRIPT_REQUIREMENTS: dict[str, str] = {
    "single_server_change": JOINT_ONLY,
    "joint": MEMBERSHIP,
    "conf_change": MEMBERSHIP,
    "compaction": SNAPSHOTS,
    "snapshot": SNAPSHOTS,
    "read_index": READS,
    "transfer_leadership": TRANSFER,
}
"""Scripts that require one of these are not played."""
