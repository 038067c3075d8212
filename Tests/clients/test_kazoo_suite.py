"""kazoo's own test suite on an ensemble of ours, beside its results with Debian's ZooKeeper 3.8.

`kazoo_suite/expected.txt` holds those results; `kazoo_suite/run_suite.py --server zookeeper --out …`
makes them anew. What passed there has to pass here.
"""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "kazoo_suite"))

import run_suite  # noqa: E402

EXPECTED = pathlib.Path(__file__).parent / "kazoo_suite" / "expected.txt"

# Tests of the suite that pass with ZooKeeper and not with ours, each with its reason.
DIFFERENCES = {}


@pytest.mark.timeout(1300)
def test_what_passes_with_zookeeper_passes_with_ours(tmp_path):
    expected = dict(reversed(line.split(" ", 1)) for line in EXPECTED.read_text().splitlines())
    found = run_suite.run("jackdaw", tmp_path, seconds=1200)
    table = [f"{name}: ZooKeeper {theirs}, ours {found.get(name, 'not run')}"
             for name, theirs in sorted(expected.items())
             if found.get(name) != theirs and name not in DIFFERENCES]
    log = (tmp_path / "suite.log").read_text(errors="replace")
    assert not table, "\n".join(table) + "\n" + log[-6000:]
    passed = sum(outcome == "passed" for outcome in found.values())
    print(f"{passed} passed; with ZooKeeper {sum(o == 'passed' for o in expected.values())}")
    repaired = sorted(name for name in DIFFERENCES if found.get(name) == "passed")
    print("no difference any more:", *repaired)
