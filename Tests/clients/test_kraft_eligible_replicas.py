"""Eligible leader replicas (KIP-966): only at metadata.version 4.0-IV0, which a node takes only with
unstable.feature.versions.enable; and only with eligible.leader.replicas.enable, as in Kafka 3.9."""

import json
import re
import subprocess

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from harness import BIN, Cluster, wait_until
from kraft import format_directories
from test_confluent import produce, producer_of, read_all

pytestmark = pytest.mark.timeout(300)

UNSTABLE = {"unstable.feature.versions.enable": "true", "eligible.leader.replicas.enable": "true"}


def tool(cluster, name, *arguments, status=0):
    # Broker 3 has no replica and stays.
    done = subprocess.run(
        [BIN / "jackdaw", name, "--bootstrap-server", cluster.brokers[3].address,
         *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout + done.stderr


def cluster_at(folder, release):
    """A cluster that was formatted at a level; min.insync.replicas is 2."""
    cluster = Cluster(folder, coordinators=1, mode="kraft", settings={
        **UNSTABLE, "broker.heartbeat.interval.ms": 300})
    for server in cluster.store.servers.values():
        format_directories(
            server.config, cluster.store.cluster_id, "--release-version", release)
    return cluster


def create(cluster):
    admin = AdminClient({"bootstrap.servers": cluster.brokers[3].address})
    admin.create_topics([NewTopic("t", 2, replica_assignment=[[1, 2], [2, 1]])])["t"].result(30)


def state(cluster):
    """Leader, ISR, ELR and the last known leader of partition 0 as `topics --describe` has them."""
    text = tool(cluster, "topics", "--describe", "--topic", "t",
                "--partition-size-limit-per-response", 1)
    line = next(line for line in text.splitlines() if "\tPartition: 0\t" in line)
    fields = dict(part.split(": ", 1) for part in line.lstrip("\t").split("\t"))
    return tuple(fields[name] for name in ("Leader", "Isr", "Elr", "LastKnownElr"))


def becomes(cluster, expected):
    seen = []

    def has_become():
        seen.append(state(cluster))
        return seen[-1] == expected

    try:
        wait_until(has_become, 40, "the partition changes")
    except AssertionError as error:
        raise AssertionError(f"{expected} does not come; last {seen[-3:]}") from error


def partition_records(cluster):
    """Records of partitions and of their changes, as the controller's log has them."""
    log = next(iter(cluster.store.servers.values())).data / "__cluster_metadata-0"
    text = subprocess.run(
        [BIN / "jackdaw", "dump-log", "--cluster-metadata-decoder", "--files",
         next(log.glob("*.log"))], check=True, capture_output=True, text=True, timeout=60).stdout
    found = re.findall(r'\{"type":"PARTITION_(?:CHANGE_)?RECORD".*\}', text)
    return [json.loads(record) for record in found]


def test_an_eligible_replica_leads_without_loss(tmp_path):
    with cluster_at(tmp_path, "4.0-IV0") as cluster:
        level = next(line for line in tool(cluster, "features", "describe").splitlines()
                     if "metadata.version" in line)
        assert "SupportedMaxVersion: 4.0-IV1\tFinalizedVersionLevel: 4.0-IV0" in level
        create(cluster)
        assert state(cluster)[2:] == ("", "")
        produce(producer_of(cluster), "t", [(str(n), f"value {n}") for n in range(40)])
        # It leaves in good order while only one other is in sync: below the minimum.
        assert cluster.brokers[2].stop() == 0
        becomes(cluster, ("1", "1", "2", ""))
        cluster.brokers[1].kill()
        becomes(cluster, ("none", "", "1,2", "1"))
        cluster.restart(2)
        becomes(cluster, ("2", "2", "1", ""))
        cluster.restart(1)
        wait_until(lambda: set(state(cluster)[1].split(",")) == {"1", "2"}, 60, "both in sync")
        assert state(cluster)[2:] == ("", "")
        assert len({m.value() for m in read_all(cluster, "t", 40)}) == 40
        records = partition_records(cluster)
        assert {record["version"] for record in records} == {2}
        # No election was unclean.
        assert not any(record["data"].get("leaderRecoveryState", -1) > 0 for record in records)


def test_a_broker_that_crashed_is_eligible_no_longer(tmp_path):
    with cluster_at(tmp_path, "4.0-IV0") as cluster:
        create(cluster)
        cluster.brokers[2].kill()
        becomes(cluster, ("1", "1", "2", ""))
        cluster.brokers[1].kill()
        becomes(cluster, ("none", "", "1,2", "1"))
        # It may lack what it had not written out, so it does not lead.
        cluster.restart(2)
        becomes(cluster, ("none", "", "1", "1"))
        wait_until(lambda: "unfenced" in cluster.brokers[2].log_text(), 30, "2 is unfenced")
        assert state(cluster) == ("none", "", "1", "1")


def test_nothing_is_written_before_the_level(tmp_path):
    with cluster_at(tmp_path, "3.9-IV0") as cluster:
        create(cluster)
        assert cluster.brokers[2].stop() == 0
        becomes(cluster, ("1", "1", "", ""))
        cluster.brokers[1].kill()
        becomes(cluster, ("none", "1", "", ""))
        records = partition_records(cluster)
        assert {record["version"] for record in records} == {1}
        assert not any("eligible" in key or "lastKnown" in key
                       for record in records for key in record["data"])
        cluster.restart(1)
        becomes(cluster, ("1", "1", "", ""))
        tool(cluster, "features", "upgrade", "--metadata", "4.0-IV0")
        cluster.brokers[1].kill()
        # Only who leaves from now on is eligible.
        becomes(cluster, ("none", "", "1", "1"))
        assert partition_records(cluster)[-1]["version"] == 2


def test_without_the_key_the_level_is_refused(tmp_path):
    settings = {"eligible.leader.replicas.enable": "true"}
    cluster = Cluster(tmp_path, coordinators=1, mode="kraft", settings=settings)
    server = next(iter(cluster.store.servers.values()))
    done = subprocess.run(
        [BIN / "jackdaw", "storage", "format", "--cluster-id", cluster.store.cluster_id,
         "--config", server.config, "--release-version", "4.0-IV0"],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "metadata.version 4.0-IV0 is not yet stable." in done.stderr
    with cluster:
        said = tool(cluster, "features", "upgrade", "--metadata", "4.0-IV0", status=1)
        assert "only supports versions 1-21" in said
