"""The benchmarks run, end, and leave nothing behind. No figure is judged here: a busy machine proves nothing."""

import json
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from benchmarks import disks
from benchmarks.__main__ import main
from benchmarks.cluster import load_request, start_rafty, wait_for_leader
from benchmarks.load import make_commands
from benchmarks.processes import ROOT, BenchmarkError, Family
from benchmarks.resp_client import gets, sets, split_replies
from benchmarks.rows import RAFTY, Load, Row
from benchmarks.sampling import Samples, clock, is_off, quantile, shares
from benchmarks.values import noise


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory on a disk: a test on a machine without one has nothing to show."""
    if disks.file_system(tmp_path) in disks.IN_MEMORY:
        pytest.skip("the temporary directory is in memory, and the benchmarks refuse that")
    return tmp_path


def test_cluster_benchmark_short_run(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, report = directory / "data", directory / "report.json"
    data.mkdir()
    options = ["--backends", "asyncio", "--styles", "pipelined,resp-clients", "--in-flight", "6", "--no-pysyncobj"]
    times = ["--repeats", "1", "--seconds", "0.4", "--warmup", "0.1"]
    assert main(["cluster", *options, *times, "--directory", str(data), "--json", str(report)]) == 0
    assert list(data.iterdir()) == []
    rows = json.loads(report.read_text())["rows"]
    assert [(row["style"], row["in_flight"]) for row in rows] == [("pipelined", 6), ("resp-clients", 6)]
    for row in rows:
        assert row["failed"] == 0
        assert row["median"]["rate"] > 0
        assert row["syncs_to_disk"]
    table = capsys.readouterr().out
    assert "rafty" in table
    assert "fdatasync ms" in table


def test_transports_benchmark_short_run(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--repeats", "1", "--seconds", "0.05", "--backends", "asyncio,trio", "--transports", "memory,tcp,wss"]
    assert main(["transports", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [tuple(line.split()[:2]) for line in lines[2:8]] == [
        (kind, backend) for kind in ("memory", "tcp", "wss") for backend in ("asyncio", "trio")
    ]


@pytest.mark.slow
def test_hostile_benchmark_short_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hostile", "--seconds", "1", "--repeats", "1"]) == 0
    report = capsys.readouterr().out
    quiet, attacked = (line.split() for line in report.splitlines()[2:4])
    assert (quiet[0], attacked[0]) == ("quiet", "attacked")
    assert quiet[1] == attacked[1]  # the term, and so the leader
    assert quiet[3] == attacked[3] == "0"  # writes that failed
    assert "nodes.protocol" in report


def test_reads_benchmark_short_run(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, report = directory / "data", directory / "report.json"
    data.mkdir()
    options = ["--backends", "asyncio", "--styles", "tasks,resp-pipelined", "--in-flight", "6", "--no-pysyncobj"]
    times = ["--repeats", "1", "--seconds", "0.2", "--warmup", "0.1", "--asked", "lease"]
    assert main(["reads", *options, *times, "--directory", str(data), "--json", str(report)]) == 0
    assert list(data.iterdir()) == []
    rows = json.loads(report.read_text())["rows"]
    assert [(row["asked"], row["style"]) for row in rows] == [("lease", "tasks"), ("lease", "resp-pipelined")]
    for row in rows:
        assert row["failed"] == 0
        assert row["median"]["rate"] > 0
    assert "CPU of the asked" in capsys.readouterr().out


@pytest.mark.slow
def test_reads_benchmark_stale_reads_let_the_node_live(directory: Path) -> None:
    report = directory / "report.json"
    options = ["--backends", "trio", "--styles", "tasks", "--in-flight", "1", "--asked", "stale", "--no-pysyncobj"]
    times = ["--repeats", "1", "--seconds", "1.5", "--warmup", "0.1"]  # more than an election timeout
    assert main(["reads", *options, *times, "--directory", str(directory), "--json", str(report)]) == 0
    assert json.loads(report.read_text())["rows"][0]["failed"] == 0


@pytest.mark.slow
def test_catchup_benchmark_followers_short_run(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, report = directory / "data", directory / "report.json"
    data.mkdir()
    options = ["--measures", "by log,by snapshot", "--entries", "500", "--repeats", "1", "--no-pysyncobj"]
    assert main(["catchup", *options, "--directory", str(data), "--json", str(report)]) == 0
    assert list(data.iterdir()) == []
    rows = json.loads(report.read_text())["rows"]
    assert [(row["measure"], row["entries"]) for row in rows] == [("by log", 500), ("by snapshot", 500)]
    for row in rows:
        (run,) = row["runs"]
        assert 0 < run["ready"] <= run["applied"]
        assert run["size"] > 0
    assert "all applied after s" in capsys.readouterr().out


def test_catchup_benchmark_alone_short_run(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measures = "restart with snapshot,memory"
    options = ["--measures", measures, "--log", "3000", "--memory-sizes", "16", "--repeats", "1", "--no-pysyncobj"]
    assert main(["catchup", *options, "--directory", str(directory)]) == 0
    assert list(directory.iterdir()) == []
    told = capsys.readouterr().out
    for word in ("restart with snapshot", "memory  ", "bytes/entry"):
        assert word in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["reads", "--asked", "everybody"], "everybody: no way of asking"),
        (["catchup", "--measures", "by pigeon"], "by pigeon: no measure"),
        (["catchup", "--entries", "-1"], "numbers from 1 to"),
        (["catchup", "--memory-sizes", "5"], "at least 16 bytes"),
    ],
)
def test_benchmark_wrong_options_one_sentence(
    arguments: list[str], sentence: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--no-pysyncobj", "--directory", str(directory)]) == 2
    assert sentence in capsys.readouterr().err


def test_cluster_benchmark_interrupted_leaves_nothing(directory: Path) -> None:
    options = ["--backends", "asyncio", "--styles", "tasks", "--in-flight", "4", "--no-pysyncobj", "--seconds", "60"]
    command = [sys.executable, "-m", "benchmarks", "cluster", *options, "--directory", str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert b"1 rows" in process.stderr.readline()  # from here on it runs; when it is hit must not matter
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 130
        assert b"interrupted" in process.stderr.read()
    assert list(directory.iterdir()) == []


def test_cluster_benchmark_wrong_options_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "--backends", "curio", "--no-pysyncobj"]) == 2
    assert "curio" in capsys.readouterr().err
    assert main(["cluster", "--in-flight", "1,many", "--no-pysyncobj"]) == 2
    assert capsys.readouterr().err == "benchmarks: --in-flight takes whole numbers with commas between, not 1,many\n"


def test_hostile_benchmark_refuses_an_unknown_event_loop_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hostile", "--backend", "curio"]) == 2
    assert "curio: not installed" in capsys.readouterr().err


def test_benchmarks_run_with_nothing_installed_but_rafty() -> None:
    """As the README installs it for those who only want figures."""
    script = (
        "import sys\n"
        "for name in ('pytest', 'apsw', 'redis', 'hiredis', 'cryptography', 'trio', 'uvloop', 'websockets'):\n"
        "    sys.modules[name] = None\n"
        "from benchmarks.__main__ import main\n"
        "sys.exit(main(['simulation', '--seeds', '1', '--repeats', '1']))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "CPU-seconds per seed" in done.stdout


def test_family_ends_a_child_that_does_not_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.processes.PATIENCE", 0.2)
    deaf = "import time; print('{}', flush=True); time.sleep(600)"
    with Family() as family:
        child = family.start("deaf", [sys.executable, "-c", deaf], tmp_path / "log")
        assert child.answer(10.0) == {}
        with pytest.raises(BenchmarkError, match="no answer"):
            child.answer(0.05)
    assert child.exit_status == -signal.SIGKILL


def test_members_end_by_themselves_under_load_when_their_input_ends(directory: Path) -> None:
    row, load = Row(RAFTY, "asyncio", "tasks", 4), Load(seconds=600)
    with Family() as family:
        members, _ = start_rafty(family, row, load, directory)
        wait_for_leader(members).tell(**load_request(row, load))
    assert [member.exit_status for member in members] == [0, 0, 0]


def test_child_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    last_words = "import sys; sys.exit('the disk is full')"
    with Family() as family:
        child = family.start("n1", [sys.executable, "-c", last_words], tmp_path / "log")
        with pytest.raises(BenchmarkError, match="n1 has ended: the disk is full"):
            child.answer(10.0)


def test_samples_rate_times_latency_is_the_number_in_flight() -> None:
    samples = Samples(0.0, 1.0)
    for turn in range(10):
        began = samples.begin + turn * 0.1 - 0.05
        samples.add(began, began + 0.1, count=8)
    samples.add(samples.end - 0.05, samples.end + 0.05, count=8)  # after the window: not counted
    result = samples.result()
    assert result.rate == 80
    assert result.in_flight_measured == pytest.approx(8)
    assert not is_off(result.in_flight_measured, 8)
    assert is_off(result.in_flight_measured, 16)


def test_samples_nothing_completed_gives_zeros() -> None:
    samples = Samples(0.0, 1.0)
    samples.fail("refused", 3)
    result = samples.result()
    assert (result.rate, result.p99_ms, result.failed, result.first_error) == (0, 0, 3, "refused")


@pytest.mark.parametrize(("part", "value"), [(0.0, 1.0), (0.5, 1.0), (0.75, 2.0), (0.99, 9.0), (1.0, 9.0)])
def test_quantile_weighs_by_count(part: float, value: float) -> None:
    assert quantile([(1.0, 50), (2.0, 40), (9.0, 10)], part) == value


@pytest.mark.parametrize(("in_flight", "parts", "expected"), [(1, 4, [1]), (6, 4, [2, 2, 1, 1]), (1024, 4, [256] * 4)])
def test_shares_sum_to_the_number_in_flight(in_flight: int, parts: int, expected: list[int]) -> None:
    assert shares(in_flight, parts) == expected


RIGHT = b"$3\r\nabc\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", (0, [], b"")),
        (RIGHT * 2 + b"$3\r", (2, [], b"$3\r")),
        (RIGHT + b"$-1\r\n" + RIGHT, (2, [b"$-1"], b"")),
        (b"-ERR no\r\n-ER", (0, [b"-ERR no"], b"-ER")),
        (RIGHT + b"$", (1, [], b"$")),
    ],
)
def test_replies_are_split(data: bytes, expected: tuple[int, list[bytes], bytes]) -> None:
    assert split_replies(data, RIGHT) == expected


def test_reads_ask_for_what_writes_wrote() -> None:
    writes, reads = sets(20), gets(20)
    assert writes[0][0].endswith(b"$8\r\nk0000000\r\n$7\r\nvvvvvvv\r\n")
    assert reads == ([b"*2\r\n$3\r\nGET\r\n$8\r\nk%07d\r\n" % n for n in range(256)], b"$7\r\nvvvvvvv\r\n")


def test_commands_have_the_size_that_was_asked_for() -> None:
    assert {len(command) for command in make_commands(256)} == {256}
    with pytest.raises(ValueError, match="13 bytes at least"):
        make_commands(5)


def test_noise_is_the_same_everywhere_and_does_not_compress() -> None:
    value = noise(243)
    assert value(7) == noise(243)(7)
    together = b"".join(map(value, range(1000)))
    assert len(together) == 243_000
    assert len(zlib.compress(together)) > 0.99 * len(together)


def test_bare_sync_is_measured_and_leaves_no_file(directory: Path) -> None:
    began = clock()
    assert disks.bare_sync_ms(directory, seconds=0.01) > 0
    assert clock() - began < 10
    assert list(directory.iterdir()) == []


def test_cluster_benchmark_no_figure_is_told(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.cluster.START_SECONDS", 0.0)  # no cluster is that quick
    options = ["--backends", "asyncio", "--styles", "tasks", "--in-flight", "1", "--no-pysyncobj", "--repeats", "1"]
    assert main(["cluster", *options, "--directory", str(directory)]) == 1
    assert "no answer within 0 s" in capsys.readouterr().err
    assert list(directory.iterdir()) == []
