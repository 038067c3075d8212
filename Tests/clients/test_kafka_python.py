"""kafka-python: a pure Python client with its own protocol code."""

import uuid

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic


@pytest.fixture
def ready_topic(cluster, topic):
    admin = KafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    admin.create_topics([NewTopic(topic, 3, 3)])
    yield topic
    admin.close()


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_round_trip(cluster, ready_topic, codec):
    producer = KafkaProducer(
        bootstrap_servers=cluster.bootstrap, acks="all", compression_type=codec)
    futures = [
        producer.send(ready_topic, f"value-{n}".encode(), f"key-{n % 5}".encode(),
                      headers=[("n", str(n).encode())])
        for n in range(500)]
    producer.flush(30)
    assert all(future.get(10).offset >= 0 for future in futures)
    consumer = KafkaConsumer(
        ready_topic, bootstrap_servers=cluster.bootstrap, auto_offset_reset="earliest",
        group_id=f"group-{uuid.uuid4()}", consumer_timeout_ms=15000)
    got = []
    for record in consumer:
        got.append((record.value, record.headers))
        if len(got) == 500:
            break
    consumer.close()
    producer.close()
    assert sorted(value for value, _ in got) == sorted(f"value-{n}".encode() for n in range(500))
    assert all(value == b"value-" + headers[0][1] for value, headers in got)


def test_offsets(cluster, ready_topic):
    producer = KafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all")
    for n in range(10):
        producer.send(ready_topic, str(n).encode(), partition=0, timestamp_ms=1000 + n)
    producer.flush(30)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=cluster.bootstrap)
    partition = TopicPartition(ready_topic, 0)
    assert consumer.beginning_offsets([partition])[partition] == 0
    assert consumer.end_offsets([partition])[partition] == 10
    assert consumer.offsets_for_times({partition: 1004})[partition].offset == 4
    consumer.close()
