"""Transactions with librdkafka: what readers of committed data see, offsets that are committed with
a transaction, zombies, time-outs."""

import time
import uuid

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness import Cluster, wait_until


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, mode):
    """Three brokers that look for old transactions often."""
    settings = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": 300}
    folder = tmp_path_factory.mktemp(f"transactions-{mode}")
    with Cluster(folder, mode=mode, settings=settings) as processes:
        yield processes


@pytest.fixture
def admin(cluster, topic):
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.create_topics([NewTopic(topic, 2, 3)])[topic].result(20)
    return admin


def transactional(cluster, name=None, **settings):
    return Producer({
        "bootstrap.servers": cluster.bootstrap,
        "transactional.id": name or f"txn-{uuid.uuid4().hex[:8]}", **settings})


def read(cluster, topic, isolation="read_committed", partitions=(0, 1), seconds=15):
    """Every value up to the end that the isolation level knows, by partition."""
    consumer = Consumer({
        "bootstrap.servers": cluster.bootstrap, "group.id": f"reader-{uuid.uuid4().hex[:6]}",
        "isolation.level": isolation, "enable.partition.eof": True,
        "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    seen, ended = [], set()
    end = time.monotonic() + seconds
    while len(ended) < len(partitions):
        assert time.monotonic() < end, f"no end of {topic} ({isolation}): {seen}, {ended}"
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            ended.add(message.partition())
            continue
        seen.append(message.value().decode())
    consumer.close()
    return sorted(seen)


def test_committed_and_aborted(cluster, admin, topic):
    producer = transactional(cluster)
    producer.init_transactions(30)
    for number, outcome in enumerate(["commit", "abort", "commit", "abort"]):
        producer.begin_transaction()
        for row in range(10):
            producer.produce(topic, f"{outcome}-{number}-{row}", partition=row % 2)
        producer.flush(20)
        if outcome == "commit":
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
    kept = sorted(f"commit-{number}-{row}" for number in (0, 2) for row in range(10))
    assert read(cluster, topic) == kept
    assert len(read(cluster, topic, "read_uncommitted")) == 40


def test_an_open_transaction_holds_readers_back(cluster, admin, topic):
    producer = transactional(cluster)
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, "open", partition=0)
    producer.flush(20)
    plain = Producer({"bootstrap.servers": cluster.bootstrap})
    plain.produce(topic, "behind", partition=0)
    assert plain.flush(20) == 0
    assert read(cluster, topic, "read_uncommitted") == ["behind", "open"]
    assert read(cluster, topic) == []
    producer.commit_transaction(30)
    wait_until(lambda: read(cluster, topic) == ["behind", "open"], 20, "the marker counts")


def test_consume_transform_produce(cluster, admin, topic):
    source, sink, group = f"{topic}-in", topic, f"g-{topic}"
    admin.create_topics([NewTopic(source, 1, 3)])[source].result(20)
    feed = Producer({"bootstrap.servers": cluster.bootstrap})
    for number in range(30):
        feed.produce(source, str(number), partition=0)
    assert feed.flush(20) == 0
    consumer = Consumer({
        "bootstrap.servers": cluster.bootstrap, "group.id": group,
        "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe([source])
    producer = transactional(cluster)
    producer.init_transactions(30)
    done, turn = 0, 0
    end = time.monotonic() + 60
    while done < 30:
        assert time.monotonic() < end
        rows = consumer.consume(10, 5)
        if not rows:
            continue
        producer.begin_transaction()
        for row in rows:
            producer.produce(sink, f"out-{row.value().decode()}", partition=0)
        producer.send_offsets_to_transaction(
            consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 30)
        turn += 1
        if turn == 2:
            # Neither the records nor the offsets count: they are read again.
            producer.abort_transaction(30)
            [stored] = consumer.committed([TopicPartition(source, 0)], 20)
            assert stored.offset == done
            consumer.seek(TopicPartition(source, 0, done))
            continue
        producer.commit_transaction(30)
        done += len(rows)
        [stored] = consumer.committed([TopicPartition(source, 0)], 20)
        assert stored.offset == done
    assert turn > 2
    consumer.close()
    assert read(cluster, sink) == sorted(f"out-{number}" for number in range(30))


def test_a_zombie_is_fenced(cluster, admin, topic):
    name = f"zombie-{uuid.uuid4().hex[:6]}"
    old = transactional(cluster, name)
    old.init_transactions(30)
    old.begin_transaction()
    old.produce(topic, "of the zombie", partition=0)
    old.flush(20)
    new = transactional(cluster, name)
    new.init_transactions(30)
    new.begin_transaction()
    new.produce(topic, "of the new one", partition=0)
    new.commit_transaction(30)
    with pytest.raises(KafkaException) as raised:
        old.produce(topic, "too late", partition=0)
        old.commit_transaction(30)
    assert raised.value.args[0].code() in (
        KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
    assert read(cluster, topic) == ["of the new one"]


def test_a_transaction_whose_time_is_up_is_aborted(cluster, admin, topic):
    producer = transactional(cluster, **{"transaction.timeout.ms": 2000})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, "too slow", partition=0)
    producer.flush(20)
    plain = Producer({"bootstrap.servers": cluster.bootstrap})
    plain.produce(topic, "behind", partition=0)
    assert plain.flush(20) == 0
    assert read(cluster, topic) == []
    wait_until(lambda: read(cluster, topic) == ["behind"], 20, "the last stable offset moves on")
    with pytest.raises(KafkaException):
        producer.commit_transaction(30)


def test_a_timeout_beyond_the_limit_is_refused(cluster):
    producer = transactional(cluster, **{
        "transaction.timeout.ms": 900_001, "message.timeout.ms": 1000})
    with pytest.raises(KafkaException) as raised:
        producer.init_transactions(30)
    assert raised.value.args[0].code() == KafkaError.INVALID_TRANSACTION_TIMEOUT
