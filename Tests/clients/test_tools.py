"""The command-line tools, run as people run them."""

import json
import re
import subprocess
import urllib.request

import pytest

from harness import BIN, Coordinator, free_port


def run(*arguments, stdin=None, expect=0, seconds=60):
    result = subprocess.run(
        [BIN / "jackdaw", *map(str, arguments)], input=stdin, text=True, capture_output=True,
        timeout=seconds)
    if expect is not None:
        assert result.returncode == expect, f"{arguments}: {result.stdout}\n{result.stderr}"
    return result.stdout + (result.stderr if expect else "")


@pytest.fixture
def tool(cluster):
    def call(name, *arguments, **options):
        return run(name, "--bootstrap-server", cluster.bootstrap, *arguments, **options)
    return call


@pytest.fixture
def ready_topic(tool, topic):
    tool("topics", "--create", "--topic", topic, "--partitions", 3, "--replication-factor", 3)
    return topic


def test_help_and_errors():
    assert "console-consumer" in run("--help")
    for name in ("topics", "configs", "consumer-groups", "dump-log", "local", "zookeeper-shell"):
        assert "usage: jackdaw " + name in run(name, "--help")
    assert "no tool is called" in run("nonsense", expect=2)
    assert "--nonsense" in run("topics", "--nonsense", expect=2)
    assert "--bootstrap-server" in run("topics", "--list", expect=2)
    assert "--mode" in run("local", "up", "--mode", "etcd", expect=2)


# The flags of Kafka 3.9's tools, but for those of every tool and those that name quotas, users and
# transactions, which have tests of their own.
FLAGS = {
    "topics": """--alter --at-min-isr-partitions --config --create --delete --delete-config --describe
        --exclude-internal --if-exists --if-not-exists --list --partition-size-limit-per-response
        --partitions --replica-assignment --replication-factor --topic --topic-id
        --topics-with-overrides --unavailable-partitions --under-min-isr-partitions
        --under-replicated-partitions""",
    "configs": """--add-config --add-config-file --all --alter --broker --broker-defaults --delete-config
        --describe --entity-default --entity-name --entity-type --force --topic""",
    "consumer-groups": """--all-groups --all-topics --by-duration --delete --delete-offsets --describe
        --dry-run --execute --export --from-file --group --list --members --offsets --reset-offsets
        --shift-by --state --timeout --to-current --to-datetime --to-earliest --to-latest
        --to-offset --topic --type --verbose""",
    "console-producer": """--batch-size --broker-list --compression-codec --line-reader --max-block-ms
        --max-memory-bytes --max-partition-memory-bytes --message-send-max-retries
        --metadata-expiry-ms --producer-property --producer.config --property --reader-config
        --request-required-acks --request-timeout-ms --retry-backoff-ms --socket-buffer-size --sync
        --timeout --topic""",
    "console-consumer": """--consumer-property --consumer.config --enable-systest-events --formatter
        --formatter-config --from-beginning --group --include --isolation-level --key-deserializer
        --max-messages --offset --partition --property --skip-message-on-error --timeout-ms --topic
        --value-deserializer --whitelist""",
    "get-offsets": "--broker-list --exclude-internal-topics --partitions --time --topic "
                   "--topic-partitions",
    "delete-records": "--offset-json-file",
    "log-dirs": "--broker-list --describe --topic-list",
    "leader-election": "--admin.config --all-topic-partitions --topic --election-type --partition "
                       "--path-to-json-file",
    "reassign-partitions": """--additional --broker-list --cancel --disable-rack-aware --execute
        --generate --list --preserve-throttles --reassignment-json-file
        --replica-alter-log-dirs-throttle --throttle --timeout --topics-to-move-json-file
        --verify""",
    "dump-log": """--cluster-metadata-decoder --deep-iteration --files --index-sanity-check
        --key-decoder-class --max-bytes --max-message-size --offsets-decoder --print-data-log
        --remote-log-metadata-decoder --skip-record-metadata --transaction-log-decoder
        --value-decoder-class --verify-index-only""",
    "producer-perf-test": """--throughput --payload-file --payload-monotonic --topic --num-records
        --payload-delimiter --producer-props --producer.config --print-metrics --record-size""",
    "consumer-perf-test": """--broker-list --consumer.config --date-format --fetch-size --from-latest
        --group --hide-header --messages --num-fetch-threads --print-metrics --reporting-interval
        --show-detailed-stats --socket-buffer-size --threads --timeout --topic""",
}


