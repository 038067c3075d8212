"""Shared fixtures. A cluster is expensive: tests that only use one share it per module."""

import os
import uuid

import pytest

from harness import BIN, Cluster, Ensemble

MODES = [mode for mode in os.environ.get("JACKDAW_MODES", "zookeeper,kraft").split(",") if mode]


def pytest_configure(config):
    for mode in ("zookeeper", "kraft"):
        config.addinivalue_line("markers", f"{mode}_only: the test says nothing in another mode")
    missing = [name for name in (
        "jackdaw-coordinator", "jackdaw-controller", "jackdaw-broker", "jackdaw")
               if not (BIN / name).exists()]
    if missing:
        raise pytest.UsageError(f"build first: {BIN} lacks {', '.join(missing)}")


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    """Three coordination servers."""
    with Ensemble(tmp_path_factory.mktemp("ensemble"), 3) as servers:
        yield servers


def pytest_collection_modifyitems(config, items):
    """Leaves tests of one mode out of the others."""
    kept, left_out = [], []
    for item in items:
        mode = getattr(item, "callspec", None) and item.callspec.params.get("mode")
        wrong = mode and any(
            item.get_closest_marker(f"{other}_only") and not mode.startswith(other)
            for other in ("zookeeper", "kraft"))
        (left_out if wrong else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


@pytest.fixture(scope="module", params=MODES)
def mode(request):
    """Where the cluster keeps its metadata: zookeeper, kraft, or combined."""
    return request.param


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, mode):
    """Three brokers, with three coordination servers or controllers."""
    with Cluster(tmp_path_factory.mktemp(f"cluster-{mode}"), mode=mode) as processes:
        yield processes


@pytest.fixture
def topic(request):
    """A topic name of the test's own, another one each time it is tried."""
    name = request.node.name.replace("[", "-").replace("]", "").replace("_", "-")[:80]
    return f"{name}-{uuid.uuid4().hex[:6]}"
