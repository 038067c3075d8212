"""Roles of servers in an ensemble: observers, leaders that do not serve, groups, readers without a
quorum, and leaders that hand over when they are told to stop."""

import threading
import time

import pytest
from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import NotReadOnlyCallError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KeeperState

from harness import Ensemble, wait_until
from test_kazoo_ensemble import LOST, Writer, address, assert_present, client


def refused(server):
    """Whether a client gets no session from this server alone."""
    zk = KazooClient(hosts=address(server), timeout=5)
    try:
        zk.start(timeout=1.5)
        return False
    except KazooTimeoutError:
        return True
    finally:
        zk.stop()
        zk.close()


def test_a_leader_that_does_not_serve(tmp_path):
    with Ensemble(tmp_path, 3, settings={"leaderServes": "no"}) as ensemble:
        leader = ensemble.leader()
        assert refused(leader)
        zk = client(ensemble.connect)
        zk.create("/served", b"by followers")
        # Whoever leads next turns its clients away, and the former leader takes them.
        leader.kill()
        wait_until(lambda: ensemble.leader() is not None, 30, "another leads")
        leader.start()
        ensemble.wait_until_serving()
        assert refused(ensemble.leader())
        assert not refused(leader)
        zk.stop()


@pytest.mark.parametrize("real", [set(), {4}, {1, 2, 3}], ids=["ours", "real-observer", "our-observer"])
def test_observers_serve_and_do_not_count(tmp_path, real):
    with Ensemble(tmp_path, 4, real=real, observers={4}) as ensemble:
        observer = ensemble.servers[4]
        assert observer.mode() == "observer"
        zk = client(address(observer))
        zk.create("/by-observer", b"1")
        zk.create("/by-observer/ephemeral", b"", ephemeral=True)
        fired = threading.Event()
        zk.get_children("/by-observer", watch=lambda event: fired.set())
        writer = client(",".join(address(ensemble.servers[sid]) for sid in (1, 2, 3)))
        writer.create("/by-observer/child", b"")
        assert fired.wait(10)
        zk.sync("/by-observer")
        assert sorted(zk.get_children("/by-observer")) == ["child", "ephemeral"]
        # Two of three voters are a majority; one of them and the observer are not.
        ensemble.servers[1].kill()
        writer.retry(writer.create, "/by-observer/two", b"")
        ensemble.servers[2].kill()
        wait_until(lambda: ensemble.servers[3].mode() not in ("leader", "follower"), 30,
                   "no majority, no service")
        ensemble.servers[2].start()
        ensemble.wait_until_serving(among=[2, 3, 4])
        writer.retry(writer.ensure_path, "/by-observer/three")
        assert_sees(zk, "/by-observer", {"child", "two", "three"})
        zk.stop()
        writer.stop()


def assert_sees(zk, path, children):
    def seen():
        zk.sync(path)
        return children <= set(zk.get_children(path))
    wait_until(seen, 30, f"{children} under {path}")


@pytest.mark.parametrize("real", [set(), {1, 4}], ids=["ours", "mixed"])
def test_groups_and_weights(tmp_path, real):
    """Two of three groups of two, one of which weighs all in one server."""
    settings = {"group.1": "1:2", "group.2": "3:4", "group.3": "5:6",
                "weight.1": 1, "weight.2": 1, "weight.3": 3, "weight.4": 1, "weight.5": 1,
                "weight.6": 0}
    with Ensemble(tmp_path, 6, real=real, settings=settings) as ensemble:
        zk = client(ensemble.connect)
        assert b"group.2=3:4" in zk.get("/zookeeper/config")[0]
        zk.create("/grouped", b"")
        # Group 2 has its majority in server 3 and group 3 in server 5: two servers of six.
        for sid in (1, 2, 4, 6):
            ensemble.servers[sid].kill()
        ensemble.wait_until_serving(among=[3, 5])
        zk.stop()
        zk = client(",".join(address(ensemble.servers[sid]) for sid in (3, 5)))
        zk.create("/grouped/by-two", b"")
        # Four servers that hold only one group are no quorum.
        for sid in (1, 2, 4, 6):
            ensemble.servers[sid].start()
        ensemble.wait_until_serving()
        for sid in (3, 5):
            ensemble.servers[sid].kill()
        time.sleep(3)
        modes = {ensemble.servers[sid].mode() for sid in (1, 2, 4, 6)}
        assert modes.isdisjoint({"leader", "follower"}), modes
        zk.stop()


