"""One coordination server under kazoo, and Debian's ZooKeeper on the same data directory."""

import pathlib
import shutil
import socket
import struct
import threading
import time

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import (
    AuthFailedError, BadArgumentsError, BadVersionError, InvalidACLError, NoAuthError,
    NoChildrenForEphemeralsError, NodeExistsError, NoNodeError, NotEmptyError, RolledBackError,
    RuntimeInconsistency, SessionExpiredError)
from kazoo.protocol.states import WatchedEvent
from kazoo.security import make_acl, make_digest_acl

from harness import Coordinator, Ensemble, ended, wait_until

REAL_JARS = pathlib.Path("/usr/share/java/zookeeper.jar")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Ensemble(tmp_path_factory.mktemp("standalone"), 1) as ensemble:
        yield ensemble.servers[1]


@pytest.fixture
def client(server):
    client = connect(server.port)
    yield client
    client.stop()
    client.close()


@pytest.fixture
def root(client, request):
    path = "/" + request.node.name.replace("[", "-").replace("]", "")
    client.ensure_path(path)
    return path


def connect(port, **options):
    client = KazooClient(f"127.0.0.1:{port}", timeout=options.pop("timeout", 10), **options)
    client.start(15)
    return client


def test_nodes_have_data_and_stat(client, root):
    path, stat = client.create(f"{root}/a", b"one", include_data=True)
    assert (path, stat.version, stat.dataLength) == (f"{root}/a", 0, 3)
    assert client.get(path)[0] == b"one"
    assert client.set(path, b"two", version=0).version == 1
    with pytest.raises(BadVersionError):
        client.set(path, b"three", version=0)
    assert client.exists(f"{root}/none") is None
    client.create(f"{path}/child")
    with pytest.raises(NotEmptyError):
        client.delete(path)
    assert client.get_children(root, include_data=True)[1].cversion == 1
    client.delete(f"{path}/child")
    client.delete(path)
    with pytest.raises(NoNodeError):
        client.get(path)
    stat = client.exists(root)
    assert (stat.cversion, stat.numChildren) == (2, 0)


def test_creation_follows_the_rules(client, root):
    client.create(f"{root}/a")
    with pytest.raises(NodeExistsError):
        client.create(f"{root}/a")
    with pytest.raises(NoNodeError):
        client.create(f"{root}/x/y")
    client.create(f"{root}/e", ephemeral=True)
    with pytest.raises(NoChildrenForEphemeralsError):
        client.create(f"{root}/e/x")
    names = [client.create(f"{root}/s-", sequence=True) for _ in range(3)]
    assert [name[-10:] for name in names] == ["0000000002", "0000000003", "0000000004"]
    with pytest.raises(BadArgumentsError):
        client.delete("/zookeeper")


def test_a_multi_is_done_whole_or_not_at_all(client, root):
    multi = client.transaction()
    multi.create(f"{root}/a", b"1")
    multi.set_data(f"{root}/a", b"2")
    multi.check(f"{root}/a", 1)
    results = multi.commit()
    assert results[0] == f"{root}/a" and results[1].version == 1 and results[2] is True
    multi = client.transaction()
    multi.delete(f"{root}/a")
    multi.check(f"{root}/a", 0)
    multi.create(f"{root}/b")
    results = multi.commit()
    assert [type(result) for result in results] == [
        RolledBackError, NoNodeError, RuntimeInconsistency]
    assert client.get(f"{root}/a")[0] == b"2"


def test_watches_fire_before_the_change_is_seen(client, root):
    events = []
    client.create(f"{root}/a", b"")
    client.get(f"{root}/a", watch=events.append)
    client.get_children(root, watch=events.append)
    client.exists(f"{root}/b", watch=events.append)
    client.create(f"{root}/b")
    client.set(f"{root}/a", b"x")
    client.set(f"{root}/a", b"y")
    wait_until(lambda: len(events) == 3, 5, "three events")
    assert [(event.type, event.path) for event in events] == [
        ("CREATED", f"{root}/b"), ("CHILD", root), ("CHANGED", f"{root}/a")]
    assert all(isinstance(event, WatchedEvent) for event in events)


def test_access_is_controlled(server, client, root):
    acl = [make_digest_acl("alice", "secret", all=True)]
    client.create(f"{root}/own", b"x", acl=acl)
    with pytest.raises(NoAuthError):
        client.get(f"{root}/own")
    with pytest.raises(InvalidACLError):
        client.create(f"{root}/bad", acl=[make_acl("nosuch", "x", all=True)])
    alice = connect(server.port, auth_data=[("digest", "alice:secret")])
    try:
        assert alice.get(f"{root}/own")[0] == b"x"
        assert alice.get_acls(f"{root}/own")[0] == acl
        alice.set_acls(f"{root}/own", [make_acl("ip", "127.0.0.0/8", read=True)])
    finally:
        alice.stop()
    assert client.get(f"{root}/own")[0] == b"x"
    with pytest.raises(NoAuthError):
        client.set(f"{root}/own", b"y")
    with pytest.raises(AuthFailedError):
        client.add_auth("nosuch", "x")


