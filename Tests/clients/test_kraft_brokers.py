"""Brokers in KRaft mode: fenced and unfenced, away while topics come and go, both roles at once."""

import json
import re
import subprocess

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from harness import BIN, Cluster, free_port, wait_until
from kraft import format_directories, new_id, write_config
from test_confluent import create, produce, producer_of, read_all
from test_failover import Traffic

pytestmark = pytest.mark.timeout(300)


def alive(admin):
    return sorted(admin.list_topics(timeout=10).brokers)


def leaders(admin, topic):
    return [p.leader for p in admin.list_topics(topic, 10).topics[topic].partitions.values()]


@pytest.fixture
def brisk(tmp_path):
    """A cluster that misses a broker soon."""
    with Cluster(tmp_path, mode="kraft", settings={"broker.heartbeat.interval.ms": 300}) as cluster:
        yield cluster


def test_a_broker_that_is_silent_is_fenced_and_comes_back(brisk):
    admin = AdminClient({"bootstrap.servers": brisk.brokers[1].address})
    create(admin, "t", 3)
    produce(producer_of(brisk), "t", [(str(n), "before") for n in range(30)])
    brisk.brokers[3].pause()
    wait_until(lambda: alive(admin) == [1, 2], 30, "broker 3 is fenced")
    wait_until(lambda: set(leaders(admin, "t")) <= {1, 2}, 30, "nothing is led by broker 3")
    produce(producer_of(brisk), "t", [(str(n), "meanwhile") for n in range(30)])
    brisk.brokers[3].resume()
    wait_until(lambda: alive(admin) == [1, 2, 3], 30, "broker 3 is unfenced")
    wait_until(
        lambda: all(len(p.isrs) == 3 for p in
                    admin.list_topics("t", 10).topics["t"].partitions.values()),
        60, "broker 3 is in sync again")
    assert len(read_all(brisk, "t", 60)) == 60


def test_replicas_that_went_away_with_their_broker(brisk):
    """While broker 3 is down one topic goes, and another goes and comes again under its name."""
    admin = AdminClient({"bootstrap.servers": brisk.brokers[1].address})
    create(admin, "gone", 1)
    create(admin, "again", 1)
    produce(producer_of(brisk), "again", [("k", f"old {n}") for n in range(20)])
    assert brisk.brokers[3].stop() == 0
    for future in admin.delete_topics(["gone", "again"]).values():
        future.result(30)
    wait_until(lambda: "again" not in admin.list_topics(timeout=10).topics, 20, "it is gone")
    admin.create_topics([NewTopic("again", 1, replica_assignment=[[1, 2]])])["again"].result(30)
    brisk.restart(3)
    brisk.brokers[3].wait_for_line("set aside")
    strays = [path.name for path in brisk.brokers[3].data.iterdir() if path.name.endswith("-stray")]
    assert len(strays) == 2 and not (brisk.brokers[3].data / "again-0").exists()
    produce(producer_of(brisk), "again", [("k", "new")])
    assert [m.value() for m in read_all(brisk, "again", 1)] == [b"new"]


def test_controllers_change_while_a_broker_is_killed(brisk):
    admin = AdminClient({"bootstrap.servers": brisk.bootstrap})
    create(admin, "drill", 4)
    with Traffic(brisk.bootstrap, "drill") as traffic:
        traffic.flows()
        leader = brisk.store.leader()
        leader.kill()
        brisk.brokers[2].kill()
        traffic.flows(300)
        leader.start()
        brisk.restart(2)
        traffic.flows()
    traffic.judge(brisk.bootstrap)


def test_both_roles_in_one_process(tmp_path):
    with Cluster(tmp_path, mode="combined") as cluster:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        create(admin, "drill", 4)
        with Traffic(cluster.bootstrap, "drill") as traffic:
            traffic.flows()
            leader = next(n for n, broker in cluster.brokers.items()
                          if "Becoming the active controller" in broker.log_text())
            cluster.brokers[leader].kill()
            traffic.flows(300)
            cluster.restart(leader)
            wait_until(lambda: alive(admin) == [1, 2, 3], 60, "all are back")
            traffic.flows()
        traffic.judge(cluster.bootstrap)
        for broker in cluster.brokers.values():
            assert broker.stop(40) == 0


