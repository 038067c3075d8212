"""metadata-quorum and features against a KRaft cluster: what they print, and what they refuse."""

import json
import re
import subprocess

import pytest

from harness import BIN

pytestmark = pytest.mark.kraft_only


def tool(cluster, *arguments, status=0):
    done = subprocess.run(
        [BIN / "jackdaw", arguments[0], "--bootstrap-server", cluster.bootstrap,
         *map(str, arguments[1:])], capture_output=True, text=True, timeout=60)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout if status == 0 else done.stdout + done.stderr


def test_the_quorum_as_a_whole(cluster):
    text = tool(cluster, "metadata-quorum", "describe", "--status")
    fields = dict(re.match(r"(\w+):\s*(.*)", line).groups() for line in text.splitlines())
    voters = json.loads(fields["CurrentVoters"])
    assert [voter["id"] for voter in voters] == sorted(cluster.store.servers)
    assert int(fields["LeaderId"]) in cluster.store.servers
    assert int(fields["HighWatermark"]) > 0 and int(fields["MaxFollowerLag"]) >= 0
    observers = json.loads(fields["CurrentObservers"])
    assert [observer["id"] for observer in observers] == sorted(cluster.brokers)
    # Columns as Kafka has them: the value begins at the 25th character.
    assert all(line[23] == " " and line[24] != " " for line in text.splitlines())


def test_every_replica(cluster):
    text = tool(cluster, "metadata-quorum", "describe", "--replication")
    rows = [line.split() for line in text.splitlines()]
    assert rows[0] == ["NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp",
                       "LastCaughtUpTimestamp", "Status"]
    states = [row[-1] for row in rows[1:]]
    assert states == ["Leader", "Follower", "Follower", "Observer", "Observer", "Observer"]
    assert "ms ago" in tool(
        cluster, "metadata-quorum", "describe", "--replication", "--human-readable")


def test_a_static_quorum_refuses_changes(cluster):
    said = tool(cluster, "metadata-quorum", "remove-controller", "--controller-id", 103,
                "--controller-directory-id", "AAAAAAAAAAAAAAAAAAAAAQ", status=1)
    assert "UNSUPPORTED_VERSION" in said
    # A rehearsal asks nobody.
    assert "DRY RUN of removing KRaft controller 103" in tool(
        cluster, "metadata-quorum", "remove-controller", "--controller-id", 103,
        "--controller-directory-id", "AAAAAAAAAAAAAAAAAAAAAQ", "--dry-run")
    controller = next(iter(cluster.store.servers.values()))
    said = subprocess.run(
        [BIN / "jackdaw", "metadata-quorum", "--bootstrap-server", cluster.bootstrap,
         "--command-config", controller.config, "add-controller", "--dry-run"],
        capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    assert f"DRY RUN of adding controller {controller.node_id} " in said.stdout
    assert f"CONTROLLER://127.0.0.1:{controller.port}" in said.stdout


def test_feature_levels(cluster):
    lines = tool(cluster, "features", "describe").splitlines()
    fields = [dict(part.split(": ") for part in line.split("\t")) for line in lines]
    level = next(entry for entry in fields if entry["Feature"] == "metadata.version")
    assert level["SupportedMinVersion"] == "3.0-IV1"
    assert level["SupportedMaxVersion"] == level["FinalizedVersionLevel"] == "3.9-IV0"
    assert int(level["Epoch"]) > 0
    assert "metadata.version can be upgraded to 21." in tool(
        cluster, "features", "upgrade", "--metadata", "3.9-IV0", "--dry-run")
    said = tool(cluster, "features", "upgrade", "--feature", "metadata.version=99", status=1)
    assert "Could not upgrade metadata.version to 99" in said
    assert "1 out of 1 operation(s) failed." in said


def test_a_broker_that_is_not_there_cannot_be_unregistered(cluster):
    said = tool(cluster, "cluster", "unregister", "--id", 77, status=1)
    assert "BROKER_ID_NOT_REGISTERED" in said
    assert tool(cluster, "cluster", "cluster-id").strip() == (
        f"Cluster ID: {cluster.store.cluster_id}")


def test_controllers_are_asked_directly(cluster):
    controllers = ",".join(
        f"127.0.0.1:{server.port}" for server in cluster.store.servers.values())

    def ask_controllers(*arguments, status=0):
        done = subprocess.run(
            [BIN / "jackdaw", arguments[0], "--bootstrap-controller", controllers,
             *arguments[1:]], capture_output=True, text=True, timeout=60)
        assert done.returncode == status, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    direct = ask_controllers("metadata-quorum", "describe", "--status")
    through = tool(cluster, "metadata-quorum", "describe", "--status")

    def field(text, name):
        return re.search(rf"{name}:\s*(.*)", text).group(1)

    for name in ("ClusterId", "LeaderId", "CurrentVoters", "CurrentObservers"):
        assert field(direct, name) == field(through, name)
    assert "Feature: metadata.version" in ask_controllers("features", "describe")
    # Any one of them leads to the one that decides.
    for server in cluster.store.servers.values():
        done = subprocess.run(
            [BIN / "jackdaw", "features", "--bootstrap-controller", f"127.0.0.1:{server.port}",
             "upgrade", "--metadata", "3.9-IV0", "--dry-run"],
            capture_output=True, text=True, timeout=60)
        assert "metadata.version can be upgraded to 21." in done.stdout, done.stderr
    # A broker is no controller, and says so.
    done = subprocess.run(
        [BIN / "jackdaw", "features", "--bootstrap-controller", cluster.brokers[1].address,
         "describe"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "MISMATCHED_ENDPOINT_TYPE" in done.stderr
    assert "only one of" in ask_controllers(
        "features", "--bootstrap-server", cluster.bootstrap, "describe", status=2)