def test_requests_are_answered_in_order(client, root):
    client.create(f"{root}/n", b"0")
    pending = []
    for number in range(500):
        pending.append((client.set_async(f"{root}/n", str(number).encode()), None))
        pending.append((client.get_async(f"{root}/n"), str(number).encode()))
    for result, expected in pending:
        value = result.get(10)
        if expected is not None:
            assert value[0] == expected


class RawClient:
    """A session on a bare socket: it is silent when it is not told to speak."""

    def __init__(self, port, timeout_ms, session=0, password=b"\0" * 16):
        self.wire = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.xid = 0
        answer = self.call(struct.pack(">iqiq", 0, 0, timeout_ms, session) + text(password) + b"\0")
        self.timeout_ms, self.session = struct.unpack(">iq", answer[4:16])
        self.password = answer[20:36]

    def call(self, body):
        self.wire.sendall(struct.pack(">i", len(body)) + body)
        return self.receive()

    def receive(self):
        length, = struct.unpack(">i", self.exactly(4))
        return self.exactly(length)

    def exactly(self, count):
        parts = b""
        while len(parts) < count:
            part = self.wire.recv(count - len(parts))
            if not part:
                raise ConnectionError("closed")
            parts += part
        return parts

    def create_ephemeral(self, path):
        self.xid += 1
        acl = struct.pack(">ii", 1, 31) + text(b"world") + text(b"anyone")
        reply = self.call(struct.pack(">ii", self.xid, 1) + text(path.encode()) + text(b"") + acl
                          + struct.pack(">i", 1))
        xid, _, error = struct.unpack(">iqi", reply[:16])
        assert (xid, error) == (self.xid, 0)


def text(value):
    return struct.pack(">i", len(value)) + value


def test_ephemerals_end_with_their_session(server, client, root):
    other = connect(server.port, timeout=2)
    other.create(f"{root}/clean", ephemeral=True)
    other.stop()
    assert client.exists(f"{root}/clean") is None
    gone = threading.Event()
    silent = RawClient(server.port, 1500)
    assert silent.timeout_ms == 1500
    silent.create_ephemeral(f"{root}/silent")
    start = time.monotonic()
    assert client.exists(f"{root}/silent", watch=lambda event: gone.set()).ephemeralOwner == silent.session
    assert gone.wait(10)
    assert time.monotonic() - start > 1
    with pytest.raises(ConnectionError):
        silent.receive()


def test_a_session_moves_to_a_new_connection(server, client, root):
    first = RawClient(server.port, 5000)
    first.create_ephemeral(f"{root}/e")
    second = RawClient(server.port, 5000, first.session, first.password)
    assert second.session == first.session
    with pytest.raises(ConnectionError):
        first.receive()
    second.create_ephemeral(f"{root}/e2")
    assert client.exists(f"{root}/e").ephemeralOwner == second.session
    # A client that drops its connection has its session's time to come back.
    second.wire.close()
    third = RawClient(server.port, 5000, first.session, first.password)
    assert third.session == first.session
    third.call(struct.pack(">ii", 9, -11))
    assert client.exists(f"{root}/e") is None


def test_a_wrong_password_opens_no_session(server, client):
    lost = RawClient(server.port, 5000, client.client_id[0], b"x" * 16)
    assert (lost.session, lost.timeout_ms) == (0, 0)
    with pytest.raises(ConnectionError):
        lost.receive()


def test_recipes(server, client, root):
    others = [connect(server.port) for _ in range(3)]
    try:
        held, order = [], []

        def work(me):
            with me.Lock(f"{root}/lock"):
                held.append(1)
                assert len(held) == 1
                order.append(me)
                time.sleep(0.02)
                held.pop()

        run([(work, other) for other in others])
        assert len(order) == 3
        counter = client.Counter(f"{root}/counter")
        run([(lambda me: [me.Counter(f"{root}/counter") + 1 for _ in range(10)], other)
             for other in others])
        assert counter.value == 30
        queue = client.LockingQueue(f"{root}/queue")
        queue.put_all([str(number).encode() for number in range(10)])
        taken = []
        for _ in range(10):
            taken.append(queue.get(5))
            queue.consume()
        assert taken == [str(number).encode() for number in range(10)]
        elected = []
        run([(lambda me: me.Election(f"{root}/election").run(elected.append, me), other)
             for other in others])
        assert len(elected) == 3
        barrier = client.Barrier(f"{root}/barrier")
        barrier.create()
        waiting = threading.Thread(target=others[0].Barrier(f"{root}/barrier").wait, args=(10,))
        waiting.start()
        barrier.remove()
        waiting.join(10)
        assert not waiting.is_alive()
        doubles = [other.DoubleBarrier(f"{root}/double", 3) for other in others]
        run([(lambda double: (double.enter(), double.leave()), double) for double in doubles])
    finally:
        for other in others:
            other.stop()


