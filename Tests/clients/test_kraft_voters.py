"""Controllers join and leave a dynamic quorum (KIP-853)."""

import base64
import json
import pathlib
import re
import struct
import subprocess

import pytest

from harness import BIN, Process, ask, free_port, wait_until
from kraft import (
    Controller, broker_settings, describe_quorum, format_directories, new_id, quorum_role,
    write_config)
from test_kraft_quorum import create_topic, epoch, gauge, topics

DUPLICATE_VOTER, VOTER_NOT_FOUND, UNSUPPORTED_VERSION = 126, 127, 35
NOT_LEADER_OR_FOLLOWER = 6


def compact(value):
    return bytes([len(value) + 1]) + value.encode()


def directory_id(server):
    for line in (server.data / "meta.properties").read_text().splitlines():
        if line.startswith("directory.id="):
            return base64.urlsafe_b64decode(line.split("=", 1)[1] + "==")
    raise AssertionError("no directory.id")


def error_of(answer):
    # Correlation id, no tags, throttle time, error.
    return struct.unpack_from(">h", answer, 9)[0]


class DynamicQuorum:
    """One controller formatted alone, and others that are to join it."""

    def __init__(self, folder, count, settings=None):
        self.folder = pathlib.Path(folder)
        self.cluster_id = new_id()
        ports = {100 + number: free_port() for number in range(1, count + 1)}
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port in ports.values())
        self.servers = {}
        for node, port in ports.items():
            server = Controller(folder, node, port, "", {})
            lines = {
                line.split("=", 1)[0]: line.split("=", 1)[1]
                for line in server.config.read_text().splitlines()}
            del lines["controller.quorum.voters"]
            lines["controller.quorum.bootstrap.servers"] = self.bootstrap
            lines.update(settings or {})
            write_config(server.config, lines)
            self.servers[node] = server

    def __enter__(self):
        first = True
        for server in self.servers.values():
            format_directories(server.config, self.cluster_id,
                               "--standalone" if first else "--no-initial-controllers")
            server.start()
            first = False
        wait_until(lambda: self.leader(), 20, "the first controller leads")
        return self

    def __exit__(self, *_):
        for server in self.servers.values():
            if server.is_running:
                server.kill()

    def leader(self):
        for node, server in self.servers.items():
            try:
                if server.is_running and quorum_role(server.port, node) == "leader":
                    return server
            except (OSError, struct.error, IndexError):
                continue
        return None

    def add(self, server, to=None):
        body = b"\0" + compact(self.cluster_id) + struct.pack(">ii", 10_000, server.node_id)
        body += directory_id(server) + b"\2" + compact("CONTROLLER") + compact("127.0.0.1")
        body += struct.pack(">H", server.port) + b"\0\0"
        return error_of(ask((to or self.leader()).port, 80, 0, body, 15))

    def remove(self, server, key=None):
        body = b"\0" + compact(self.cluster_id) + struct.pack(">i", server.node_id)
        body += (key or directory_id(server)) + b"\0"
        return error_of(ask(self.leader().port, 81, 0, body, 15))

    def voters(self, server):
        return gauge(server, "kafka_server_raftmetrics_number_of_voters")

    def wait_for_voters(self, count, among=None):
        for server in among or self.servers.values():
            wait_until(lambda: self.voters(server) == count, 20,
                       f"{server.name} knows {count} voters\n{server.tail()}")


def caught_up(server, leader):
    name = "kafka_server_raftmetrics_high_watermark"
    return gauge(server, name) >= gauge(leader, name) - 2 > 0


@pytest.fixture
def three(tmp_path):
    with DynamicQuorum(tmp_path, 3) as made:
        yield made


def test_controllers_join_one_by_one(three):
    first, second, third = three.servers.values()
    three.wait_for_voters(1)
    wait_until(lambda: caught_up(second, first), 10, "the second follows as an observer")
    assert three.add(second, to=second) == NOT_LEADER_OR_FOLLOWER
    assert three.add(second) == 0
    three.wait_for_voters(2)
    assert three.add(second) == DUPLICATE_VOTER
    wait_until(lambda: caught_up(third, first), 10, "the third follows")
    assert three.add(third) == 0
    three.wait_for_voters(3)
    # The first is no longer needed for a majority.
    before = epoch(first)
    first.kill()
    wait_until(lambda: three.leader(), 20, "another leads")
    assert epoch(three.leader()) > before
    first.start()
    wait_until(lambda: first.mode() == "follower", 20, "the first follows")
    three.wait_for_voters(3)