def test_readers_are_served_without_a_quorum(tmp_path):
    with Ensemble(tmp_path, 3, settings={"readonlymode.enabled": "true"}) as ensemble:
        zk = client(ensemble.connect)
        zk.create("/readable", b"still here")
        zk.stop()
        survivor = ensemble.servers[2]
        wait_until(lambda: has(survivor, "/readable"), 10, "the survivor has it")
        assert survivor.words("isro") == "rw"
        for sid in (1, 3):
            ensemble.servers[sid].kill()
        wait_until(lambda: survivor.words("isro") == "ro", 20, "read-only mode")
        assert "Mode: read-only" in survivor.words("srvr")
        assert refused(survivor)
        reader = KazooClient(hosts=address(survivor), read_only=True, timeout=10)
        reader.start(timeout=10)
        assert reader.client_state == KeeperState.CONNECTED_RO
        assert reader.get("/readable")[0] == b"still here"
        with pytest.raises(NotReadOnlyCallError):
            reader.create("/written", b"")
        with pytest.raises(NotReadOnlyCallError):
            reader.sync("/readable")
        assert reader.get_children("/") != []
        for sid in (1, 3):
            ensemble.servers[sid].start()
        wait_until(lambda: survivor.words("isro") == "rw", 30, "a quorum is back")
        wait_until(lambda: reader.client_state == KeeperState.CONNECTED, 30, "may write again")
        reader.retry(reader.create, "/written", b"")
        reader.stop()


def has(server, path):
    zk = client(address(server))
    try:
        return zk.exists(path) is not None
    finally:
        zk.stop()


@pytest.mark.parametrize("real", [set(), "others"], ids=["ours", "among-real"])
def test_a_leader_that_stops_hands_over(tmp_path, real):
    """SIGTERM of the leader costs a client less than its death: nothing asked is left open."""
    with Ensemble(tmp_path, 3, real={1, 2} if real else set()) as ensemble:
        if real:
            # With empty logs the highest id leads, and ours is up before the others' machines are.
            assert ensemble.leader().sid == 3
        leader = ensemble.leader()
        writer = Writer(ensemble.connect, "/handed-over")
        writer.start()
        wait_until(lambda: len(writer.acknowledged) > 20, 30, "writes")
        begin = time.monotonic()
        assert leader.stop() == 0
        before = len(writer.acknowledged)
        wait_until(lambda: len(writer.acknowledged) > before + 5, 30, "writes go on")
        elapsed = time.monotonic() - begin
        assert elapsed < 6, f"{elapsed} s without a leader"
        acknowledged = writer.finish()
        others = [server for server in ensemble.servers.values() if server is not leader]
        assert_present(others, "/handed-over", acknowledged)


@pytest.mark.parametrize("method", ["gz", "snappy"])
def test_compressed_snapshots_change_hands(tmp_path, method):
    """Ours reads what a real server compressed, and a real one what we did."""
    settings = {"snapCount": 50, "snapshot.compression.method": method, "autopurge.snapRetainCount": 3}
    zk_path = "/packed"
    written = 0
    for turn, real in enumerate([set(), {1, 2, 3}, set()]):
        with Ensemble(tmp_path, 3, real=real, settings=settings) as ensemble:
            zk = client(ensemble.connect)
            zk.ensure_path(zk_path)
            assert len(zk.get_children(zk_path)) == written
            for _ in range(120):
                zk.create(f"{zk_path}/{written:06}", b"x" * 100)
                written += 1
            zk.stop()
            files = list((ensemble.servers[1].data / "version-2").glob(f"snapshot.*.{method}"))
            assert files, f"turn {turn}: no compressed snapshot"
            for server in ensemble.servers.values():
                server.stop()
                # What is left of the log does not lead up to here: the snapshot is needed.
                for plain in (server.data / "version-2").glob("snapshot.0*"):
                    plain.unlink()
