"""Access control lists in both modes: what is stored, listed, enforced, and what survives."""

import json
import subprocess

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import (
    AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, NewTopic,
    ResourcePatternType, ResourceType)

from harness import BIN, Cluster, wait_until

STANDARD = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
AUTHORIZER = {
    "authorizer.class.name": STANDARD,
    # Every connection is anonymous: what no entry is about must stay open for the servers.
    "allow.everyone.if.no.acl.found": "true", "super.users": "User:admin;User:CN=a,O=b"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, mode):
    with Cluster(tmp_path_factory.mktemp("guarded"), mode=mode,
                 settings=authorizer(mode)) as cluster:
        # The servers need CLUSTER_ACTION, which is nobody's as soon as the cluster has an entry.
        acls(cluster, "--add", "--allow-principal", "User:ANONYMOUS", "--cluster")
        yield cluster


def authorizer(mode):
    name = "kafka.security.authorizer.AclAuthorizer" if mode == "zookeeper" else STANDARD
    return {**AUTHORIZER, "authorizer.class.name": name}


def acls(cluster, *arguments, status=0, at=None):
    done = subprocess.run(
        [BIN / "jackdaw", "acls", "--bootstrap-server", at or cluster.bootstrap, *arguments],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout + done.stderr


def known_to_all(cluster, *texts):
    """Waits until every broker lists entries with these texts."""
    def listed(broker):
        said = subprocess.run(
            [BIN / "jackdaw", "acls", "--bootstrap-server", broker.address, "--list"],
            capture_output=True, text=True, timeout=60).stdout
        return all(text in said for text in texts)
    for broker in cluster.brokers.values():
        wait_until(lambda: listed(broker), 30, f"{broker.name} lists {texts}")


def create(cluster, name):
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.create_topics([NewTopic(name, 3, 3)])[name].result(30)
    return admin


def produce_error(cluster, topic):
    """The code that a record is refused with; None when it is stored."""
    errors = []
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all"})
    producer.produce(topic, b"v", on_delivery=lambda error, _: errors.append(error))
    producer.flush(30)
    return errors[0].name() if errors[0] else None


def consume(cluster, topic, group, count):
    """Values read by a group; raises what the consumer is told."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": group,
                         "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    values = []
    try:
        for _ in range(300):
            message = consumer.poll(0.1)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            values.append(message.value())
            if len(values) == count:
                return values
    finally:
        consumer.close()
    return values


def deny(cluster, *what):
    acls(cluster, "--add", "--deny-principal", "User:ANONYMOUS", *what)


def undo(cluster, *what):
    acls(cluster, "--remove", "--force", "--deny-principal", "User:ANONYMOUS", *what)


def test_what_kafkas_clients_store_and_list(guarded):
    admin = AdminClient({"bootstrap.servers": guarded.bootstrap})
    binding = AclBinding(ResourceType.TOPIC, "stored-", ResourcePatternType.PREFIXED, "User:bob",
                         "10.0.0.1", AclOperation.WRITE, AclPermissionType.ALLOW)
    for future in admin.create_acls([binding]).values():
        future.result(30)
    every = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.MATCH, "User:bob", None,
                             AclOperation.ANY, AclPermissionType.ANY)
    wait_until(lambda: admin.describe_acls(every).result(30) == [binding], 20, "it is listed")
    by_name = AclBindingFilter(ResourceType.TOPIC, "stored-1", ResourcePatternType.MATCH, None,
                               None, AclOperation.ANY, AclPermissionType.ANY)
    assert admin.describe_acls(by_name).result(30) == [binding]
    assert [f.result(30) for f in admin.delete_acls([by_name]).values()] == [[binding]]
    wait_until(lambda: admin.describe_acls(every).result(30) == [], 20, "it is gone")


def test_the_tool_says_what_kafkas_says(guarded):
    said = acls(guarded, "--add", "--allow-principal", "User:carol", "--producer", "--topic", "t1",
                "--transactional-id", "x", "--idempotent")
    assert ("Adding ACLs for resource `ResourcePattern(resourceType=TOPIC, name=t1, "
            "patternType=LITERAL)`: ") in said
    for operation in ("WRITE", "DESCRIBE", "CREATE"):
        assert f"\t(principal=User:carol, host=*, operation={operation}, permissionType=ALLOW)" \
            in said
    listed = acls(guarded, "--list", "--principal", "User:carol")
    assert "ACLs for principal `User:carol`" in listed
    assert "name=kafka-cluster" in listed and "operation=IDEMPOTENT_WRITE" in listed
    assert "resourceType=TRANSACTIONAL_ID, name=x" in listed
    for what in (["--topic", "t1"], ["--transactional-id", "x"],
                 ["--cluster", "--operation", "IdempotentWrite", "--allow-principal",
                  "User:carol"]):
        acls(guarded, "--remove", "--force", *what)
    assert "carol" not in acls(guarded, "--list")
    refused = acls(guarded, "--add", "--allow-principal", "User:a", "--group", "g",
                   "--operation", "Write", status=2)
    assert "only supports" in refused


def test_writing_and_reading_are_refused_and_allowed_again(guarded):
    create(guarded, "secret")
    assert produce_error(guarded, "secret") is None
    # An entry for somebody else closes the topic for all others.
    acls(guarded, "--add", "--allow-principal", "User:alice", "--topic", "secret")
    wait_until(lambda: produce_error(guarded, "secret") == "TOPIC_AUTHORIZATION_FAILED", 30,
               "writing is refused")
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        consume(guarded, "secret", "group-a", 1)
    # Entries are about hosts too.
    acls(guarded, "--add", "--allow-principal", "User:ANONYMOUS", "--allow-host", "10.9.8.7",
         "--topic", "secret")
    known_to_all(guarded, "host=10.9.8.7")
    assert produce_error(guarded, "secret") == "TOPIC_AUTHORIZATION_FAILED"
    acls(guarded, "--add", "--allow-principal", "User:ANONYMOUS", "--allow-host", "127.0.0.1",
         "--operation", "Read", "--operation", "Write", "--topic", "secret")
    wait_until(lambda: produce_error(guarded, "secret") is None, 30, "writing is allowed")
    assert len(consume(guarded, "secret", "group-a", 2)) == 2


def test_a_group_of_somebody_else(guarded):
    create(guarded, "open")
    assert produce_error(guarded, "open") is None
    deny(guarded, "--group", "private", "--operation", "Read")
    known_to_all(guarded, "name=private")
    with pytest.raises(KafkaException, match="GROUP_AUTHORIZATION_FAILED"):
        consume(guarded, "open", "private", 1)
    assert consume(guarded, "open", "public", 1) == [b"v"]
    undo(guarded, "--group", "private", "--operation", "Read")

    def consumed():
        return consume(guarded, "open", "private", 1) == [b"v"]
    wait_until(consumed, 30, "the group is open again")


def test_lists_have_only_what_may_be_seen(guarded):
    admin = create(guarded, "hidden-topic")
    wait_until(lambda: "hidden-topic" in admin.list_topics(timeout=30).topics, 30,
               "the topic is listed")
    deny(guarded, "--topic", "hidden-", "--resource-pattern-type", "prefixed")
    known_to_all(guarded, "name=hidden-")
    wait_until(lambda: "hidden-topic" not in admin.list_topics(timeout=30).topics, 30,
               "the topic is not listed")

    def refused():
        asked = admin.list_topics("hidden-topic", timeout=30).topics["hidden-topic"]
        return asked.error is not None and asked.error.name() == "TOPIC_AUTHORIZATION_FAILED"
    wait_until(refused, 30, "the topic is refused by name")


def test_entries_outlive_restarts(guarded):
    create(guarded, "lasting")
    acls(guarded, "--add", "--allow-principal", "User:alice", "--topic", "lasting")
    known_to_all(guarded, "name=lasting")

    def listed():
        """The order of a resource's entries is nobody's promise."""
        return sorted(line.strip() for line in acls(guarded, "--list").splitlines())
    before = listed()
    for broker in guarded.brokers.values():
        broker.kill()
    for broker in guarded.brokers.values():
        broker.start()
    guarded.wait_until_known()
    assert listed() == before
    known_to_all(guarded, "name=lasting")
    assert produce_error(guarded, "lasting") == "TOPIC_AUTHORIZATION_FAILED"


def test_changes_are_judged_by_the_controller(guarded):
    admin = create(guarded, "kept")
    acls(guarded, "--add", "--allow-principal", "User:alice", "--topic", "kept")
    known_to_all(guarded, "name=kept")
    for change in (admin.delete_topics(["kept"])["kept"],
                   admin.create_partitions([_more("kept")])["kept"]):
        with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
            change.result(30)
    deny(guarded, "--cluster", "--operation", "Alter")
    known_to_all(guarded, "operation=ALTER, permissionType=DENY")
    for what in (["--add", "--allow-principal", "User:eve", "--topic", "x"],
                 ["--remove", "--force", "--cluster"]):
        assert "CLUSTER_AUTHORIZATION_FAILED" in acls(guarded, *what, status=1)
    what = "operation = ALTER" if guarded.mode == "kraft" else "Operation = Alter"
    assert (f"Principal = User:ANONYMOUS is Denied {what} from host = 127.0.0.1 on "
            "resource = Cluster:LITERAL:kafka-cluster for request = " in judges(guarded))


def judges(cluster):
    """What those have logged who decide changes: the controller, or whichever broker was asked."""
    if cluster.mode == "kraft":
        return cluster.store.leader().tail(200)
    return "".join(broker.tail(200) for broker in cluster.brokers.values())


def _more(topic):
    from confluent_kafka.admin import NewPartitions
    return NewPartitions(topic, 6)


@pytest.mark.zookeeper_only
def test_entries_are_where_kafka_keeps_them(guarded):
    """Znodes as AclAuthorizer writes them, and as another of its kind may write them."""
    from kazoo.client import KazooClient

    client = KazooClient(hosts=guarded.store.connect, timeout=10)
    client.start(20)
    try:
        stored = json.loads(client.get("/kafka-acl/Topic/kept")[0])
        assert stored == {"version": 1, "acls": [
            {"principal": "User:alice", "permissionType": "Allow", "host": "*",
             "operation": "All"}]}
        assert client.exists("/kafka-acl-extended/prefixed/Topic/hidden-")
        changes = client.get_children("/kafka-acl-changes")
        assert all(name.startswith("acl_changes_") for name in changes) and changes
        newest = client.get(f"/kafka-acl-changes/{max(changes)}")[0]
        assert newest.decode().split(":")[0] in ("TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID")
        client.create("/kafka-acl/Topic/foreign", json.dumps({"version": 1, "acls": [
            {"principal": "User:frank", "permissionType": "Allow", "operation": "Read",
             "host": "*"}]}).encode())
        client.create("/kafka-acl-changes/acl_changes_", b"TOPIC:foreign", sequence=True)
        known_to_all(guarded, "name=foreign", "principal=User:frank")
        client.delete("/kafka-acl/Topic/foreign")
        client.create("/kafka-acl-changes/acl_changes_", b"TOPIC:foreign", sequence=True)
        wait_until(lambda: "User:frank" not in acls(guarded, "--list"), 20, "it is gone")
    finally:
        client.stop()
        client.close()


@pytest.mark.zookeeper_only
def test_the_tool_without_a_broker(guarded):
    """As kafka-acls with --authorizer-properties; brokers hear of what it changes."""
    def direct(*arguments, status=0):
        done = subprocess.run(
            [BIN / "jackdaw", "acls", "--authorizer-properties",
             f"zookeeper.connect={guarded.store.connect}", *arguments],
            capture_output=True, text=True, timeout=60)
        assert done.returncode == status, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    assert "principal=User:alice" in direct("--list", "--topic", "kept")
    direct("--add", "--allow-principal", "User:gina", "--topic", "direct-",
           "--resource-pattern-type", "prefixed", "--operation", "Read")
    known_to_all(guarded, "name=direct-, patternType=PREFIXED", "principal=User:gina")
    assert "User:gina" not in direct(
        "--remove", "--force", "--topic", "direct-", "--resource-pattern-type", "prefixed")
    wait_until(lambda: "User:gina" not in acls(guarded, "--list"), 20, "brokers have heard")
    assert "zookeeper.connect" in direct("--list", "--authorizer-properties", "a=b", status=2)
    assert "cannot be given" in direct("--list", "--bootstrap-server", "h:1", status=2)


@pytest.mark.kraft_only
def test_controllers_judge_the_same_after_restarts(guarded):
    """Each controller leads once: what it knows of the entries it has read from its own log."""
    def judged():
        admin = AdminClient({"bootstrap.servers": guarded.bootstrap})
        try:
            admin.delete_topics(["kept"], operation_timeout=30)["kept"].result(30)
        except KafkaException as error:
            return error.args[0].name() == "TOPIC_AUTHORIZATION_FAILED"
        return False

    led = set()
    for _ in range(6):
        leader = guarded.store.leader()
        leader.kill()
        wait_until(guarded.store.leader, 30, "another controller leads")
        wait_until(judged, 30, "the new controller knows the entries")
        led.add(guarded.store.leader().node_id)
        leader.start()
        leader.wait_for_port(leader.port)
    assert len(led) > 1
    assert "CLUSTER_AUTHORIZATION_FAILED" in acls(
        guarded, "--add", "--allow-principal", "User:eve", "--topic", "x", status=1)


def test_a_broker_that_was_down_knows_what_changed(tmp_path, mode):
    """Its own view is loaded at start, not told by notifications alone."""
    with Cluster(tmp_path, brokers=2, coordinators=1, mode=mode,
                 settings=authorizer(mode)) as cluster:
        acls(cluster, "--add", "--allow-principal", "User:ANONYMOUS", "--cluster")
        for name in ("old", "older"):
            acls(cluster, "--add", "--allow-principal", "User:alice", "--topic", name)
        known_to_all(cluster, "name=old", "name=older")
        cluster.brokers[2].kill()
        one = cluster.brokers[1].address
        acls(cluster, "--add", "--allow-principal", "User:bob", "--topic", "new", at=one)
        acls(cluster, "--remove", "--force", "--topic", "old", at=one)
        cluster.brokers[2].start()
        cluster.wait_until_known()
        known_to_all(cluster, "name=new", "name=older")
        assert "name=old," not in acls(cluster, "--list", at=cluster.brokers[2].address)


@pytest.mark.parametrize("servers", [1])
def test_entries_on_a_real_zookeeper(tmp_path, servers):
    """Debian's server keeps them, and many writers at once lose nothing."""
    with Cluster(tmp_path, coordinators=servers, real=range(1, servers + 1),
                 settings=authorizer("zookeeper")) as cluster:
        acls(cluster, "--add", "--allow-principal", "User:ANONYMOUS", "--cluster")
        known_to_all(cluster, "name=kafka-cluster")
        # Every broker is asked at once to change the list of the same topic.
        waiting = []
        for number in range(12):
            address = list(cluster.brokers.values())[number % 3].address
            admin = AdminClient({"bootstrap.servers": address})
            binding = AclBinding(
                ResourceType.TOPIC, "shared", ResourcePatternType.LITERAL, f"User:u{number:02}",
                "*", AclOperation.READ, AclPermissionType.ALLOW)
            waiting.append((admin, admin.create_acls([binding])[binding]))
        for _, future in waiting:
            future.result(30)
        known_to_all(cluster, *[f"principal=User:u{number:02}" for number in range(12)])
        create(cluster, "shared")
        assert produce_error(cluster, "shared") == "TOPIC_AUTHORIZATION_FAILED"
        acls(cluster, "--remove", "--force", "--topic", "shared")
        wait_until(lambda: produce_error(cluster, "shared") is None, 30, "the topic is open")


def test_entries_are_read_from_a_snapshot(tmp_path):
    """A controller whose log begins with a snapshot judges by what is in it."""
    with Cluster(tmp_path, brokers=1, coordinators=1, mode="kraft", settings={
            **AUTHORIZER, "metadata.log.max.record.bytes.between.snapshots": 2000,
            "metadata.log.segment.bytes": 1 << 20}) as cluster:
        acls(cluster, "--add", "--allow-principal", "User:ANONYMOUS", "--cluster")
        create_one(cluster, "closed")
        acls(cluster, "--add", "--allow-principal", "User:alice", "--topic", "closed")
        controller = cluster.store.leader()
        log = controller.data / "__cluster_metadata-0"
        for number in range(40):
            create_one(cluster, f"filler-{number}")
        wait_until(lambda: len(list(log.glob("*.checkpoint"))) > 0, 60, "a snapshot")
        assert produce_error(cluster, "closed") == "TOPIC_AUTHORIZATION_FAILED"
        for process in (cluster.brokers[1], controller):
            process.kill()
        controller.start()
        controller.wait_for_line("Becoming the active controller", 60)
        cluster.brokers[1].start()
        cluster.wait_until_known()
        assert "User:alice" in acls(cluster, "--list", "--topic", "closed")
        assert produce_error(cluster, "closed") == "TOPIC_AUTHORIZATION_FAILED"
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
            admin.delete_topics(["closed"])["closed"].result(30)


def create_one(cluster, name):
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)


def test_combined_nodes_judge_too(tmp_path):
    with Cluster(tmp_path, brokers=1, mode="combined", settings=AUTHORIZER) as cluster:
        acls(cluster, "--add", "--allow-principal", "User:ANONYMOUS", "--cluster")
        create_one(cluster, "closed")
        assert produce_error(cluster, "closed") is None
        acls(cluster, "--add", "--allow-principal", "User:alice", "--topic", "closed")
        wait_until(lambda: produce_error(cluster, "closed") == "TOPIC_AUTHORIZATION_FAILED", 30,
                   "writing is refused")
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
            admin.delete_topics(["closed"])["closed"].result(30)
        broker = cluster.brokers[1]
        broker.kill()
        broker.start()
        broker.wait_for_line("Transitioning from RECOVERY to RUNNING", 60)
        cluster.wait_until_known()
        assert produce_error(cluster, "closed") == "TOPIC_AUTHORIZATION_FAILED"


def test_without_an_authorizer_there_are_no_entries(cluster):
    assert "SECURITY_DISABLED" in acls(cluster, "--list", status=1)
    assert "SECURITY_DISABLED" in acls(
        cluster, "--add", "--allow-principal", "User:a", "--topic", "t", status=1)
