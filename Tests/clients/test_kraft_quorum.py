"""A quorum of controllers loses and regains its leader, its majority, and its data."""

import contextlib
import os
import shutil
import signal
import struct
import time
import urllib.request

import pytest

from harness import BIN, Process, ask, ended, free_port, wait_until
from kraft import Quorum, broker_settings, format_directories, write_config

NOT_CONTROLLER = 41


def gauge(server, name):
    """One metric of a controller; -1 when it does not show it."""
    url = f"http://127.0.0.1:{server.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=2) as page:
        for line in page.read().decode().splitlines():
            if line.startswith(name + " ") or line.startswith(name + "{"):
                return float(line.rsplit(" ", 1)[1])
    return -1


def topics(server):
    return gauge(server, "kafka_controller_kafkacontroller_globaltopiccount")


def epoch(server):
    return gauge(server, "kafka_server_raftmetrics_current_epoch")


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def create_topic(port, name, brokers, timeout_ms=3000):
    """CreateTopics 4 straight to a controller, one partition on the given brokers."""
    assignment = struct.pack(">ii", 0, len(brokers))
    assignment += b"".join(struct.pack(">i", broker) for broker in brokers)
    body = struct.pack(">i", 1) + text(name) + struct.pack(">ih", -1, -1)
    body += struct.pack(">i", 1) + assignment + struct.pack(">i", 0)
    body += struct.pack(">ib", timeout_ms, 0)
    answer = ask(port, 19, 4, body)
    # Correlation id, throttle time, one topic: its name, then its error.
    length = struct.unpack_from(">h", answer, 12)[0]
    return struct.unpack_from(">h", answer, 14 + length)[0]


class Rig:
    """Controllers, and one broker on which topics can be placed."""

    def __init__(self, folder, count=3, settings=None):
        self.quorum = Quorum(folder, count, settings)
        self.port = free_port()
        listener = f"PLAINTEXT://127.0.0.1:{self.port}"
        lines = broker_settings(1, listener, self.quorum, {
            "log.dirs": folder / "broker", "num.network.threads": 1,
            "offsets.topic.replication.factor": 1})
        self.config = write_config(folder / "broker.properties", lines)
        self.broker = Process("broker", [BIN / "jackdaw-broker", self.config], folder)

    def __enter__(self):
        self.quorum.__enter__()
        format_directories(self.config, self.quorum.cluster_id)
        self.broker.start()
        self.broker.wait_for_line("Kafka Server started", 60)
        return self

    def __exit__(self, *_):
        self.broker.kill()
        self.quorum.__exit__()

    def create(self, name, seconds=30):
        """Creates a topic through whoever leads; returns the seconds that it took."""
        began = time.monotonic()

        def done():
            for server in self.quorum.servers.values():
                if not server.is_running:
                    continue
                try:
                    code = create_topic(server.port, name, [1])
                except (OSError, struct.error):
                    continue
                if code in (0, 36):  # 36: an earlier try came through
                    return True
                assert code in (NOT_CONTROLLER, 7), code
            return False

        wait_until(done, seconds, f"{name} is created")
        return time.monotonic() - began

    def wait_for_topics(self, count, among=None):
        for server in among or self.quorum.servers.values():
            wait_until(lambda: topics(server) == count, 20,
                       f"{server.name} has {count} topics\n{server.tail()}")


@pytest.fixture
def rig(tmp_path):
    with Rig(tmp_path) as made:
        yield made


def test_every_controller_has_what_was_acknowledged(rig):
    for number in range(5):
        rig.create(f"topic-{number}")
    rig.wait_for_topics(5)
    followers = [s for s in rig.quorum.servers.values() if s.mode() == "follower"]
    assert len(followers) == 2
    assert create_topic(followers[0].port, "elsewhere", [1]) == NOT_CONTROLLER


def test_killed_leader_is_replaced_and_loses_nothing(rig):
    names = 0
    for _ in range(3):
        rig.create(f"topic-{names}")
        names += 1
        leader = rig.quorum.leader()
        before = epoch(leader)
        leader.kill()
        rig.create(f"topic-{names}")
        names += 1
        rest = [s for s in rig.quorum.servers.values() if s.is_running]
        assert all(epoch(server) > before for server in rest)
        leader.start()
        leader.wait_for_line("Kafka Server started")
        rig.wait_for_topics(names)


