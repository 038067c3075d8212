"""Sessions of an ensemble: local ones and their upgrade, moved ones, and sync on a server behind.

Where behaviour could be doubted, the same steps run against Debian's ZooKeeper 3.8 too.
"""

import os
import pathlib
import re
import time

import pytest

from harness import Ensemble, wait_until
from zookeeper_wire import (
    CLOSE_SESSION, CREATE, CREATE2, DELETE, EXISTS, GET_DATA, MULTI, SET_DATA, SYNC, Wire,
    create_body, int32, multi_body, text)

REAL_JARS = pathlib.Path("/usr/share/java/zookeeper.jar")
KINDS = ["ours", pytest.param("real", marks=pytest.mark.skipif(
    not REAL_JARS.exists(), reason="apt-get install zookeeper"))]
EPHEMERAL_ON_LOCAL_SESSION, SESSION_EXPIRED = -120, -112


def ensemble(folder, kind, **settings):
    return Ensemble(folder, 3, real=(1, 2, 3) if kind == "real" else (), settings=settings)


def role(servers, name):
    return next(server for server in servers.servers.values() if server.mode() == name)


def zxid(server):
    return int(re.search(r"Zxid: 0x(\w+)", server.words("srvr")).group(1), 16)


def reopen(server, wire, seen):
    """The session of `wire` on another server, which must have come as far as the client has."""
    wait_until(lambda: zxid(server) >= seen, 10, f"{server.name} is at 0x{seen:x}")
    return Wire(server.port, session=wire.session, password=wire.password, seen=seen)


def gone(wire, path):
    return wire.call(EXISTS, text(path) + b"\0").error == -101


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["follower", "leader"])
def test_a_local_session_is_upgraded_by_its_first_ephemeral(tmp_path, kind, where):
    with ensemble(tmp_path, kind, localSessionsEnabled="true",
                  localSessionsUpgradingEnabled="true") as servers:
        server, leader = role(servers, where), role(servers, "leader")
        before = zxid(leader)
        wire = Wire(server.port)
        assert wire.call(EXISTS, text("/") + b"\0").error == 0
        # Opening it was no transaction.
        assert zxid(leader) == before
        assert wire.call(CREATE, create_body("/plain")).error == 0
        assert zxid(leader) == before + 1
        # In one go: the ephemeral waits for the session, and what follows for the ephemeral.
        wire.send(CREATE2, create_body("/e", flags=1))
        wire.send(MULTI, multi_body((CREATE, create_body("/m", flags=1))))
        wire.send(EXISTS, text("/e") + b"\0")
        created, multi, found = wire.receive(), wire.receive(), wire.receive()
        assert (created.error, multi.error, found.error) == (0, 0, 0)
        reader = created.reader
        assert reader.text() == "/e" and reader.stat()["ephemeralOwner"] == wire.session
        assert zxid(leader) == before + 4
        # A global session may go to another server and take its ephemerals along.
        other = next(one for one in servers.servers.values() if one is not server)
        moved = reopen(other, wire, found.zxid)
        assert moved.session == wire.session
        assert moved.call(EXISTS, text("/e") + b"\0").error == 0
        assert moved.call(CLOSE_SESSION).error == 0
        check = Wire(leader.port)
        assert gone(check, "/e") and gone(check, "/m") and not gone(check, "/plain")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["follower", "leader"])
def test_a_local_session_has_no_ephemerals_where_it_cannot_be_upgraded(tmp_path, kind, where):
    with ensemble(tmp_path, kind, localSessionsEnabled="true") as servers:
        server = role(servers, where)
        wire = Wire(server.port)
        assert wire.call(CREATE, create_body("/plain")).error == 0
        assert wire.call(CREATE, create_body("/e", flags=1)).error == EPHEMERAL_ON_LOCAL_SESSION
        multi = wire.call(MULTI, multi_body((CREATE, create_body("/e", flags=1))))
        assert multi.error == 0
        expected = EPHEMERAL_ON_LOCAL_SESSION if where == "leader" else SESSION_EXPIRED
        assert multi.reader.take("i?ii")[3] == expected
        assert gone(wire, "/e")
        # It ends with its server: nobody else knows it.
        back = Wire(server.port, session=wire.session, password=wire.password)
        assert back.session == wire.session
        assert back.call(SET_DATA, text("/plain") + text(b"x") + int32(-1)).error == 0
        other = next(one for one in servers.servers.values() if one is not server)
        assert Wire(other.port, session=wire.session, password=wire.password).session == 0
        before = zxid(server)
        assert back.call(CLOSE_SESSION).error == 0
        assert back.is_closed() and zxid(server) == before
        assert Wire(server.port, session=wire.session, password=wire.password).session == 0


