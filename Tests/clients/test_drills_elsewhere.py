"""Drills of a cluster that is not ours to start: an address, and commands that handle its members."""

import json
import os
import signal
import subprocess

import pytest

from harness import BIN, Cluster


@pytest.fixture
def cluster(tmp_path):
    """Three brokers on Debian's ZooKeeper, started by somebody else."""
    with Cluster(tmp_path, coordinators=1, real=(1,)) as processes:
        for number, broker in processes.brokers.items():
            (tmp_path / f"broker-{number}.pid").write_text(str(broker.pid))
        yield processes
        for number in processes.brokers:
            stop_by_file(tmp_path / f"broker-{number}.pid")


def stop_by_file(path):
    """What a drill has started again is a child of nobody here."""
    try:
        os.kill(int(path.read_text()), signal.SIGKILL)
    except (ProcessLookupError, ValueError):
        pass


def write_commands(folder, **changes):
    commands = {
        "mode": "zookeeper",
        "label": "somebody else's",
        "build": "build 7",
        "members": "broker-1,broker-2,broker-3",
        "start": f"cd {folder} && (setsid {BIN}/jackdaw-broker server-{{number}}.properties"
                 " >> {name}.log 2>&1 < /dev/null & echo $! > {name}.pid)",
        "stop": f"kill -TERM $(cat {folder}/{{name}}.pid)",
        "kill": f"kill -KILL $(cat {folder}/{{name}}.pid)",
        # A killed child of this test is a zombie until it is asked after.
        "running": f"grep -q '^State:.[^Z]' /proc/$(cat {folder}/{{name}}.pid)/status",
        **changes,
    }
    path = folder / "commands.properties"
    path.write_text("".join(f"{key} = {value}\n" for key, value in commands.items() if value))
    return path


def drill(name, cluster, commands):
    done = subprocess.run(
        [BIN / "jackdaw", "drill", "run", name, "--bootstrap-server", cluster.bootstrap,
         "--coordination", cluster.store.connect, "--commands", commands,
         "--warm-up", "2000", "--fault-time", "2000", "--output", "json"],
        capture_output=True, text=True, timeout=240)
    return done


def test_a_killed_leader_loses_nothing(cluster, tmp_path):
    done = drill("kill-leader", cluster, write_commands(tmp_path))
    assert done.stdout, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["valid"], (report["findings"], report["checks"])
    assert report["build"] == "build 7"
    assert report["records"]["acknowledged"] > 500
    assert report["recovery"]["toFirstWriteMs"] > 0
    restarted = [
        number for number, broker in cluster.brokers.items()
        if int((tmp_path / f"broker-{number}.pid").read_text()) != broker.pid]
    assert len(restarted) == 1


def test_what_cannot_be_done_there_is_said(cluster, tmp_path):
    """Links cannot be cut, and a command that is not in the file cannot be run."""
    commands = write_commands(tmp_path)
    done = drill("isolate-from-followers", cluster, commands)
    assert done.returncode != 0 and "local cluster of ours" in done.stderr, done.stderr
    done = drill("kill-leader", cluster, write_commands(tmp_path, kill=None))
    assert done.returncode != 0 and "no command to kill" in done.stderr + done.stdout, done.stderr
