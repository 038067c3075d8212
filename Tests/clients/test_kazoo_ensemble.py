"""Three coordination servers under a real client: kazoo, with its recipes, and kills of any member."""

import socket
import struct
import subprocess
import sys
import threading
import time
from random import Random

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import (
    BadVersionError, ConnectionLoss, NodeExistsError, NoNodeError, OperationTimeoutError,
    SessionExpiredError)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.retry import KazooRetry
from kazoo.recipe.barrier import Barrier, DoubleBarrier
from kazoo.recipe.counter import Counter
from kazoo.recipe.election import Election
from kazoo.recipe.lock import Lock
from kazoo.recipe.queue import LockingQueue, Queue

from harness import Ensemble, wait_until

LOST = (ConnectionLoss, OperationTimeoutError, SessionExpiredError, KazooTimeoutError)


def client(hosts, timeout=10.0):
    """A started client that retries what it may."""
    retry = KazooRetry(max_tries=-1, delay=0.05, max_delay=0.5, backoff=1.5)
    zk = KazooClient(hosts=hosts, timeout=timeout, connection_retry=retry, randomize_hosts=False)
    zk.start(timeout=30)
    return zk


@pytest.fixture
def zk(ensemble):
    zk = client(ensemble.connect)
    yield zk
    zk.stop()
    zk.close()


def address(server):
    return f"127.0.0.1:{server.port}"


def test_one_leads_and_the_others_follow(ensemble):
    modes = sorted(server.mode() for server in ensemble.servers.values())
    assert modes == ["follower", "follower", "leader"]
    leader = ensemble.leader()
    assert "zk_server_state\tleader" in leader.words("mntr")
    assert "zk_synced_followers\t2" in leader.words("mntr")


def test_a_write_through_any_server_is_seen_through_all(ensemble):
    clients = [client(address(server)) for server in ensemble.servers.values()]
    try:
        clients[0].ensure_path("/everywhere")
        for number, writer in enumerate(clients):
            writer.create(f"/everywhere/{number}", b"%d" % number)
            for reader in clients:
                reader.sync("/everywhere")
                assert reader.get(f"/everywhere/{number}")[0] == b"%d" % number
        stats = [reader.get("/everywhere")[1] for reader in clients]
        assert len({stat.pzxid for stat in stats}) == 1
    finally:
        for zk in clients:
            zk.stop()


def test_watches_fire_on_other_servers(ensemble):
    first, second, third = [client(address(server)) for server in ensemble.servers.values()]
    try:
        first.create("/watched", b"0")
        second.sync("/watched")
        seen = threading.Event()
        second.get("/watched", watch=lambda event: seen.set())
        third.set("/watched", b"1")
        assert seen.wait(5)
        second.sync("/watched")
        assert second.get("/watched")[0] == b"1"
    finally:
        for zk in (first, second, third):
            zk.stop()


def test_multi_is_all_or_nothing(zk):
    zk.ensure_path("/multi")
    transaction = zk.transaction()
    transaction.create("/multi/a", b"1")
    transaction.check("/multi", 99)
    results = transaction.commit()
    assert isinstance(results[1], BadVersionError)
    assert zk.exists("/multi/a") is None
    transaction = zk.transaction()
    transaction.create("/multi/a", b"1")
    transaction.set_data("/multi/a", b"2")
    transaction.commit()
    assert zk.get("/multi/a")[0] == b"2"


def test_a_session_moves_with_its_client(ensemble):
    servers = list(ensemble.servers.values())
    first = client(address(servers[0]))
    first.create("/moves", b"", ephemeral=True)
    session = first.client_id
    # The same session through another server, as after a lost connection.
    second = KazooClient(hosts=address(servers[1]), timeout=10.0, client_id=session)
    second.start(timeout=15)
    try:
        assert second.client_id[0] == session[0]
        owner = second.get("/moves")[1].ephemeralOwner
        assert owner == session[0]
        second.set("/moves", b"still here")
    finally:
        second.stop()
        first.stop()
    zk = client(address(servers[2]))
    wait_until(lambda: zk.exists("/moves") is None, 10, "the ephemeral ends with its session")
    zk.stop()