@pytest.mark.parametrize("name", FLAGS)
def test_flags_of_kafkas_tools_are_known(name):
    """Each is taken, or refused with a reason: none is an unknown flag."""
    text = run(name, "--help")
    known = set(re.findall(r"(?<![\w-])--[a-z0-9.-]+", text))
    missing = [flag for flag in FLAGS[name].split() if flag not in known]
    assert not missing, missing
    for flag in re.findall(r"^ +(--[a-z0-9.-]+) +Refused: ", text, re.MULTILINE):
        out = run(name, flag, "1", expect=2)
        assert flag in out and "unknown" not in out, out


def test_topics(tool, topic):
    out = tool("topics", "--create", "--topic", topic, "--partitions", 2,
               "--replication-factor", 3, "--config", "retention.ms=100000")
    assert f"Created topic {topic}." in out
    assert "TOPIC_ALREADY_EXISTS" in tool("topics", "--create", "--topic", topic, expect=1)
    tool("topics", "--create", "--if-not-exists", "--topic", topic)
    assert topic in tool("topics", "--list").split()
    described = tool("topics", "--describe", "--topic", topic)
    assert "PartitionCount: 2\tReplicationFactor: 3" in described
    assert "retention.ms=100000" in described
    assert described.count("\tPartition: ") == 2
    tool("topics", "--alter", "--topic", topic, "--partitions", 4)
    rows = json.loads(tool("topics", "--describe", "--topic", topic, "--output", "json"))
    assert len(rows[0]["partitions"]) == 4
    assert tool("topics", "--describe", "--unavailable-partitions") == ""
    tool("topics", "--delete", "--topic", topic)
    assert "does not exist" in tool("topics", "--delete", "--topic", topic + "-none", expect=1)


def test_console_clients(tool, ready_topic):
    lines = "".join(f"key{n}:value {n}\n" for n in range(300))
    tool("console-producer", "--topic", ready_topic, "--property", "parse.key=true",
         "--property", "key.separator=:", "--compression-codec", "lz4", stdin=lines)
    out = tool("console-consumer", "--topic", ready_topic, "--from-beginning",
               "--max-messages", 300, "--property", "print.key=true",
               "--property", "key.separator=:", "--timeout-ms", 20000)
    assert sorted(out.splitlines()) == sorted(lines.splitlines())
    one = tool("console-consumer", "--topic", ready_topic, "--partition", 0, "--offset", "0",
               "--max-messages", 1, "--property", "print.offset=true",
               "--property", "print.partition=true", "--timeout-ms", 20000)
    assert one.startswith("Partition:0\tOffset:0\tvalue ")


def test_configs(tool, ready_topic):
    tool("configs", "--alter", "--topic", ready_topic, "--add-config",
         "cleanup.policy=[compact,delete],max.message.bytes=2000")
    out = tool("configs", "--describe", "--topic", ready_topic)
    assert "cleanup.policy=compact,delete" in out and "max.message.bytes=2000" in out
    assert "segment.bytes=" in tool("configs", "--describe", "--all", "--topic", ready_topic)
    tool("configs", "--alter", "--topic", ready_topic, "--delete-config", "max.message.bytes")
    assert "max.message.bytes" not in tool("configs", "--describe", "--topic", ready_topic)
    assert "INVALID_CONFIG" in tool(
        "configs", "--alter", "--topic", ready_topic, "--add-config", "retention.ms=soon", expect=1)


