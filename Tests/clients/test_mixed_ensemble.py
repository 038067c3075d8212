"""Our servers and Debian's ZooKeeper 3.8 in one ensemble: who leads does not matter."""

import time

import pytest

from harness import Ensemble, wait_until
from test_kazoo_ensemble import LOST, Writer, address, assert_present, client

MIXES = [{1}, {2}, {3}, {1, 2}, {1, 3}, {2, 3}]


def logs(ensemble):
    return "\n\n".join(f"--- {server.name}\n{server.tail(25)}" for server in
                       ensemble.servers.values())


def name(real):
    return "-".join("real" if sid in real else "ours" for sid in (1, 2, 3))


@pytest.mark.parametrize("real", MIXES, ids=name)
def test_elects_and_serves(tmp_path, real):
    with Ensemble(tmp_path, 3, real=real) as ensemble:
        assert ensemble.leader() is not None, logs(ensemble)
        clients = {sid: client(address(server)) for sid, server in ensemble.servers.items()}
        clients[1].create("/mixed", b"")
        for sid, zk in clients.items():
            zk.sync("/mixed")
            zk.create(f"/mixed/{sid}", b"by %d" % sid)
            zk.create(f"/mixed/ephemeral-{sid}", b"", ephemeral=True)
            zk.create("/mixed/sequence-", b"", sequence=True)
            transaction = zk.transaction()
            transaction.set_data(f"/mixed/{sid}", b"again")
            transaction.create(f"/mixed/{sid}/child")
            assert not any(isinstance(result, Exception) for result in transaction.commit())
        for zk in clients.values():
            zk.sync("/mixed")
        seen = [sorted(zk.get_children("/mixed")) for zk in clients.values()]
        assert seen[0] == seen[1] == seen[2] and len(seen[0]) == 9
        assert len({zk.get("/mixed")[1] for zk in clients.values()}) == 1
        for zk in clients.values():
            zk.stop()


@pytest.mark.parametrize("real", MIXES, ids=name)
def test_members_come_and_go_under_writes(tmp_path, real):
    with Ensemble(tmp_path, 3, real=real) as ensemble:
        writer = Writer(ensemble.connect, "/drill")
        writer.start()
        for sid, server in ensemble.servers.items():
            time.sleep(0.3)
            before = len(writer.acknowledged)
            server.kill()
            wait_until(lambda: len(writer.acknowledged) > before + 20, 60,
                       f"writes go on without {sid}\n{logs(ensemble)}")
            server.start()
            ensemble.wait_until_serving()
        acknowledged = writer.finish()
        assert_present(ensemble.servers.values(), "/drill", acknowledged)
        for server in ensemble.servers.values():
            if server.real:
                assert "Digests are not matching" not in server.log_text(), server.tail()


@pytest.mark.parametrize("newcomer", ["ours", "real"])
def test_a_newcomer_gets_a_snapshot(tmp_path, newcomer):
    """The third server is the other kind than its leader and knows nothing."""
    real = {1, 2} if newcomer == "ours" else {3}
    with Ensemble(tmp_path, 3, real=real, settings={"commitLogCount": 20}) as ensemble:
        last = ensemble.servers[3]
        zk = client(",".join(address(ensemble.servers[sid]) for sid in (1, 2)))
        last.kill()
        wait_until(lambda: ensemble.leader() is not None, 30, "a leader")

        def write():
            try:
                zk.ensure_path("/snapshot")
                return True
            except LOST:
                return False
        wait_until(write, 30, "writes")
        for number in range(200):
            zk.create(f"/snapshot/{number:06}", b"x" * 50)
        for file in (last.data / "version-2").iterdir():
            file.unlink()
        last.start()
        ensemble.wait_until_serving()
        assert_present([last], "/snapshot", range(200))
        zk.create("/snapshot/000200", b"")
        last.kill()
        last.start()
        ensemble.wait_until_serving()
        assert_present([last], "/snapshot", range(201))
        zk.stop()


