"""Failover drills as people run them: a fault under recorded load, and the verdict."""

import json
import random
import subprocess

import pytest

from harness import BIN


def run_drill(folder, name, mode, *flags):
    """The report of one drill; tries other ports when some are taken."""
    for _ in range(4):
        base = random.randrange(10_000, 20_000, 40)
        done = subprocess.run(
            [BIN / "jackdaw", "drill", "run", name, "--mode", mode,
             "--directory", folder / "cluster", "--report", folder / "reports",
             "--broker-port", str(base), "--metrics-port", str(base + 20),
             "--coordination-port", str(base + 5000), "--warm-up", "2000",
             "--fault-time", "2000", "--output", "json", *flags],
            capture_output=True, text=True, timeout=200)
        if "cannot listen" not in done.stderr and "Address already in use" not in done.stderr:
            break
    assert done.stdout, done.stderr[-3000:]
    return done, json.loads(done.stdout)


@pytest.mark.parametrize("mode", ["zookeeper", "kraft"])
def test_a_killed_leader_loses_nothing(tmp_path, mode):
    done, report = run_drill(tmp_path, "kill-leader", mode)
    assert done.returncode == 0 and report["valid"], (report["findings"], report["checks"])
    assert report["records"]["acknowledged"] > 500
    # Everything acknowledged was read by the group or at the end, and the report says how long it
    # took until writes were taken again.
    assert report["recovery"]["toFirstWriteMs"] > 0
    assert {check["name"]: check["holds"] for check in report["checks"]}[
        "replicas are byte-identical"]
    page = (tmp_path / "reports" / f"{mode}-kill-leader.html").read_text()
    assert "<svg" in page and "SIGKILL" in page


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
