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
    yield from started(tmp_path, Cluster(tmp_path, coordinators=1, real=(1,)))


@pytest.fixture
def quorum(tmp_path):
    """Three brokers and three controllers, started by somebody else."""
    yield from started(tmp_path, Cluster(tmp_path, mode="kraft"))


def started(folder, cluster):
    with cluster as processes:
        servers = [*processes.brokers.values()]
        if processes.mode == "kraft":
            servers += processes.store.servers.values()
        for server in servers:
            (folder / f"{server.name}.pid").write_text(str(server.pid))
        yield processes
        for server in servers:
            stop_by_file(folder / f"{server.name}.pid")


def stop_by_file(path):
    """What a drill has started again is a child of nobody here."""
    try:
        os.kill(int(path.read_text()), signal.SIGKILL)
    except (ProcessLookupError, ValueError):
        pass


def start_command(folder, program, config):
    return (f"cd {folder} && (setsid {BIN}/{program} {config} >> {{name}}.log 2>&1 < /dev/null"
            " & echo $! > {name}.pid)")


def write_commands(folder, **changes):
    commands = {
        "mode": "zookeeper",
        "label": "somebody else's",
        "build": "build 7",
        "members": "broker-1,broker-2,broker-3",
        "start": start_command(folder, "jackdaw-broker", "server-{number}.properties"),
        "stop": f"kill -TERM $(cat {folder}/{{name}}.pid)",
        "kill": f"kill -KILL $(cat {folder}/{{name}}.pid)",
        "pause": f"kill -STOP $(cat {folder}/{{name}}.pid)",
        "resume": f"kill -CONT $(cat {folder}/{{name}}.pid)",
        # A killed child of this test is a zombie until it is asked after.
        "running": f"grep -q '^State:.[^Z]' /proc/$(cat {folder}/{{name}}.pid)/status",
        **changes,
    }
    path = folder / "commands.properties"
    path.write_text("".join(f"{key} = {value}\n" for key, value in commands.items() if value))
    return path


def drill(names, cluster, commands):
    where = ["--bootstrap-server", cluster.bootstrap, "--commands", commands]
    if cluster.mode == "zookeeper":
        where += ["--coordination", cluster.store.connect]
    return subprocess.run(
        [BIN / "jackdaw", "drill", "run", *names.split(), *where,
         "--warm-up", "2000", "--fault-time", "2000", "--output", "json"],
        capture_output=True, text=True, timeout=280)


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


def test_a_quorum_of_somebody_elses(quorum, tmp_path):
    """In KRaft mode, controllers as well as brokers: killed, and frozen past their sessions."""
    folder = tmp_path
    commands = {"mode": "kraft", "members": "broker-1,broker-2,broker-3"}
    for number in (1, 2, 3):
        # A member's name need not have the id of its node.
        name, node = f"controller-{number}", 100 + number
        commands["members"] += f",{name}"
        commands[f"{name}.id"] = node
        os.symlink(folder / f"controller-{node}.pid", folder / f"{name}.pid")
        commands[f"{name}.start"] = start_command(
            folder, "jackdaw-controller", "controller-{id}.properties")
    names = ["kill-leader", "kill-controller", "freeze-controller", "freeze-broker"]
    done = drill(" ".join(names), quorum, write_commands(folder, **commands))
    assert done.stdout, done.stderr[-3000:]
    reports = json.loads(done.stdout)
    for name, report in zip(names, reports, strict=True):
        assert report["name"] == name and report["mode"] == "kraft"
        assert report["valid"], (name, report["findings"], report["checks"])
        assert report["records"]["acknowledged"] > 500
    assert done.returncode == 0, done.stderr[-3000:]
    _, killed, frozen, paused = reports
    for report, words in (
            (killed, "SIGKILL controller-"), (frozen, "SIGSTOP controller-"),
            (paused, "SIGSTOP broker-")):
        assert any(event["text"].startswith(words) for event in report["events"]), report["events"]
    for report in (killed, frozen):
        holds = {check["name"]: check["holds"] for check in report["checks"]}
        assert holds["another controller took over"], report["checks"]
    assert {check["name"]: check["holds"] for check in paused["checks"]}[
        "others lead while it stands still"]


def test_the_drills_of_a_set_are_those_of_the_files_mode(tmp_path):
    """`short` is what the cluster's mode has. The address is none, so that no drill begins."""
    commands = write_commands(tmp_path, mode="kraft")
    done = subprocess.run(
        [BIN / "jackdaw", "drill", "run", "short", "--bootstrap-server", "nowhere",
         "--commands", commands], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "kill-quorum-leader: " in done.stdout, (done.stdout, done.stderr[-3000:])
    assert "kill-ensemble-leader: " not in done.stdout, done.stdout