def test_offsets_groups_and_deletion(tool, ready_topic, tmp_path):
    tool("console-producer", "--topic", ready_topic, stdin="".join(f"{n}\n" for n in range(60)))
    offsets = dict(line.rsplit(":", 1) for line in
                   tool("get-offsets", "--topic", ready_topic).splitlines())
    assert sum(map(int, offsets.values())) == 60
    group = f"group-{ready_topic}"
    tool("console-consumer", "--topic", ready_topic, "--group", group, "--from-beginning",
         "--max-messages", 60, "--timeout-ms", 20000)
    assert group in tool("consumer-groups", "--list").split()
    # The state may be optional, and a filter.
    assert re.search(rf"{group} +Empty", tool("consumer-groups", "--list", "--state"))
    assert group in tool("consumer-groups", "--list", "--state", "empty")
    assert group not in tool("consumer-groups", "--list", "--state=Stable,Dead")
    assert re.search(rf"{group} +classic", tool("consumer-groups", "--list", "--type"), re.I)
    assert group not in tool("consumer-groups", "--list", "--type", "consumer")
    assert "--type" in tool("consumer-groups", "--list", "--type", "odd", expect=2)
    described = tool("consumer-groups", "--describe", "--group", group)
    assert "CURRENT-OFFSET" in described
    rows = [line.split() for line in described.splitlines() if line.startswith(group)]
    assert len(rows) == 3 and all(row[5] == "0" for row in rows), described
    assert "Empty" in tool("consumer-groups", "--describe", "--state", "--group", group)
    tool("consumer-groups", "--reset-offsets", "--group", group, "--topic", ready_topic,
         "--to-earliest", "--execute")
    described = tool("consumer-groups", "--describe", "--group", group)
    rows = [line.split() for line in described.splitlines() if line.startswith(group)]
    assert sum(int(row[5]) for row in rows) == 60, described
    assert "Successful" in tool("consumer-groups", "--delete-offsets", "--group", group,
                                "--topic", f"{ready_topic}:0")
    assert "was successful" in tool("consumer-groups", "--delete", "--group", group)
    assert "Error" in tool("consumer-groups", "--delete", "--group", group, expect=1)
    plan = tmp_path / "delete.json"
    plan.write_text(json.dumps({"version": 1, "partitions": [
        {"topic": ready_topic, "partition": p, "offset": -1} for p in range(3)]}))
    assert "low_watermark" in tool("delete-records", "--offset-json-file", plan)
    earliest = tool("get-offsets", "--topic", ready_topic, "--time", "earliest")
    assert sum(int(line.rsplit(":", 1)[1]) for line in earliest.splitlines()) == 60


def test_cluster_tools(tool, cluster, ready_topic):
    assert re.search(r"Cluster ID: \S{22}", tool("cluster", "cluster-id"))
    versions = tool("broker-api-versions")
    assert versions.count("(id: ") == 3 and "Produce(0): 0 to 11" in versions
    report = tool("log-dirs", "--describe", "--topic-list", ready_topic)
    brokers = json.loads(report[report.index("{"):])["brokers"]
    assert sorted(entry["broker"] for entry in brokers) == [1, 2, 3]
    assert all(len(entry["logDirs"][0]["partitions"]) == 3 for entry in brokers)
    out = tool("leader-election", "--election-type", "preferred", "--all-topic-partitions")
    assert "Error" not in out


def test_reassignment(tool, topic, tmp_path):
    tool("topics", "--create", "--topic", topic, "--replica-assignment", "1:2")
    tool("console-producer", "--topic", topic, stdin="".join(f"{n}\n" for n in range(100)))
    move = tmp_path / "move.json"
    move.write_text(json.dumps({"version": 1, "topics": [{"topic": topic}]}))
    out = tool("reassign-partitions", "--generate", "--topics-to-move-json-file", move,
               "--broker-list", "1,2,3")
    assert "Proposed partition reassignment configuration" in out
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"version": 1, "partitions": [
        {"topic": topic, "partition": 0, "replicas": [3, 2]}]}))
    out = tool("reassign-partitions", "--execute", "--reassignment-json-file", plan)
    assert "Successfully started" in out
    for _ in range(100):
        out = tool("reassign-partitions", "--verify", "--reassignment-json-file", plan, expect=None)
        if "is completed" in out:
            break
    assert "is completed" in out
    assert "No partition reassignments" in tool("reassign-partitions", "--list")
    out = tool("console-consumer", "--topic", topic, "--from-beginning", "--max-messages", 100,
               "--timeout-ms", 20000)
    assert sorted(map(int, out.split())) == list(range(100))
    described = tool("topics", "--describe", "--topic", topic)
    assert "Replicas: 3,2" in described


