"""The ensemble changes while it works: members join, leave, and change their roles."""

import base64
import hashlib

import pytest
from kazoo.exceptions import (
    BadArgumentsError, BadVersionError, NewConfigNoQuorumError, NoAuthError, ReconfigDisabledError,
    UnimplementedError)

from harness import Coordinator, Ensemble, free_port, wait_until
from test_kazoo_ensemble import LOST, Writer, address, assert_present, client

DIGEST = "super:" + base64.b64encode(hashlib.sha1(b"super:secret").digest()).decode()
SETTINGS = {"reconfigEnabled": "true", "DigestAuthenticationProvider.superDigest": DIGEST}


def operator(hosts):
    """A client that may change the ensemble."""
    zk = client(hosts)
    zk.add_auth("digest", "super:secret")
    return zk


def line(server, role="participant"):
    return (f"server.{server.sid}=127.0.0.1:{server.quorum_port}:{server.election_port}:{role}"
            f";127.0.0.1:{server.port}")


def newcomer(folder, sid, ensemble, real=False, role="participant"):
    """A server that knows the ensemble and itself, and is not in it yet."""
    ports = (free_port(), free_port(), free_port())
    members = [(other.sid, other.quorum_port, other.election_port, "participant")
               for other in ensemble.servers.values()]
    members.append((sid, *ports[1:], role))
    server = Coordinator(folder, sid, real, SETTINGS, ports, members)
    ensemble.servers[sid] = server
    return server


def config_of(zk):
    data, _ = zk.retry(zk.get, "/zookeeper/config")
    lines = dict(part.split("=", 1) for part in data.decode().splitlines())
    return lines, int(lines.pop("version"), 16)


def sids(zk):
    return sorted(int(key.split(".")[1]) for key in config_of(zk)[0])


@pytest.mark.parametrize("real", [set(), {1}, {2, 3}, {3}],
                         ids=["ours", "real-ours-ours", "ours-real-real", "ours-ours-real"])
def test_members_join_and_leave_under_writes(tmp_path, real):
    with Ensemble(tmp_path, 3, real=real, settings=SETTINGS) as ensemble:
        writer = Writer(ensemble.connect, "/changing")
        writer.start()
        zk = operator(ensemble.connect)
        members, version = config_of(zk)
        assert len(members) == 3 and version & 0xffffffff == 0 and version > 0
        fourth = newcomer(tmp_path, 4, ensemble, real=3 in real).start()
        ensemble.wait_until_serving()
        data, stat = zk.reconfig(joining=line(fourth), leaving=None, new_members=None)
        members, joined = config_of(zk)
        assert joined > version and joined == stat.mzxid
        assert data.decode().splitlines()[-1] == f"version={joined:x}"
        assert members["server.4"] == line(fourth).split("=", 1)[1]
        new = operator(address(fourth))
        new.sync("/changing")
        assert sids(new) == [1, 2, 3, 4]
        try:
            # Once the leader, once another; the fourth server's vote is needed from here on.
            for _ in range(2):
                sid = leaves(ensemble)
                before = len(writer.acknowledged)
                change(new, leaving=str(sid))
                wait_until(lambda: sid not in sids(new), 30, f"{sid} has left")
                ensemble.servers.pop(sid).stop()
                wait_until(lambda: len(writer.acknowledged) > before + 20, 60, "writes go on")
        finally:
            acknowledged = writer.finish()
        assert_present(ensemble.servers.values(), "/changing", acknowledged)
        zk.stop()
        new.stop()


def leaves(ensemble):
    """The leader, unless that is the newcomer, whom our client is connected to."""
    wait_until(lambda: ensemble.leader() is not None, 30, "a leader")
    leader = ensemble.leader().sid
    return leader if leader != 4 else next(sid for sid in ensemble.servers if sid != 4)


def change(zk, **arguments):
    """Asks for a change. A server that takes up another role closes its connections first."""
    try:
        zk.reconfig(**{"joining": None, "leaving": None, "new_members": None, **arguments})
    except LOST:
        pass


