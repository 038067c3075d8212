"""Client quotas: what configs says of them, and that clients over them are slowed."""

import json
import socket
import struct
import subprocess
import time
import uuid

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from kazoo.client import KazooClient

from harness import BIN, Cluster, ask, read_exactly, wait_until



def configs(cluster, *arguments, status=0):
    done = subprocess.run(
        [BIN / "jackdaw", "configs", "--bootstrap-server", cluster.bootstrap, *arguments],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout + done.stderr


def create(cluster, name):
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)


def produce(cluster, topic, client, count=8, size=50_000):
    """Seconds for single requests, and the longest throttle time that the broker has told, in ms."""
    throttled = []
    producer = Producer({
        "bootstrap.servers": cluster.bootstrap, "client.id": client, "linger.ms": 0,
        "max.in.flight": 1,
        "throttle_cb": lambda event: throttled.append(event.throttle_time * 1000)})
    start = time.monotonic()
    for _ in range(count):
        producer.produce(topic, b"v" * size)
        producer.flush(60)
    producer.poll(0)
    return time.monotonic() - start, max(throttled, default=0)


def test_quotas_are_described_as_kafka_does(cluster):
    assert "Completed updating config for user alice." in configs(
        cluster, "--alter", "--entity-type", "users", "--entity-name", "alice",
        "--add-config", "producer_byte_rate=1024,consumer_byte_rate=2048")
    assert "Completed updating default config for clients in the cluster." in configs(
        cluster, "--alter", "--client-defaults", "--add-config", "request_percentage=1000")
    configs(cluster, "--alter", "--user", "alice", "--client", "c1",
            "--add-config", "producer_byte_rate=5")
    wait_until(lambda: configs(cluster, "--describe", "--user", "alice").splitlines() == [
        "Quota configs for user-principal 'alice' are consumer_byte_rate=2048.0, "
        "producer_byte_rate=1024.0"], 20, "the user's quota")
    wait_until(lambda: configs(
        cluster, "--describe", "--entity-type", "users", "--entity-type", "clients")
        == "Quota configs for user-principal 'alice', client-id 'c1' are producer_byte_rate=5.0\n",
        20, "the user's quota as a client")
    wait_until(lambda: "the default client-id are request_percentage=1000.0" in configs(
        cluster, "--describe", "--entity-type", "clients"), 20, "the default client's quota")
    for entity in (["--user", "alice"], ["--user", "alice", "--client", "c1"]):
        configs(cluster, "--alter", *entity, "--delete-config",
                "producer_byte_rate" + (",consumer_byte_rate" if len(entity) == 2 else ""))
    configs(cluster, "--alter", "--client-defaults", "--delete-config", "request_percentage")
    assert "must be a number" in configs(
        cluster, "--alter", "--user", "a", "--add-config", "producer_byte_rate=x", status=2)
    wait_until(lambda: configs(cluster, "--describe", "--entity-type", "users") == "", 20, "none")


def test_a_producer_over_its_quota_is_slowed(cluster):
    create(cluster, "slow-in")
    # 500 kB against a window of ten seconds, in which there is room for 330.
    configs(cluster, "--alter", "--client", "greedy", "--add-config", "producer_byte_rate=33000")
    wait_until(lambda: "33000" in configs(cluster, "--describe", "--client", "greedy"), 20, "set")
    took, throttled = produce(cluster, "slow-in", "greedy", count=10)
    assert took > 1.5 and throttled > 0, (took, throttled)
    took, throttled = produce(cluster, "slow-in", "modest")
    assert took < 1.5 and throttled == 0, (took, throttled)
    configs(cluster, "--alter", "--client", "greedy", "--delete-config", "producer_byte_rate")
    wait_until(lambda: produce(cluster, "slow-in", "greedy")[1] == 0, 30, "the limit is gone")


def test_a_consumer_over_its_quota_is_slowed(cluster):
    create(cluster, "slow-out")
    produce(cluster, "slow-out", "feeder", count=12)
    # The default user has a limit; what one user uses as another client counts for it as well.
    configs(cluster, "--alter", "--user-defaults", "--add-config", "consumer_byte_rate=40000")
    try:
        wait_until(lambda: "40000" in configs(cluster, "--describe", "--user-defaults"), 20, "set")
        consumer = Consumer({
            "bootstrap.servers": cluster.bootstrap, "group.id": "unused",
            "fetch.message.max.bytes": 60_000, "fetch.max.bytes": 60_000,
            "message.max.bytes": 60_000, "queued.max.messages.kbytes": 100,
            "receive.message.max.bytes": 100_000_000})
        consumer.assign([TopicPartition("slow-out", 0, 0)])
        start, values = time.monotonic(), 0
        while values < 12 and time.monotonic() - start < 60:
            message = consumer.poll(0.2)
            values += bool(message and not message.error())
        took = time.monotonic() - start
        consumer.close()
        assert values == 12 and took > 1.5, (values, took)
    finally:
        configs(cluster, "--alter", "--user-defaults", "--delete-config", "consumer_byte_rate")


