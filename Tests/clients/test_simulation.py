"""Whole clusters on a simulated machine: a few seeds, each twice, and a broker that lies."""

import json
import os
import subprocess

import pytest

from harness import BIN

SEEDS = int(os.environ.get("JACKDAW_SEEDS", "2"))


def simulate(*arguments):
    """`jackdaw simulate …`: exit status and reports."""
    done = subprocess.run(
        [BIN / "jackdaw", "simulate", "--output", "json", *arguments],
        capture_output=True, text=True, timeout=290)
    assert done.stdout, done.stderr[-3000:]
    return done.returncode, json.loads(done.stdout)


def told(report):
    """What a person needs to see of a run that failed."""
    return json.dumps({**report, "trace": report["trace"][-80:]}, indent=1)


@pytest.mark.parametrize("mode", ["zookeeper", "kraft"])
def test_seeds_hold_and_repeat_themselves(mode):
    status, reports = simulate(
        "--seed", "1", "--runs", str(SEEDS), "--mode", mode, "--fault-time", "12000", "--twice")
    assert len(reports) == SEEDS
    for report in reports:
        assert not report["violations"], told(report)
        assert report["faults"] and report["digest"]
    assert status == 0
    assert len({report["digest"] for report in reports}) == SEEDS


@pytest.mark.parametrize("mode", ["zookeeper", "kraft"])
def test_lost_page_caches_lose_what_was_not_flushed_at_most(mode):
    """Drill 19."""
    status, [report] = simulate("--seed", "1", "--mode", mode, "--scenario", "lost-page-cache")
    assert status == 0 and not report["violations"], told(report)
    assert sum("loses power" in fault for fault in report["faults"]) == 4
    # All of them at once: whatever was lost is told, of the topic that leaves flushing to the system.
    assert any(remark.startswith("cached, not flushed: ") for remark in report["remarks"])


@pytest.mark.parametrize("mode", ["zookeeper", "kraft"])
def test_a_broker_that_lies_is_found_out(mode):
    """Acknowledged before it is replicated: what a leader's peers do not have is lost with it. An
    honest one passes the same schedule."""
    schedule = ["--seed", "1", "--mode", mode, "--scenario", "isolated-leader"]
    status, [honest] = simulate(*schedule)
    assert status == 0 and not honest["violations"], told(honest)
    status, [report] = simulate(*schedule, "--sabotage")
    assert status == 1
    assert any(violation.startswith("lost-write") or "the log does not have it" in violation
               for violation in report["violations"]), report["violations"]
    # What a person needs to find out why: the faults, and the last events.
    assert sum("separate" in fault or "kill" in fault for fault in report["faults"]) >= 2
    assert len(report["trace"]) > 1000


def test_what_cannot_be_simulated_is_refused():
    for arguments in (["--mode", "raft"], ["--scenario", "peace"], ["--runs", "0"],
                      ["--seed", "x"], ["--here"]):
        done = subprocess.run([BIN / "jackdaw", "simulate", *arguments],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 or (done.returncode == 1 and arguments == ["--here"])
        assert arguments[0] in done.stderr, done.stderr
