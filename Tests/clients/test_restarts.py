"""Consumers that start while brokers are restarted read everything soon.

A broker that has just started knows nothing of the cluster. A client that asks it must not be told
that there are no topics: it would believe that, and not ask again for half a minute.
"""

import threading
import time
import uuid

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness import Broker, Cluster, wait_until

RECORDS = 300


@pytest.fixture
def fresh(tmp_path):
    with Cluster(tmp_path, settings={"zookeeper.session.timeout.ms": 2000}) as cluster:
        yield cluster


def coordinator_of(bootstrap, group):
    """The broker that coordinates a group. librdkafka gives up looking for a coordinator after two
    retries, and says so to nobody: on a fresh cluster, whose topic of offsets is only just being
    made, the call is made again."""
    found = []

    def ask():
        admin = AdminClient({"bootstrap.servers": bootstrap})
        found.append(admin.describe_consumer_groups([group])[group].result(3).coordinator.id)
        return True
    wait_until(ask, 40, "the coordinator is found")
    return found[-1]


class Reader:
    """One consumer in a group, from the beginning; on a thread of its own."""

    def __init__(self, bootstrap, topic, group):
        self.took = None
        self.count = 0
        self.thread = threading.Thread(target=self.run, args=(bootstrap, topic, group))
        self.thread.start()

    def run(self, bootstrap, topic, group):
        began = time.monotonic()
        consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000, "reconnect.backoff.max.ms": 1000})
        consumer.subscribe([topic])
        while self.count < RECORDS and time.monotonic() - began < 60:
            self.count += sum(1 for message in consumer.consume(100, 0.2) if not message.error())
        self.took = time.monotonic() - began
        consumer.close()


def test_consumers_that_start_during_a_restart_read_soon(fresh):
    admin = AdminClient({"bootstrap.servers": fresh.bootstrap})
    admin.create_topics([NewTopic("orders", 3, 3)])["orders"].result(20)
    producer = Producer({"bootstrap.servers": fresh.bootstrap, "enable.idempotence": True})
    for number in range(RECORDS):
        producer.produce("orders", str(number), partition=number % 3)
    assert producer.flush(60) == 0

    def full():
        partitions = admin.list_topics("orders", 10).topics["orders"].partitions.values()
        return all(len(p.isrs) == 3 for p in partitions)

    slow = []
    for turn in range(3):
        wait_until(full, 60, "the ISR is full")
        group = f"group-{uuid.uuid4()}"
        victim = fresh.brokers[coordinator_of(fresh.bootstrap, group)]
        victim.kill()
        victim.start()
        # The first ask while the broker starts, the others a little later each.
        readers = []
        for _ in range(6):
            bootstrap = ",".join([victim.address] + [b.address for b in fresh.brokers.values()])
            readers.append(Reader(bootstrap, "orders", f"group-{uuid.uuid4()}"))
            readers.append(Reader(victim.address, "orders", group + str(len(readers))))
            time.sleep(0.4)
        for reader in readers:
            reader.thread.join()
            if reader.count < RECORDS or reader.took > 25:
                slow.append((turn, reader.count, round(reader.took, 1)))
    assert not slow, slow


def test_leadership_returns_by_itself(tmp_path):
    """`auto.leader.rebalance.enable`: the preferred replica leads again soon after it is back."""
    with Cluster(tmp_path, coordinators=1, settings={
            "zookeeper.session.timeout.ms": 2000, "auto.leader.rebalance.enable": "true",
            "leader.imbalance.check.interval.seconds": 1,
            "leader.imbalance.per.broker.percentage": 0}) as cluster:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        admin.create_topics(
            [NewTopic("led", 1, replica_assignment=[[1, 2, 3]])])["led"].result(20)

        def leader():
            return admin.list_topics("led", 5).topics["led"].partitions[0].leader
        wait_until(lambda: leader() == 1, 20, "the first replica leads")
        cluster.brokers[1].kill()
        wait_until(lambda: leader() in (2, 3), 30, "another replica leads")
        cluster.restart(1)
        wait_until(lambda: leader() == 1, 60, "the first replica leads again")


def test_leadership_stays_when_it_may_not_return(tmp_path):
    with Cluster(tmp_path, coordinators=1, settings={
            "zookeeper.session.timeout.ms": 2000, "auto.leader.rebalance.enable": "false",
            "leader.imbalance.check.interval.seconds": 1}) as cluster:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        admin.create_topics(
            [NewTopic("led", 1, replica_assignment=[[1, 2, 3]])])["led"].result(20)

        def partition():
            return admin.list_topics("led", 5).topics["led"].partitions[0]
        cluster.brokers[1].kill()
        wait_until(lambda: partition().leader in (2, 3), 30, "another replica leads")
        cluster.restart(1)
        wait_until(lambda: len(partition().isrs) == 3, 60, "the ISR is full again")
        end = time.monotonic() + 4
        while time.monotonic() < end:
            assert partition().leader in (2, 3)
            time.sleep(0.2)


@pytest.mark.parametrize("real", [(), (1,)], ids=["ours", "zookeeper"])
def test_a_killed_broker_registers_again_without_waiting_for_its_old_session(tmp_path, real):
    """Its session is noted in its log directory, and ended by the next process that has it."""
    settings = {"zookeeper.session.timeout.ms": 40_000}
    with Cluster(tmp_path, brokers=1, coordinators=1, real=real, settings=settings) as cluster:
        broker = cluster.brokers[1]
        note = broker.data / ".zookeeper-session"
        before = note.read_text()
        broker.kill()
        began = time.monotonic()
        broker.start()
        wait_until(lambda: broker.log_text().count("started\n") >= 2, 25, "it serves again")
        assert time.monotonic() - began < 25
        assert "ending the session of this broker's earlier process" in broker.log_text()
        assert note.read_text() != before


def test_the_session_of_another_broker_with_the_same_id_is_left_alone(tmp_path):
    settings = {"zookeeper.session.timeout.ms": 4_000}
    with Cluster(tmp_path, brokers=1, coordinators=1, settings=settings) as cluster:
        first = cluster.brokers[1]
        (tmp_path / "other").mkdir()
        second = Broker(tmp_path / "other", 1, cluster.store, settings)
        second.start()
        second.wait_for_line("waiting for the registration of an earlier session", 30)
        assert "ending the session" not in second.log_text()
        second.kill()
        assert first.is_running
        assert "registering again" not in first.log_text()
