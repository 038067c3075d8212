"""Kill a process while records flow: nothing acknowledged is lost, doubled or reordered."""

import threading
import time
import uuid

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness import Cluster, wait_until


class Traffic:
    """One idempotent acks=all producer that numbers its records per key, and remembers what was
    acknowledged."""

    def __init__(self, bootstrap, topic, keys=4):
        self.topic, self.keys = topic, keys
        self.producer = Producer({
            "bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all",
            "linger.ms": 1, "message.timeout.ms": 120000, "reconnect.backoff.max.ms": 500,
            "retry.backoff.ms": 50, "topic.metadata.refresh.interval.ms": 2000,
            "socket.timeout.ms": 10000})
        self.acknowledged, self.failed, self.sent = set(), [], 0
        self.last_acknowledged = time.monotonic()
        self.longest_gap = 0.0
        self.running = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def report(self, error, message):
        now = time.monotonic()
        if error:
            self.failed.append(str(error))
            return
        self.longest_gap = max(self.longest_gap, now - self.last_acknowledged)
        self.last_acknowledged = now
        self.acknowledged.add((message.key(), message.value()))

    def run(self):
        while self.running.is_set():
            key, value = f"k{self.sent % self.keys}", f"{self.sent // self.keys:08d}"
            try:
                self.producer.produce(self.topic, value, key, on_delivery=self.report)
                self.sent += 1
            except BufferError:
                pass
            self.producer.poll(0.001)
        self.producer.flush(120)

    def __enter__(self):
        self.running.set()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.running.clear()
        self.thread.join()

    def flows(self, more=200, seconds=60):
        """Waits until so many more records are acknowledged."""
        target = len(self.acknowledged) + more
        wait_until(lambda: len(self.acknowledged) >= target, seconds, "acknowledged production")

    def judge(self, bootstrap):
        assert not self.failed, self.failed[:3]
        consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": f"judge-{uuid.uuid4()}",
            "auto.offset.reset": "earliest"})
        consumer.subscribe([self.topic])
        seen, order, end = [], {}, time.monotonic() + 90
        while len(seen) < len(self.acknowledged) and time.monotonic() < end:
            for message in consumer.consume(1000, 0.5):
                assert not message.error(), message.error()
                seen.append((message.key(), message.value()))
                order.setdefault(message.key(), []).append(int(message.value()))
        consumer.close()
        lost = self.acknowledged - set(seen)
        assert not lost, f"{len(lost)} acknowledged records lost, such as {sorted(lost)[:3]}"
        assert len(seen) == len(set(seen)), "records appear twice"
        assert all(values == sorted(values) for values in order.values()), "order of a key broken"


@pytest.fixture
def fresh(tmp_path, mode):
    with Cluster(tmp_path, settings={"controlled.shutdown.enable": "true"}, mode=mode) as cluster:
        yield cluster


def make_topic(cluster, name, partitions=4):
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.create_topics([NewTopic(name, partitions, 3)])[name].result(30)
    return admin


def leader_of(admin, topic, partition=0):
    return admin.list_topics(topic, 10).topics[topic].partitions[partition].leader


def controller_of(admin):
    return admin.list_topics(timeout=10).controller_id


def full_isr(admin, topic):
    partitions = admin.list_topics(topic, 10).topics[topic].partitions.values()
    return all(len(p.isrs) == 3 and p.leader >= 0 for p in partitions)


@pytest.mark.parametrize("victim", ["leader", "controller"])
def test_kill_a_broker(fresh, victim):
    admin = make_topic(fresh, "drill")
    with Traffic(fresh.bootstrap, "drill") as traffic:
        traffic.flows()
        number = leader_of(admin, "drill") if victim == "leader" else controller_of(admin)
        fresh.brokers[number].kill()
        traffic.flows(400)
        fresh.restart(number)
        traffic.flows()
        wait_until(lambda: full_isr(admin, "drill"), 60, "the ISR is full again")
    traffic.judge(fresh.bootstrap)


def test_kill_each_broker_in_turn(fresh):
    admin = make_topic(fresh, "drill")
    with Traffic(fresh.bootstrap, "drill") as traffic:
        for number in fresh.brokers:
            traffic.flows()
            fresh.brokers[number].kill()
            traffic.flows()
            fresh.restart(number)
            wait_until(lambda: full_isr(admin, "drill"), 60, "the ISR is full again")
    traffic.judge(fresh.bootstrap)


def test_controlled_shutdown(fresh):
    admin = make_topic(fresh, "drill")
    with Traffic(fresh.bootstrap, "drill") as traffic:
        traffic.flows()
        number = leader_of(admin, "drill")
        assert fresh.brokers[number].stop() == 0
        traffic.flows(400)
        fresh.restart(number)
        wait_until(lambda: full_isr(admin, "drill"), 60, "the ISR is full again")
    traffic.judge(fresh.bootstrap)


@pytest.mark.parametrize("victim", ["leader", "follower"])
def test_kill_a_server_with_the_metadata(fresh, victim):
    """A coordination server or a controller: the one that leads, and another."""
    admin = make_topic(fresh, "drill")
    with Traffic(fresh.bootstrap, "drill") as traffic:
        traffic.flows()
        leader = fresh.store.leader()
        server = leader if victim == "leader" else next(
            s for s in fresh.store.servers.values() if s is not leader)
        server.kill()
        traffic.flows(500)
        server.start()
        fresh.store.wait_until_serving()
        traffic.flows()
    # The metadata path works again: a topic can be created.
    make_topic(fresh, "afterwards", 1)
    wait_until(lambda: leader_of(admin, "afterwards") > 0, 10, "the topic has a leader")
    traffic.judge(fresh.bootstrap)


def test_kill_all_brokers_at_once(fresh):
    make_topic(fresh, "drill")
    with Traffic(fresh.bootstrap, "drill") as traffic:
        traffic.flows()
        for broker in fresh.brokers.values():
            broker.kill()
        for number in fresh.brokers:
            fresh.brokers[number].start()
        traffic.flows(200, 90)
    traffic.judge(fresh.bootstrap)
