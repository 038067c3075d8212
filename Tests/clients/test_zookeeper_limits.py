"""Limits of the coordination service, and clients that misbehave: memory and sessions hold."""

import contextlib
import pathlib
import random
import socket
import struct
import threading
import time

import pytest
from kazoo.client import KazooClient

import zookeeper_wire as zk
from harness import Coordinator, Ensemble, ended, wait_until

KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture
def serve(tmp_path):
    started = []

    def start(**settings):
        server = Coordinator(tmp_path, settings={
            key.replace("__", "."): value for key, value in settings.items()})
        server.start()
        started.append(server)
        server.wait_for_port(server.port)
        return server

    yield start
    for server in started:
        if server.is_running:
            assert server.words("ruok") == "imok"
        else:
            raise AssertionError(f"the server has ended\n{server.tail()}")
        server.kill()


def monitor(server):
    return dict(line.split("\t") for line in server.words("mntr").splitlines())


def resident(server):
    fields = pathlib.Path(f"/proc/{server.pid}/statm").read_text().split()
    return int(fields[1]) * 4096


def connect(server):
    wire = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    return wire


# MARK: Sizes


@pytest.mark.parametrize("limit", [None, 4096])
def test_jute_maxbuffer(serve, limit):
    server = serve(**({"jute.maxbuffer": limit} if limit else {}))
    limit = limit or 0xfffff
    wire = zk.Wire(server.port)
    # The longest that fits: body and header count.
    rest = len(zk.create_body("/a")) + 8
    assert wire.call(zk.CREATE, zk.create_body("/a", b"x" * (limit - rest))).error == 0
    # The server closes as soon as it has read the length, maybe while the rest is still being sent.
    with contextlib.suppress(ConnectionError):
        wire.send(zk.CREATE, zk.create_body("/b", b"x" * (limit - rest + 1)))
    assert ended(wire.socket)
    other = zk.Wire(server.port)
    assert other.call(zk.EXISTS, zk.text("/b") + b"\0").error == -101
    assert "refused" in server.log_text()


def test_a_length_that_is_only_announced_takes_no_memory(serve):
    server = serve()
    before = resident(server)
    wires = []
    for _ in range(200):
        wire = connect(server)
        wire.sendall(struct.pack(">i", 0xfffff) + b"\0" * 100)
        wires.append(wire)
    wait_until(lambda: monitor(server)["zk_num_alive_connections"] == "201", 10, "all are there")
    assert resident(server) - before < 20 * MIB
    for wire in wires:
        wire.close()
    wait_until(lambda: monitor(server)["zk_num_alive_connections"] == "1", 10, "all are gone")


def test_large_requests_share_a_bound(serve):
    """Requests above the threshold may only have so many bytes under way together."""
    server = serve(largeRequestThreshold=10 * KIB, largeRequestMaxBytes=150 * KIB)
    wire = zk.Wire(server.port)
    assert wire.call(zk.CREATE, zk.create_body("/a", b"x" * 100 * KIB)).error == 0
    # Two at once are more than the bound; the connection that brings the second one ends.
    frames = b""
    for number in range(8):
        body = zk.int32(100 + number) + zk.int32(zk.SET_DATA) + zk.text("/a") \
            + zk.text(b"y" * 100 * KIB) + zk.int32(-1)
        frames += zk.int32(len(body)) + body
    with contextlib.suppress(ConnectionError):
        wire.socket.sendall(frames)
    assert ended(wire.socket)
    assert int(monitor(server)["zk_large_requests_rejected"]) >= 1
    other = zk.Wire(server.port)
    for _ in range(5):
        reply = other.call(zk.SET_DATA, zk.text("/a") + zk.text(b"z" * 100 * KIB) + zk.int32(-1))
        assert reply.error == 0


# MARK: Connections


def test_max_client_connections(serve):
    server = serve(maxClientCnxns=3)
    wires = [zk.Wire(server.port) for _ in range(3)]
    with pytest.raises((ConnectionError, OSError)):
        zk.Wire(server.port)
    wires[0].close()
    wait_until(lambda: accepts_session(server), 10, "a place is free again")
    assert int(monitor_of(wires, server)["zk_connection_rejected"]) >= 1


def accepts_session(server):
    try:
        zk.Wire(server.port).close()
        return True
    except OSError:
        return False


