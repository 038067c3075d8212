"""The hot path allocates nothing: counted on a release build, for each request, once it is warm."""

import mmap
import os
import pathlib
import shutil
import struct
import subprocess

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from harness import BIN, Cluster, wait_until
from wire import Wire, batch

HERE = pathlib.Path(__file__).parent
TOPIC = "a-topic-with-more-than-fifteen-bytes"
ROUNDS = 2000
# What timers and other connections may allocate meanwhile, for each request.
NOISE = 0.02
# Allocations of one Fetch, an upper bound that only goes down.
FETCH_ALLOCATIONS = 15.1


def compiler():
    """A C compiler; Swift brings one along."""
    swift = shutil.which("swift")
    beside = pathlib.Path(swift).resolve().parent / "clang" if swift else "clang"
    return os.environ.get("CC") or shutil.which("cc") or shutil.which("clang") or str(beside)


class Counter:
    """What a broker's loops have allocated, by the thread's name."""

    def __init__(self, folder):
        self.path = folder / "allocations"
        self.path.write_bytes(bytes(4096))
        library = folder / "allocations.so"
        subprocess.run([compiler(), "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library,
                        HERE / "allocations.c"], check=True)
        self.env = {"LD_PRELOAD": str(library), "ALLOCATIONS_FILE": str(self.path),
                    "ALLOCATIONS_THREADS": "network-"}
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 4096)

    def rows(self):
        for row in range(struct.unpack_from("q", self.memory, 0)[0]):
            name, count = struct.unpack_from("16sq", self.memory, 8 + 32 * row)
            yield row, name.rstrip(b"\0").decode(), count

    def counts(self):
        return {name: count for _, name, count in self.rows()}

    def trace(self, thread, number):
        for row, name, _ in self.rows():
            if name == thread:
                struct.pack_into("q", self.memory, 8 + 32 * row + 24, number)

    def during(self, work):
        """How many allocations each thread makes for a round of work, on average."""
        before = self.counts()
        for _ in range(ROUNDS):
            work()
        after = self.counts()
        return {name: (after[name] - before.get(name, 0)) / ROUNDS for name in after}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Two brokers; the first one's allocations are counted. Topic by topic it is the leader."""
    folder = tmp_path_factory.mktemp("hotpath")
    counter = Counter(folder)
    cluster = Cluster(folder, brokers=2, coordinators=1, settings={"min.insync.replicas": 1})
    cluster.brokers[1].env.update(counter.env)
    with cluster:
        yield cluster, counter


def lead(cluster, name, replicas):
    """A topic with one partition that the first broker leads."""
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.create_topics(
        [NewTopic(name, 1, replica_assignment=[list(replicas)], config={"segment.bytes": "1073741824"})]
    )[name].result(20)

    def is_ready():
        partition = admin.list_topics(name, 5).topics[name].partitions[0]
        return partition.leader == 1 and len(partition.isrs) == len(replicas)
    wait_until(is_ready, 20, f"{name} is led by broker 1")


def thread_of(wire, counter):
    """The loop that serves a connection: ApiVersions allocates there."""
    counts = counter.during(wire.api_versions)
    return max(counts, key=counts.get)


def explain(counter, broker, thread, work, what, found):
    """Traces a loop's next allocations into the broker's log, and puts names to the places."""
    counter.trace(thread, 12)
    for _ in range(8):
        work()
    lines = broker.tail(300).splitlines()
    places = [line.split("(+")[1].split(")")[0] for line in lines if "jackdaw-broker(+" in line]
    names = subprocess.run(["llvm-symbolizer", "-e", BIN / "jackdaw-broker", "-f", *places],
                           capture_output=True, text=True).stdout if places else ""
    return f"{found} allocations for each {what}\n" + "\n".join(lines) + f"\n{names}"


@pytest.mark.parametrize("acks", [0, 1, -1])
def test_produce_on_its_own(measured, acks):
    cluster, counter = measured
    topic = f"{TOPIC}-lone-{acks}"
    lead(cluster, topic, [1])
    wire = Wire(cluster.brokers[1].port)
    own = thread_of(wire, counter)
    records = batch()

    def work():
        wire.produce(topic, records, acks)
    for _ in range(200):
        work()
    if acks == 0:  # the next answer says that all before it are done
        wire.api_versions()
    found = counter.during(work)[own]
    assert found <= NOISE, explain(
        counter, cluster.brokers[1], own, work, f"Produce acks={acks}", found)


def test_idempotent_produce(measured):
    cluster, counter = measured
    topic = f"{TOPIC}-idempotent"
    lead(cluster, topic, [1])
    wire = Wire(cluster.brokers[1].port)
    own = thread_of(wire, counter)
    batches = iter([batch(2, 10, producer=7, sequence=2 * turn) for turn in range(ROUNDS + 300)])

    def work():
        wire.produce(topic, next(batches), 1)
    for _ in range(200):
        work()
    found = counter.during(work)[own]
    assert found <= NOISE, explain(
        counter, cluster.brokers[1], own, work, "idempotent Produce", found)


def test_produce_that_waits_for_a_follower(measured):
    """The follower's fetches are served by one of two loops; a producer on the other one must not
    make its loop allocate, though each answer is parked and woken from there."""
    cluster, counter = measured
    topic = f"{TOPIC}-replicated"
    lead(cluster, topic, [1, 2])
    records = batch()
    found = {}
    for _ in range(6):
        wire = Wire(cluster.brokers[1].port)
        own = thread_of(wire, counter)
        if own in found:
            continue
        for _ in range(200):
            wire.produce(topic, records, -1)
        found[own] = counter.during(lambda: wire.produce(topic, records, -1))[own]
        if found[own] == min(found.values()):
            best, last = own, wire
    assert len(found) == 2, found
    assert min(found.values()) <= NOISE, explain(
        counter, cluster.brokers[1], best, lambda: last.produce(topic, records, -1),
        "Produce acks=all", found)


def test_fetch(measured):
    cluster, counter = measured
    topic = f"{TOPIC}-fetched"
    lead(cluster, topic, [1])
    wire = Wire(cluster.brokers[1].port)
    own = thread_of(wire, counter)
    for _ in range(10):
        wire.produce(topic, batch(), 1)
    state = {"id": wire.fetch(topic, 0, (0, 0)), "epoch": 0}
    assert state["id"] > 0

    def work():
        state["epoch"] += 1
        wire.fetch(topic, 0, (state["id"], state["epoch"]))
    for _ in range(100):
        work()
    found = counter.during(work)[own]
    print(f"{found} allocations for each Fetch of one partition")
    assert found <= FETCH_ALLOCATIONS, explain(
        counter, cluster.brokers[1], own, work, "Fetch", found)


def test_a_batch_header_is_read_in_nanoseconds():
    """Across a module boundary: unspecialised generics or missing optimization cost 300 times as
    much, and nothing else would tell."""
    output = subprocess.run([BIN / "jackdaw", "bench", "--batch-headers", "20000000"],
                            capture_output=True, text=True, timeout=60, check=True).stdout
    nanoseconds = float(output.split()[0])
    assert nanoseconds < 100, output