def test_perf_tools(tool, cluster, ready_topic):
    out = run("producer-perf-test", "--topic", ready_topic, "--num-records", 20000,
              "--record-size", 100, "--throughput", -1, "--producer-props",
              f"bootstrap.servers={cluster.bootstrap}", "acks=all")
    assert re.search(r"20000 records sent, [\d.]+ records/sec \([\d.]+ MB/sec\), .* 99\.9th\.", out)
    out = tool("consumer-perf-test", "--topic", ready_topic, "--messages", 20000)
    assert out.splitlines()[0].startswith("start.time, end.time") and ", 20000, " in out


def test_dump_log(tool, cluster, ready_topic):
    tool("console-producer", "--topic", ready_topic, stdin="one\ntwo\n")
    found = ""
    for log in cluster.brokers[1].data.glob(f"{ready_topic}-*/*.log"):
        found += run("dump-log", "--files", log, "--print-data-log")
    assert "baseOffset: 0" in found and "payload: one" in found
    assert "no such file" in run("dump-log", "--files", "/nowhere.log", expect=1)


@pytest.mark.zookeeper_only
def test_zookeeper_shell(cluster):
    address = cluster.ensemble.connect
    assert "[1, 2, 3]" in run("zookeeper-shell", address, "ls", "/brokers/ids")
    out = run("zookeeper-shell", address, stdin="""
create /shell "some data"
get -s /shell
set /shell other
get /shell
create -s /shell/child- x
ls -R /shell
deleteall /shell
stat /shell
""", expect=1)
    assert "Created /shell" in out and "some data" in out and "dataVersion = 0" in out
    assert "/shell/child-0000000000" in out and "Node does not exist: /shell" in out
    assert "Node does not exist" in run("zookeeper-shell", address, "get", "/nowhere", expect=1)


def test_metrics(cluster):
    ports = cluster.metrics_ports
    text = urllib.request.urlopen(f"http://127.0.0.1:{ports[1]}/metrics", timeout=5).read().decode()
    for name in ("kafka_server_replicamanager_underreplicatedpartitions",
                 "kafka_server_replicamanager_partitioncount",
                 "kafka_controller_kafkacontroller_activecontrollercount",
                 "kafka_server_brokertopicmetrics_messagesin_total",
                 "kafka_network_requestmetrics_requests_total"):
        assert name in text, name


def test_local_cluster(tmp_path):
    flags = ["--directory", tmp_path / "cluster", "--broker-port", free_port(),
             "--coordination-port", free_port() // 2 + 10000, "--metrics-port", free_port()]
    sizes = ["--brokers", 1, "--coordinators", 1]
    try:
        out = run("local", "up", *flags, *sizes)
        bootstrap = re.search(r"bootstrap.servers=(\S+)", out).group(1)
        assert "already running" in run("local", "up", *flags, *sizes)
        rows = json.loads(run("local", "status", *flags, "--output", "json"))
        assert {row["state"] for row in rows} == {"standalone", "controller"}
        run("console-producer", "--bootstrap-server", bootstrap, "--topic", "kept", stdin="kept\n")
        run("local", "down", *flags)
        run("local", "up", *flags, *sizes)
        out = run("console-consumer", "--bootstrap-server", bootstrap, "--topic", "kept",
                  "--from-beginning", "--max-messages", 1, "--timeout-ms", 20000)
        assert out == "kept\n", "data stay until wipe"
    finally:
        run("local", "wipe", *flags)
    assert not (tmp_path / "cluster").exists()


@pytest.mark.parametrize("line,key", [
    ("broker.id=x", "broker.id"), ("log.retention.ms=soon", "log.retention.ms"),
    ("process.roles=brooker", "process.roles")])
def test_a_wrong_broker_configuration_is_named(tmp_path, line, key):
    config = tmp_path / "server.properties"
    config.write_text(f"zookeeper.connect=127.0.0.1:1\nlog.dirs={tmp_path}/data\n{line}\n")
    result = subprocess.run([BIN / "jackdaw-broker", config], text=True, capture_output=True,
                            timeout=20)
    assert result.returncode != 0
    assert key in result.stderr and "server.properties" in result.stderr


def test_a_wrong_coordinator_configuration_is_named(tmp_path):
    server = Coordinator(tmp_path, settings={"tickTime": "often"}).start()
    assert server.wait(20) != 0
    assert "tickTime" in server.log_text() and "often" in server.log_text()
