"""`jackdaw bench-metadata`, small: every figure is there and makes sense."""

import json
import subprocess

import pytest

from harness import BIN, free_port

pytestmark = pytest.mark.kraft_only


def test_every_figure(tmp_path):
    done = subprocess.run(
        [BIN / "jackdaw", "bench-metadata", "--directory", tmp_path / "bench", "--partitions",
         "100,2000", "--kills", "1", "--create", "300", "--snapshot-records", "5050",
         "--first-port", str(free_port()), "--output", "json"],
        capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [row["partitions"] for row in report["failovers"]] == [100, 2000]
    for row in report["failovers"]:
        assert len(row["milliseconds"]) == 1
        # A kill takes longer than none, and less than the time-outs of elections together.
        assert 0 < row["undisturbedMs"] and 0 < row["milliseconds"][0] < 15_000
        assert row["residentMiB"] > 1
    creation = report["creation"]
    assert creation["partitions"] == 300
    assert 0 < creation["acknowledgedMs"] <= creation["ledMs"]
    assert creation["brokerStartMs"] > 0
    assert report["snapshot"]["records"] == 50 * 101 + 5
    assert report["snapshot"]["milliseconds"] > 0
    assert not (tmp_path / "bench").exists()
