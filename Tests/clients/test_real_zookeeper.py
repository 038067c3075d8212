"""The same brokers on Debian's ZooKeeper 3.8 instead of our coordination service."""

import pytest

from harness import Cluster, wait_until
from test_failover import Traffic, full_isr, leader_of, make_topic


@pytest.mark.parametrize("servers", [1, 3])
def test_brokers_on_debians_zookeeper(tmp_path, servers):
    with Cluster(tmp_path, coordinators=servers, real=range(1, servers + 1)) as cluster:
        admin = make_topic(cluster, "drill")
        with Traffic(cluster.bootstrap, "drill") as traffic:
            traffic.flows()
            number = leader_of(admin, "drill")
            cluster.brokers[number].kill()
            traffic.flows(300)
            cluster.restart(number)
            wait_until(lambda: full_isr(admin, "drill"), 60, "the ISR is full again")
        traffic.judge(cluster.bootstrap)
