"""`jackdaw zookeeper-shell` beside ZooKeeper's own shell, and over TLS."""

import re
import subprocess

import pytest
from kazoo.client import KazooClient

from certificates import PASSWORD, certificates, tls_settings
from harness import BIN, Coordinator, free_port
from harness import REAL_CLASSES


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    secure = free_port()
    server = Coordinator(tmp_path_factory.mktemp("shell"), settings={
        "secureClientPort": secure, **tls_settings(), "extendedTypesEnabled": "true"})
    server.secure = secure
    server.start()
    server.wait_for_port(server.port)
    yield server
    server.kill()


def ours(server, *words, stdin=None, expect=0, flags=()):
    result = subprocess.run(
        [BIN / "jackdaw", "zookeeper-shell", f"127.0.0.1:{server.port}", *flags, *words],
        input=stdin, capture_output=True, text=True, timeout=60)
    assert result.returncode == expect, result
    return result.stdout + result.stderr


def theirs(server, *words):
    """ZooKeeper's own shell, without what it logs."""
    result = subprocess.run(
        ["java", "-Xmx128m", "-cp", f"/etc/zookeeper/conf:{REAL_CLASSES}",
         "org.apache.zookeeper.ZooKeeperMain", "-server", f"127.0.0.1:{server.port}", *words],
        capture_output=True, text=True, timeout=60)
    text = result.stdout + result.stderr
    noise = r"^(SLF4J|log4j|WATCHER|WatchedEvent|Connecting to|\d{4}-).*$|^$"
    return [line for line in text.splitlines() if not re.match(noise, line)]


SCRIPT = """
create /s "some data"
create -s /s/n- x
create -e /s/e y
create -c /s/c
create -t 100000 /s/t ttl
create -s -t 100000 /s/ts- ttl
ls /s
ls -s /s
ls -R /s
get -s /s
set -s -v 0 /s other
set -v 7 /s never
stat /s
getAcl -s /s
setAcl -R /s world:anyone:cdrwa
getEphemerals
getEphemerals /s/
getAllChildrenNumber /s
sync /s
addauth digest bob:secret
whoami
setquota -n 100 /s
setquota -b 5000 /s
setquota -N 200 /s
listquota /s
delquota -n /s
listquota /s
delquota /s
listquota /s
config
version
history
printwatches
printwatches off
printwatches
redo 6
redo 100
delete /s/c
delete -v 9 /s/t
delete /nowhere
deleteall /s -b 2
stat /s
connect 127.0.0.1:{port}
close
ls /
connect
ls /zookeeper
bogus
quit
ls /never
"""


def test_every_command(server):
    text = ours(server, stdin=SCRIPT.format(port=server.port), expect=1)
    for line in [
            "Created /s", "Created /s/n-0000000000", "Created /s/e", "Created /s/c", "Created /s/t",
            "Created /s/ts-0000000004", "[c, e, n-0000000000, t, ts-0000000004]", "some data",
            "dataVersion = 1", "version No is not valid : /s", "'world,'anyone", ": cdrwa",
            "[/s/e]", "5", "Sync is OK", "Auth scheme: User", "ip: 127.0.0.1", "digest: bob",
            "Output quota for /s count=100,bytes=5000=;countHardLimit=200",
            "Output stat for /s count=6,bytes=", "Output quota for /s count=-1,bytes=5000",
            "quota for /s does not exist.", "ZooKeeper CLI version: 3.8", "printwatches is on",
            "printwatches is off", "Command index out of range", "Node does not exist: /nowhere",
            "Node does not exist: /s", "Not connected", "[config, quota]",
            "Command not found: Command not found bogus"]:
        assert line in text, f"{line!r} is not in\n{text}"
    # What `redo` ran again, and the numbers of the history.
    assert text.count("[c, e, n-0000000000, t, ts-0000000004]") >= 3
    assert "6 - ls /s" not in text or "31 - history" in text
    assert "/never" not in text


def test_watches_are_told(server):
    client = KazooClient(hosts=f"127.0.0.1:{server.port}")
    client.start(timeout=20)
    client.ensure_path("/w/x")
    shell = subprocess.Popen(
        [BIN / "jackdaw", "zookeeper-shell", f"127.0.0.1:{server.port}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def say(line):
        shell.stdin.write(line + "\n")
        shell.stdin.flush()

    def hear(text, whole=False):
        while line := shell.stdout.readline():
            if (line.strip() == text) if whole else (text in line):
                return
        raise AssertionError(f"ended before {text!r}")

    say("get -w /w")
    say("addWatch -m PERSISTENT_RECURSIVE /w/x")
    say("getAllChildrenNumber /w")
    # The whole line: the address that it connects to has a 1 too.
    hear("1", whole=True)
    client.set("/w", b"1")
    hear("WatchedEvent state:SyncConnected type:NodeDataChanged path:/w")
    for number in range(3):
        client.create(f"/w/x/{number}")
        hear(f"WatchedEvent state:SyncConnected type:NodeCreated path:/w/x/{number}")
    say("removewatches /w/x -a")
    say("sync /")
    hear("Sync is OK")
    client.create("/w/x/unseen")
    say("removewatches /w/x -d")
    hear("No watcher")
    say("ls /w")
    hear("[x]")
    shell.stdin.close()
    rest = shell.stdout.read()
    assert "unseen" not in rest
    shell.wait(10)
    client.delete("/w", recursive=True)
    client.stop()
    client.close()


@pytest.mark.parametrize("words", [
    ("ls", "/"), ("get", "/p"), ("getAcl", "/p"), ("ls", "-R", "/p"), ("get", "/nowhere"),
    ("getAllChildrenNumber", "/p"), ("create", "/p/q/r/s", "x"), ("create", "/p"),
    ("delete", "/p"), ("listquota", "/p"), ("set", "-v", "9", "/p", "x")])
def test_the_same_lines_as_zookeepers_shell(server, words):
    client = KazooClient(hosts=f"127.0.0.1:{server.port}")
    client.start(timeout=20)
    client.ensure_path("/p/q")
    client.set("/p", b"data of p")
    client.stop()
    client.close()
    result = subprocess.run(
        [BIN / "jackdaw", "zookeeper-shell", f"127.0.0.1:{server.port}", *words],
        capture_output=True, text=True, timeout=60)
    mine = [line for line in (result.stdout + result.stderr).splitlines() if line]
    assert sorted(mine) == sorted(theirs(server, *words))


def test_over_tls(server, tmp_path):
    folder = certificates()
    settings = tmp_path / "tls.properties"
    settings.write_text(f"""
zookeeper.ssl.client.enable=true
zookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty
zookeeper.ssl.keystore.location={folder}/client.p12
zookeeper.ssl.keystore.password={PASSWORD}
zookeeper.ssl.truststore.location={folder}/trust.p12
zookeeper.ssl.truststore.password={PASSWORD}
""")
    plain = server.port
    try:
        server.port = server.secure
        text = ours(server, "-zk-tls-config-file", str(settings), "whoami")
        assert "x509: CN=alice,O=Jackdaw" in text
        settings.write_text(settings.read_text() + "zookeeper.ssl.protocol=SSLv1\n")
        text = ours(server, "-zk-tls-config-file", str(settings), "ls", "/", expect=2)
        assert "-zk-tls-config-file" in text and "SSLv1" in text
    finally:
        server.port = plain
