"""What clients tell of themselves (KIP-714): subscriptions, librdkafka's pushes, all refusals."""

import gzip
import json
import socket
import struct
import subprocess
import time
import urllib.request

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness import BIN, Cluster, accepts, ask, ended, read_exactly, wait_until

pytestmark = pytest.mark.kraft_only
NOTHING = b"\0" * 16


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("telemetry")
    with Cluster(folder, brokers=1, coordinators=1, mode="kraft", settings={
            "jackdaw.client.telemetry.enable": "true", "telemetry.max.bytes": 20_000,
            "jackdaw.client.telemetry.directory": folder / "told"}) as processes:
        processes.told = folder / "told" / "client-metrics.jsonl"
        yield processes


def tool(cluster, *arguments, status=0):
    done = subprocess.run(
        [BIN / "jackdaw", "client-metrics", "--bootstrap-server", cluster.bootstrap, *arguments],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout + done.stderr


def metrics(cluster):
    url = f"http://127.0.0.1:{cluster.brokers[1].metrics_port}/metrics"
    return urllib.request.urlopen(url, timeout=10).read().decode()


class Client:
    """Hand-made frames on one connection."""

    def __init__(self, broker, client_id=b"by-hand"):
        self.wire = socket.create_connection(("127.0.0.1", broker.port), timeout=10)
        self.client_id = client_id

    def call(self, api, body):
        # Request header version 2, response header version 1: tags behind both.
        header = struct.pack(">hhih", api, 0, 7, len(self.client_id)) + self.client_id + b"\0"
        self.wire.sendall(struct.pack(">i", len(header + body)) + header + body)
        frame = read_exactly(self.wire, struct.unpack(">i", read_exactly(self.wire, 4))[0])
        assert frame[:5] == struct.pack(">ib", 7, 0)
        return frame[5:]

    def subscription(self, instance=NOTHING):
        body = self.call(71, instance + b"\0")
        _, error, given, number = struct.unpack_from(">ih16si", body)
        types, position = body[26] - 1, 27
        accepted = list(body[position:position + types])
        interval, largest, delta = struct.unpack_from(">iib", body, position + types)
        names, position = [], position + types + 9
        for _ in range(body[position] - 1):
            position += 1 if not names else 0
            length = body[position] - 1
            names.append(body[position + 1:position + 1 + length].decode())
            position += 1 + length
        return error, given, number, accepted, interval, largest, delta, names

    def push(self, instance, subscription, payload=b"", compression=0, last=False):
        size, length = len(payload) + 1, b""
        while size > 0x7f:
            length += bytes([size & 0x7f | 0x80])
            size >>= 7
        body = (instance + struct.pack(">ibb", subscription, last, compression) + length
                + bytes([size]) + payload + b"\0")
        return struct.unpack_from(">ih", self.call(72, body))[1]


def field(number, content):
    """A field of a protocol buffer, with a length of up to two bytes."""
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([size & 0x7f | 0x80, size >> 7])
    return bytes([number << 3 | 2]) + length + content


def gauge(name, value):
    """OTLP MetricsData with one gauge."""
    point = b"\x21" + struct.pack("<d", value)
    metric = field(1, name) + field(5, field(1, point))
    return field(1, field(2, field(2, metric)))


def subscribe(cluster, name, interval, names="*", match=None):
    tool(cluster, "--alter", "--name", name, "--metrics", names, "--interval", str(interval),
         *(["--match", match] if match else []))
    wait_until(lambda: name in tool(cluster, "--list").split(), 20, "the subscription")


def test_the_tool_does_what_kafkas_does(cluster):
    assert tool(cluster, "--list") == ""
    assert "Altered client metrics config for one." in tool(
        cluster, "--alter", "--name", "one", "--metrics",
        "org.apache.kafka.consumer.,org.apache.kafka.producer.", "--match",
        "client_id=nobody,client_software_name=lib.*")
    made = tool(cluster, "--alter", "--generate-name", "--interval", "7000",
                "--match", "client_id=nobody")
    generated = made.split()[-1].rstrip(".")
    assert len(generated) == 22
    wait_until(lambda: sorted(tool(cluster, "--list").split()) == sorted(["one", generated]), 20,
               "both are listed")
    assert tool(cluster, "--describe", "--name", "one").splitlines() == [
        "Client metrics configs for one are:", "  interval.ms=300000",
        "  match=client_id=nobody,client_software_name=lib.*",
        "  metrics=org.apache.kafka.consumer.,org.apache.kafka.producer."]
    assert f"configs for {generated} are:\n  interval.ms=7000\n" in tool(cluster, "--describe")
    for wrong, why in [
            (["--interval", "99"], "INVALID_REQUEST"),
            (["--match", "colour=red"], "INVALID_CONFIG"),
            (["--match", "client_id=("], "INVALID_CONFIG")]:
        assert why in tool(cluster, "--alter", "--name", "one", *wrong, status=1), wrong
    assert "--name" in tool(cluster, "--alter", "--interval", "100", status=2)
    assert "exactly one" in tool(cluster, "--list", "--describe", status=2)
    # The empty text takes a setting back.
    tool(cluster, "--alter", "--name", "one", "--metrics", "")
    wait_until(lambda: "  metrics=\n" in tool(cluster, "--describe", "--name", "one"), 20, "gone")
    for name in ("one", generated):
        assert f"Deleted client metrics config for {name}." in tool(
            cluster, "--delete", "--name", name)
    wait_until(lambda: tool(cluster, "--list") == "", 20, "none are left")


def test_librdkafka_pushes_and_is_shown(cluster, topic):
    subscribe(cluster, "librdkafka", 200, match="client_id=telling")
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    producer = Producer({
        "bootstrap.servers": cluster.bootstrap, "client.id": "telling",
        "enable.metrics.push": True})

    def shown():
        for _ in range(20):
            producer.produce(topic, b"v" * 100)
        producer.flush(10)
        found = [line for line in metrics(cluster).splitlines()
                 if line.startswith("jackdaw_client_telemetry{") and 'client_id="telling"' in line]
        return any("producer.connection.creation" in line for line in found) and found

    wait_until(shown, 30, "its metrics among the broker's")
    line = shown()[0]
    assert 'client_software_name="confluent-kafka-python"' in line, line
    told = [json.loads(line) for line in cluster.told.read_text().splitlines()]
    assert {entry["clientId"] for entry in told} == {"telling"}
    names = {metric["name"] for entry in told for metric in entry["metrics"]}
    assert any(name.startswith("org.apache.kafka.producer.") for name in names), names
    producer.flush(10)
    del producer
    wait_until(lambda: any(json.loads(line)["terminating"]
                           for line in cluster.told.read_text().splitlines()), 20, "its last push")
    # What it told goes with its connections.
    wait_until(lambda: 'client_id="telling"' not in metrics(cluster), 20, "it is gone")
    tool(cluster, "--delete", "--name", "librdkafka")


def test_every_refusal(cluster):
    subscribe(cluster, "by-hand", 1000, "m.b,m.a", match="client_id=by-hand")
    client = Client(cluster.brokers[1])
    wait_until(lambda: client.subscription()[7] == ["m.a", "m.b"], 20, "the broker knows it")
    error, instance, number, accepted, interval, largest, delta, _ = client.subscription()
    assert (error, accepted, interval, largest, delta) == (0, [4, 3, 1, 2], 1000, 20_000, 1)
    assert instance != NOTHING
    assert client.subscription(instance)[0] == 89  # THROTTLING_QUOTA_EXCEEDED
    # The first push may come at once; no metrics are fine.
    assert client.push(instance, number) == 0
    assert client.push(instance, number) == 89
    assert client.push(NOTHING, number) == 42  # INVALID_REQUEST

    def fresh():
        _, instance, number, *_ = client.subscription()
        return instance, number

    instance, number = fresh()
    assert client.push(instance, number + 1) == 117  # UNKNOWN_SUBSCRIPTION_ID
    assert client.subscription(instance)[0] == 0
    assert client.push(*fresh(), b"x", compression=9) == 76  # UNSUPPORTED_COMPRESSION_TYPE
    assert client.push(*fresh(), b"\0" * 20_001) == 118  # TELEMETRY_TOO_LARGE
    assert client.push(*fresh(), gzip.compress(b"\0" * 1_000_000), compression=1) == 118
    assert client.push(*fresh(), b"no metrics") == 87  # INVALID_RECORD
    assert client.push(*fresh(), b"no gzip", compression=1) == 87
    instance, number = fresh()
    assert client.push(instance, number, gzip.compress(gauge(b"m.a", 4.5)), compression=1) == 0
    found = [line for line in metrics(cluster).splitlines()
             if line.startswith("jackdaw_client_telemetry{") and 'metric="m.a"' in line]
    assert len(found) == 1 and found[0].endswith(" 4.5"), found
    # A last push need not wait, and is the last.
    assert client.push(instance, number, last=True) == 0
    time.sleep(1.1)
    assert client.push(instance, number) == 42
    tool(cluster, "--delete", "--name", "by-hand")


def test_without_a_receiver_nothing_is_listed(tmp_path):
    with Cluster(tmp_path, brokers=1, coordinators=1, mode="kraft") as cluster:
        broker = cluster.brokers[1]
        body = ask(broker.port, 18, 0, b"")
        count = struct.unpack_from(">i", body, 6)[0]
        keys = {struct.unpack_from(">h", body, 10 + 6 * index)[0] for index in range(count)}
        assert {71, 72} & keys == set() and 74 in keys
        client = Client(broker)
        client.wire.sendall(
            struct.pack(">ihhih", 28, 71, 0, 7, 0) + b"\0" + NOTHING + b"\0")
        assert ended(client.wire) and accepts(broker.port)
