"""What an operator sees of a coordination server, beside what Debian's ZooKeeper shows."""

import json
import re
import socket
import struct
import urllib.error
import urllib.request

import pytest
from kazoo.client import KazooClient

from harness import Coordinator, Ensemble, four_letter, free_port, wait_until

PROMETHEUS = "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider"


def fetch(port, path, method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status, answer.headers.get("Content-Type"), answer.read().decode()


def command(port, name):
    status, kind, text = fetch(port, f"/commands/{name}")
    assert (status, kind) == (200, "application/json"), (name, status, kind)
    return json.loads(text)


class Watched:
    """A server with one client that has made things and watches others."""

    def __init__(self, folder, real):
        self.admin = free_port()
        self.server = Coordinator(folder, 1, real, {
            "admin.enableServer": "true", "admin.serverPort": self.admin,
            "admin.serverAddress": "127.0.0.1"})
        self.client = KazooClient(hosts=f"127.0.0.1:{self.server.port}", timeout=10)

    def __enter__(self):
        self.server.start()
        self.server.wait_for_port(self.server.port)
        self.client.start(timeout=20)
        self.client.ensure_path("/a/b")
        self.client.create("/a/e", b"x", ephemeral=True)
        self.client.get("/a", watch=lambda event: None)
        self.client.get_children("/a", watch=lambda event: None)
        self.client.exists("/nope", watch=lambda event: None)
        self.server.wait_for_port(self.admin)
        return self

    def __exit__(self, *_):
        self.client.stop()
        self.client.close()
        self.server.kill()


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    with Watched(tmp_path_factory.mktemp("ours"), real=False) as watched:
        yield watched


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    with Watched(tmp_path_factory.mktemp("theirs"), real=True) as watched:
        yield watched


def normal(text):
    """Without what differs between two servers that did the same: times, ports, sizes, sessions."""
    text = re.sub(r"0x1[0-9a-f]{14,15}", "SESSION", text)
    text = re.sub(r"/\d+\.\d+\.\d+\.\d+:\d+", "/PEER", text)
    text = re.sub(r"\w{3} \w{3} \d\d \d\d:\d\d:\d\d UTC \d{4}", "DATE", text)
    text = re.sub(r"^Zookeeper version: .*", "VERSION", text)
    text = re.sub(r"(/tmp|/work)\S*/version-2", "DIRECTORY", text)
    return re.sub(r"\d+(\.\d+)?", "N", text)


@pytest.mark.parametrize("word", [
    "conf", "cons", "dirs", "gtmk", "ruok", "srvr", "stat", "wchc", "wchp", "wchs",
    "isro", "hash", "crst", "srst"])
def test_words_read_as_zookeepers(ours, theirs, word):
    def shape(watched):
        text = normal(watched.server.words(word))
        # Connections come in no order, and the one that asks is one of them. Clients ping.
        text = re.sub(r"lop=\w+", "lop=WORD", text)
        return sorted(text.split("\n")) if word in ("cons", "stat") else text
    assert shape(ours) == shape(theirs)


def test_dump_has_zookeepers_sections(ours, theirs):
    def shape(watched):
        lines = normal(watched.server.words("dump")).split("\n")
        return [line for line in lines if not line.startswith("N expire")]
    assert sorted(shape(ours)) == sorted(shape(theirs))
    text = ours.server.words("dump")
    assert re.search(r"^1 expire at \w{3} \w{3} \d\d \d\d:\d\d:\d\d UTC \d{4}:\n\t0x1", text, re.M)


def test_values_are_true(ours):
    words = dict(line.split("\t") for line in ours.server.words("mntr").splitlines())
    assert words["zk_ephemerals_count"] == "1"
    assert words["zk_watch_count"] == "3"
    assert words["zk_znode_count"] == "8"
    assert words["zk_global_sessions"] == "1"
    assert int(words["zk_cnt_fsynctime"]) >= 0
    assert words["zk_server_state"] == "standalone"
    environment = dict(line.split("=", 1) for line in ours.server.words("envi").splitlines()[1:])
    assert environment["os.name"] == "Linux" and environment["zookeeper.version"]


def test_monitor_names_are_zookeepers(ours, theirs):
    """Nothing is measured under a name of our own; what everybody scrapes is there."""
    def names(watched):
        return [line.split("\t")[0] for line in watched.server.words("mntr").splitlines()]
    known = set(names(theirs))
    assert set(names(ours)) <= known
    basic = names(theirs)[:names(theirs).index("zk_min_client_response_size") + 1]
    missing = set(basic) - set(names(ours))
    # TLS without client certificates is not counted.
    assert missing <= {
        "zk_non_mtls_remote_conn_count", "zk_non_mtls_local_conn_count",
        "zk_outstanding_tls_handshake"}, missing


def test_trace_mask_is_kept(ours):
    with socket.create_connection(("127.0.0.1", ours.server.port)) as wire:
        wire.sendall(b"stmk" + struct.pack(">q", 514))
        assert wire.recv(64) == b"514"
    assert ours.server.words("gtmk") == "514"
    assert command(ours.admin, "get_trace_mask")["tracemask"] == 514
    assert command(ours.admin, "set_trace_mask?traceMask=306")["tracemask"] == 306
    assert "requires long" in command(ours.admin, "stmk?traceMask=x")["error"]


def test_words_that_are_not_allowed(tmp_path):
    server = Coordinator(tmp_path, settings={"4lw.commands.whitelist": "ruok, srvr"})
    server.start()
    try:
        server.wait_for_port(server.port)
        assert server.words("ruok") == "imok"
        assert server.words("mntr") == (
            "mntr is not executed because it is not in the whitelist.\n")
        assert server.words("stmk").startswith("stmk is not executed")
        assert server.words("xxxx") == ""
    finally:
        server.kill()


def test_admin_list_is_zookeepers(ours, theirs):
    assert fetch(ours.admin, "/commands")[2] == fetch(theirs.admin, "/commands")[2]


COMMANDS = [
    "configuration", "connections", "dirs", "dump", "get_trace_mask", "hash", "is_read_only",
    "last_snapshot", "leader", "observer_connection_stat_reset", "observers", "ruok",
    "server_stats", "stats", "voting_view", "watch_summary", "watches", "watches_by_path",
    "zabstate", "connection_stat_reset", "stat_reset", "nosuch", "conf", "cons", "wchc",
    "set_trace_mask", "initial_configuration"]

# The two counts of client certificates are not kept.
ABSENT = {"non_mtlsremote_conn_count", "non_mtlslocal_conn_count"}


def shape(value):
    """Names and kinds of what a JSON value holds."""
    if isinstance(value, dict):
        if value and all(key.isdigit() for key in value):
            # Buckets of time may have been left by their sessions.
            return {"N": shape(next((item for item in value.values() if item), []))}
        return {key: shape(item) for key, item in sorted(value.items()) if key not in ABSENT}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return type(value).__name__


@pytest.mark.parametrize("name", COMMANDS)
def test_admin_commands_have_zookeepers_fields(ours, theirs, name):
    mine, other = command(ours.admin, name), command(theirs.admin, name)
    assert shape(mine) == shape(other)
    assert mine["command"] == other["command"]


def test_admin_values_are_true(ours):
    session = ours.client.client_id[0]
    assert command(ours.admin, "watches_by_path")["path_to_session_ids"] == {
        "/a": [session], "/nope": [session]}
    assert command(ours.admin, "dump")["session_id_to_ephemeral_paths"] == {str(session): ["/a/e"]}
    assert command(ours.admin, "mntr")["znode_count"] == 8
    assert command(ours.admin, "system_properties")["zookeeper.clientPort"] == str(ours.server.port)
    with pytest.raises(urllib.error.HTTPError) as refusal:
        fetch(ours.admin, "/commands/ruok", "POST")
    assert refusal.value.code == 405
    with pytest.raises(urllib.error.HTTPError) as refusal:
        fetch(ours.admin, "/other")
    assert refusal.value.code == 404


def test_digests_agree_between_servers(tmp_path):
    """`hash` names the same digests on every server of an ensemble."""
    with Ensemble(tmp_path, 3, settings={"snapCount": 1000}) as ensemble:
        client = KazooClient(hosts=ensemble.connect)
        client.start(timeout=20)
        for number in range(300):
            client.create(f"/n{number}", b"x")
        client.stop()
        client.close()
        servers = list(ensemble.servers.values())
        wait_until(lambda: all(len(s.words("hash").splitlines()) >= 2 for s in servers), 20,
                   "two digests are logged everywhere")
        first = [tuple(server.words("hash").splitlines()[:2]) for server in servers]
        assert len(set(first)) == 1 and re.match(r"^[0-9a-f]+: -?\d+$", first[0][0])


def test_ensemble_members_are_zookeepers(tmp_path):
    """One ensemble with one of ours and two real servers: each command has the same fields."""
    admin = {sid: free_port() for sid in (1, 2, 3)}
    ensemble = Ensemble(tmp_path, 3, real=(1, 2))
    for sid, server in ensemble.servers.items():
        config = tmp_path / f"zoo-{sid}.cfg"
        text = config.read_text().replace("admin.enableServer=false", "admin.enableServer=true")
        config.write_text(
            text + f"admin.serverPort={admin[sid]}\nadmin.serverAddress=127.0.0.1\n")
        server.command = [part for part in server.command if "enableServer" not in part]
    with ensemble:
        roles = {sid: server.mode() for sid, server in ensemble.servers.items()}
        assert roles[3] == "leader"
        for port in admin.values():
            wait_until(lambda: command(port, "ruok")["error"] is None, 20, "it answers")
        for name in ["leader", "voting_view", "observers", "configuration"]:
            mine, other = command(admin[3], name), command(admin[1], name)
            assert shape(mine) == shape(other), name
        mine, other = command(admin[3], "zabstate"), command(admin[1], "zabstate")
        assert set(mine) == set(other)
        assert mine["zabstate"] == other["zabstate"] == "broadcast"
        assert command(admin[3], "leader")["leader_id"] == command(admin[1], "leader")["leader_id"]
        conf = [normal(ensemble.servers[sid].words("conf")) for sid in (1, 3)]
        assert conf[0] == conf[1]
        known = {line.split("\t")[0] for line in ensemble.servers[1].words("mntr").splitlines()}
        leading = {"zk_learners", "zk_synced_followers", "zk_synced_observers",
                   "zk_synced_non_voting_followers",
                   "zk_pending_syncs", "zk_last_proposal_size", "zk_min_proposal_size",
                   "zk_max_proposal_size", "zk_leader_uptime"}
        mine = {line.split("\t")[0] for line in ensemble.servers[3].words("mntr").splitlines()}
        assert mine - leading <= known
        assert leading <= mine
        words = dict(line.split("\t") for line in ensemble.servers[3].words("mntr").splitlines())
        assert int(words["zk_looking_count"]) >= 1 and int(words["zk_cnt_election_time"]) >= 1


def test_a_taken_admin_port_is_a_warning(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = Coordinator(tmp_path, settings={
            "admin.enableServer": "true", "admin.serverPort": taken.getsockname()[1]})
        server.start()
        try:
            server.wait_for_port(server.port)
            server.wait_for_line("AdminServer not started")
            assert server.words("ruok") == "imok"
        finally:
            server.kill()


def test_prometheus_has_zookeepers_names(tmp_path):
    port = free_port()
    server = Coordinator(tmp_path, settings={
        "metricsProvider.className": PROMETHEUS, "metricsProvider.httpPort": port})
    server.start()
    try:
        server.wait_for_port(server.port)
        client = KazooClient(hosts=f"127.0.0.1:{server.port}")
        client.start(timeout=20)
        client.create("/x", b"1")
        client.get("/x")
        _, kind, text = fetch(port, "/metrics")
        client.stop()
        client.close()
        assert kind.startswith("text/plain; version=0.0.4")
        samples = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                assert re.match(r'^[a-z_]+(\{quantile="[0-9.]+",\})? (-?\d+(\.\d+)?|NaN)$', line)
                name, value = line.rsplit(" ", 1)
                samples[name] = value
        assert samples["znode_count"] == "6"
        assert int(samples["updatelatency_count"]) >= 1
        assert int(samples["fsynctime_count"]) >= 2
        assert 'readlatency{quantile="0.5",}' in samples
        assert "# TYPE znode_count gauge" in text and "# TYPE fsynctime summary" in text
        assert "# TYPE commit_count counter" in text
    finally:
        server.kill()


@pytest.mark.parametrize("key, value", [
    ("metricsProvider.className", "com.example.Mine"), ("admin.commandURL", "commands"),
    ("admin.serverPort", "eighty")])
def test_a_wrong_key_is_named(tmp_path, key, value):
    server = Coordinator(tmp_path, settings={key: value})
    server.start()
    server.wait(10)
    assert key in server.log_text() and value in server.log_text()
