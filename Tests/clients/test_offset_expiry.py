"""Committed offsets end when their retention is over: their own, or the broker's."""

import socket
import struct

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness import Cluster, read_exactly, wait_until


@pytest.fixture(scope="module")
def lone(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("expiry"), brokers=1, coordinators=1,
                 settings={"offsets.retention.check.interval.ms": 300}) as cluster:
        yield cluster


def commit(port, group, topic, offset, retention_ms):
    """OffsetCommit version 2, the last with a retention of its own, outside of any membership."""
    def text(value):
        return struct.pack(">h", len(value)) + value.encode()
    body = (struct.pack(">hhi", 8, 2, 5) + text("old-client") + text(group)
            + struct.pack(">i", -1) + text("") + struct.pack(">q", retention_ms)
            + struct.pack(">i", 1) + text(topic)
            + struct.pack(">iiq", 1, 0, offset) + text("a note"))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.sendall(struct.pack(">i", len(body)) + body)
        answer = read_exactly(wire, struct.unpack(">i", read_exactly(wire, 4))[0])
    return struct.unpack(">h", answer[-2:])[0]


def committed(cluster, group, topic):
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": group})
    try:
        found = consumer.committed([TopicPartition(topic, 0)], timeout=10)[0]
        return found.offset, found.metadata
    finally:
        consumer.close()


def test_an_offset_ends_with_its_own_retention(lone):
    admin = AdminClient({"bootstrap.servers": lone.bootstrap})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(20)
    port = lone.brokers[1].port
    # Who looks for the coordinator first has the topic of offsets made.
    wait_until(lambda: committed(lone, "lasting", "kept")[0] < 0, 30, "there is a coordinator")
    wait_until(lambda: commit(port, "lasting", "kept", 7, -1) == 0, 30, "an offset is committed")
    wait_until(lambda: commit(port, "brief", "kept", 9, 3000) == 0, 30, "an offset is committed")
    assert committed(lone, "brief", "kept") == (9, "a note")
    wait_until(lambda: committed(lone, "brief", "kept")[0] < 0, 20, "the offset expires")
    assert committed(lone, "lasting", "kept") == (7, "a note")
    # It is gone from the log too, and the group with it.
    lone.brokers[1].stop()
    lone.restart(1)
    lone.wait_until_known()
    wait_until(lambda: committed(lone, "lasting", "kept")[0] == 7, 30, "the offset is loaded")
    assert committed(lone, "brief", "kept")[0] < 0
    groups = admin.list_consumer_groups().result(20).valid
    assert [group.group_id for group in groups] == ["lasting"]


def test_deleting_a_topic_deletes_its_offsets(lone):
    admin = AdminClient({"bootstrap.servers": lone.bootstrap})
    admin.create_topics([NewTopic("passing", 1, 1)])["passing"].result(20)
    port = lone.brokers[1].port
    wait_until(lambda: commit(port, "reader", "passing", 3, -1) == 0, 30, "an offset is committed")
    assert committed(lone, "reader", "passing")[0] == 3
    admin.delete_topics(["passing"])["passing"].result(20)
    wait_until(lambda: committed(lone, "reader", "passing")[0] < 0, 20, "the offset is gone")
