"""Failover drills as people run them: a fault under recorded load, and the verdict."""

import json
import os
import pty
import random
import re
import shutil
import subprocess
import threading

import pytest

from harness import BIN


class Screen:
    """A terminal, and what was written to it."""

    def __enter__(self):
        self.ours, self.theirs = pty.openpty()
        self.parts = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        return self

    def read(self):
        try:
            while part := os.read(self.ours, 65536):
                self.parts.append(part)
        except OSError:  # the other end is closed
            pass

    def __exit__(self, *_):
        os.close(self.theirs)
        self.reader.join()
        os.close(self.ours)
        self.text = b"".join(self.parts).decode(errors="replace")


def drill(folder, mode, *arguments, env=None, screen=None):
    """`jackdaw drill …` with JSON output; tries other ports when some are taken."""
    for _ in range(4):
        base = random.randrange(10_000, 20_000, 40)
        done = subprocess.run(
            [BIN / "jackdaw", "drill", *arguments, "--mode", mode,
             "--directory", folder / "cluster",
             "--broker-port", str(base), "--metrics-port", str(base + 20),
             "--coordination-port", str(base + 5000), "--output", "json"],
            stdout=subprocess.PIPE, stderr=screen.theirs if screen else subprocess.PIPE,
            text=True, timeout=240, env={**os.environ, **(env or {})})
        said = done.stderr or ""
        if done.stdout or not ("cannot listen" in said or "Address already in use" in said):
            break
    assert done.stdout, done.stderr and done.stderr[-3000:]
    return done, json.loads(done.stdout)


def run_drill(folder, name, mode, *flags, env=None, screen=None):
    """The report of one drill."""
    return drill(
        folder, mode, "run", name, "--report", folder / "reports", "--warm-up", "2000",
        "--fault-time", "2000", *flags, env=env, screen=screen)


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
    # Two reports side by side; here it is one and the same.
    path = tmp_path / "reports" / f"{mode}-kill-leader.json"
    rows = subprocess.run(
        [BIN / "jackdaw", "drill", "compare", path, path], capture_output=True, text=True,
        timeout=60).stdout.splitlines()
    assert any(row.split() == ["mode", mode, mode] for row in rows), rows
    assert any(
        row.startswith("to the first write, ms") and row.endswith("100") for row in rows), rows


def test_a_killed_controller_is_replaced(tmp_path):
    with Screen() as screen:
        done, report = run_drill(tmp_path, "kill-controller", "kraft", screen=screen)
    # What a person sees meanwhile: events, and a line of figures that is written anew.
    assert re.search(r"fault: SIGKILL controller-\d+", screen.text), screen.text[-3000:]
    figures = re.findall(
        r"\x1b\[K  (\d+) s  (\w+)  (\d+) writes/s  (\d+) reads/s  (\d+) unknown", screen.text)
    assert {"load", "fault", "recovery"} <= {phase for _, phase, *_ in figures}, screen.text[-3000:]
    assert any(int(writes) > 100 for _, _, writes, *_ in figures), figures
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


def test_with_kafkas_timings_a_session_has_to_end(tmp_path):
    done, report = drill(
        tmp_path, "kraft", "failover", "--kills", "1", "--quiet", "1000", "--timings", "kafka")
    assert done.returncode == 0, done.stderr[-3000:]
    # Kafka's session of a broker lasts 9 s, ours 6.
    assert report["confirmed"] == 0 and report["milliseconds"][0] > 6500, report


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


def test_with_acks_1_the_same_drill_loses_what_it_acknowledged(tmp_path):
    """For contrast: what the leader alone had is gone, which is counted and condemns nobody."""
    done, report = run_drill(tmp_path, "kill-isolated-leader", "kraft", "--acks", "1")
    assert done.returncode == 0 and report["valid"], (report["findings"], report["checks"])
    assert report["settings"]["acks"] == "1" and report["countedLosses"] > 0, report["anomalies"]


def test_sabotage_needs_consent(tmp_path):
    config = tmp_path / "server.properties"
    config.write_text(f"broker.id=1\nzookeeper.connect=127.0.0.1:1\nlog.dirs={tmp_path}/data\n")
    one = dict(os.environ, JACKDAW_SABOTAGE="acknowledge-before-replication")
    done = subprocess.run(
        [BIN / "jackdaw-broker", config], env=one, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "a broker that loses data is not started" in done.stderr
    shown = subprocess.run([BIN / "jackdaw-broker", "--help"], capture_output=True, text=True)
    assert "SABOTAGE" not in shown.stdout