def test_a_local_session_expires_where_it_is(tmp_path):
    with ensemble(tmp_path, "ours", localSessionsEnabled="true",
                  localSessionsUpgradingEnabled="true") as servers:
        for where in ("follower", "leader"):
            server = role(servers, where)
            before = zxid(server)
            wire = Wire(server.port, timeout_ms=1500)
            mntr = dict(line.split("\t", 1) for line in server.words("mntr").splitlines())
            assert mntr["zk_local_sessions"] == "1"
            start = time.monotonic()
            assert wire.is_closed()
            assert 1 < time.monotonic() - start < 8
            assert zxid(server) == before
            # Upgraded, it expires as all do.
            wire = Wire(server.port, timeout_ms=1500)
            name = f"/{where}"
            assert wire.call(CREATE, create_body(name, flags=1)).error == 0
            assert wire.is_closed()
            check = Wire(server.port)
            wait_until(lambda: gone(check, name), 10, f"{name} goes with its session")


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_that_has_moved_is_refused_where_it_was(tmp_path, kind):
    with ensemble(tmp_path, kind) as servers:
        old_server = role(servers, "follower")
        for new_server in servers.servers.values():
            if new_server is old_server:
                continue
            old = Wire(old_server.port)
            seen = old.call(CREATE, create_body(f"/{new_server.sid}")).zxid
            # Its first server believes that it still has the client.
            new = reopen(new_server, old, seen)
            assert new.session == old.session
            assert new.call(CREATE, create_body(f"/{new_server.sid}/new", flags=1)).error == 0
            old.send(CREATE, create_body(f"/{new_server.sid}/old"))
            assert old.is_closed()
            assert gone(new, f"/{new_server.sid}/old")
            assert not gone(new, f"/{new_server.sid}/new")
            assert new.call(CLOSE_SESSION).error == 0


def test_sync_waits_for_what_the_leader_has_committed(tmp_path):
    """The follower is stopped while the others go on; what it answers after a sync is up to date,
    though it has everything still to read when the sync comes."""
    with ensemble(tmp_path, "ours") as servers:
        leader, follower = role(servers, "leader"), role(servers, "follower")
        writer, reader = Wire(leader.port), Wire(follower.port)
        assert writer.call(CREATE, create_body("/n", b"0")).error == 0
        reader.call(SYNC, text("/n"))
        stale = 0
        for turn in range(1, 9):
            follower.pause()
            for number in range(200):
                writer.send(SET_DATA, text("/n") + text(b"%d" % (turn * 1000 + number)) + int32(-1))
            for _ in range(200):
                assert writer.receive().error == 0
            reader.send(GET_DATA, text("/n") + b"\0")
            reader.send(SYNC, text("/n"))
            reader.send(GET_DATA, text("/n") + b"\0")
            follower.resume()
            before, synced, after = reader.receive(), reader.receive(), reader.receive()
            newest = b"%d" % (turn * 1000 + 199)
            stale += before.reader.buffer() != newest
            assert (synced.error, synced.reader.text()) == (0, "/n")
            assert after.reader.buffer() == newest
        print(f"{stale} of 8 reads before the sync were stale")


@pytest.mark.parametrize("kind", KINDS)
def test_containers_and_ttls_go_in_an_ensemble(tmp_path, kind):
    settings = {"extendedTypesEnabled": "true", "znode.container.checkIntervalMs": "300",
                "znode.container.maxNeverUsedIntervalMs": "1500"}
    if kind == "real":
        os.environ["JDK_JAVA_OPTIONS"] = " ".join(
            f"-D{'zookeeper.' if key.startswith('ext') else ''}{key}={value}"
            for key, value in settings.items())
    try:
        with ensemble(tmp_path, kind, **settings) as servers:
            wire = Wire(role(servers, "follower").port)
            assert wire.call(19, create_body("/used", flags=4)).error == 0
            assert wire.call(19, create_body("/full", flags=4)).error == 0
            assert wire.call(19, create_body("/never", flags=4)).error == 0
            assert wire.call(21, create_body("/ttl", flags=5, ttl=1000)).error == 0
            assert wire.call(21, create_body("/long", flags=5, ttl=100_000)).error == 0
            for path in ("/used/x", "/full/x"):
                assert wire.call(CREATE, create_body(path)).error == 0
            wire.call(EXISTS, text("/used") + b"\1")
            assert wire.call(DELETE, text("/used/x") + int32(-1)).error == 0
            assert not gone(wire, "/never") and not gone(wire, "/ttl")
            for path in ("/used", "/ttl", "/never"):
                wait_until(lambda: gone(wire, path), 10, f"{path} is deleted")
            assert (2, 3, "/used", -1, 0) in wire.take_events()
            assert not gone(wire, "/full") and not gone(wire, "/long")
    finally:
        os.environ.pop("JDK_JAVA_OPTIONS", None)


def test_quotas_survive_restarts_and_hold_on_every_server(tmp_path):
    with ensemble(tmp_path, "ours", enforceQuota="true", snapCount="50") as servers:
        wire = Wire(role(servers, "follower").port)
        for path, data in (
                ("/q", b"1"), ("/zookeeper/quota/q", b""),
                ("/zookeeper/quota/q/zookeeper_limits", b"count=-1,bytes=-1=;countHardLimit=40"),
                ("/zookeeper/quota/q/zookeeper_stats", b"count=0,bytes=0")):
            assert wire.call(CREATE, create_body(path, data)).error == 0
        for number in range(39):
            assert wire.call(CREATE, create_body(f"/q/{number}", b"12")).error == 0
        for number in range(30):
            assert wire.call(SET_DATA, text("/q/0") + text(b"123") + int32(-1)).error == 0
        assert wire.call(CREATE, create_body("/q/more")).error == -125
        for server in servers.servers.values():
            server.kill()
        for server in servers.servers.values():
            server.start()
        servers.wait_until_serving()
        for server in servers.servers.values():
            wire = Wire(server.port)
            wire.call(SYNC, text("/"))
            stats = wire.call(GET_DATA, text("/zookeeper/quota/q/zookeeper_stats") + b"\0")
            assert stats.reader.buffer() == b"count=40,bytes=80"
            assert wire.call(CREATE, create_body("/q/more")).error == -125
            assert wire.call(DELETE, text("/q/1") + int32(-1)).error == 0
            assert wire.call(CREATE, create_body("/q/1", b"12")).error == 0