def monitor_of(wires, server):
    """The words need a place of their own."""
    for wire in wires:
        wire.close()
    wait_until(lambda: answers(server), 10, "there is a place")
    return monitor(server)


def answers(server):
    try:
        return server.words("ruok") == "imok"
    except OSError:
        return False


def test_max_connections(serve):
    server = serve(maxCnxns=2)
    wires = [zk.Wire(server.port) for _ in range(2)]
    with pytest.raises((ConnectionError, OSError)):
        zk.Wire(server.port)
    for wire in wires:
        assert wire.call(zk.EXISTS, zk.text("/") + b"\0").error == 0
    monitor_of(wires, server)


def test_connection_throttle(serve):
    """So many sessions may be opened at once; the others are turned away until tokens come back."""
    server = serve(connection_throttle_tokens=3, connection_throttle_fill_time=2000)
    wires = [zk.Wire(server.port) for _ in range(3)]
    with pytest.raises((ConnectionError, OSError)):
        zk.Wire(server.port)
    assert int(monitor(server)["zk_connection_rejected"]) == 1
    # Those that are there are served, and a token comes back with time.
    for wire in wires:
        assert wire.call(zk.EXISTS, zk.text("/") + b"\0").error == 0
    wait_until(lambda: accepts_session(server), 10, "there is a token again")


def test_connections_without_a_session_end(serve):
    """Half-open ones too: whoever sends nothing, or half a frame, is not waited for."""
    server = serve(**{"nio.sessionlessCnxnTimeout": 500})
    silent, half = connect(server), connect(server)
    half.sendall(b"\0\0\0\x2d\0\0")
    with zk_session(server) as session:
        assert ended(silent, 5) and ended(half, 5)
        assert int(monitor(server)["zk_sessionless_connections_expired"]) == 2
        assert session.call(zk.EXISTS, zk.text("/") + b"\0").error == 0


def test_election_connections_that_say_nothing_end(tmp_path):
    settings = {"quorumCnxnTimeoutMs": 700}
    with Ensemble(tmp_path, 3, settings=settings) as ensemble:
        server = ensemble.servers[2]
        wires = [socket.create_connection(("127.0.0.1", server.election_port)) for _ in range(2)]
        wires[1].sendall(struct.pack(">q", -65536) + b"\0\0")
        started = time.monotonic()
        assert all(ended(wire, 10) for wire in wires)
        assert time.monotonic() - started > 0.5
        assert server.mode() in ("leader", "follower")


class zk_session:
    def __init__(self, server, **more):
        self.wire = zk.Wire(server.port, **more)

    def __enter__(self):
        return self.wire

    def __exit__(self, *_):
        self.wire.close()


def test_silent_sessions_end_with_their_connections(serve):
    server = serve(maxSessionTimeout=2000)
    with zk_session(server) as wire:
        wire.call(zk.CREATE, zk.create_body("/e", flags=1))
        assert wire.timeout_ms == 2000
        started = time.monotonic()
        assert ended(wire.socket, 10)
        assert 1.5 < time.monotonic() - started < 6

        def gone():
            with zk_session(server) as other:
                return other.call(zk.EXISTS, zk.text("/e") + b"\0").error == -101
        wait_until(gone, 6, "its ephemerals go")


# MARK: Too many requests


def most_under_way(server):
    """Writes 600 times at once; the most requests that were seen to wait for agreement."""
    client = KazooClient(hosts=f"127.0.0.1:{server.port}", timeout=40)
    client.start(timeout=20)
    client.create("/n", b"")
    seen, done = [0], threading.Event()

    def watch():
        while not done.is_set():
            seen.append(int(monitor(server)["zk_outstanding_requests"]))
            time.sleep(0.002)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        results = [client.set_async("/n", str(number).encode()) for number in range(600)]
        versions = [result.get(timeout=60).version for result in results]
        assert versions == list(range(1, 601))
    finally:
        done.set()
        watching.join()
    client.stop()
    client.close()
    return max(seen)


def test_requests_under_way_are_bounded(serve):
    """`globalOutstandingLimit`: clients are not read from while so many wait; none is forgotten."""
    assert most_under_way(serve(globalOutstandingLimit=5)) <= 6


def test_many_requests_are_under_way_without_a_bound(serve):
    """What the test before this one would see if the limit were not kept."""
    assert most_under_way(serve()) > 20


