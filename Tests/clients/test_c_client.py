"""ZooKeeper's C client (Debian's zookeeper-bin) on our servers: a session typed into its shell."""

import pathlib
import re
import subprocess
import threading

import pytest

from harness import Ensemble, wait_until

SHELL = pathlib.Path("/usr/lib/zookeeper/bin/cli_mt")
LOAD = pathlib.Path("/usr/lib/zookeeper/bin/load_gen")
REAL_JARS = pathlib.Path("/usr/share/java/zookeeper.jar")
pytestmark = pytest.mark.skipif(not SHELL.exists(), reason="apt-get install zookeeper-bin")


class Shell:
    """`cli_mt`, driven line by line."""

    def __init__(self, connect, folder):
        self.child = subprocess.Popen(
            ["stdbuf", "-oL", str(SHELL), connect], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, bufsize=1, cwd=folder)
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.expect("CONNECTED_STATE")

    def _read(self):
        for line in self.child.stdout:
            self.lines.append(line.rstrip("\n"))

    def type(self, line, answer=""):
        """Types a line and waits for a line of output after it that has `answer` in it."""
        seen = len(self.lines)
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        return self.expect(answer, seen) if answer else []

    def expect(self, answer, seen=0, seconds=20):
        wait_until(lambda: any(answer in line for line in self.lines[seen:]), seconds,
                   f"{answer!r} in {self.lines[-20:]}")
        return self.lines[seen:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.child.stdin.write("quit\n")
            self.child.stdin.flush()
            self.child.wait(15)
        finally:
            if self.child.poll() is None:
                self.child.kill()

    def shown(self):
        """What was shown, without what differs from run to run."""
        drop = ("time =", "Got a new session", "Freeing", "Closing", "session Id", "myid", "Zoo")
        found = []
        for line in self.lines:
            if any(mark in line for mark in drop):
                continue
            line = re.sub(r"time = .*? c", "time = c", line)
            line = re.sub(r"\w{3} \w{3} +\d+ [\d:]+ \d{4}", "DATE", line)
            line = re.sub(r"(zxid ?= ?)[0-9a-f]+", r"\1N", line)
            line = re.sub(r"ephemeralOwner = [1-9a-f][0-9a-f]+", "ephemeralOwner = ID", line)
            found.append(line)
        return found


def type_a_session(connect, folder):
    with Shell(connect, folder) as shell:
        shell.type("create /c", "name = /c")
        shell.type("create /c", "rc = -110")
        shell.type("create2 /c2", "name = /c2")
        shell.type("set /c some text", "version=1")
        shell.type("get /c", "value_len")
        shell.type("wexists /c")
        shell.type("set /c other", "CHANGED_EVENT")
        shell.type("create +e /c/e", "name = /c/e")
        shell.type("create +s /c/s-", "name = /c/s-0000000001")
        shell.type("create +c /c/box", "name = /c/box")
        shell.type("create /none/x", "rc = -101")
        shell.type("ls /c", "s-0000000001")
        shell.type("ls2 /c", "ephemeralOwner")
        shell.type("sync /c", "rc = 0")
        shell.type("delete /c", "rc = -111")
        shell.type("delete /none", "rc = -101")
        shell.type("addauth digest alice:secret")
        shell.type("sync /c", "rc = 0")
        shell.type("exists /none", "-101")
        return shell.shown()


@pytest.mark.skipif(not REAL_JARS.exists(), reason="apt-get install zookeeper")
def test_the_shell_shows_what_it_shows_with_a_real_server(tmp_path):
    shown = []
    for real in ((), (1,)):
        folder = tmp_path / f"real-{len(real)}"
        folder.mkdir()
        with Ensemble(folder, 1, real=real) as ensemble:
            shown.append(type_a_session(ensemble.connect, folder))
    assert sorted(shown[0]) == sorted(shown[1])


def test_a_session_survives_the_death_of_its_server(tmp_path):
    with Ensemble(tmp_path, 3) as ensemble, Shell(ensemble.connect, tmp_path) as shell:
        shell.type("create +e /mine", "name = /mine")
        for _ in range(2):
            server = next(server for server in ensemble.servers.values()
                          if server.is_running and "sid=" in server.words("cons"))
            seen = len(shell.lines)
            server.kill()
            shell.expect("CONNECTED_STATE", seen, 40)
            shell.type("get /mine", "ephemeralOwner")
            owners = {line for line in shell.lines if "ephemeralOwner" in line}
            assert len(owners) == 1 and not any("EXPIRED" in line for line in shell.lines)
            server.start()
            ensemble.wait_until_serving()
    assert "Got a new session" in "".join(shell.lines)


def test_the_load_generator_runs(tmp_path):
    """It creates its znodes, then changes and deletes them until it is stopped."""
    with Ensemble(tmp_path, 3) as ensemble:
        log = tmp_path / "load.log"
        with open(log, "wb") as output:
            load = subprocess.Popen([str(LOAD), ensemble.connect, "/load", "200"], stdout=output,
                                    stderr=subprocess.STDOUT, cwd=tmp_path)
        try:
            wait_until(lambda: znodes(ensemble) > 200, 30, "200 znodes")
            before = zxid(ensemble)
            wait_until(lambda: zxid(ensemble) > before + 500, 30, "500 transactions")
            assert load.poll() is None, log.read_text(errors="replace")[-2000:]
        finally:
            load.kill()
            load.wait(10)
        assert subprocess.run([str(LOAD), ensemble.connect, "/load", "clean"], cwd=tmp_path,
                              capture_output=True, timeout=60, check=False).returncode == 0
        wait_until(lambda: znodes(ensemble) < 10, 10, "an empty tree")


def znodes(ensemble):
    mntr = dict(line.split("\t", 1) for line in ensemble.leader().words("mntr").splitlines())
    return int(mntr["zk_znode_count"])


def zxid(ensemble):
    return int(re.search(r"Zxid: 0x(\w+)", ensemble.leader().words("srvr")).group(1), 16)