def test_the_answer_tells_for_how_long(cluster):
    """A Fetch that asks for nothing is not throttled, whatever the limit."""
    configs(cluster, "--alter", "--client-defaults", "--add-config", "consumer_byte_rate=1")
    try:
        body = ask(cluster.brokers[1].port, 1, 4, struct.pack(">iiiibi", -1, 0, 1, 1000, 0, 0))
        assert struct.unpack_from(">i", body, 4)[0] == 0
    finally:
        configs(cluster, "--alter", "--client-defaults", "--delete-config", "consumer_byte_rate")


class Wire:
    """Hand-made requests of one client on one connection; each answer with how long it took."""

    def __init__(self, port, client_id=b""):
        self.client_id = client_id
        self.wire = socket.create_connection(("127.0.0.1", port), timeout=30)

    def call(self, api, version, body):
        header = struct.pack(">hhih", api, version, 1, len(self.client_id)) + self.client_id
        start = time.monotonic()
        self.wire.sendall(struct.pack(">i", len(header + body)) + header + body)
        frame = read_exactly(self.wire, struct.unpack(">i", read_exactly(self.wire, 4))[0])
        return frame[4:], time.monotonic() - start


def create_topics(wire, version, names, partitions):
    """The throttle time in ms, and the code for each topic, as CreateTopics answers them."""
    if version < 5:  # without tags
        topics = b"".join(
            struct.pack(">h", len(name)) + name + struct.pack(">ihii", partitions, 1, 0, 0)
            for name in names)
        body, _ = wire.call(19, version, struct.pack(">i", len(names)) + topics
                            + struct.pack(">ib", 30_000, 0))
        position, codes = 8, []
        for name in names:
            position += 2 + len(name)
            codes.append(struct.unpack_from(">h", body, position)[0])
            message = struct.unpack_from(">h", body, position + 2)[0]
            position += 4 + max(message, 0)
        return struct.unpack_from(">i", body)[0], codes
    topics = b"".join(bytes([len(name) + 1]) + name + struct.pack(">ih", partitions, 1) + b"\1\1\0"
                      for name in names)
    body, _ = wire.call(19, version, b"\0" + bytes([len(names) + 1]) + topics
                        + struct.pack(">ib", 30_000, 0) + b"\0")
    # Behind the header's tags: the time, then topics of name, id, code, ….
    throttle, codes = struct.unpack_from(">i", body, 1)[0], []
    for name in names:
        codes.append(struct.unpack_from(">h", body, body.index(name) + len(name) + 16)[0])
    return throttle, codes


@pytest.mark.kraft_only
def test_changes_above_the_mutation_quota_are_refused_or_slowed(cluster):
    # Ten partitions a second, and what eleven seconds bring at once.
    configs(cluster, "--alter", "--client", "mutator", "--add-config",
            "controller_mutation_rate=10")
    configs(cluster, "--alter", "--client", "old-mutator", "--add-config",
            "controller_mutation_rate=10")
    try:
        port = cluster.brokers[2].port
        tag = uuid.uuid4().hex[:6].encode()
        wire = Wire(port, b"mutator")
        wait_until(lambda: "10.0" in configs(cluster, "--describe", "--client", "old-mutator"), 20,
                   "the quota is set")
        assert create_topics(wire, 7, [b"mut-a-" + tag], 112) == (0, [0])
        throttle, codes = create_topics(wire, 7, [b"mut-b-" + tag], 1)
        assert codes == [89] and 0 < throttle <= 200, (codes, throttle)
        wait_until(lambda: create_topics(wire, 7, [b"mut-b-" + tag], 1)[1] == [0], 20,
                   "allowed when it has waited")
        # Older clients do not know the code: they get what they ask for, and are not heard after.
        old = Wire(port, b"old-mutator")
        throttle, codes = create_topics(old, 4, [b"mut-c-" + tag], 125)
        assert codes == [0] and 1000 < throttle <= 1500, (codes, throttle)
        _, took = old.call(18, 0, b"")
        assert took > 0.9, took
        _, took = Wire(port, b"somebody").call(18, 0, b"")
        assert took < 0.9, took
    finally:
        for client in ("mutator", "old-mutator"):
            configs(cluster, "--alter", "--client", client, "--delete-config",
                    "controller_mutation_rate")


