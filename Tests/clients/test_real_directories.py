"""What Kafka and ZooKeeper wrote is started on: their directories under our processes."""

import gzip
import json
import os
import pathlib
import tarfile

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from harness import ROOT, Broker, Coordinator, wait_until

REFERENCE = pathlib.Path(os.environ.get("JACKDAW_REFERENCE", ROOT.parent / "shared" / "reference"))
FIXTURES = REFERENCE / "fixtures"


@pytest.fixture(scope="module")
def taken_over(tmp_path_factory):
    """A coordinator on the data of a ZooKeeper 3.9, a broker on those of a Kafka 3.9.0."""
    folder = tmp_path_factory.mktemp("taken-over")
    for name in ("logdir", "zookeeper-datadir"):
        with tarfile.open(FIXTURES / f"kafka-3.9.0-zookeeper-mode-{name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    data = next(folder.glob("**/version-2")).parent
    logs = next(folder.glob("**/meta.properties")).parent
    coordinator = Coordinator(folder, settings={"dataDir": data})
    broker = Broker(folder, 1, f"127.0.0.1:{coordinator.port}", settings={
        "log.dirs": logs, "offsets.topic.replication.factor": 1, "log.retention.hours": -1,
        "log.cleaner.enable": "false"})
    coordinator.start()
    try:
        coordinator.wait_for_port(coordinator.port)
        broker.start()
        broker.wait_for_line("started", 60)
        yield broker
    finally:
        for process in (broker, coordinator):
            if process.is_running:
                process.kill()


def expected(level):
    with gzip.open(FIXTURES / "kafka-3.9.0-consumed.json.gz") as file:
        return json.load(file)[level]


def read(broker, topic, partition, count, level):
    consumer = Consumer({
        "bootstrap.servers": broker.address, "group.id": "reader", "isolation.level": level,
        "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, partition, 0)])
    rows = []

    def is_complete():
        for message in consumer.consume(1000, 0.5):
            assert message.error() is None, message.error()
            rows.append(message)
        return len(rows) >= count
    wait_until(is_complete, 30, f"{count} records of {topic}-{partition}")
    consumer.close()
    return rows


def text(value):
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("level", ["read_committed", "read_uncommitted"])
def test_every_record_is_readable(taken_over, level):
    # What compaction has removed since was consumed before it, in one of the two passes.
    rows_of = {**expected(level), "compacted-0": expected("read_committed")["compacted-0"]}
    for name, rows in rows_of.items():
        topic, partition = name.rsplit("-", 1)
        messages = read(taken_over, topic, int(partition), len(rows), level)
        assert len(messages) == len(rows), name
        for message, row in zip(messages, rows):
            offset, _, timestamp, key, value, headers = row
            assert message.offset() == offset, name
            assert message.timestamp()[1] == timestamp, (name, offset)
            assert text(message.key()) == key, (name, offset)
            assert text(message.value()) == value, (name, offset)
            found = [[header, text(content)] for header, content in message.headers() or []]
            assert found == [list(pair) for pair in headers], (name, offset)


def test_committed_offsets_are_known(taken_over):
    consumer = Consumer({"bootstrap.servers": taken_over.address, "group.id": "group-one"})
    found = consumer.committed([TopicPartition("plain", p) for p in (0, 1)], timeout=20)
    consumer.close()
    assert [(p.offset, p.metadata or "") for p in found] == [(100, "halfway"), (150, "")]


def test_it_goes_on_from_there(taken_over):
    admin = AdminClient({"bootstrap.servers": taken_over.address})
    topics = admin.list_topics(timeout=10).topics
    assert {"plain", "compacted", "txn", "codec-zstd"} <= set(topics)
    last = expected("read_uncommitted")["plain-0"][-1][0]
    producer = Producer({"bootstrap.servers": taken_over.address, "enable.idempotence": True})
    offsets = []
    producer.produce("plain", b"new", b"key", partition=0,
                     on_delivery=lambda error, message: offsets.append(error or message.offset()))
    assert producer.flush(30) == 0
    assert offsets == [last + 1]