def test_throttled_requests_are_all_answered(serve):
    server = serve(request_throttle_max_requests=5, request_throttle_stall_time=5)
    assert most_under_way(server) <= 6
    assert int(monitor(server)["zk_request_throttle_wait_count"]) > 0


# MARK: Clients that do not read


def test_a_client_that_never_reads_answers(serve):
    """Requests in thousands, no answer taken: it is no longer read from, and memory stays."""
    server = serve()
    with zk_session(server) as other:
        other.call(zk.CREATE, zk.create_body("/big", b"x" * 500 * KIB))
        before = resident(server)
        wire = zk.Wire(server.port)
        request = zk.int32(1) + zk.int32(zk.GET_DATA) + zk.text("/big") + b"\0"
        wire.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            many = (zk.int32(len(request)) + request) * 1000
            for _ in range(2000):
                wire.socket.sendall(many)
        assert resident(server) - before < 40 * MIB
        # Others are served meanwhile.
        assert other.call(zk.EXISTS, zk.text("/big") + b"\0").error == 0
        wire.close()


def test_a_client_that_never_reads_notifications(serve):
    """Watches tell it more and more: it is ended before it takes the server's memory."""
    server = serve()
    with zk_session(server) as other:
        other.call(zk.CREATE, zk.create_body("/hot"))
        wire = zk.Wire(server.port, timeout_ms=60_000)
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        long = "/hot/" + "n" * 900
        assert wire.call(zk.ADD_WATCH, zk.text("/hot") + zk.int32(1)).error == 0
        before = resident(server)
        done = threading.Event()

        def hammer():
            multi = zk.multi_body(*[
                part for number in range(200) for part in (
                    (zk.CREATE, zk.create_body(f"{long}{number}")),
                    (zk.DELETE, zk.text(f"{long}{number}") + zk.int32(-1)))])
            for _ in range(100):
                if done.is_set():
                    return
                other.call(zk.MULTI, multi)

        thread = threading.Thread(target=hammer)
        thread.start()
        try:
            wait_until(lambda: "client does not read" in server.log_text(), 60, "it is ended")
        finally:
            done.set()
            thread.join()
        assert resident(server) - before < 120 * MIB
        wire.close()


def test_a_slow_reader_gets_everything(serve):
    server = serve()
    with zk_session(server) as other:
        other.call(zk.CREATE, zk.create_body("/big", bytes(range(256)) * 1000))
        with zk_session(server, timeout_ms=40_000) as wire:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            def ask():
                for _ in range(60):
                    wire.send(zk.GET_DATA, zk.text("/big") + b"\0")
            asking = threading.Thread(target=ask)
            asking.start()
            for number in range(60):
                time.sleep(0.01)
                reply = wire.receive()
                assert reply.xid == number + 1
                assert reply.reader.buffer() == bytes(range(256)) * 1000
            asking.join()


# MARK: Garbage


def test_garbage_ends_its_connection_only(serve):
    server = serve()
    seed = random.randrange(1 << 32)
    source = random.Random(seed)
    with zk_session(server) as other:
        for attempt in range(300):
            wire = connect(server)
            kind = attempt % 3
            if kind == 0:  # Not even a handshake.
                data = source.randbytes(source.randrange(1, 200))
            elif kind == 1:  # A handshake of random bytes.
                body = source.randbytes(source.randrange(1, 100))
                data = zk.int32(len(body)) + body
            else:  # A good one, then frames of random bytes.
                hello = struct.pack(">iqiq", 0, 0, 10_000, 0) + zk.text(b"\0" * 16) + b"\0"
                body = source.randbytes(source.randrange(0, 60))
                data = zk.int32(len(hello)) + hello + zk.int32(len(body)) + body
            try:
                wire.sendall(data)
                wire.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            assert ended(wire), f"seed {seed}, attempt {attempt}"
            wire.close()
        assert other.call(zk.EXISTS, zk.text("/") + b"\0").error == 0, f"seed {seed}"
    wait_until(lambda: monitor(server)["zk_num_alive_connections"] == "1", 10, "nobody is left")


def test_negative_lengths_are_refused(serve):
    server = serve()
    wire = connect(server)
    with contextlib.suppress(ConnectionError):
        wire.sendall(struct.pack(">i", -5) + b"x" * 50)
    assert ended(wire)
