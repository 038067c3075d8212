"""Transactions outlive brokers: SIGKILL of the coordinator and of a partition's leader while one is
open. What was committed is read exactly once, what was not is never read."""

import threading
import time

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness import Cluster, wait_until
from test_transactions import read


@pytest.fixture
def fresh(tmp_path, mode):
    with Cluster(tmp_path, mode=mode) as processes:
        yield processes


def java_hash(text):
    value = 0
    for unit in text:
        value = (value * 31 + ord(unit)) & 0xFFFFFFFF
    value = value - (1 << 32) if value & 0x80000000 else value
    return abs(value)


def leader(admin, topic, partition):
    found = admin.list_topics(timeout=20).topics[topic].partitions[partition].leader
    return found


def transaction(producer, rows, topic, partitions=2):
    producer.begin_transaction()
    for number, row in enumerate(rows):
        producer.produce(topic, row, partition=number % partitions)
    producer.flush(30)


def commit(producer):
    """Commits as applications do: again while the error says so."""
    end = time.monotonic() + 60
    while True:
        try:
            return producer.commit_transaction(20)
        except KafkaException as error:
            if not error.args[0].retriable() or time.monotonic() > end:
                raise


@pytest.mark.parametrize("victim", ["coordinator", "leader"])
def test_a_broker_dies_inside_a_transaction(fresh, victim):
    admin = AdminClient({"bootstrap.servers": fresh.bootstrap})
    admin.create_topics([NewTopic("t", 2, 3)])["t"].result(20)
    name = "survivor"
    producer = Producer({
        "bootstrap.servers": fresh.bootstrap, "transactional.id": name,
        "transaction.timeout.ms": 60_000})
    producer.init_transactions(30)
    transaction(producer, [f"first-{row}" for row in range(20)], "t")
    commit(producer)
    transaction(producer, [f"gone-{row}" for row in range(20)], "t")
    producer.abort_transaction(30)
    transaction(producer, [f"second-{row}" for row in range(20)], "t")
    if victim == "coordinator":
        dead = leader(admin, "__transaction_state", java_hash(name) % 6)
    else:
        dead = leader(admin, "t", 0)
    fresh.brokers[dead].kill()
    commit(producer)
    transaction(producer, [f"third-{row}" for row in range(20)], "t")
    commit(producer)
    wanted = sorted(f"{word}-{row}" for word in ("first", "second", "third") for row in range(20))
    wait_until(lambda: read(fresh, "t", seconds=40) == wanted, 60, "exactly what was committed")
    # The broker comes back, and has the same transactions as the others.
    fresh.brokers[dead].start()
    fresh.wait_until_known()
    others = [number for number in fresh.brokers if number != dead]
    def caught_up():
        found = admin.list_topics(timeout=20).topics["t"].partitions
        return all(sorted(p.isrs) == [1, 2, 3] for p in found.values())
    wait_until(caught_up, 60, "all replicas are in sync")
    fresh.brokers[others[0]].kill()
    wait_until(lambda: read(fresh, "t", seconds=40) == wanted, 60, "the same from what is left")


def test_exactly_once_while_brokers_die(fresh):
    """Records go from one topic to another in transactions, while each broker is killed once."""
    admin = AdminClient({"bootstrap.servers": fresh.bootstrap})
    for name in ("in", "out"):
        admin.create_topics([NewTopic(name, 2, 3)])[name].result(20)
    feed = Producer({"bootstrap.servers": fresh.bootstrap, "enable.idempotence": True})
    count = 600
    for number in range(count):
        feed.produce("in", str(number), partition=number % 2)
    assert feed.flush(60) == 0
    stop = threading.Event()

    def kill_in_turn():
        for broker in fresh.brokers.values():
            if stop.wait(3):
                return
            broker.kill()
            if stop.wait(4):
                broker.start()
                return
            broker.start()
            fresh.wait_until_known()
            stop.wait(4)

    killer = threading.Thread(target=kill_in_turn)
    killer.start()
    try:
        move(fresh, count, stop)
    finally:
        stop.set()
        killer.join(90)
    wanted = sorted(str(number) for number in range(count))
    wait_until(lambda: read(fresh, "out", seconds=60) == wanted, 90, "each record exactly once")


def move(fresh, count, stop):
    """Consume, transform, produce; begins anew after every error, as a restarted process would."""
    end = time.monotonic() + 150
    moved = 0
    while moved < count:
        assert time.monotonic() < end, f"only {moved} records moved"
        consumer = Consumer({
            "bootstrap.servers": fresh.bootstrap, "group.id": "mover",
            "auto.offset.reset": "earliest", "enable.auto.commit": False,
            "session.timeout.ms": 6000, "isolation.level": "read_committed"})
        producer = Producer({
            "bootstrap.servers": fresh.bootstrap, "transactional.id": "mover",
            "transaction.timeout.ms": 20_000})
        try:
            producer.init_transactions(40)
            consumer.subscribe(["in"])
            while moved < count:
                assert time.monotonic() < end, f"only {moved} records moved"
                rows = [row for row in consumer.consume(10, 2) if not row.error()]
                if not rows:
                    moved = committed(consumer)
                    continue
                producer.begin_transaction()
                for row in rows:
                    producer.produce("out", row.value(), partition=row.partition())
                producer.send_offsets_to_transaction(
                    consumer.position(consumer.assignment()), consumer.consumer_group_metadata(),
                    20)
                commit(producer)
                time.sleep(0.2)
                moved = committed(consumer)
        except KafkaException:
            time.sleep(0.5)
        finally:
            consumer.close()


def committed(consumer):
    stored = consumer.committed([TopicPartition("in", 0), TopicPartition("in", 1)], 20)
    return sum(max(entry.offset, 0) for entry in stored)
