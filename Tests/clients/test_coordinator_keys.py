"""Keys of zoo.cfg whose meaning shows from outside: observers without a log, the options of
sockets, the pause monitor, what is kept of the packets between servers."""

import ctypes
import os
import pathlib
import re
import shutil
import socket
import time

import pytest

from harness import Coordinator, Ensemble, wait_until
from test_kazoo_ensemble import address, client
from test_reconfig import SETTINGS as RECONFIGURABLE
from test_reconfig import config_of, line, operator


def files(server, prefix):
    return sorted(path.name for path in (server.data / "version-2").glob(prefix + ".*"))


def monitored(server):
    return dict(part.split("\t", 1) for part in server.words("mntr").splitlines())


def sees(server, paths):
    zk = client(address(server))
    try:
        zk.sync("/")
        return all(zk.exists(path) for path in paths)
    finally:
        zk.stop()
        zk.close()


@pytest.mark.parametrize("real", [set(), {4}, {1, 2, 3}], ids=["ours", "real-observer", "our-observer"])
def test_an_observer_may_keep_no_log(tmp_path, real):
    """syncEnabled=false: participants do not care, an observer writes neither logs nor snapshots."""
    settings = {"syncEnabled": "false", "snapCount": 10}
    with Ensemble(tmp_path, 4, real=real, settings=settings, observers={4}) as ensemble:
        observer = ensemble.servers[4]
        before = files(observer, "snapshot")
        zk = client(address(observer))
        paths = [f"/written-{number}" for number in range(40)]
        for path in paths:
            zk.create(path, path.encode())
        zk.stop()
        assert files(observer, "log") == []
        assert files(observer, "snapshot") == before
        for sid in (1, 2, 3):
            assert files(ensemble.servers[sid], "log")
        wait_until(lambda: len(files(ensemble.servers[1], "snapshot")) > 1, 20, "others have snapshots")
        # What it had is gone with its process, and comes back from the leader.
        observer.kill()
        observer.start()
        ensemble.wait_until_serving()
        assert sees(observer, paths)
        assert files(observer, "log") == []


def test_an_observer_without_a_log_may_become_a_voter(tmp_path):
    """Its data directory then holds everything, with nothing missing between snapshot and log."""
    settings = {**RECONFIGURABLE, "syncEnabled": "false"}
    with Ensemble(tmp_path, 4, settings=settings, observers={4}) as ensemble:
        fourth = ensemble.servers[4]
        zk = operator(",".join(address(ensemble.servers[sid]) for sid in (1, 2, 3)))
        paths = [f"/before-{number}" for number in range(20)]
        for path in paths:
            zk.create(path, b"")
        wait_until(lambda: sees(fourth, paths), 20, "the observer has it")
        assert files(fourth, "log") == []
        zk.reconfig(joining=line(fourth), leaving=None, new_members=None)
        wait_until(lambda: fourth.mode() in ("follower", "leader"), 30, "it follows")
        wait_until(lambda: "server.4" in config_of(zk)[0], 10, "it votes")
        after = [f"/after-{number}" for number in range(20)]
        for path in after:
            zk.create(path, b"")
        zk.stop()
        wait_until(lambda: sees(fourth, after), 20, "the follower has it")
        for server in ensemble.servers.values():
            server.kill()
        assert files(fourth, "log") and files(fourth, "snapshot")
        # The directory alone: a lone server on a copy of it.
        folder = tmp_path / "alone"
        alone = Coordinator(folder)
        shutil.rmtree(alone.data)
        shutil.copytree(fourth.data, alone.data, ignore=shutil.ignore_patterns("myid", ".lock"))
        try:
            alone.start()
            wait_until(lambda: alone.mode() == "standalone", 20, alone.tail())
            assert sees(alone, paths + after)
        finally:
            alone.kill()


# Sockets.

libc = ctypes.CDLL(None, use_errno=True)
PIDFD_OPEN, PIDFD_GETFD = 434, 438