def test_without_a_majority_nothing_is_acknowledged(rig):
    rig.create("before")
    leader = rig.quorum.leader()
    followers = [s for s in rig.quorum.servers.values() if s is not leader]
    for server in followers:
        server.kill()
    # Appended perhaps, but never committed: the request gets no answer, or is refused.
    with pytest.raises((OSError, AssertionError)):
        code = create_topic(leader.port, "during", [1])
        assert code == 0
    # A leader that no majority fetches from gives up (check-quorum).
    wait_until(lambda: leader.mode() != "leader", 15, "the leader resigns")
    for server in followers:
        server.start()
    rig.create("after")
    counts = {topics(server) for server in rig.quorum.servers.values()}
    wait_until(lambda: len({topics(s) for s in rig.quorum.servers.values()}) == 1, 20, counts)
    # "during" may have survived on the old leader's disk, or not; the others are there.
    assert topics(leader) in (2, 3)


def test_paused_leader_is_deposed_and_learns_it(rig):
    rig.create("before")
    leader = rig.quorum.leader()
    before = epoch(leader)
    leader.pause()
    try:
        others = [s for s in rig.quorum.servers.values() if s is not leader]

        def replaced():
            return any(s.mode() == "leader" for s in others)

        wait_until(replaced, 20, "somebody else leads")
        second = next(s for s in others if s.mode() == "leader")
        wait_until(lambda: create_topic(second.port, "meanwhile", [1]) in (0, 36), 10, "created")
    finally:
        leader.resume()
    wait_until(lambda: epoch(leader) > before and leader.mode() == "follower", 20,
               f"the old leader follows\n{leader.tail()}")
    assert create_topic(leader.port, "stale", [1]) == NOT_CONTROLLER
    rig.wait_for_topics(2)


def test_leader_that_stops_hands_over(rig):
    rig.create("before")
    leader = rig.quorum.leader()
    leader.stop()
    assert leader.child.returncode == 0
    # Far less than a fetch timeout of 2 s and an election timeout of 1 s together.
    assert rig.create("after") < 2.5
    leader.start()
    rig.wait_for_topics(2)


def test_an_erased_controller_comes_back_by_the_others(tmp_path):
    settings = {"metadata.log.max.record.bytes.between.snapshots": 2000}
    with Rig(tmp_path, settings=settings) as rig:
        for number in range(40):
            rig.create(f"topic-{number}")
        victim = next(s for s in rig.quorum.servers.values() if s.mode() == "follower")
        victim.kill()
        log = victim.data / "__cluster_metadata-0"
        assert list(log.glob("*.checkpoint")), "snapshots were made"
        shutil.rmtree(victim.data)
        # An unformatted directory is refused, with the command to run.
        victim.start()
        wait_until(lambda: not victim.is_running, 10, "an unformatted controller stops")
        assert victim.child.returncode == 1
        assert "jackdaw storage format" in victim.log_text()
        format_directories(victim.config, rig.quorum.cluster_id)
        victim.start()
        rig.wait_for_topics(40)
        assert "received" in victim.log_text(), "it was given a snapshot"


def test_a_directory_of_another_cluster_is_refused(tmp_path):
    with Rig(tmp_path) as rig:
        rig.create("topic")
        victim = next(s for s in rig.quorum.servers.values() if s.mode() == "follower")
        victim.stop()
        meta = victim.data / "meta.properties"
        meta.write_text(meta.read_text().replace("node.id=", "node.id=9"))
        victim.start()
        wait_until(lambda: not victim.is_running, 10, "the controller stops")
        assert "node.id" in victim.log_text()


def test_garbage_does_not_hurt_a_controller(rig):
    import socket
    leader = rig.quorum.leader()
    frames = [
        b"\xff" * 4, b"\0\0\0\4abcd", b"\0\0\0\0", os.urandom(64),
        struct.pack(">ihhih", 10, 52, 99, 1, -1), struct.pack(">ihhih", 10, 999, 0, 1, -1)]
    for frame in frames:
        with socket.create_connection(("127.0.0.1", leader.port), timeout=5) as wire:
            wire.sendall(frame)
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_WR)
            assert ended(wire)
    assert leader.is_running
    rig.create("after")
