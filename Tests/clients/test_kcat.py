"""kcat, the command-line client, as Debian ships it."""

import json
import subprocess

import pytest


def kcat(cluster, *arguments, stdin=None, seconds=60):
    result = subprocess.run(
        ["kcat", "-b", cluster.bootstrap, *arguments], input=stdin, text=True,
        capture_output=True, timeout=seconds)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_metadata(cluster):
    listing = json.loads(kcat(cluster, "-L", "-J"))
    assert sorted(broker["id"] for broker in listing["brokers"]) == [1, 2, 3]
    assert listing["controllerid"] in (1, 2, 3)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_produce_and_consume(cluster, topic, codec):
    lines = "".join(f"key{n}:value {n}\n" for n in range(500))
    kcat(cluster, "-P", "-t", topic, "-K", ":", "-z", codec, "-X", "acks=all", stdin=lines)
    out = kcat(cluster, "-C", "-t", topic, "-e", "-q", "-f", "%k:%s\n")
    assert sorted(out.splitlines()) == sorted(lines.splitlines())


def test_query_offsets(cluster, topic):
    kcat(cluster, "-P", "-t", topic, stdin="a\nb\nc\n")
    assert "offset 3" in kcat(cluster, "-Q", "-t", f"{topic}:0:-1")
    assert "offset 0" in kcat(cluster, "-Q", "-t", f"{topic}:0:-2")


def test_group_consumer(cluster, topic):
    kcat(cluster, "-P", "-t", topic, stdin="one\ntwo\n")
    out = kcat(cluster, "-G", f"kcat-{topic}", topic, "-e", "-q", "-X", "auto.offset.reset=earliest")
    assert out.splitlines() == ["one", "two"]