def test_ephemerals_end_with_a_silent_session(ensemble, zk):
    # A client that is killed says no goodbye: only the leader's clock can end its session.
    script = (
        "import sys, time; from kazoo.client import KazooClient\n"
        "zk = KazooClient(hosts=sys.argv[1], timeout=2.0); zk.start(timeout=20)\n"
        "zk.create('/silent', b'', ephemeral=True); time.sleep(60)\n")
    child = subprocess.Popen([sys.executable, "-c", script, ensemble.connect])
    try:
        wait_until(lambda: zk.exists("/silent"), 20, "the ephemeral is there")
    finally:
        child.kill()
        child.wait()
    wait_until(lambda: zk.exists("/silent") is None, 15, "expiry removes the ephemeral")


# Recipes


def test_lock(ensemble):
    order = []

    def work(name):
        zk = client(ensemble.connect)
        with Lock(zk, "/lock", name):
            order.append(("in", name))
            time.sleep(0.05)
            order.append(("out", name))
        zk.stop()

    threads = [threading.Thread(target=work, args=(f"c{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(order) == 8
    for entered, left in zip(order[::2], order[1::2]):
        assert entered == ("in", left[1]) and left[0] == "out"


def test_election(ensemble):
    led = []
    clients = [client(ensemble.connect) for _ in range(3)]
    threads = [
        threading.Thread(target=lambda zk=zk, i=i: Election(zk, "/election", f"c{i}").run(
            lambda: led.append(i)))
        for i, zk in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(led) == [0, 1, 2]
    for zk in clients:
        zk.stop()


def test_queue(zk):
    queue = Queue(zk, "/queue")
    for number in range(10):
        queue.put(b"%d" % number)
    assert len(queue) == 10
    assert [queue.get() for _ in range(10)] == [b"%d" % number for number in range(10)]
    locking = LockingQueue(zk, "/locking-queue")
    locking.put_all([b"a", b"b"])
    assert locking.get(5) == b"a"
    assert locking.consume()
    assert locking.get(5) == b"b"


def test_barrier(ensemble, zk):
    barrier = Barrier(zk, "/barrier")
    barrier.create()
    opened = []

    def wait():
        other = client(ensemble.connect)
        opened.append(Barrier(other, "/barrier").wait(10))
        other.stop()

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.3)
    assert not opened
    barrier.remove()
    thread.join(15)
    assert opened == [True]


def test_double_barrier(ensemble):
    entered = []

    def take_part():
        zk = client(ensemble.connect)
        barrier = DoubleBarrier(zk, "/double-barrier", 3)
        barrier.enter()
        entered.append(1)
        barrier.leave()
        zk.stop()

    threads = [threading.Thread(target=take_part) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(entered) == 3


def test_counter(ensemble):
    def count():
        zk = client(ensemble.connect)
        counter = Counter(zk, "/counter")
        for _ in range(20):
            counter += 1
        zk.stop()

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    zk = client(ensemble.connect)
    assert Counter(zk, "/counter").value == 60
    zk.stop()


# Kills


class Writer(threading.Thread):
    """Creates numbered znodes and remembers which were acknowledged."""

    def __init__(self, hosts, path):
        super().__init__()
        self.zk = client(hosts)
        self.path = path
        self.zk.ensure_path(path)
        self.acknowledged = []
        self.ending = threading.Event()
        self.failure = None

    def run(self):
        number = 0
        try:
            while not self.ending.is_set():
                number += 1
                try:
                    self.zk.create(f"{self.path}/{number:06}", b"%d" % number)
                except NodeExistsError:
                    pass  # an attempt whose answer was lost
                except LOST:
                    number -= 1
                    time.sleep(0.05)
                    continue
                self.acknowledged.append(number)
        except Exception as error:  # anything else is what the test looks for
            self.failure = error

    def finish(self):
        self.ending.set()
        self.join(60)
        self.zk.stop()
        self.zk.close()
        assert self.failure is None, self.failure
        return self.acknowledged


def assert_present(servers, path, acknowledged):
    """Every acknowledged write is on every server."""
    for server in servers:
        zk = client(address(server))
        zk.sync(path)
        there = {int(name) for name in zk.get_children(path)}
        zk.stop()
        missing = set(acknowledged) - there
        assert not missing, f"{server.name} lacks {sorted(missing)[:10]}"


@pytest.mark.parametrize("victim", ["leader", "follower"])
def test_kill_under_writes_loses_nothing(tmp_path, victim):
    with Ensemble(tmp_path, 3) as ensemble:
        writer = Writer(ensemble.connect, "/kept")
        writer.start()
        for _ in range(3):
            wait_until(lambda: ensemble.leader() is not None, 30, "a leader")
            leader = ensemble.leader()
            target = leader if victim == "leader" else next(
                server for server in ensemble.servers.values() if server is not leader)
            time.sleep(0.5)
            before = len(writer.acknowledged)
            target.kill()
            wait_until(lambda: len(writer.acknowledged) > before + 20, 30,
                       "writes go on\n" + "\n".join(s.tail(15) for s in ensemble.servers.values()))
            target.start()
            ensemble.wait_until_serving()
        acknowledged = writer.finish()
        assert len(acknowledged) > 100
        assert_present(ensemble.servers.values(), "/kept", acknowledged)


def test_five_servers_do_without_any_two(tmp_path):
    with Ensemble(tmp_path, 5) as ensemble:
        writer = Writer(ensemble.connect, "/five")
        writer.start()
        for _ in range(2):
            leader = ensemble.leader()
            other = next(s for s in ensemble.servers.values() if s is not leader)
            time.sleep(0.3)
            before = len(writer.acknowledged)
            leader.kill()
            other.kill()
            wait_until(lambda: len(writer.acknowledged) > before + 20, 30, "writes go on")
            leader.start()
            other.start()
            ensemble.wait_until_serving()
        assert_present(ensemble.servers.values(), "/five", writer.finish())


def test_all_killed_at_once_keep_what_was_acknowledged(tmp_path):
    with Ensemble(tmp_path, 3) as ensemble:
        writer = Writer(ensemble.connect, "/all")
        writer.start()
        wait_until(lambda: len(writer.acknowledged) > 100, 30, "some writes")
        for server in ensemble.servers.values():
            server.kill()
        writer.ending.set()
        for server in ensemble.servers.values():
            server.start()
        ensemble.wait_until_serving()
        assert_present(ensemble.servers.values(), "/all", writer.finish())


def test_a_server_that_was_away_catches_up(tmp_path):
    """From the log while little is missing, by a snapshot when it has lost everything."""
    with Ensemble(tmp_path, 3, settings={"snapCount": 300, "commitLogCount": 50}) as ensemble:
        follower = next(s for s in ensemble.servers.values() if s.mode() == "follower")
        zk = client(",".join(address(s) for s in ensemble.servers.values() if s is not follower))
        zk.create("/away", b"")
        follower.kill()
        for number in range(400):
            zk.create_async(f"/away/{number:06}", b"x" * 100)
        zk.create("/away/999999", b"")
        follower.start()
        ensemble.wait_until_serving()
        assert_present([follower], "/away", range(400))
        follower.kill()
        for file in (follower.data / "version-2").iterdir():
            file.unlink()
        follower.start()
        ensemble.wait_until_serving()
        assert_present([follower], "/away", range(400))
        # And what it got it keeps.
        follower.kill()
        follower.start()
        ensemble.wait_until_serving()
        assert_present([follower], "/away", range(400))
        zk.stop()


def test_garbage_between_servers_is_survived(ensemble, zk):
    """Anybody can connect to the ports that servers use among themselves."""
    random = Random(1)
    hello = struct.pack(">qqi", -65536, 2, 14) + b"127.0.0.1:9999"
    votes = [
        struct.pack(">iiqqqqii", 44, 0, 3, 2**63 - 1, 2**63 - 1, 2**63 - 1, 2, 0),
        struct.pack(">iiqqqqii", 44, 2, 9, 5, 5, 5, 2, 2**31 - 1),
        struct.pack(">i", -1), struct.pack(">i", 2**31 - 1), b"",
    ]
    packets = [
        struct.pack(">iqi", 11, 2**63 - 1, 20) + struct.pack(">qiqi", 77, 0x10000, 0, -1),
        struct.pack(">iqi", 1, 0, 2**31 - 1), struct.pack(">iqi", 11, 0, -2),
        struct.pack(">iqii", 3, 0, -1, -1),
    ]
    for server in ensemble.servers.values():
        for _ in range(30):
            for port, words in ((server.election_port, [hello + vote for vote in votes]),
                                (server.quorum_port, packets)):
                noise = random.randbytes(random.randrange(200))
                data = random.choice([noise, random.choice(words), random.choice(words) + noise])
                try:
                    with socket.create_connection(("127.0.0.1", port), timeout=2) as wire:
                        wire.sendall(data)
                        if random.random() < 0.2:
                            time.sleep(0.02)
                except OSError:
                    pass  # refused, or closed at once: both are right
    assert all(server.is_running for server in ensemble.servers.values())
    ensemble.wait_until_serving()

    def writes():
        try:
            zk.ensure_path("/after-garbage")
            return True
        except LOST:
            return False
    wait_until(writes, 30, "the ensemble goes on")


def test_a_paused_leader_is_replaced_and_comes_back_as_follower(tmp_path):
    with Ensemble(tmp_path, 3, settings={"tickTime": 200, "syncLimit": 5}) as ensemble:
        old = ensemble.leader()
        others = [server for server in ensemble.servers.values() if server is not old]
        zk = client(",".join(map(address, others)))
        zk.create("/paused", b"before")
        old.pause()
        wait_until(lambda: any(server.mode() == "leader" for server in others), 30, "a new leader")

        def write():
            try:
                zk.set("/paused", b"after")
                return True
            except LOST:
                return False
        wait_until(write, 30, "writes with the new leader")
        old.resume()
        wait_until(lambda: old.mode() == "follower", 30, "the old leader follows\n" + old.tail())
        late = client(address(old))
        late.sync("/paused")
        assert late.get("/paused")[0] == b"after"
        late.stop()
        zk.stop()


def test_a_lone_server_does_not_serve(tmp_path):
    with Ensemble(tmp_path, 3) as ensemble:
        first, *others = ensemble.servers.values()
        for server in others:
            server.kill()

        def refuses():
            return "not currently serving" in first.words("srvr")
        wait_until(refuses, 30, "a minority stops serving")
        others[0].start()
        ensemble.wait_until_serving(among=[1, others[0].sid])


def test_sessions_survive_the_leader(tmp_path):
    with Ensemble(tmp_path, 3) as ensemble:
        zk = client(ensemble.connect, timeout=15.0)
        zk.create("/survivor", b"", ephemeral=True)
        session = zk.client_id[0]
        ensemble.leader().kill()

        def still_there():
            try:
                return zk.get("/survivor")[1].ephemeralOwner == session
            except LOST:
                return False
        wait_until(still_there, 30, "the session goes on")
        assert zk.client_id[0] == session
        zk.stop()
        with pytest.raises(NoNodeError):
            other = client(ensemble.connect)
            try:
                other.sync("/")
                other.get("/survivor")
            finally:
                other.stop()
