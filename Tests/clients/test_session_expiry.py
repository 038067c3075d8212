"""A broker's ZooKeeper session is ended from outside: the broker stays up and registers again."""

import json
import re

import pytest
from kazoo.client import KazooClient

from harness import Cluster, wait_until
from test_failover import Traffic, controller_of, full_isr, leader_of, make_topic


@pytest.fixture(params=["ours", "real"])
def fresh(request, tmp_path):
    """On our coordinators, and on Debian's ZooKeeper."""
    real = (1,) if request.param == "real" else ()
    with Cluster(tmp_path, coordinators=1, real=real,
                 settings={"zookeeper.session.timeout.ms": 3000}) as cluster:
        yield cluster


def stat_of(zk, broker):
    return zk.get(f"/brokers/ids/{broker.broker_id}")[1]


def expire(zk, broker):
    """Stops the process until its session has run out, and lets it go on: all that it hears then is
    that its session has expired."""
    before = stat_of(zk, broker)
    broker.pause()
    try:
        path = f"/brokers/ids/{broker.broker_id}"
        wait_until(lambda: zk.exists(path) is None, 30, f"the session of {broker.name} expires")
    finally:
        broker.resume()
    return before


@pytest.mark.parametrize("victim", ["leader", "controller"])
def test_a_broker_survives_the_end_of_its_session(fresh, victim):
    admin = make_topic(fresh, "drill")
    zk = KazooClient(fresh.ensemble.connect)
    zk.start(20)
    with Traffic(fresh.bootstrap, "drill") as traffic:
        traffic.flows()
        number = leader_of(admin, "drill") if victim == "leader" else controller_of(admin)
        broker = fresh.brokers[number]
        pid = broker.pid
        epoch = int(zk.get("/controller_epoch")[0])
        before = expire(zk, broker)
        wait_until(lambda: zk.exists(f"/brokers/ids/{number}"), 30, "it registers again")
        after = stat_of(zk, broker)
        # The epoch is the creation's zxid; the session is another one, the process the same.
        assert after.czxid > before.czxid
        assert after.ephemeralOwner != before.ephemeralOwner
        assert broker.is_running and broker.pid == pid
        epochs = [int(found) for found in
                  re.findall(r"registered.*epoch=(\d+)", broker.log_text())]
        assert epochs == sorted(epochs) and epochs[-1] == after.czxid, epochs
        wait_until(lambda: full_isr(admin, "drill"), 60, "the ISR is full again")
        traffic.flows(400)
        if victim == "controller":
            assert int(zk.get("/controller_epoch")[0]) > epoch
            assert json.loads(zk.get("/controller")[0])["brokerid"] in fresh.brokers
        # It takes part again: it can be made the only leader there is.
        wait_until(lambda: fresh.is_known_to(broker), 30, "it knows the cluster")
    zk.stop()
    traffic.judge(fresh.bootstrap)


def test_a_former_controller_takes_up_its_office_again(fresh):
    """Every broker loses its session in turn; there is always one controller in the end."""
    admin = make_topic(fresh, "drill")
    zk = KazooClient(fresh.ensemble.connect)
    zk.start(20)
    for broker in fresh.brokers.values():
        expire(zk, broker)
        wait_until(lambda: zk.exists(f"/brokers/ids/{broker.broker_id}"), 30, "it is back")
        wait_until(lambda: full_isr(admin, "drill"), 60, "the ISR is full again")
        controller = json.loads(zk.get("/controller")[0])["brokerid"]
        wait_until(lambda: controller_of(admin) == controller, 20, "the controller is known")
        name = f"after-{broker.broker_id}"
        assert make_topic(fresh, name).list_topics(name, 10).topics[name].error is None
    zk.stop()
