"""Failover drills as people run them: a fault under recorded load, and the verdict."""

import json
import os
import random
import shutil
import subprocess

import pytest

from harness import BIN


def drill(folder, mode, *arguments, env=None):
    """`jackdaw drill …` with JSON output; tries other ports when some are taken."""
    for _ in range(4):
        base = random.randrange(10_000, 20_000, 40)
        done = subprocess.run(
            [BIN / "jackdaw", "drill", *arguments, "--mode", mode,
             "--directory", folder / "cluster",
             "--broker-port", str(base), "--metrics-port", str(base + 20),
             "--coordination-port", str(base + 5000), "--output", "json"],
            capture_output=True, text=True, timeout=240, env={**os.environ, **(env or {})})
        if "cannot listen" not in done.stderr and "Address already in use" not in done.stderr:
            break
    assert done.stdout, done.stderr[-3000:]
    return done, json.loads(done.stdout)


def run_drill(folder, name, mode, *flags, env=None):
    """The report of one drill."""
    return drill(
        folder, mode, "run", name, "--report", folder / "reports", "--warm-up", "2000",
        "--fault-time", "2000", *flags, env=env)


@pytest.mark.parametrize("mode", ["zookeeper", "kraft"])
def test_a_killed_leader_loses_nothing(tmp_path, mode):
    done, report = run_drill(tmp_path, "kill-leader", mode)
    assert done.returncode == 0 and report["valid"], (report["findings"], report["checks"])
    assert report["records"]["acknowledged"] > 500
    assert "built" in report["build"]
    assert ("librdkafka" in report["settings"]["clients"]) == (shutil.which("kcat") is not None)
    # Everything acknowledged was read by the group or at the end, and the report says how long it
    # took until writes were taken again.
    assert report["recovery"]["toFirstWriteMs"] > 0
    assert {check["name"]: check["holds"] for check in report["checks"]}[
        "replicas are byte-identical"]
    page = (tmp_path / "reports" / f"{mode}-kill-leader.html").read_text()
    assert "<svg" in page and "SIGKILL" in page


def test_a_killed_controller_is_replaced(tmp_path):
    done, report = run_drill(tmp_path, "kill-controller", "kraft")
    assert done.returncode == 0 and report["valid"], (report["findings"], report["checks"])
    assert "another controller took over" in {
        entry["name"] for entry in report["checks"] if entry["holds"]}
    # Administration went on when it could, and nobody was told a thing that did not happen.
    assert report["administration"]["acknowledged"] > 0


def test_a_cut_off_leader_commits_nothing_alone(tmp_path):
    done, report = run_drill(tmp_path, "isolate-from-followers", "zookeeper")
    assert done.returncode == 0 and report["valid"], (report["findings"], report["checks"])
    assert any("cut broker" in event["text"] for event in report["events"])


def test_a_killed_ensemble_leader_is_replaced(tmp_path):
    done, report = run_drill(tmp_path, "kill-ensemble-leader", "zookeeper")
    assert done.returncode == 0 and report["valid"], (report["findings"], report["checks"])
    assert {check["name"]: check["holds"] for check in report["checks"]}["another server leads"]
    assert report["znodes"]["acknowledged"] > 200


def test_znodes_are_linearizable_under_kills_pauses_and_cut_links(tmp_path):
    done, report = run_drill(tmp_path, "ensemble-nemesis", "zookeeper", "--seed", "7")
    assert done.returncode == 0 and report["valid"], (report["findings"], report["checks"])
    faults = [event["text"] for event in report["events"] if event["kind"] == "fault"]
    # Every kind of fault met the leader once, and a follower once.
    for words in ("SIGKILL", "SIGSTOP", "cut ", "nothing reaches", "nothing that"):
        assert sum(text.startswith(words) for text in faults) == 2, faults


