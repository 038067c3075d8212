"""Mutated and broken frames against live servers: they close the connection or answer, and go on."""

import random
import socket
import struct

import pytest
from kazoo.client import KazooClient

from harness import Coordinator, read_exactly, wait_until
from test_confluent import create, produce, producer_of, read_all
from confluent_kafka.admin import AdminClient

ROUNDS = 400


def exchange(port, payload):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as wire:
        wire.settimeout(0.05)
        try:
            wire.sendall(payload)
            wire.recv(65536)
        except (TimeoutError, ConnectionError):
            pass


def frame(body):
    return struct.pack(">i", len(body)) + body


def kafka_requests(topic):
    """A few well-formed requests of old, header v1 form."""
    def request(api, version, body):
        return struct.pack(">hhih", api, version, 7, 4) + b"fuzz" + body
    name = struct.pack(">h", len(topic)) + topic.encode()
    yield request(18, 0, b"")
    yield request(3, 1, struct.pack(">i", 1) + name)
    yield request(2, 1, struct.pack(">ii", -1, 1) + name + struct.pack(">iiq", 1, 0, -1))
    yield request(1, 4, struct.pack(">iiiibi", -1, 10, 1, 1000, 0, 1) + name
                  + struct.pack(">iiqi", 1, 0, 0, 1000))
    yield request(0, 3, struct.pack(">hhii", -1, 1, 1000, 1) + name
                  + struct.pack(">iii", 1, 0, 64) + bytes(64))
    yield request(11, 2, struct.pack(">h", 1) + b"g" + struct.pack(">iih", 6000, 6000, 0)
                  + struct.pack(">h", 8) + b"consumer" + struct.pack(">i", 0))


def mutate(chance, body):
    body = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        kind = chance.randrange(4)
        at = chance.randrange(len(body)) if body else 0
        if kind == 0 and body:
            body[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and len(body) >= 4:
            struct.pack_into(">i", body, min(at, len(body) - 4),
                             chance.choice([-1, 0, 2**31 - 1, -2**31, 65535]))
        elif kind == 2:
            del body[at:]
        else:
            body[at:at] = chance.randbytes(chance.randint(1, 40))
    return bytes(body)


def test_broker_survives_mutated_frames(cluster, topic):
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    create(admin, topic, 1)
    produce(producer_of(cluster), topic, [("k", "v")])
    chance = random.Random(20240711)
    samples = list(kafka_requests(topic))
    port = cluster.brokers[1].port
    for _ in range(ROUNDS):
        body = mutate(chance, chance.choice(samples))
        size = len(body) if chance.random() < 0.8 else chance.choice([0, -1, 5, 2**31 - 1])
        exchange(port, struct.pack(">i", size) + body)
    assert all(broker.is_running for broker in cluster.brokers.values())
    produce(producer_of(cluster), topic, [("k", "after")])
    assert read_all(cluster, topic, 2)[-1].value() is not None


def test_coordinator_survives_mutated_frames(tmp_path):
    server = Coordinator(tmp_path).start()
    try:
        server.wait_for_port(server.port)
        chance = random.Random(20240712)
        connect = struct.pack(">iqiqi", 0, 0, 6000, 0, 16) + bytes(16) + b"\0"
        path = struct.pack(">i", 2) + b"/a"
        acl = struct.pack(">ii", 1, 31) + struct.pack(">i", 5) + b"world" + struct.pack(">i", 6) + b"anyone"
        requests = [
            struct.pack(">ii", 1, 1) + path + struct.pack(">i", 1) + b"x" + acl + struct.pack(">i", 0),
            struct.pack(">ii", 2, 4) + path + b"\1",
            struct.pack(">ii", 3, 5) + path + struct.pack(">i", 1) + b"y" + struct.pack(">i", -1),
            struct.pack(">ii", 4, 14) + struct.pack(">ibi", 13, 0, -1) + path + struct.pack(">i", 0)
            + struct.pack(">ibi", -1, 1, -1),
            struct.pack(">ii", -8, 101) + struct.pack(">qi", 0, 1) + path + struct.pack(">ii", 0, 0),
        ]
        for _ in range(ROUNDS):
            first = connect if chance.random() < 0.8 else mutate(chance, connect)
            exchange(server.port, frame(first) + frame(mutate(chance, chance.choice(requests))))
        assert server.is_running, server.tail()
        client = KazooClient(f"127.0.0.1:{server.port}")
        client.start(10)
        client.create("/after", b"x")
        assert client.get("/after")[0] == b"x"
        client.stop()
    finally:
        server.kill()


def controller_requests(epoch):
    """The three requests by which a controller rules, in their oldest form, saying nothing."""
    head = struct.pack(">ii", 1, epoch)
    yield 6, head + struct.pack(">ii", 0, 0)  # UpdateMetadata: no partitions, no brokers
    yield 4, head + struct.pack(">ii", 0, 0)  # LeaderAndIsr: no partitions, no leaders
    yield 5, head + struct.pack(">bi", 0, 0)  # StopReplica: nothing


def error_of(port, api, body):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.sendall(frame(struct.pack(">hhih", api, 0, 7, 4) + b"evil" + body))
        size = struct.unpack(">i", read_exactly(wire, 4))[0]
        return struct.unpack_from(">h", read_exactly(wire, size), 4)[0]


@pytest.mark.zookeeper_only
def test_a_made_up_controller_is_not_obeyed(cluster, topic):
    """A controller's epoch is only believed when ZooKeeper has it: or else one request would make a
    broker deaf to the real controller."""
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    zk = KazooClient(cluster.ensemble.connect)
    zk.start(20)
    real = int(zk.get("/controller_epoch")[0])
    zk.stop()
    for broker in cluster.brokers.values():
        for epoch in (real + 1, real + 1000, 2**31 - 1):
            for api, body in controller_requests(epoch):
                assert error_of(broker.port, api, body) == 11, (api, epoch)
        # The cluster is known still, and the real controller's word counts.
        assert cluster.is_known_to(broker)
        name = f"{topic}-{broker.broker_id}"
        create(admin, name)
        own = AdminClient({"bootstrap.servers": broker.address})
        wait_until(lambda: name in own.list_topics(timeout=5).topics, 20, "the topic is known there")
        produce(producer_of(cluster), name, [("k", "v")])
        assert len(read_all(cluster, name, 1)) == 1
