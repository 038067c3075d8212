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
