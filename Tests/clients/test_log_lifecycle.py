"""Logs as they age: retention, compaction, and the in-sync set of replicas that fall behind."""

import time

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType)

from harness import Cluster, wait_until


@pytest.fixture(scope="module")
def lone(tmp_path_factory):
    """One broker that looks after its logs twice a second."""
    with Cluster(tmp_path_factory.mktemp("logs"), brokers=1, coordinators=1, settings={
            "log.retention.check.interval.ms": 500, "log.cleaner.backoff.ms": 500,
            "log.segment.delete.delay.ms": 100}) as cluster:
        yield cluster


def create(cluster, name, **config):
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    config = {key.replace("_", "."): str(value) for key, value in config.items()}
    admin.create_topics([NewTopic(name, 1, 1, config=config)])[name].result(20)


def produce(cluster, topic, records):
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 0,
                         "batch.num.messages": 20})
    for key, value in records:
        producer.produce(topic, value, key)
    assert producer.flush(60) == 0


def earliest(cluster, topic):
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "watermarks"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[0]
    finally:
        consumer.close()


def read(cluster, topic):
    """Everything that is there, up to the end."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "all",
                         "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    messages, end = [], time.monotonic() + 30
    try:
        while time.monotonic() < end:
            message = consumer.poll(0.5)
            if message is None:
                continue
            if message.error():
                return messages
            messages.append(message)
        raise AssertionError("the end was not reached")
    finally:
        consumer.close()


def test_retention_by_time(lone):
    create(lone, "aging", retention_ms=1500, segment_bytes=14000)
    produce(lone, "aging", [("k", bytes(500))] * 200)
    assert earliest(lone, "aging") < 200
    wait_until(lambda: earliest(lone, "aging") >= 170, 30, "old segments are removed")
    # A record of today is kept; offsets go on.
    produce(lone, "aging", [("k", b"new")])
    assert read(lone, "aging")[-1].offset() == 200


def test_retention_by_size(lone):
    create(lone, "growing", retention_bytes=40000, retention_ms=-1, segment_bytes=14000)
    produce(lone, "growing", [("k", bytes(500))] * 400)
    wait_until(lambda: earliest(lone, "growing") > 250, 30, "segments above the limit are removed")
    time.sleep(1.5)
    kept = read(lone, "growing")
    assert kept[-1].offset() == 399
    # No more goes than must: what is left is at least as much as may be kept.
    assert len(kept) * 500 >= 39000, len(kept)


def test_compaction_keeps_the_last_value_and_drops_tombstones(lone):
    create(lone, "tables", cleanup_policy="compact", segment_bytes=14000,
           min_cleanable_dirty_ratio=0.01, delete_retention_ms=100)
    for turn in range(30):
        produce(lone, "tables", [(f"k{n}", f"{turn}-{n}" + "x" * 100) for n in range(10)])
    produce(lone, "tables", [("k3", None), ("k4", None)])
    # The active segment is not cleaned: more of other keys closes it, again and again.
    state = {}

    def is_clean():
        produce(lone, "tables", [("filler", bytes(500))] * 40)
        messages = read(lone, "tables")
        values = {}
        for message in messages:
            values.setdefault(message.key().decode(), []).append(message.value())
        state["values"] = values
        offsets = [message.offset() for message in messages]
        assert offsets == sorted(set(offsets))
        kept = {key: found for key, found in values.items() if key.startswith("k")}
        return all(len(found) == 1 for found in kept.values()) and "k3" not in kept
    wait_until(is_clean, 60, "one value for each key")
    values = state["values"]
    assert set(values) == {f"k{n}" for n in range(10) if n not in (3, 4)} | {"filler"}
    assert all(values[f"k{n}"] == [f"29-{n}".encode() + b"x" * 100] for n in (0, 1, 2, 9))


def test_a_changed_setting_takes_effect_at_once(lone):
    """Dynamic topic and broker configurations, without a restart."""
    create(lone, "changed", segment_bytes=14000)
    produce(lone, "changed", [("k", bytes(500))] * 100)
    admin = AdminClient({"bootstrap.servers": lone.bootstrap})

    def change(kind, name, key, value):
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(kind, name, incremental_configs=[entry])
        admin.incremental_alter_configs([resource])[resource].result(20)
    time.sleep(1.5)
    assert earliest(lone, "changed") == 0
    change(ResourceType.TOPIC, "changed", "retention.bytes", "20000")
    wait_until(lambda: earliest(lone, "changed") > 0, 30, "the new limit counts")
    # Of the broker: a topic without a setting of its own follows.
    create(lone, "default")
    change(ResourceType.BROKER, "1", "message.max.bytes", "2000")

    def is_refused():
        failures = []
        producer = Producer({"bootstrap.servers": lone.bootstrap})
        producer.produce("default", bytes(5000), on_delivery=lambda e, _: failures.append(e))
        producer.flush(20)
        return failures[0] is not None and "size" in str(failures[0]).lower()
    wait_until(is_refused, 20, "larger records are refused")


def test_a_follower_that_falls_behind_leaves_the_isr_and_returns(tmp_path):
    """By `replica.lag.time.max.ms`, long before its session would end."""
    with Cluster(tmp_path, coordinators=1, settings={
            "replica.lag.time.max.ms": 1500, "zookeeper.session.timeout.ms": 30000,
            "min.insync.replicas": 2}) as cluster:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        # The one that is stopped must not be the controller, which decides about it.
        leader = admin.list_topics(timeout=10).controller_id
        other, victim = (number for number in cluster.brokers if number != leader)
        admin.create_topics(
            [NewTopic("lag", 1, replica_assignment=[[leader, other, victim]])])["lag"].result(20)
        own = {"bootstrap.servers": cluster.brokers[leader].address}
        producer, admin = Producer({**own, "acks": "all"}), AdminClient(own)

        def isr():
            producer.produce("lag", b"x")
            producer.poll(0)
            return set(admin.list_topics("lag", 5).topics["lag"].partitions[0].isrs)
        wait_until(lambda: isr() == {leader, other, victim}, 20, "all are in sync")
        cluster.brokers[victim].pause()
        try:
            wait_until(lambda: isr() == {leader, other}, 20, "the silent one is put out")
            assert producer.flush(20) == 0
        finally:
            cluster.brokers[victim].resume()
        wait_until(lambda: isr() == {leader, other, victim}, 20, "it has caught up")