def run(*arguments, stdin=None):
    result = subprocess.run([BIN / "jackdaw", *map(str, arguments)], input=stdin, text=True,
                            capture_output=True, timeout=90)
    assert result.returncode == 0, f"{arguments}: {result.stdout}\n{result.stderr}"
    return result.stdout


def test_a_node_for_a_laptop(tmp_path):
    flags = ["--directory", tmp_path / "cluster", "--nodes", 1, "--broker-port", free_port(),
             "--controller-port", free_port(), "--metrics-port", free_port()]
    try:
        out = run("local", "up", *flags)
        bootstrap = re.search(r"bootstrap.servers=(\S+)", out).group(1)
        assert "already running" in run("local", "up", *flags)
        rows = json.loads(run("local", "status", *flags, "--output", "json"))
        assert [row["state"] for row in rows] == ["leader"]
        run("topics", "--bootstrap-server", bootstrap, "--create", "--topic", "kept")
        run("console-producer", "--bootstrap-server", bootstrap, "--topic", "kept", stdin="kept\n")
        run("local", "down", *flags)
        run("local", "up", *flags)
        out = run("console-consumer", "--bootstrap-server", bootstrap, "--topic", "kept",
                  "--from-beginning", "--max-messages", 1, "--timeout-ms", 20000)
        assert out == "kept\n", "data stay until wipe"
    finally:
        run("local", "wipe", *flags)
    assert not (tmp_path / "cluster").exists()


def settings(tmp_path, **more):
    lines = {
        "process.roles": "broker", "node.id": 1, "log.dirs": tmp_path / "data",
        "listeners": f"PLAINTEXT://127.0.0.1:{free_port()}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"101@127.0.0.1:{free_port()}"}
    lines.update({key.replace("_", "."): value for key, value in more.items()})
    return write_config(tmp_path / "server.properties", lines)


def refusal(config):
    result = subprocess.run([BIN / "jackdaw-broker", config], text=True, capture_output=True,
                            timeout=30)
    assert result.returncode != 0
    return result.stderr


def test_what_cannot_start_says_what_to_do(tmp_path):
    config = settings(tmp_path)
    assert "jackdaw storage format" in refusal(config)
    format_directories(config, new_id())
    assert "node.id=1" in refusal(settings(tmp_path, node_id=2))
    assert "jackdaw-controller" in refusal(settings(
        tmp_path, process_roles="controller", listeners=f"CONTROLLER://127.0.0.1:{free_port()}",
        controller_quorum_voters=f"1@127.0.0.1:{free_port()}"))
    # Nobody registers it: it gives up, and says by which key.
    assert "initial.broker.registration.timeout.ms=300" in refusal(settings(
        tmp_path, initial_broker_registration_timeout_ms=300))


def test_brokers_register_again_when_the_level_rises(tmp_path):
    """Below 3.7-IV2 registrations name no directories; from there on the controller needs them."""
    cluster = Cluster(tmp_path, brokers=1, coordinators=1, mode="kraft")
    for server in cluster.store.servers.values():
        format_directories(server.config, cluster.store.cluster_id, "--release-version", "3.6-IV2")

    def registrations():
        log = next(iter(cluster.store.servers.values())).data / "__cluster_metadata-0"
        text = subprocess.run(
            [BIN / "jackdaw", "dump-log", "--cluster-metadata-decoder", "--files",
             next(log.glob("*.log"))], check=True, capture_output=True, text=True, timeout=60).stdout
        payloads = re.findall(r'\{"type":"REGISTER_BROKER_RECORD".*\}', text)
        return [json.loads(payload) for payload in payloads]

    with cluster:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        admin.create_topics([NewTopic("t", 1, 1)])["t"].result(30)
        first = registrations()
        assert [r["data"].get("logDirs", []) for r in first] == [[]]
        subprocess.run(
            [BIN / "jackdaw", "features", "--bootstrap-server", cluster.bootstrap, "upgrade",
             "--metadata", "3.9-IV0"], check=True, capture_output=True, timeout=60)
        wait_until(lambda: len(registrations()) == 2, 30, "the broker has registered again")
        last = registrations()[-1]
        assert len(last["data"]["logDirs"]) == 1
        # It is the same life of the broker, which goes on serving.
        for field in ("incarnationId", "brokerEpoch"):
            assert last["data"][field] == first[0]["data"][field]
        assert last["data"]["fenced"] is False
        produce(producer_of(cluster), "t", [("k", "v")])
        assert cluster.brokers[1].is_running