@pytest.mark.parametrize("mode", ["zookeeper", "kraft"])
def test_a_killed_broker_is_missed_long_before_its_session_ends(tmp_path, mode):
    done, report = drill(tmp_path, mode, "failover", "--kills", "3", "--quiet", "3000")
    assert done.returncode == 0, done.stderr[-3000:]
    # Sessions of a local cluster last 6 s. The bound of a second is for `--kills 50` on a machine
    # that does nothing else; here others may be building.
    assert len(report["milliseconds"]) == 3 and max(report["milliseconds"]) < 4000, report
    assert report["confirmed"] >= 3 and report["falseSuspicions"] == 0, report


@pytest.mark.parametrize("flags", [["zookeeper"], ["kraft", "--combined"]], ids=lambda f: f[0])
def test_a_broker_that_is_the_controller_too_is_missed_as_soon(tmp_path, flags):
    done, report = drill(
        tmp_path, flags[0], "failover", "--kills", "2", "--quiet", "3000", "--victim",
        "controller", *flags[1:])
    assert done.returncode == 0, done.stderr[-3000:]
    assert all(kill["wasController"] for kill in report["kills"]), report
    # The next controller knew, or knew how to find out, that this broker is gone: well below the
    # session's 6 s.
    assert max(report["milliseconds"]) < 4500, report
    for kill in report["kills"]:
        kinds = [step["kind"] for step in kill["steps"]]
        assert {"detected", "elected", "fenced", "leads", "allWrite"} <= set(kinds), report


def test_sessions_alone_count_when_told_so(tmp_path):
    done, report = drill(
        tmp_path, "zookeeper", "failover", "--kills", "1", "--quiet", "1000",
        "--broker-override", "jackdaw.failure.detection=session")
    assert done.returncode == 0, done.stderr[-3000:]
    assert report["confirmed"] == 0 and report["milliseconds"][0] > 3000, report


def test_a_zombie_controller_is_rejected(tmp_path):
    done, report = run_drill(tmp_path, "freeze-controller", "zookeeper")
    assert done.returncode == 0 and report["valid"], (report["findings"], report["checks"])
    details = {check["name"]: check["detail"] for check in report["checks"]}
    assert details["what the zombie was asked while it stood still is rejected"] == "5 of 5"


SABOTAGE = {
    "JACKDAW_SABOTAGE": "acknowledge-before-replication", "JACKDAW_SABOTAGE_LOSES_DATA": "yes"}


# The schedule leaves nothing to chance: what the leader takes in while its links are cut is nowhere
# else, it is killed with its followers still in sync, and stays away until one of them leads.
@pytest.mark.parametrize("mode", ["zookeeper", "kraft"])
def test_a_broker_that_acknowledges_before_replication_is_caught(tmp_path, mode):
    done, report = run_drill(tmp_path, "kill-isolated-leader", mode, env=SABOTAGE)
    assert done.returncode == 1 and not report["valid"], report["findings"]
    # Lost: records behind it were read. Unseen: nothing behind it is left to be read.
    kinds = {finding["kind"] for finding in report["findings"]}
    assert kinds & {"lost-write", "unseen"}, (report["findings"], report["checks"])
    # It is condemned for what it acknowledged, and for nothing else.
    assert all(check["holds"] for check in report["checks"]), report["checks"]


@pytest.mark.parametrize("mode", ["zookeeper", "kraft"])
def test_an_honest_broker_passes_the_same_drill(tmp_path, mode):
    done, report = run_drill(tmp_path, "kill-isolated-leader", mode)
    assert done.returncode == 0 and report["valid"], (report["findings"], report["checks"])
    assert any(check["name"].startswith("others lead") for check in report["checks"])


def test_sabotage_needs_consent(tmp_path):
    config = tmp_path / "server.properties"
    config.write_text(f"broker.id=1\nzookeeper.connect=127.0.0.1:1\nlog.dirs={tmp_path}/data\n")
    one = dict(os.environ, JACKDAW_SABOTAGE="acknowledge-before-replication")
    done = subprocess.run(
        [BIN / "jackdaw-broker", config], env=one, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "a broker that loses data is not started" in done.stderr
    shown = subprocess.run([BIN / "jackdaw-broker", "--help"], capture_output=True, text=True)
    assert "SABOTAGE" not in shown.stdout
