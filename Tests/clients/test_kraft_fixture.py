"""A log directory that a real Kafka 3.9.0 node wrote in KRaft mode (both roles) starts here."""

import gzip
import json
import os
import pathlib
import subprocess
import time

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from harness import BIN, ROOT, Process, free_port
from kraft import write_config
from test_confluent import create, produce, producer_of

FIXTURES = pathlib.Path(
    os.environ.get("JACKDAW_REFERENCE", ROOT.parent / "shared" / "reference")) / "fixtures"


class Node(Process):
    """The fixture's node, started again by our broker."""

    def __init__(self, folder):
        subprocess.run(["tar", "xzf", FIXTURES / "kafka-3.9.0-kraft-logdir.tar.gz", "-C", folder],
                       check=True)
        self.port, controller = free_port(), free_port()
        self.data = folder / "kr1"
        config = write_config(folder / "server.properties", {
            "process.roles": "broker,controller", "node.id": 1, "log.dirs": self.data,
            "listeners":
                f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
            # What is to be compared must not be compacted meanwhile.
            "log.cleaner.enable": "false",
            "offsets.topic.replication.factor": 1, "group.initial.rebalance.delay.ms": 0})
        super().__init__("node", [BIN / "jackdaw-broker", config], folder)

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("fixture"))
    node.start()
    node.wait_for_line("Kafka Server started", 60)
    yield node
    node.kill()


@pytest.fixture
def admin(node):
    return AdminClient({"bootstrap.servers": node.bootstrap})


def consumed():
    with gzip.open(FIXTURES / "kafka-3.9.0-consumed.json.gz", "rt") as file:
        return json.load(file)


def rows(node, partition, isolation, count):
    topic, _, number = partition.rpartition("-")
    consumer = Consumer({
        "bootstrap.servers": node.bootstrap, "group.id": "reader", "enable.auto.commit": False,
        "isolation.level": isolation})
    consumer.assign([TopicPartition(topic, int(number), 0)])
    found, end = [], time.monotonic() + 30
    while len(found) < count:
        assert time.monotonic() < end, f"{partition}: {len(found)} of {count} rows"
        for message in consumer.consume(500, 0.3):
            assert message.error() is None, message.error()
            kind, stamp = message.timestamp()
            text = [None if part is None else part.decode() for part in (
                message.key(), message.value())]
            headers = [[name, None if value is None else value.decode()]
                       for name, value in message.headers() or []]
            found.append([message.offset(), kind, stamp, *text, headers])
    consumer.close()
    return found


@pytest.mark.parametrize("isolation", ["read_committed", "read_uncommitted"])
def test_every_record_is_there(node, isolation):
    for partition, expected in consumed()[isolation].items():
        if partition == "compacted-0":
            # The uncommitted rows of this one were written down before it was compacted.
            expected = consumed()["read_committed"][partition]
        if not partition.startswith("__"):
            assert rows(node, partition, isolation, len(expected)) == expected, partition


def test_topics_and_their_settings(node, admin):
    topics = admin.list_topics(timeout=10).topics
    for name in ("plain", "codec-gzip", "codec-zstd", "txn", "compacted", "__consumer_offsets"):
        assert name in topics
    assert len(topics["plain"].partitions) == 2
    resource = ConfigResource(ResourceType.TOPIC, "compacted")
    settings = admin.describe_configs([resource])[resource].result(20)
    assert settings["cleanup.policy"].value == "compact"


def test_offsets_of_its_groups(node):
    consumer = Consumer({"bootstrap.servers": node.bootstrap, "group.id": "group-one"})
    stored = consumer.committed(
        [TopicPartition("plain", 0), TopicPartition("plain", 1)], timeout=20)
    assert [partition.offset for partition in stored] == [100, 150]
    consumer.close()


def test_credentials_and_quota_are_described(node, admin):
    users = admin.describe_user_scram_credentials().result(20)
    assert "alice" in users


def test_it_goes_on(node, admin):
    create(admin, "new", 2, 1)
    produce(producer_of(node), "new", [(str(n), "after") for n in range(50)])
    assert node.stop(40) == 0
    node.start()
    assert (node.data / "new-0").exists()
