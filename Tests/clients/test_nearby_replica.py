"""Fetching from the nearest replica (KIP-392): a consumer's `client.rack` decides who serves it."""

import time
import urllib.request

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness import Cluster, wait_until

SELECTOR = "org.apache.kafka.common.replica.RackAwareReplicaSelector"


@pytest.fixture(scope="module")
def racks(tmp_path_factory):
    """Broker n stands in rack r<n>."""
    with Cluster(tmp_path_factory.mktemp("racks"), settings={"replica.selector.class": SELECTOR},
                 each={n: {"broker.rack": f"r{n}"} for n in (1, 2, 3)}) as cluster:
        yield cluster


def bytes_out(broker):
    """Bytes that a broker has sent to consumers; what followers fetch is counted apart."""
    url = f"http://127.0.0.1:{broker.metrics_port}/metrics"
    text = urllib.request.urlopen(url, timeout=5).read().decode()
    for line in text.splitlines():
        if line.startswith("kafka_server_brokertopicmetrics_bytesout_total "):
            return float(line.split()[1])
    raise AssertionError("no bytesout_total")


def read(cluster, topic, count, **settings):
    consumer = Consumer({
        "bootstrap.servers": cluster.bootstrap, "group.id": f"{topic}-{time.monotonic()}",
        "auto.offset.reset": "earliest", **settings})
    consumer.subscribe([topic])
    seen, end = [], time.monotonic() + 60
    while len(seen) < count and time.monotonic() < end:
        seen += [m.offset() for m in consumer.consume(200, 0.5) if not m.error()]
    consumer.close()
    assert seen == list(range(count))


def test_a_consumer_reads_from_its_rack(racks):
    admin = AdminClient({"bootstrap.servers": racks.bootstrap})
    admin.create_topics([NewTopic("near", 1, replica_assignment=[[1, 2, 3]])])["near"].result(20)
    producer = Producer({"bootstrap.servers": racks.bootstrap, "linger.ms": 5})
    for number in range(2000):
        producer.produce("near", bytes(500), str(number))
    assert producer.flush(60) == 0
    size = 2000 * 500

    def served(**settings):
        before = {n: bytes_out(broker) for n, broker in racks.brokers.items()}
        read(racks, "near", 2000, **settings)
        return {n: bytes_out(broker) - before[n] for n, broker in racks.brokers.items()}

    # By the leader unless a replica is in the consumer's rack.
    for settings, server in [({}, 1), ({"client.rack": "r2"}, 2), ({"client.rack": "r3"}, 3),
                             ({"client.rack": "r1"}, 1), ({"client.rack": "nowhere"}, 1)]:
        shares = served(**settings)
        assert shares[server] > 0.9 * size, (settings, shares)
        others = sum(share for n, share in shares.items() if n != server)
        assert others < 0.1 * size, (settings, shares)


def test_the_leader_serves_when_the_nearby_replica_is_gone(racks):
    admin = AdminClient({"bootstrap.servers": racks.bootstrap})
    admin.create_topics([NewTopic("gone", 1, replica_assignment=[[1, 2]])])["gone"].result(20)
    producer = Producer({"bootstrap.servers": racks.bootstrap})
    for number in range(200):
        producer.produce("gone", str(number), "k")
    assert producer.flush(60) == 0
    racks.brokers[2].kill()
    try:
        read(racks, "gone", 200, **{"client.rack": "r2"})
    finally:
        racks.restart(2)
        wait_until(lambda: racks.is_known_to(racks.brokers[2]), 60, "broker 2 is back")


def test_replicas_are_spread_over_racks(tmp_path):
    """Six brokers in three racks: no two replicas of a partition in one rack."""
    rack_of = {n: f"r{n % 3}" for n in range(1, 7)}
    with Cluster(tmp_path, brokers=6, coordinators=1,
                 each={n: {"broker.rack": rack} for n, rack in rack_of.items()}) as cluster:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        admin.create_topics([NewTopic("spread", 12, 3)])["spread"].result(20)
        for partition in admin.list_topics("spread", 10).topics["spread"].partitions.values():
            assert len({rack_of[n] for n in partition.replicas}) == 3, partition.replicas
