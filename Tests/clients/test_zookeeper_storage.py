"""The coordination service and its disk: what cannot be written or believed ends the server."""

import shutil
import struct
import subprocess

import pytest

import zookeeper_wire as zk
from harness import Coordinator, wait_until

FAILING_SYNC = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Succeeds until a file appears, then fails as a broken disk does. */
int fdatasync(int descriptor) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  const char *switch_ = getenv("SYNC_FAILS_WHEN");
  if (switch_ && access(switch_, F_OK) == 0) { errno = EIO; return -1; }
  return real(descriptor);
}
"""


@pytest.fixture
def server(tmp_path):
    server = Coordinator(tmp_path, settings={"preAllocSize": 64})
    yield server
    server.kill()


def start(server):
    server.start()
    server.wait_for_port(server.port)
    wait_until(lambda: server.mode() == "standalone", 20, server.tail())
    return zk.Wire(server.port)


def write_until_it_ends(wire, limit):
    """Names of the znodes whose creation was acknowledged before the server ended."""
    names = []
    try:
        for number in range(limit):
            name = f"/n{number}"
            if wire.call(zk.CREATE, zk.create_body(name, name.encode() * 500)).error == 0:
                names.append(name)
    except (ConnectionError, OSError):
        return names
    raise AssertionError("the server goes on")


def everything_is_there(wire, names):
    for name in names:
        reply = wire.call(zk.GET_DATA, zk.text(name) + b"\0")
        assert (reply.error, reply.reader.buffer()) == (0, name.encode() * 500)


def newest_log(server):
    logs = (server.data / "version-2").glob("log.*")
    return max(logs, key=lambda path: int(path.name[4:], 16))


def entries(path):
    """Where each transaction's entry begins, and its length: checksum, length, bytes, end mark."""
    data, position, found = path.read_bytes(), 16, []
    while position + 12 < len(data):
        length = struct.unpack_from(">i", data, position + 8)[0]
        if length == 0:
            break
        found.append((position, 8 + 4 + length + 1))
        position += found[-1][1]
    return found


def test_a_full_disk_ends_the_server(server):
    """No file may grow beyond a limit: for a server the same as a disk that is full."""
    unlimited = server.command
    server.command = [
        "bash", "-c", "trap '' XFSZ; ulimit -f 400; exec \"$0\" \"$@\"", *unlimited]
    names = write_until_it_ends(start(server), 2000)
    assert 50 < len(names) < 2000
    assert server.wait(20) not in (0, None)
    # One line says what failed, on which file.
    assert newest_log(server).name in server.log_text(), server.tail()
    server.command = unlimited
    everything_is_there(start(server), names)


def test_a_failing_sync_ends_the_server(server, tmp_path):
    """What was not brought to the disk is not acknowledged, and nothing after it either."""
    source, library, switch = (tmp_path / name for name in ("sync.c", "sync.so", "broken"))
    source.write_text(FAILING_SYNC)
    compiler = next(filter(None, map(shutil.which, ("clang", "cc", "gcc"))))
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    server.env |= {"LD_PRELOAD": str(library), "SYNC_FAILS_WHEN": str(switch)}
    wire = start(server)
    for number in range(20):
        assert wire.call(zk.CREATE, zk.create_body(f"/before{number}")).error == 0
    switch.touch()
    assert write_until_it_ends(wire, 10) == []
    assert server.wait(20) not in (0, None)
    assert newest_log(server).name in server.log_text(), server.tail()
    switch.unlink()
    wire = start(server)
    for number in range(20):
        assert wire.call(zk.EXISTS, zk.text(f"/before{number}") + b"\0").error == 0


def test_a_damaged_middle_is_refused_with_file_and_offset(server):
    wire = start(server)
    for number in range(30):
        wire.call(zk.CREATE, zk.create_body(f"/n{number}", b"x" * 100))
    server.kill()
    path = newest_log(server)
    offset, length = entries(path)[15]
    data = bytearray(path.read_bytes())
    data[offset + length // 2] ^= 0x20
    path.write_bytes(data)
    server.start()
    assert server.wait(20) not in (0, None)
    assert f"{path}: offset {offset}:" in server.log_text(), server.tail()
    # Nothing was repaired in passing.
    assert path.read_bytes() == bytes(data)


@pytest.mark.parametrize("kept", [1, 9, 60, -1])
def test_a_torn_last_transaction_is_dropped(server, kept):
    wire = start(server)
    for number in range(10):
        wire.call(zk.CREATE, zk.create_body(f"/n{number}", b"x" * 100))
    server.kill()
    path = newest_log(server)
    offset, length = entries(path)[-1]
    with open(path, "r+b") as log:
        log.truncate(offset + kept % length)
    wire = start(server)
    assert f"torn transaction dropped file={path} offset={offset}" in server.log_text()
    for number in range(10):
        error = 0 if number < 9 else -101
        assert wire.call(zk.EXISTS, zk.text(f"/n{number}") + b"\0").error == error
    # It goes on from there, also after one more restart.
    assert wire.call(zk.CREATE, zk.create_body("/after")).error == 0
    server.kill()
    assert start(server).call(zk.EXISTS, zk.text("/after") + b"\0").error == 0


def test_old_snapshots_and_logs_go_by_themselves(tmp_path):
    """autopurge: as often as it is told, and never the newest ones."""
    server = Coordinator(tmp_path, settings={
        "snapCount": 10, "preAllocSize": 64, "autopurge.purgeInterval": "300ms",
        "autopurge.snapRetainCount": 3})
    try:
        wire = start(server)
        names, seen = [], set()
        for number in range(200):
            name = f"/n{number}"
            assert wire.call(zk.CREATE, zk.create_body(name, name.encode() * 500)).error == 0
            names.append(name)
            seen |= snapshots(server)
        wait_until(lambda: len(snapshots(server)) == 3, 20, "three snapshots are left")
        assert len(seen) > 6
        assert max(snapshots(server)) == max(seen | snapshots(server))
        # Logs that only older snapshots need have gone too, those of the three have not.
        logs = sorted(int(path.name[4:], 16)
                      for path in (server.data / "version-2").glob("log.*"))
        assert logs[0] > 1 and sum(log <= min(snapshots(server)) + 1 for log in logs) >= 1
        server.kill()
        everything_is_there(start(server), names)
    finally:
        server.kill()


def snapshots(server):
    """The zxids of the snapshots that are there."""
    return {int(path.name[9:], 16) for path in (server.data / "version-2").glob("snapshot.*")
            if path.suffix != ".tmp"}