def connections(pid, port, local):
    """The process's established TCP sockets whose local (or remote) port this is: its descriptors."""
    inodes = set()
    for row in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = row.split()
        if fields[3] == "01" and int(fields[1 if local else 2].split(":")[1], 16) == port:
            inodes.add(f"socket:[{fields[9]}]")
    found = []
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            if os.readlink(entry.path) in inodes:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def options(pid, descriptor):
    """SO_KEEPALIVE and TCP_NODELAY of another process's socket."""
    process = libc.syscall(PIDFD_OPEN, pid, 0)
    assert process >= 0, os.strerror(ctypes.get_errno())
    try:
        copy = libc.syscall(PIDFD_GETFD, process, descriptor, 0)
        if copy < 0:
            pytest.skip(f"sockets of others cannot be seen: {os.strerror(ctypes.get_errno())}")
        with socket.socket(fileno=copy) as one:
            return (bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)),
                    bool(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
    finally:
        os.close(process)


def seen(server, port, local=True):
    return {options(server.pid, descriptor) for descriptor in connections(server.pid, port, local)}


@pytest.mark.parametrize("given", [False, True], ids=["defaults", "given"])
def test_options_of_sockets(tmp_path, given):
    settings = {"tcpKeepAlive": "true", "clientTcpKeepAlive": "true", "leader.nodelay": "false",
                "follower.nodelay": "false"} if given else {}
    with Ensemble(tmp_path, 3, settings=settings) as ensemble:
        leader = ensemble.leader()
        follower = next(one for one in ensemble.servers.values() if one is not leader)
        zk = client(address(leader))
        assert seen(leader, leader.port) == {(given, True)}
        assert seen(leader, leader.quorum_port) == {(False, not given)}
        assert seen(follower, leader.quorum_port, local=False) == {(False, not given)}
        votes = [one for server in ensemble.servers.values()
                 for one in seen(server, server.election_port)]
        assert set(votes) == {(given, True)}
        zk.stop()


def test_a_stopped_process_is_a_pause(tmp_path):
    server = Coordinator(tmp_path, settings={
        "jvm.pause.monitor": "true", "jvm.pause.sleep.time.ms": 50,
        "jvm.pause.info-threshold.ms": 300, "jvm.pause.warn-threshold.ms": 1500})
    try:
        server.start()
        wait_until(lambda: server.mode() == "standalone", 20, server.tail())
        wait_until(lambda: int(monitored(server)["zk_cnt_jvm_pause_time_ms"]) > 2, 10, "it looks")
        for seconds, level in ((0.8, "INFO"), (2.2, "WARN")):
            server.pause()
            time.sleep(seconds)
            server.resume()
            wait_until(lambda: any("pause detected" in text and level in text
                                   for text in server.log_text().splitlines()), 10, level)
            assert int(monitored(server)["zk_max_jvm_pause_time_ms"]) >= seconds * 1000 - 150
    finally:
        server.kill()


def test_what_was_said_last_is_logged(tmp_path):
    settings = {"messageTracker.Enabled": "true", "messageTracker.BufferSize": 3}
    with Ensemble(tmp_path, 3, settings=settings) as ensemble:
        leader = ensemble.leader()
        follower = next(one for one in ensemble.servers.values() if one is not leader)
        follower.kill()
        for direction in ("received from", "sent to"):
            leader.wait_for_line(f"last packets {direction} a server")
        said = next(text for text in leader.log_text().splitlines() if "last packets sent" in text)
        assert "count=3" in said and len(re.findall(r"\b\d+@\d{13}\b", said)) == 3


def test_members_time_what_they_agree_on(tmp_path):
    with Ensemble(tmp_path, 4, settings={"leader.ackLoggingFrequency": 5}, observers={4}) as ensemble:
        leader = ensemble.leader()
        zk = client(ensemble.connect)
        for number in range(30):
            zk.create(f"/timed-{number}", b"")
        zk.stop()
        words = {sid: monitored(server) for sid, server in ensemble.servers.items()}
        mine = words[leader.sid]
        # One in five, of each server that was not too late for it.
        timed = [int(mine.get(f"zk_cnt_{sid}_ack_latency", 0)) for sid in (1, 2, 3)]
        assert 0 < sum(timed) <= 3 * (31 // 5 + 1)
        assert int(mine["zk_cnt_quorum_ack_latency"]) >= 30
        assert int(mine["zk_diff_count"]) + int(mine["zk_snap_count"]) >= 2
        assert int(mine["zk_cnt_leader_unavailable_time"]) == 1
        follower = next(words[sid] for sid in (1, 2, 3) if sid != leader.sid)
        for name in ("proposal_latency", "commit_propagation_latency", "proposal_ack_creation_latency"):
            assert int(follower[f"zk_cnt_{name}"]) >= 30, name
        assert int(follower["zk_learner_proposal_received_count"]) >= 30
        assert int(follower["zk_cnt_follower_sync_time"]) == 1
        assert int(words[4]["zk_cnt_observer_sync_time"]) == 1
        assert int(words[4]["zk_learner_commit_received_count"]) >= 30
        assert words[4]["zk_observer_master_id"] == str(leader.sid)
        for sid in words:
            assert int(words[sid]["zk_cnt_unavailable_time"]) == 1