@pytest.mark.parametrize("newcomer", ["ours", "real"])
def test_a_large_tree_is_sent_while_writes_go_on(tmp_path, newcomer):
    """A snapshot of many pieces, with transactions that have to wait behind it."""
    real = {3} if newcomer == "real" else set()
    with Ensemble(tmp_path, 3, real=real, settings={"commitLogCount": 20}) as ensemble:
        last = ensemble.servers[3]
        last.kill()
        hosts = ",".join(address(ensemble.servers[sid]) for sid in (1, 2))
        zk = client(hosts)
        zk.retry(zk.ensure_path, "/large")
        for batch in range(40):
            transaction = zk.transaction()
            for number in range(250):
                transaction.create(f"/large/{batch:03}-{number:03}", b"x" * 900)
            assert not any(isinstance(result, Exception) for result in transaction.commit())
        for file in (last.data / "version-2").iterdir():
            file.unlink()
        writer = Writer(hosts, "/meanwhile")
        writer.start()
        last.start()
        ensemble.wait_until_serving()
        acknowledged = writer.finish()
        assert "sending a snapshot" in ensemble.leader().log_text()
        own = client(address(last))
        own.sync("/large")
        assert len(own.get_children("/large")) == 10000
        assert own.get("/large/039-249")[0] == b"x" * 900
        own.stop()
        assert_present([last], "/meanwhile", acknowledged)
        zk.stop()


@pytest.mark.parametrize("first", ["ours", "real"])
def test_data_change_hands(tmp_path, first):
    """An ensemble of one kind goes on where one of the other kind has stopped."""
    real = set() if first == "ours" else {1, 2, 3}
    with Ensemble(tmp_path, 3, real=real) as before:
        zk = client(before.connect)
        zk.create("/handed", b"over")
        for number in range(50):
            zk.create(f"/handed/{number:06}", b"")
        zk.stop()
    with Ensemble(tmp_path, 3, real={1, 2, 3} - real) as after:
        zk = client(after.connect)
        assert zk.get("/handed")[0] == b"over"
        assert len(zk.get_children("/handed")) == 50
        zk.create("/handed/000050", b"")
        zk.stop()


@pytest.mark.parametrize("real", [set(), {1, 2, 3}, {4}], ids=["all-ours", "our-observer", "real-observer"])
def test_an_observer_serves_and_does_not_count(tmp_path, real):
    with Ensemble(tmp_path, 4, real=real, observers={4}) as ensemble:
        observer = ensemble.servers[4]
        assert observer.mode() == "observer"
        zk = client(address(observer))
        zk.create("/observed", b"1")
        writer = client(address(ensemble.servers[1]))
        seen = []
        zk.get("/observed", watch=lambda event: seen.append(event.type))
        writer.set("/observed", b"2")
        zk.sync("/observed")
        assert zk.get("/observed")[0] == b"2"
        wait_until(lambda: seen == ["CHANGED"], 5, "the watch on the observer fires")
        for number in range(50):
            writer.create(f"/observed/{number}", b"")
        zk.sync("/observed")
        assert len(zk.get_children("/observed")) == 50
        observer.kill()
        writer.create("/without", b"")
        observer.start()
        ensemble.wait_until_serving()
        zk.sync("/without")
        assert zk.exists("/without")
        zk.stop()
        writer.stop()


@pytest.mark.parametrize("real", [set(), {3}, {1, 2}], ids=name)
def test_what_only_a_dead_leader_had_is_cut_off(tmp_path, real):
    settings = {"tickTime": 1500, "initLimit": 10, "syncLimit": 4}
    with Ensemble(tmp_path, 3, real=real, settings=settings) as ensemble:
        leader = ensemble.leader()
        others = [server for server in ensemble.servers.values() if server is not leader]
        zk = client(address(leader))
        zk.create("/cut", b"")
        for server in others:
            server.kill()
        # The leader notices within a tick that it is alone; until then it logs what it is asked.
        zk.create_async("/cut/lost", b"")
        wait_until(lambda: b"/cut/lost" in b"".join(
            file.read_bytes() for file in (leader.data / "version-2").glob("log.*")),
            5, "the leader has logged it")
        leader.kill()
        zk.stop()
        for server in others:
            server.start()
        ensemble.wait_until_serving(among=[server.sid for server in others])
        # Nothing has been written in the new epoch: the old leader's log is the longest there is.
        leader.start()
        ensemble.wait_until_serving()
        assert leader.mode() == "follower"
        assert ("Truncating log" if leader.real else "truncating the log") in leader.log_text()
        for server in ensemble.servers.values():
            zk = client(address(server))
            zk.sync("/cut")
            assert zk.get_children("/cut") == []
            zk.stop()
        zk = client(ensemble.connect)
        zk.create("/cut/kept", b"")
        zk.stop()
        leader.kill()
        leader.start()
        ensemble.wait_until_serving()
        zk = client(address(leader))
        assert zk.get_children("/cut") == ["kept"]
        zk.stop()
