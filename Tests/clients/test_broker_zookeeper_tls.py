"""Brokers that speak TLS with the coordination service: ours, and Debian's ZooKeeper."""

import pytest

from certificates import PASSWORD, certificates, tls_settings
from harness import Broker, Coordinator, free_port
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic


def client_keys():
    folder = certificates()
    return {
        "zookeeper.ssl.client.enable": "true",
        "zookeeper.clientCnxnSocket": "org.apache.zookeeper.ClientCnxnSocketNetty",
        "zookeeper.ssl.keystore.location": folder / "client.p12",
        "zookeeper.ssl.keystore.password": PASSWORD,
        "zookeeper.ssl.truststore.location": folder / "trust.p12",
        "zookeeper.ssl.truststore.password": PASSWORD,
        # A Java server takes its time for the first handshake.
        "zookeeper.connection.timeout.ms": 60000, "offsets.topic.replication.factor": 1,
    }


@pytest.mark.parametrize("real", [False, True], ids=["ours", "zookeepers"])
def test_a_broker_registers_and_serves(tmp_path, real):
    secure = free_port()
    factory = {"serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory"}
    coordinator = Coordinator(
        tmp_path, real=real, settings={"secureClientPort": secure, **tls_settings(), **factory})
    broker = Broker(tmp_path, 1, f"127.0.0.1:{secure}/kafka", client_keys())
    coordinator.start()
    try:
        coordinator.wait_for_port(secure)
        broker.start()
        broker.wait_for_line("started", 60)
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.create_topics([NewTopic("t", 1, 1)])["t"].result(30)
        producer = Producer({"bootstrap.servers": broker.address})
        producer.produce("t", b"x")
        assert producer.flush(20) == 0
    finally:
        broker.kill()
        coordinator.kill()


def test_a_broker_that_is_not_trusted_says_so(tmp_path):
    settings = {**client_keys(), "zookeeper.ssl.truststore.location": "/nowhere.p12"}
    broker = Broker(tmp_path, 1, "127.0.0.1:1", settings)
    broker.start()
    assert broker.wait(20) != 0
    assert "zookeeper.ssl" in broker.log_text() and "/nowhere.p12" in broker.log_text()