def test_a_leader_that_is_removed_steps_down(three):
    first, second, third = three.servers.values()
    for server in (second, third):
        wait_until(lambda: caught_up(server, first), 10, "it follows")
        assert three.add(server) == 0
    three.wait_for_voters(3)
    assert three.remove(first, key=b"\7" * 16) == VOTER_NOT_FOUND
    leader = three.leader()
    assert three.remove(leader) == 0
    rest = [server for server in three.servers.values() if server is not leader]
    wait_until(lambda: any(s.mode() == "leader" for s in rest), 20, "one of the rest leads")
    three.wait_for_voters(2, rest)
    # It comes back as an observer, and can join again.
    wait_until(lambda: leader.mode() == "follower", 20, "the removed one follows")
    wait_until(lambda: three.add(leader) == 0, 20, "it joins again")
    three.wait_for_voters(3)


def test_voters_and_topics_survive_a_restart_of_all(three, tmp_path):
    first, second, third = three.servers.values()
    for server in (second, third):
        wait_until(lambda: caught_up(server, first), 10, "it follows")
        assert three.add(server) == 0
    port = free_port()
    lines = {
        "process.roles": "broker", "node.id": 1, "listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": three.bootstrap, "log.dirs": tmp_path / "broker",
        "num.network.threads": 1}
    config = write_config(tmp_path / "broker.properties", lines)
    format_directories(config, three.cluster_id, "--no-initial-controllers")
    broker = Process("broker", [BIN / "jackdaw-broker", config], tmp_path).start()
    try:
        broker.wait_for_line("Kafka Server started", 60)
        assert create_topic(three.leader().port, "kept", [1]) == 0
    finally:
        broker.kill()
    for server in three.servers.values():
        server.kill()
    for server in three.servers.values():
        server.start()
    wait_until(lambda: three.leader(), 20, "a leader after the restart")
    three.wait_for_voters(3)
    for server in three.servers.values():
        wait_until(lambda: topics(server) == 1, 20, f"the topic is there\n{server.tail()}")


def test_controllers_join_by_themselves_when_told_to(tmp_path):
    settings = {"jackdaw.controller.quorum.auto.join.enable": "true"}
    with DynamicQuorum(tmp_path, 3, settings) as quorum:
        quorum.wait_for_voters(3)


def test_a_static_quorum_refuses_changes(tmp_path):
    from kraft import Quorum
    with Quorum(tmp_path, 1) as quorum:
        leader = quorum.leader()
        body = b"\0" + compact(quorum.cluster_id) + struct.pack(">ii", 5_000, 102) + b"\1" * 16
        body += b"\2" + compact("CONTROLLER") + compact("127.0.0.1") + struct.pack(">H", 1)
        body += b"\0\0"
        # Until the leader has committed something it does not even look at the request.
        wait_until(lambda: error_of(ask(leader.port, 80, 0, body, 15)) == UNSUPPORTED_VERSION, 10,
                   "the change is refused for its version")


def test_a_voter_that_has_moved_says_so(three):
    """A controller comes back at another port: UpdateRaftVoter tells the quorum where."""
    first, second, third = three.servers.values()
    for server in (second, third):
        wait_until(lambda: caught_up(server, first), 10, "it follows")
        assert three.add(server) == 0
    three.wait_for_voters(3)

    def endpoints():
        text = subprocess.run(
            [BIN / "jackdaw", "metadata-quorum", "--bootstrap-controller",
             f"127.0.0.1:{three.leader().port}", "describe", "--status"],
            check=True, capture_output=True, text=True, timeout=60).stdout
        voters = json.loads(re.search(r"CurrentVoters:\s*(.*)", text).group(1))
        return {voter["id"]: voter["endpoints"] for voter in voters}

    moved = next(server for server in three.servers.values() if server is not three.leader())
    before = endpoints()[moved.node_id]
    assert str(moved.port) in str(before)
    assert moved.stop() == 0
    old, moved.port = moved.port, free_port()
    lines = moved.config.read_text().replace(
        f"listeners=CONTROLLER://127.0.0.1:{old}", f"listeners=CONTROLLER://127.0.0.1:{moved.port}")
    moved.config.write_text(lines)
    moved.start()
    wait_until(lambda: str(moved.port) in str(endpoints()[moved.node_id]), 40,
               "the quorum knows where the voter is now")
    assert str(old) not in str(endpoints()[moved.node_id])
    # It is a voter still: with it alone beside the leader there is a majority.
    other = next(server for server in three.servers.values()
                 if server not in (moved, three.leader()))
    other.kill()
    name = "kafka_server_raftmetrics_high_watermark"
    reached = gauge(three.leader(), name)
    wait_until(lambda: gauge(three.leader(), name) > reached + 2, 20, "the two commit")
