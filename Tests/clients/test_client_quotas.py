"""Client quotas in KRaft mode: what configs says of them, and that clients over them are slowed."""

import struct
import subprocess
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness import BIN, ask, wait_until

pytestmark = pytest.mark.kraft_only


def configs(cluster, *arguments, status=0):
    done = subprocess.run(
        [BIN / "jackdaw", "configs", "--bootstrap-server", cluster.bootstrap, *arguments],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout + done.stderr


def create(cluster, name):
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)


def produce(cluster, topic, client, count=8, size=50_000):
    """Seconds for single requests, and the longest throttle time that the broker has told, in ms."""
    throttled = []
    producer = Producer({
        "bootstrap.servers": cluster.bootstrap, "client.id": client, "linger.ms": 0,
        "max.in.flight": 1,
        "throttle_cb": lambda event: throttled.append(event.throttle_time * 1000)})
    start = time.monotonic()
    for _ in range(count):
        producer.produce(topic, b"v" * size)
        producer.flush(60)
    producer.poll(0)
    return time.monotonic() - start, max(throttled, default=0)


def test_quotas_are_described_as_kafka_does(cluster):
    assert "Completed updating config for user alice." in configs(
        cluster, "--alter", "--entity-type", "users", "--entity-name", "alice",
        "--add-config", "producer_byte_rate=1024,consumer_byte_rate=2048")
    assert "Completed updating default config for clients in the cluster." in configs(
        cluster, "--alter", "--client-defaults", "--add-config", "request_percentage=1000")
    configs(cluster, "--alter", "--user", "alice", "--client", "c1",
            "--add-config", "producer_byte_rate=5")
    wait_until(lambda: configs(cluster, "--describe", "--user", "alice").splitlines() == [
        "Quota configs for user-principal 'alice' are consumer_byte_rate=2048.0, "
        "producer_byte_rate=1024.0"], 20, "the user's quota")
    assert configs(cluster, "--describe", "--entity-type", "users", "--entity-type", "clients") \
        == "Quota configs for user-principal 'alice', client-id 'c1' are producer_byte_rate=5.0\n"
    assert "the default client-id are request_percentage=1000.0" in configs(
        cluster, "--describe", "--entity-type", "clients")
    for entity in (["--user", "alice"], ["--user", "alice", "--client", "c1"]):
        configs(cluster, "--alter", *entity, "--delete-config",
                "producer_byte_rate" + (",consumer_byte_rate" if len(entity) == 2 else ""))
    configs(cluster, "--alter", "--client-defaults", "--delete-config", "request_percentage")
    assert "must be a number" in configs(
        cluster, "--alter", "--user", "a", "--add-config", "producer_byte_rate=x", status=2)
    wait_until(lambda: configs(cluster, "--describe", "--entity-type", "users") == "", 20, "none")


def test_a_producer_over_its_quota_is_slowed(cluster):
    create(cluster, "slow-in")
    # 500 kB against a window of ten seconds, in which there is room for 330.
    configs(cluster, "--alter", "--client", "greedy", "--add-config", "producer_byte_rate=33000")
    wait_until(lambda: "33000" in configs(cluster, "--describe", "--client", "greedy"), 20, "set")
    took, throttled = produce(cluster, "slow-in", "greedy", count=10)
    assert took > 1.5 and throttled > 0, (took, throttled)
    took, throttled = produce(cluster, "slow-in", "modest")
    assert took < 1.5 and throttled == 0, (took, throttled)
    configs(cluster, "--alter", "--client", "greedy", "--delete-config", "producer_byte_rate")
    wait_until(lambda: produce(cluster, "slow-in", "greedy")[1] == 0, 30, "the limit is gone")


def test_a_consumer_over_its_quota_is_slowed(cluster):
    create(cluster, "slow-out")
    produce(cluster, "slow-out", "feeder", count=12)
    # The default user has a limit; what one user uses as another client counts for it as well.
    configs(cluster, "--alter", "--user-defaults", "--add-config", "consumer_byte_rate=40000")
    try:
        wait_until(lambda: "40000" in configs(cluster, "--describe", "--user-defaults"), 20, "set")
        consumer = Consumer({
            "bootstrap.servers": cluster.bootstrap, "group.id": "unused",
            "fetch.message.max.bytes": 60_000, "fetch.max.bytes": 60_000,
            "message.max.bytes": 60_000, "queued.max.messages.kbytes": 100,
            "receive.message.max.bytes": 100_000_000})
        consumer.assign([TopicPartition("slow-out", 0, 0)])
        start, values = time.monotonic(), 0
        while values < 12 and time.monotonic() - start < 60:
            message = consumer.poll(0.2)
            values += bool(message and not message.error())
        took = time.monotonic() - start
        consumer.close()
        assert values == 12 and took > 1.5, (values, took)
    finally:
        configs(cluster, "--alter", "--user-defaults", "--delete-config", "consumer_byte_rate")


def test_the_answer_tells_for_how_long(cluster):
    """A Fetch that asks for nothing is not throttled, whatever the limit."""
    configs(cluster, "--alter", "--client-defaults", "--add-config", "consumer_byte_rate=1")
    try:
        body = ask(cluster.brokers[1].port, 1, 4, struct.pack(">iiiibi", -1, 0, 1, 1000, 0, 0))
        assert struct.unpack_from(">i", body, 4)[0] == 0
    finally:
        configs(cluster, "--alter", "--client-defaults", "--delete-config", "consumer_byte_rate")
