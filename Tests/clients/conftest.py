"""Shared fixtures. A cluster is expensive: tests that only use one share it per module."""

import pytest

from harness import BIN, Cluster, Ensemble


def pytest_configure(config):
    missing = [name for name in ("jackdaw-coordinator", "jackdaw-broker", "jackdaw")
               if not (BIN / name).exists()]
    if missing:
        raise pytest.UsageError(f"build first: {BIN} lacks {', '.join(missing)}")


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    """Three coordination servers."""
    with Ensemble(tmp_path_factory.mktemp("ensemble"), 3) as servers:
        yield servers


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Three brokers on three coordination servers."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as processes:
        yield processes


@pytest.fixture
def topic(request):
    """A topic name of the test's own."""
    return request.node.name.replace("[", "-").replace("]", "").replace("_", "-")[:80]
