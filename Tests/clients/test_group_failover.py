"""A group outlives its coordinator: SIGKILL of the broker that coordinates it, with real clients."""

import time

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness import Cluster, wait_until


@pytest.fixture
def fresh(tmp_path, mode):
    with Cluster(tmp_path, mode=mode) as processes:
        yield processes


def coordinator_of(admin, group):
    """The id of the broker that coordinates a group."""
    return admin.describe_consumer_groups([group])[group].result(20).coordinator.id


def test_commits_survive_the_coordinator(fresh):
    admin = AdminClient({"bootstrap.servers": fresh.bootstrap})
    admin.create_topics([NewTopic("orders", 2, 3)])["orders"].result(20)
    producer = Producer({"bootstrap.servers": fresh.bootstrap, "enable.idempotence": True})
    for number in range(400):
        producer.produce("orders", str(number), partition=number % 2)
    assert producer.flush(60) == 0
    consumer = Consumer({
        "bootstrap.servers": fresh.bootstrap, "group.id": "g", "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "session.timeout.ms": 6000})
    consumer.subscribe(["orders"])
    seen, committed, victim = [], {0: 0, 1: 0}, None

    def step():
        for message in consumer.consume(20, 1):
            assert message.error() is None
            seen.append((message.partition(), message.offset()))
        if not seen:
            return
        try:
            for done in consumer.commit(asynchronous=False):
                committed[done.partition] = max(committed[done.partition], done.offset)
        except KafkaException:  # the coordinator is on its way elsewhere; the next commit says as much
            time.sleep(0.2)

    end = time.monotonic() + 90
    while len(set(seen)) < 400 and time.monotonic() < end:
        step()
        if victim is None and sum(committed.values()) >= 60:
            victim = coordinator_of(admin, "g")
            fresh.brokers[victim].kill()
    assert victim is not None and len(set(seen)) == 400

    regressed = []

    def caught_up():
        step()
        stored = consumer.committed([TopicPartition("orders", p) for p in (0, 1)], timeout=10)
        regressed.extend(s for s in stored if s.offset < committed[s.partition])
        return all(s.offset == 200 for s in stored)

    wait_until(caught_up, 30, "everything is committed")
    assert not regressed, (regressed, committed)
    survivors = [b.address for b in fresh.brokers.values() if b.is_running]
    other = AdminClient({"bootstrap.servers": ",".join(survivors)})
    assert coordinator_of(other, "g") != victim
    consumer.close()
