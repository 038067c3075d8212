"""Access control lists in KRaft mode: what is stored, listed, enforced, and what survives."""

import subprocess

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import (
    AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, NewTopic,
    ResourcePatternType, ResourceType)

from harness import BIN, Cluster, wait_until

AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    # Every connection is anonymous: what no entry is about must stay open for the servers.
    "allow.everyone.if.no.acl.found": "true", "super.users": "User:admin;User:CN=a,O=b"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("guarded"), mode="kraft",
                 settings=AUTHORIZER) as cluster:
        # The servers need CLUSTER_ACTION, which is nobody's as soon as the cluster has an entry.
        acls(cluster, "--add", "--allow-principal", "User:ANONYMOUS", "--cluster")
        yield cluster


def acls(cluster, *arguments, status=0):
    done = subprocess.run(
        [BIN / "jackdaw", "acls", "--bootstrap-server", cluster.bootstrap, *arguments],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout + done.stderr


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
    assert produce_error(guarded, "secret") == "TOPIC_AUTHORIZATION_FAILED"
    acls(guarded, "--add", "--allow-principal", "User:ANONYMOUS", "--allow-host", "127.0.0.1",
         "--operation", "Read", "--operation", "Write", "--topic", "secret")
    wait_until(lambda: produce_error(guarded, "secret") is None, 30, "writing is allowed")
    assert len(consume(guarded, "secret", "group-a", 2)) == 2


def test_a_group_of_somebody_else(guarded):
    create(guarded, "open")
    assert produce_error(guarded, "open") is None
    deny(guarded, "--group", "private", "--operation", "Read")
    with pytest.raises(KafkaException, match="GROUP_AUTHORIZATION_FAILED"):
        consume(guarded, "open", "private", 1)
    assert consume(guarded, "open", "public", 1) == [b"v"]
    undo(guarded, "--group", "private", "--operation", "Read")
    assert consume(guarded, "open", "private", 1) == [b"v"]


def test_lists_have_only_what_may_be_seen(guarded):
    admin = create(guarded, "hidden-topic")
    assert "hidden-topic" in admin.list_topics(timeout=30).topics
    deny(guarded, "--topic", "hidden-", "--resource-pattern-type", "prefixed")
    wait_until(lambda: "hidden-topic" not in admin.list_topics(timeout=30).topics, 30,
               "the topic is not listed")
    asked = admin.list_topics("hidden-topic", timeout=30).topics["hidden-topic"]
    assert asked.error.name() == "TOPIC_AUTHORIZATION_FAILED"


def test_changes_are_judged_by_the_controller(guarded):
    admin = create(guarded, "kept")
    acls(guarded, "--add", "--allow-principal", "User:alice", "--topic", "kept")
    for change in (admin.delete_topics(["kept"])["kept"],
                   admin.create_partitions([_more("kept")])["kept"]):
        with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
            change.result(30)
    deny(guarded, "--cluster", "--operation", "Alter")
    for what in (["--add", "--allow-principal", "User:eve", "--topic", "x"],
                 ["--remove", "--force", "--cluster"]):
        assert "CLUSTER_AUTHORIZATION_FAILED" in acls(guarded, *what, status=1)
    assert ("Principal = User:ANONYMOUS is Denied operation = ALTER from host = 127.0.0.1 on "
            "resource = Cluster:LITERAL:kafka-cluster for request = "
            in guarded.store.leader().tail(200))


def _more(topic):
    from confluent_kafka.admin import NewPartitions
    return NewPartitions(topic, 6)


def test_entries_outlive_restarts(guarded):
    acls_before = acls(guarded, "--list")
    assert "User:alice" in acls_before
    for broker in guarded.brokers.values():
        broker.kill()
    for broker in guarded.brokers.values():
        broker.start()
    guarded.wait_until_known()
    assert sorted(acls(guarded, "--list").splitlines()) == sorted(acls_before.splitlines())
    assert produce_error(guarded, "kept") == "TOPIC_AUTHORIZATION_FAILED"


def test_without_an_authorizer_there_are_no_entries(cluster):
    assert "SECURITY_DISABLED" in acls(cluster, "--list", status=1)
    assert "SECURITY_DISABLED" in acls(
        cluster, "--add", "--allow-principal", "User:a", "--topic", "t", status=1)