def test_the_new_configuration_outlives_restarts(tmp_path):
    with Ensemble(tmp_path, 3, settings=SETTINGS) as ensemble:
        zk = operator(ensemble.connect)
        fourth = newcomer(tmp_path, 4, ensemble).start()
        ensemble.wait_until_serving()
        zk.reconfig(joining=line(fourth), leaving="1", new_members=None)
        ensemble.servers.pop(1).stop()
        version = config_of(zk)[1]
        zk.stop()
        for server in ensemble.servers.values():
            server.stop()
            static = (tmp_path / f"zoo-{server.sid}.cfg").read_text()
            dynamic = tmp_path / f"zoo-{server.sid}.cfg.dynamic.{version:x}"
            assert f"dynamicConfigFile={dynamic}\n" in static
            assert "server." not in static and "tickTime=500\n" in static
            assert dynamic.read_text().splitlines() == sorted(dynamic.read_text().splitlines())
            assert "server.1=" not in dynamic.read_text() and "version" not in dynamic.read_text()
            assert "server.1=" in (tmp_path / f"zoo-{server.sid}.cfg.bak").read_text()
            assert not (tmp_path / f"zoo-{server.sid}.cfg.dynamic.next").exists()
        # A majority of the new members, and not of the old ones.
        ensemble.servers[4].start()
        ensemble.servers[2].start()
        ensemble.wait_until_serving(among=[2, 4])
        zk = client(address(ensemble.servers[4]))
        assert sids(zk) == [2, 3, 4] and config_of(zk)[1] == version
        zk.create("/after", b"")
        zk.stop()


def test_roles_change(tmp_path):
    """A voter becomes an observer and a voter again; the whole set may be given at once."""
    with Ensemble(tmp_path, 4, settings=SETTINGS) as ensemble:
        zk = operator(ensemble.connect)
        leader = ensemble.leader()
        subject = next(s for s in ensemble.servers.values() if s is not leader)
        change(zk, joining=line(subject, "observer"))
        wait_until(lambda: subject.mode() == "observer", 30, "it observes")
        watcher = client(address(subject))
        zk.retry(zk.create, "/seen", b"1")
        watcher.sync("/seen")
        assert watcher.get("/seen")[0] == b"1"
        watcher.create("/written", b"")
        watcher.stop()
        everybody = ",".join(line(server) for server in ensemble.servers.values())
        change(zk, new_members=everybody)
        wait_until(lambda: subject.mode() in ("follower", "leader"), 30, "it votes")
        # The leader itself steps back.
        leader = ensemble.leader()
        change(zk, joining=line(leader, "observer"))
        wait_until(lambda: leader.mode() == "observer", 30, "the leader observes")
        wait_until(lambda: ensemble.leader() is not None, 30, "another leads")
        zk.retry(zk.create, "/led", b"")
        zk.stop()


def test_what_cannot_be_is_refused(tmp_path):
    with Ensemble(tmp_path, 3, settings=SETTINGS) as ensemble:
        plain = client(ensemble.connect)
        with pytest.raises(NoAuthError):
            plain.reconfig(joining=None, leaving="3", new_members=None)
        plain.stop()
        zk = operator(ensemble.connect)
        version = config_of(zk)[1]
        absent = Coordinator(tmp_path, 7)
        for arguments, error in [
            (dict(joining=None, leaving="3", new_members=None, from_config=version + 1),
             BadVersionError),
            (dict(joining="server.7=nonsense", leaving=None, new_members=None),
             BadArgumentsError),
            (dict(joining="server.7=127.0.0.1:1:2", leaving=None, new_members=None),
             BadArgumentsError),
            (dict(joining=None, leaving="2,3", new_members=None), BadArgumentsError),
            (dict(joining=None, leaving="2,3", new_members=None), BadArgumentsError),
            (dict(joining=line(absent), leaving="2,3", new_members=None),
             NewConfigNoQuorumError),
        ]:
            with pytest.raises(error):
                zk.reconfig(**arguments)
        assert config_of(zk)[1] == version
        data, _ = zk.reconfig(joining=None, leaving="3", new_members=None, from_config=version)
        assert b"server.3" not in data
        zk.stop()


def test_it_is_off_unless_turned_on(tmp_path):
    with Ensemble(tmp_path, 3, settings={
            "DigestAuthenticationProvider.superDigest": DIGEST}) as ensemble:
        zk = operator(ensemble.connect)
        assert config_of(zk)[1] == 0
        with pytest.raises(ReconfigDisabledError):
            zk.reconfig(joining=None, leaving="3", new_members=None)
        zk.stop()
    with Ensemble(tmp_path / "alone", 1, settings=SETTINGS) as lone:
        zk = operator(lone.connect)
        with pytest.raises(UnimplementedError):
            zk.reconfig(joining=None, leaving="3", new_members=None)
        zk.stop()
