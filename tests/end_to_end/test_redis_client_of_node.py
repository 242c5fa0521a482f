"""A client library of another language, node-redis, against a live cluster."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.cluster import Cluster

SCRIPT = """
const { createClient } = require("redis");
const [leader, follower] = process.argv.slice(1);
(async () => {
  const told = {};
  for (const RESP of [2, 3]) {
    const at = async (address) => {
      const client = createClient({ url: "redis://" + address, RESP });
      await client.connect();
      return client;
    };
    const one = await at(leader), other = await at(follower);
    await one.set("n", "0");
    await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 ? one : other).incr("n")));
    told["resp" + RESP] = {
      count: await other.get("n"),
      absent: await other.get("absent"),
      refused: await one.set("n", "7", { NX: true }),
      several: await one.mSet({ a: "1", b: "2" }).then(() => other.mGet(["a", "b", "absent"])),
      error: await other.incr("text" + RESP).then(() => one.set("text", "x")).then(() => one.incr("text"))
        .catch((error) => error.message),
      deleted: await other.del(["a", "b", "text", "text" + RESP]),
    };
    one.destroy();
    other.destroy();
  }
  console.log(JSON.stringify(told));
})();
"""


def modules() -> Path:
    """Where npm installed node-redis; RAFTY_NODE_MODULES says it."""
    path = Path(os.environ.get("RAFTY_NODE_MODULES", "node_modules"))
    if shutil.which("node") is None or not (path / "redis").is_dir():
        pytest.skip("node or its package redis is not installed (RAFTY_NODE_MODULES names the folder of packages)")
    return path


def test_node_redis_at_the_leader_and_at_a_follower(tmp_path: Path) -> None:
    environment = {**os.environ, "NODE_PATH": str(modules().resolve())}
    with Cluster(3, tmp_path) as cluster:
        leader = cluster.wait_for_leader()
        follower = next(node for node in cluster.nodes.values() if node is not leader)
        done = subprocess.run(
            ["node", "-e", SCRIPT, leader.client, follower.client],
            capture_output=True,
            text=True,
            timeout=40,
            env=environment,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    expected = {
        "count": "100",
        "absent": None,
        "refused": None,
        "several": ["1", "2", None],
        "error": "ERR value is not an integer or out of range",
        "deleted": 4,
    }
    assert told == {"resp2": expected, "resp3": expected}