def test_a_client_that_takes_too_much_time_is_not_heard(cluster):
    configs(cluster, "--alter", "--client", "busy", "--add-config", "request_percentage=0.01")
    try:
        port = cluster.brokers[1].port
        everything = struct.pack(">i", -1)

        def throttled(client):
            """The longest time told, and the longest time taken, in ms, of fifty Metadata."""
            wire, told, taken = Wire(port, client), 0, 0
            for _ in range(50):
                body, took = wire.call(3, 3, everything)
                told, taken = max(told, struct.unpack_from(">i", body)[0]), max(taken, took * 1000)
                if told:
                    # What it is not heard for shows with the next request.
                    taken = max(taken, wire.call(3, 3, everything)[1] * 1000)
                    break
            return told, taken

        wait_until(lambda: throttled(b"busy")[0] > 0, 20, "it is told to wait")
        told, taken = throttled(b"busy")
        # A window is the longest.
        assert 0 < told <= 1000 and taken > told * 0.8, (told, taken)
        assert throttled(b"idle")[0] == 0
    finally:
        configs(cluster, "--alter", "--client", "busy", "--delete-config", "request_percentage")


def served(port, seconds=5):
    """Whether a new connection is answered."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds) as wire:
            wire.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
            return len(read_exactly(wire, 4)) == 4
    except (ConnectionError, TimeoutError):
        return False


def test_an_address_that_connects_too_fast_is_turned_away(tmp_path):
    """At a rate of five a second there is room for fifty at once."""
    with Cluster(tmp_path, brokers=1, coordinators=1, mode="kraft") as cluster:
        port = cluster.brokers[1].port
        configs(cluster, "--alter", "--ip", "127.0.0.1", "--add-config",
                "connection_creation_rate=5")
        assert "connection_creation_rate=5.0" in configs(
            cluster, "--describe", "--entity-type", "ips")
        outcomes = [served(port) for _ in range(70)]
        assert True in outcomes and False in outcomes[50:], outcomes
        # What was turned away does not count: the others' time passes, and it goes on.
        wait_until(lambda: served(port), 30, "served again")

        def removed():
            return "Completed" in configs(
                cluster, "--alter", "--ip", "127.0.0.1", "--delete-config",
                "connection_creation_rate")
        wait_until(removed, 40, "the quota is removed")
        wait_until(lambda: all(served(port) for _ in range(70)), 40, "no limit any more")


def test_a_listener_that_is_connected_to_too_fast_waits(tmp_path):
    name = "listener.name.plaintext.max.connection.creation.rate"
    with Cluster(tmp_path, brokers=1, coordinators=1, mode="kraft") as cluster:
        port = cluster.brokers[1].port
        start = time.monotonic()
        assert all(served(port) for _ in range(130))
        assert time.monotonic() - start < 2
        configs(cluster, "--alter", "--broker-defaults", "--add-config", f"{name}=10")
        wait_until(lambda: name in configs(cluster, "--describe", "--broker-defaults"), 20, "set")
        start = time.monotonic()
        # A hundred at once; each of the others makes the listener wait, and all are served.
        assert all(served(port, 30) for _ in range(115))
        assert time.monotonic() - start > 1
        configs(cluster, "--alter", "--broker-defaults", "--delete-config", name)


@pytest.mark.zookeeper_only
def test_quotas_are_where_kafka_keeps_them(cluster):
    """Znodes as Kafka writes them, and as somebody else may write them."""
    configs(cluster, "--alter", "--user", "z/u", "--client", "c 1", "--add-config",
            "producer_byte_rate=7,request_percentage=2.5")
    client = KazooClient(hosts=cluster.store.connect, timeout=10)
    client.start(20)
    try:
        path = "/config/users/z%2Fu/clients/c%201"
        stored = json.loads(client.get(path)[0])
        assert stored == {
            "version": 1, "config": {"producer_byte_rate": "7", "request_percentage": "2.5"}}
        changes = client.get_children("/config/changes")
        newest = client.get(f"/config/changes/{max(changes)}")[0]
        assert json.loads(newest) == {"version": 2, "entity_path": path[len("/config/"):]}
        client.create("/config/clients/foreign", json.dumps(
            {"version": 1, "config": {"consumer_byte_rate": "1234"}}).encode())
        client.create("/config/changes/config_change_", json.dumps(
            {"version": 2, "entity_path": "clients/foreign"}).encode(), sequence=True)
        wait_until(lambda: "consumer_byte_rate=1234.0" in configs(
            cluster, "--describe", "--client", "foreign"), 20, "what another has written")
        # What is no quota stays.
        client.set("/config/clients/foreign", json.dumps(
            {"version": 1, "config": {"consumer_byte_rate": "1234", "x": "y"}}).encode())
        configs(cluster, "--alter", "--client", "foreign", "--delete-config", "consumer_byte_rate")
        assert json.loads(client.get("/config/clients/foreign")[0]) == {
            "version": 1, "config": {"x": "y"}}
    finally:
        client.stop()
        client.close()
    for wrong in ("bogus=1", "producer_byte_rate=0", "producer_byte_rate=1.5"):
        assert "INVALID_REQUEST" in configs(
            cluster, "--alter", "--client", "foreign", "--add-config", wrong, status=1)


@pytest.mark.kraft_only
def test_scram_credentials_are_salted_by_the_tool(cluster):
    user = "scram-" + uuid.uuid4().hex[:6]
    for credential in ("SCRAM-SHA-256=[iterations=8192,password=a,b=c]",
                       "SCRAM-SHA-512=[password=d]"):
        assert f"Completed updating config for user {user}." in configs(
            cluster, "--alter", "--entity-type", "users", "--entity-name", user, "--add-config",
            credential)
    # A user is changed once in a request, as in Kafka.
    both = "SCRAM-SHA-256=[password=a],SCRAM-SHA-512=[password=d]"
    assert "DUPLICATE_RESOURCE" in configs(
        cluster, "--alter", "--user", user, "--add-config", both, status=1)
    said = (f"SCRAM credential configs for user-principal '{user}' are "
            "SCRAM-SHA-256=iterations=8192, SCRAM-SHA-512=iterations=4096")
    wait_until(lambda: said in configs(cluster, "--describe", "--user", user), 20, "described")
    assert said in configs(cluster, "--describe", "--entity-type", "users")
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    infos = admin.describe_user_scram_credentials([user])[user].result(30).scram_credential_infos
    assert sorted(info.iterations for info in infos) == [4096, 8192]
    for wrong in ("SCRAM-SHA-256=[iterations=4095,password=a]", "SCRAM-SHA-256=[iterations=8192]",
                  "SCRAM-MD5=[password=a]", "SCRAM-SHA-256=[password=a],producer_byte_rate=1"):
        configs(cluster, "--alter", "--user", user, "--add-config", wrong, status=2)
    configs(cluster, "--alter", "--user-defaults", "--add-config", "SCRAM-SHA-256=[password=a]",
            status=2)
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        configs(cluster, "--alter", "--user", user, "--delete-config", mechanism)
    wait_until(lambda: configs(cluster, "--describe", "--user", user) == "", 20, "gone")
    assert "RESOURCE_NOT_FOUND" in configs(
        cluster, "--alter", "--user", user, "--delete-config", "SCRAM-SHA-256", status=1)


@pytest.mark.kraft_only
def test_controllers_are_configured_by_themselves(cluster):
    """What --bootstrap-controller reaches: no broker is asked."""
    controller = cluster.store.leader()

    def ask_controllers(*arguments, status=0):
        done = subprocess.run(
            [BIN / "jackdaw", "configs", "--bootstrap-controller", f"127.0.0.1:{controller.port}",
             *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == status, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    node = str(controller.node_id)
    ask_controllers("--alter", "--broker", node, "--add-config", "max.connections=1234")
    wait_until(lambda: "max.connections=1234" in ask_controllers("--describe", "--broker", node),
               20, "its own setting")
    everything = ask_controllers("--describe", "--all", "--broker", node)
    assert "process.roles=controller" in everything
    assert f"node.id={node}" in everything
    # All controllers, one after the other.
    assert ask_controllers("--describe", "--entity-type", "brokers").count(
        "Dynamic configs for broker") == 3
    ask_controllers("--alter", "--broker", node, "--delete-config", "max.connections")
    assert "no topics" in ask_controllers("--describe", "--entity-type", "topics", status=1)
