"""Voters join and leave a quorum as a user does it: through metadata-quorum, under load."""

import base64
import subprocess
import threading

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness import BIN, Process, free_port, wait_until
from kraft import format_directories, write_config
from test_kraft_voters import DynamicQuorum


def directory_text(server):
    for line in (server.data / "meta.properties").read_text().splitlines():
        if line.startswith("directory.id="):
            return line.split("=", 1)[1]
    raise AssertionError("no directory.id")


class Load:
    """Records with acks=all and topics that come, until told to stop."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.delivered, self.problems, self.created = 0, [], []
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self.produce), threading.Thread(target=self.admin)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        for thread in self.threads:
            thread.join()

    def produce(self):
        producer = Producer({"bootstrap.servers": self.bootstrap, "acks": "all", "linger.ms": 5})

        def report(error, _):
            if error:
                self.problems.append(error)
            else:
                self.delivered += 1
        number = 0
        while not self.ends.wait(0.01):
            producer.produce("load", str(number), on_delivery=report)
            producer.poll(0)
            number += 1
        assert producer.flush(20) == 0

    def admin(self):
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        while not self.ends.wait(0.1):
            name = f"made-{len(self.created)}"
            try:
                admin.create_topics([NewTopic(name, 1, 1)])[name].result(timeout=30)
            except Exception as problem:  # the client's own retry may find it made
                if problem.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    self.problems.append(problem)
                    return
            self.created.append(name)


def create(bootstrap, name):
    # The client must outlive its futures.
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(timeout=20)


def tool(bootstrap, *arguments):
    return subprocess.run(
        [BIN / "jackdaw", "metadata-quorum", "--bootstrap-server", bootstrap, *map(str, arguments)],
        capture_output=True, text=True, timeout=60)


def until_done(bootstrap, what, *arguments):
    """A change is refused while the one before it, or the new replica, is not ready yet; a tool run
    again is what a user does then. A second try of what was done finds it done."""
    said = []

    def attempt():
        done = tool(bootstrap, *arguments)
        said.append(done.stdout + done.stderr)
        return (done.returncode == 0 or "DUPLICATE_VOTER" in said[-1]
                or "VOTER_NOT_FOUND" in said[-1])
    try:
        wait_until(attempt, 25, what)
    except AssertionError as problem:
        raise AssertionError(f"{problem}\n" + "\n".join(said)) from None


@pytest.fixture
def five(tmp_path):
    """Five controllers, the first of which formed the quorum alone, and one broker."""
    with DynamicQuorum(tmp_path, 5) as quorum:
        port = free_port()
        config = write_config(tmp_path / "broker.properties", {
            "process.roles": "broker", "node.id": 1, "listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": quorum.bootstrap, "log.dirs": tmp_path / "broker",
            "num.network.threads": 1})
        format_directories(config, quorum.cluster_id, "--no-initial-controllers")
        broker = Process("broker", [BIN / "jackdaw-broker", config], tmp_path).start()
        try:
            broker.wait_for_line("Kafka Server started", 60)
            quorum.broker = f"127.0.0.1:{port}"
            create(quorum.broker, "load")
            yield quorum
        finally:
            broker.kill()


def add(quorum, server):
    until_done(quorum.broker, f"{server.name} joins", "--command-config", server.config,
               "add-controller")


def remove(quorum, server):
    until_done(quorum.broker, f"{server.name} leaves", "remove-controller", "--controller-id",
               server.node_id, "--controller-directory-id", directory_text(server))


def test_from_three_to_five_and_back_under_load(five):
    servers = list(five.servers.values())
    for server in servers[1:3]:
        add(five, server)
    five.wait_for_voters(3, servers[:3])
    with Load(five.broker) as load:
        wait_until(lambda: load.delivered > 10 and load.created, 20, "load flows")
        for server in servers[3:]:
            add(five, server)
        five.wait_for_voters(5)
        # Back to three: the leader is one of those that go.
        leader = five.leader()
        follower = next(server for server in servers if server is not leader)
        remove(five, leader)
        rest = [server for server in servers if server is not leader]
        wait_until(lambda: any(s.mode() == "leader" for s in rest), 20, "one of the rest leads")
        remove(five, follower)
        rest.remove(follower)
        five.wait_for_voters(3, rest)
        before = (load.delivered, len(load.created))
        wait_until(lambda: load.delivered > before[0] + 20 and len(load.created) > before[1] + 2,
                   20, "load goes on")
    assert not load.problems, load.problems
    # Who left is not needed, and what was acknowledged is there.
    for server in (leader, follower):
        server.kill()
    names = AdminClient({"bootstrap.servers": five.broker}).list_topics(timeout=10).topics
    assert set(load.created) <= set(names)
    create(five.broker, "after")
    voters = tool(five.broker, "describe", "--status").stdout
    assert all(f'"id": {server.node_id}' in voters or f'"id":{server.node_id}' in voters
               for server in rest), voters


def test_a_voter_that_moved_tells_the_quorum(five):
    first, second, third = list(five.servers.values())[:3]
    for server in (second, third):
        add(five, server)
    five.wait_for_voters(3, [first, second, third])
    assert len(base64.urlsafe_b64decode(directory_text(third) + "==")) == 16
    # The third comes back at another port: nobody can know but from itself.
    third.kill()
    lines = dict(line.split("=", 1) for line in third.config.read_text().splitlines())
    old, third.port = third.port, free_port()
    for key in ("listeners", "advertised.listeners"):
        if key in lines:
            lines[key] = lines[key].replace(str(old), str(third.port))
    write_config(third.config, lines)
    third.start()
    wait_until(lambda: str(third.port) in tool(five.broker, "describe", "--status").stdout, 25,
               f"the new port is in the voters\n{third.tail()}")
    # With one more gone, it is needed for a majority: the others do reach it.
    first.kill()
    wait_until(lambda: five.leader(), 20, "another leads")
    create(five.broker, "moved")
