"""librdkafka through confluent-kafka: the client most non-JVM programs use."""

import time
import uuid

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition)
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic,
    ResourceType)

from harness import wait_until


@pytest.fixture
def admin(cluster):
    return AdminClient({"bootstrap.servers": cluster.bootstrap})


def create(admin, name, partitions=3, replicas=3, config=None):
    futures = admin.create_topics([NewTopic(name, partitions, replicas, config=config or {})])
    futures[name].result(20)
    return name


def producer_of(cluster, **settings):
    return Producer({"bootstrap.servers": cluster.bootstrap, "enable.idempotence": True,
                     "linger.ms": 2, **settings})


def consumer_of(cluster, group=None, **settings):
    return Consumer({"bootstrap.servers": cluster.bootstrap,
                     "group.id": group or f"group-{uuid.uuid4()}",
                     "auto.offset.reset": "earliest", "session.timeout.ms": 6000,
                     "heartbeat.interval.ms": 500, **settings})


def produce(producer, topic, records):
    """Produces (key, value) pairs and returns the delivery reports' messages."""
    delivered, failures = [], []

    def report(error, message):
        (failures if error else delivered).append(error or message)

    for key, value in records:
        producer.produce(topic, value, key, on_delivery=report)
        producer.poll(0)
    assert producer.flush(60) == 0
    assert not failures, failures[:3]
    return delivered


def consume(consumer, count, seconds=60):
    messages, end = [], time.monotonic() + seconds
    while len(messages) < count and time.monotonic() < end:
        for message in consumer.consume(500, 0.5):
            if message.error():
                raise KafkaException(message.error())
            messages.append(message)
    return messages


def read_all(cluster, topic, count, **settings):
    consumer = consumer_of(cluster, **settings)
    consumer.subscribe([topic])
    try:
        return consume(consumer, count)
    finally:
        consumer.close()


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_round_trip_with_codec(cluster, admin, topic, codec):
    create(admin, topic)
    records = [(f"key-{n % 7}", f"value-{n} " + "x" * 200) for n in range(2000)]
    sent = produce(producer_of(cluster, **{"compression.type": codec}), topic, records)
    assert len(sent) == 2000
    got = read_all(cluster, topic, 2000)
    assert sorted((m.key().decode(), m.value().decode()) for m in got) == sorted(records)
    for partition in range(3):
        offsets = [m.offset() for m in got if m.partition() == partition]
        assert offsets == list(range(len(offsets))), "offsets have no gap and no repetition"


def test_order_of_each_key_is_kept(cluster, admin, topic):
    create(admin, topic, 4)
    produce(producer_of(cluster), topic, [(f"k{n % 11}", str(n)) for n in range(3000)])
    seen = {}
    for message in read_all(cluster, topic, 3000):
        seen.setdefault(message.key(), []).append(int(message.value()))
    assert all(values == sorted(values) for values in seen.values())
    assert sum(map(len, seen.values())) == 3000


def test_headers_timestamps_and_nulls(cluster, admin, topic):
    create(admin, topic, 1)
    producer = producer_of(cluster)
    headers = [("a", b"1"), ("a", b"2"), ("empty", b""), ("null", None)]
    producer.produce(topic, b"with", b"key", headers=headers, timestamp=1_600_000_000_123)
    producer.produce(topic, None, b"tombstone")
    producer.produce(topic, b"", None)
    assert producer.flush(20) == 0
    first, second, third = read_all(cluster, topic, 3)
    assert first.headers() == headers
    assert first.timestamp() == (1, 1_600_000_000_123)
    assert second.value() is None and second.key() == b"tombstone"
    assert third.value() == b"" and third.key() is None


def test_log_append_time(cluster, admin, topic):
    create(admin, topic, 1, config={"message.timestamp.type": "LogAppendTime"})
    before = int(time.time() * 1000) - 5000
    producer = producer_of(cluster)
    producer.produce(topic, b"x", timestamp=1000)
    producer.flush(20)
    kind, stamp = read_all(cluster, topic, 1)[0].timestamp()
    assert kind == 2 and stamp >= before