def run(calls):
    failures = []

    def guarded(function, argument):
        try:
            function(argument)
        except Exception as error:  # told to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures and not any(thread.is_alive() for thread in threads), failures


def test_malformed_input_ends_the_connection_and_nothing_else(server, client):
    for garbage in (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff" + b"x" * 64, struct.pack(">i", 3) + b"abc",
                    struct.pack(">i", 8) + b"\0" * 8):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as wire:
            wire.sendall(garbage)
            assert ended(wire)
    assert client.exists("/")


def test_four_letter_words(server, client):
    assert server.words("ruok") == "imok"
    assert "Mode: standalone" in server.words("srvr")
    mntr = dict(line.split("\t", 1) for line in server.words("mntr").splitlines())
    assert mntr["zk_server_state"] == "standalone"
    assert int(mntr["zk_znode_count"]) > 4
    client.get("/", watch=lambda event: None)
    for word in ("stat", "conf", "cons", "envi", "dump", "wchs", "wchc", "wchp", "isro", "dirs"):
        assert server.words(word), word


def test_what_was_acknowledged_survives_sigkill(tmp_path):
    settings = {"snapCount": 300}
    with Ensemble(tmp_path, 1, settings=settings) as ensemble:
        server = ensemble.servers[1]
        acknowledged = 0
        for _ in range(3):
            client = connect(server.port)
            pending = [client.create_async(f"/n{acknowledged + index}", b"x" * 100)
                       for index in range(2000)]
            for result in pending[:1000]:
                result.get(20)
            server.kill()
            done = sum(1 for result in pending if result.ready() and result.successful())
            client.stop()
            client.close()
            server.start()
            ensemble.wait_until_serving()
            check = connect(server.port)
            names = set(check.get_children("/"))
            assert {f"n{acknowledged + index}" for index in range(done)} <= names
            # What was not acknowledged may be there too, but never with a hole before it.
            count = sum(1 for name in names if name.startswith("n"))
            assert names >= {f"n{index}" for index in range(count)}
            acknowledged = count
            check.stop()
        assert len(list((server.data / "version-2").glob("snapshot.*"))) > 2


def dump(client, path="/"):
    data, stat = client.get(path)
    nodes = {path: (data, stat[:7] + stat[8:], tuple(client.get_acls(path)[0]))}
    for name in client.get_children(path):
        child = f"/{name}" if path == "/" else f"{path}/{name}"
        if child != "/zookeeper":
            nodes.update(dump(client, child))
    return nodes


@pytest.mark.skipif(not REAL_JARS.exists(), reason="apt-get install zookeeper")
@pytest.mark.parametrize("real_first", [False, True])
def test_a_real_server_and_ours_start_on_each_others_data(tmp_path, real_first):
    trees = []
    data = None
    for turn in range(3):
        is_real = (turn % 2 == 0) == real_first
        folder = tmp_path / str(turn)
        folder.mkdir()
        server = Coordinator(folder, real=is_real, settings={"snapCount": 100})
        if data is not None:
            shutil.rmtree(server.data)
            shutil.copytree(data, server.data)
        server.start()
        try:
            server.wait_for_port(server.port, 30)
            wait_until(lambda: server.mode() == "standalone", 30, server.tail())
            client = connect(server.port)
            if trees:
                assert dump(client) == trees[-1]
            client.create(f"/turn-{turn}", b"made here", acl=[make_acl("world", "anyone", all=True)])
            client.create(f"/turn-{turn}/own", b"x", acl=[
                make_digest_acl("a", "b", all=True), make_acl("world", "anyone", read=True)])
            for index in range(150):
                client.create(f"/turn-{turn}/s-", b"v", sequence=True)
            multi = client.transaction()
            multi.create(f"/turn-{turn}/m", b"1")
            multi.check("/", 99)
            multi.commit()
            multi = client.transaction()
            multi.create(f"/turn-{turn}/m", b"1")
            multi.set_data(f"/turn-{turn}", b"changed")
            multi.commit()
            client.create(f"/turn-{turn}/e", ephemeral=True)
            client.delete(f"/turn-{turn}/s-0000000002")
            trees.append(None)
            client.stop()
            client.close()
            client = connect(server.port)
            trees[-1] = dump(client)
            client.stop()
            client.close()
        finally:
            server.kill()
        assert "digest" not in server.log_text().lower() or not is_real or \
            "mismatch" not in server.log_text().lower(), server.tail()
        data = server.data
