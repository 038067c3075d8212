"""`jackdaw bench`: shapes of load against a cluster that runs already."""

import json
import subprocess

from confluent_kafka.admin import AdminClient

from harness import BIN, wait_until


def bench(*arguments):
    done = subprocess.run(
        [BIN / "jackdaw", "bench", *arguments], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done


def test_a_shape_on_a_running_cluster(cluster, tmp_path):
    broker = cluster.brokers[1]
    bench("run", "simple", "--scale", "3", "--bootstrap-server", cluster.bootstrap,
          "--process", f"broker-1={broker.pid}", "--report", str(tmp_path))
    report = json.loads((tmp_path / "simple.json").read_text())
    phase, = report["phases"]
    assert phase["failed"] == 0
    # Whatever was acknowledged has arrived, and is counted once in each direction.
    assert phase["produce"]["count"] == phase["endToEnd"]["count"] > 1000
    for latency in (phase["produce"], phase["endToEnd"]):
        marks = [latency[key] for key in ("p50", "p95", "p99", "p999", "p9999", "max")]
        assert marks == sorted(marks) and marks[0] > 0
    process, = phase["processes"]
    assert process["name"] == "broker-1" and process["processorSecondsPerGiB"] > 0
    assert report["limits"]["sequentialWrite"] > 0
    page = (tmp_path / "simple.html").read_text()
    assert page.count("<svg") == 2 and "http" not in page and "<script" not in page
    histogram = (tmp_path / "simple-10k-s-produce.hgrm").read_text()
    assert f"#[Total count = {phase['produce']['count']}]" in histogram
    # Nothing is left behind.
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    wait_until(lambda: not any(t.startswith("bench-") for t in admin.list_topics(timeout=5).topics),
               20, "the topics are gone")
    rows = bench("compare", str(tmp_path / "simple.json"),
                 str(tmp_path / "simple.json")).stdout
    assert "acknowledged p99 ms" in rows and "CPU s/GiB" in rows


def test_what_cannot_be_measured_is_said(cluster, tmp_path):
    for arguments, said in [
            (("run", "nonsense"), "no such shape"), (("run",), "name a shape"),
            (("compare", "/nowhere", "/nowhere"), "no report of a shape"),
            (("draw",), "must be list, run or compare")]:
        done = subprocess.run([BIN / "jackdaw", "bench", *arguments, "--bootstrap-server",
                               cluster.bootstrap], capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and said in done.stderr, done.stderr