def test_large_messages_up_to_the_limit_and_beyond(cluster, admin, topic):
    create(admin, topic, 1, config={"max.message.bytes": "2000000"})
    producer = producer_of(cluster, **{"message.max.bytes": 3_000_000})
    produce(producer, topic, [("k", "x" * 1_900_000)])
    refused = []
    producer.produce(topic, b"y" * 2_500_000, on_delivery=lambda error, _: refused.append(error))
    producer.flush(30)
    assert refused[0] is not None and refused[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
    got = read_all(cluster, topic, 1, **{"fetch.message.max.bytes": 1000})
    assert len(got[0].value()) == 1_900_000, "a record larger than the fetch size still arrives"


def test_offsets_for_times_and_watermarks(cluster, admin, topic):
    create(admin, topic, 1)
    producer = producer_of(cluster)
    for n in range(100):
        producer.produce(topic, str(n), partition=0, timestamp=1_000_000 + n * 1000)
    producer.flush(20)
    consumer = consumer_of(cluster)
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10) == (0, 100)
    found = consumer.offsets_for_times([TopicPartition(topic, 0, 1_000_000 + 41_500)], timeout=10)
    assert found[0].offset == 42
    beyond = consumer.offsets_for_times([TopicPartition(topic, 0, 9_000_000_000)], timeout=10)
    assert beyond[0].offset in (-1, 100)
    consumer.close()


def test_acks_zero_and_one(cluster, admin, topic):
    create(admin, topic, 1)
    # acks=1 first: with 0 nobody hears of a leader that has not been told of the topic yet.
    for acks in ("1", "0"):
        producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": acks})
        produce(producer, topic, [(None, f"{acks}-{n}") for n in range(100)])
    assert len(read_all(cluster, topic, 200)) == 200


def test_committed_offsets_and_metadata_survive(cluster, admin, topic):
    create(admin, topic, 1)
    produce(producer_of(cluster), topic, [(None, str(n)) for n in range(10)])
    group = f"group-{uuid.uuid4()}"
    first = consumer_of(cluster, group, **{"enable.auto.commit": False})
    first.subscribe([topic])
    assert len(consume(first, 10)) == 10
    first.commit(offsets=[TopicPartition(topic, 0, 7, metadata="halfway")], asynchronous=False)
    first.close()
    second = consumer_of(cluster, group)
    committed = second.committed([TopicPartition(topic, 0)], timeout=10)[0]
    assert (committed.offset, committed.metadata) == (7, "halfway")
    second.subscribe([topic])
    assert [m.value() for m in consume(second, 3)] == [b"7", b"8", b"9"]
    second.close()


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky"])
def test_rebalance_when_members_come_and_go(cluster, admin, topic, strategy):
    create(admin, topic, 6)
    group = f"group-{uuid.uuid4()}"
    settings = {"partition.assignment.strategy": strategy}
    consumers = [consumer_of(cluster, group, **settings) for _ in range(3)]

    def shares(expected):
        """Polls every member until each owns its part."""
        owned, end = [], time.monotonic() + 60
        while time.monotonic() < end:
            for consumer in consumers:
                consumer.poll(0.05)
            owned = sorted(len(consumer.assignment()) for consumer in consumers)
            if owned == expected:
                return
        raise AssertionError(f"{strategy}: {owned}, not {expected}")

    for consumer in consumers:
        consumer.subscribe([topic])
    shares([2, 2, 2])
    consumers.pop().close()
    shares([3, 3])
    consumers.append(consumer_of(cluster, group, **settings))
    consumers[-1].subscribe([topic])
    shares([2, 2, 2])
    for consumer in consumers:
        consumer.close()


def test_static_member_keeps_its_partitions(cluster, admin, topic):
    create(admin, topic, 4)
    group = f"group-{uuid.uuid4()}"
    consumer = consumer_of(cluster, group, **{"group.instance.id": "one"})
    consumer.subscribe([topic])
    consumer.poll(5)
    end = time.monotonic() + 20
    while not consumer.assignment() and time.monotonic() < end:
        consumer.poll(0.2)
    assert len(consumer.assignment()) == 4
    del consumer  # a static member does not leave
    again = consumer_of(cluster, group, **{"group.instance.id": "one"})
    again.subscribe([topic])
    started = time.monotonic()
    while not again.assignment() and time.monotonic() - started < 20:
        again.poll(0.1)
    assert len(again.assignment()) == 4
    again.close()


def test_admin_topics(cluster, admin, topic):
    create(admin, topic, 2, config={"retention.ms": "12345"})
    with pytest.raises(KafkaException) as exists:
        create(admin, topic)
    assert exists.value.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
    with pytest.raises(KafkaException) as invalid:
        create(admin, "no spaces allowed")
    assert invalid.value.args[0].code() == KafkaError.TOPIC_EXCEPTION
    with pytest.raises(KafkaException) as too_many:
        create(admin, topic + "-x", 1, 9)
    assert too_many.value.args[0].code() == KafkaError.INVALID_REPLICATION_FACTOR
    admin.create_partitions([NewPartitions(topic, 5)])[topic].result(20)
    end = time.monotonic() + 10
    while len(admin.list_topics(topic, 10).topics[topic].partitions) != 5:
        assert time.monotonic() < end
        time.sleep(0.1)
    partitions = admin.list_topics(topic, 10).topics[topic].partitions
    assert all(len(p.replicas) == 3 and p.leader in p.replicas for p in partitions.values())
    admin.delete_topics([topic])[topic].result(20)
    end = time.monotonic() + 20
    while topic in admin.list_topics(timeout=10).topics:
        assert time.monotonic() < end
        time.sleep(0.1)


def described(admin, resource):
    answers = []

    def ask():
        answers.append(admin.describe_configs([resource])[resource].result(20))
        return True
    wait_until(ask, 20, "the resource is described")
    return answers[-1]


def test_admin_configs(cluster, admin, topic):
    create(admin, topic, 1, config={"retention.ms": "12345"})
    resource = ConfigResource(ResourceType.TOPIC, topic)
    # Any broker may be asked, and it may hear of the topic a moment later than the controller.
    before = described(admin, resource)
    assert before["retention.ms"].value == "12345" and not before["retention.ms"].is_default
    assert before["cleanup.policy"].value == "delete" and before["cleanup.policy"].is_default
    change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[
        ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.SET),
        ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE)])
    list(admin.incremental_alter_configs([change]).values())[0].result(20)
    end = time.monotonic() + 10
    while True:
        after = admin.describe_configs([resource])[resource].result(20)
        if after["cleanup.policy"].value == "compact" and after["retention.ms"].value == "604800000":
            break
        assert time.monotonic() < end, (after["cleanup.policy"].value, after["retention.ms"].value)
        time.sleep(0.1)
    wrong = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[
        ConfigEntry("retention.ms", "soon", incremental_operation=AlterConfigOpType.SET)])
    with pytest.raises(KafkaException) as refused:
        list(admin.incremental_alter_configs([wrong]).values())[0].result(20)
    assert refused.value.args[0].code() == KafkaError.INVALID_CONFIG


def test_admin_groups(cluster, admin, topic):
    create(admin, topic, 2)
    group = f"group-{uuid.uuid4()}"
    consumer = consumer_of(cluster, group)
    consumer.subscribe([topic])
    end = time.monotonic() + 20
    while not consumer.assignment() and time.monotonic() < end:
        consumer.poll(0.2)
    listed = admin.list_consumer_groups().result(20)
    assert group in [g.group_id for g in listed.valid] and not listed.errors
    described = admin.describe_consumer_groups([group])[group].result(20)
    assert described.state.name == "STABLE" and len(described.members) == 1
    assert len(described.members[0].assignment.topic_partitions) == 2
    consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    consumer.close()
    described = admin.describe_consumer_groups([group])[group].result(20)
    assert described.state.name == "EMPTY"
    admin.delete_consumer_groups([group])[group].result(20)
    assert group not in [g.group_id for g in admin.list_consumer_groups().result(20).valid]


def test_delete_records(cluster, admin, topic):
    create(admin, topic, 1)
    produce(producer_of(cluster), topic, [(None, str(n)) for n in range(50)])
    admin.delete_records([TopicPartition(topic, 0, 20)])[TopicPartition(topic, 0)].result(20)
    consumer = consumer_of(cluster)
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10) == (20, 50)
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    assert consume(consumer, 30)[0].offset() == 20
    consumer.close()


def test_describe_cluster(cluster, admin):
    described = admin.describe_cluster().result(20)
    assert sorted(node.id for node in described.nodes) == [1, 2, 3]
    assert described.controller.id in (1, 2, 3)
    assert len(described.cluster_id) == 22


def test_compacted_topic_needs_keys(cluster, admin, topic):
    create(admin, topic, 1, config={"cleanup.policy": "compact"})
    refused = []
    producer = producer_of(cluster)
    producer.produce(topic, b"no key", on_delivery=lambda error, _: refused.append(error))
    producer.flush(20)
    assert refused[0] is not None and refused[0].code() == KafkaError.INVALID_RECORD


def test_auto_creation(cluster, topic):
    produce(producer_of(cluster, **{"allow.auto.create.topics": True}), topic, [("k", "v")])
    assert read_all(cluster, topic, 1)[0].value() == b"v"
