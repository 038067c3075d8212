"""Our server and Debian's ZooKeeper 3.8 answer the same requests with the same bytes.

Each scenario is a list of requests on bare sockets, run against Debian's server, ours, and a
follower of an ensemble of ours, each with an empty data directory. Compared is all of every reply:
errors, zxids, bodies, and the notifications before it. Only clocks, epochs and session ids differ;
sets (children, ephemerals, identities) have no order.
"""

import inspect
import pathlib

import pytest

from harness import Coordinator, Ensemble, wait_until
from zookeeper_wire import *  # noqa: F403
from zookeeper_wire import Wire, acls, create_body, int32, int64, multi_body, strings, text

REAL_JARS = pathlib.Path("/usr/share/java/zookeeper.jar")
SETTINGS = {
    "extendedTypesEnabled": "true", "enforceQuota": "true",
    "DigestAuthenticationProvider.superDigest": "super:D/InIHSb7yEEbrWz8b9l71RjZJU=",
    "authProvider.1": "org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
}
pytestmark = pytest.mark.skipif(not REAL_JARS.exists(), reason="apt-get install zookeeper")


def counter(zxid):
    """A zxid without its epoch, which a lone server does not have."""
    return zxid if zxid < 0 else zxid & 0xFFFFFFFF


class Recorder:
    """Sends requests of one scenario and writes down what came back."""

    def __init__(self, port):
        self.port = port
        self.log = []
        self.sessions = {}
        self.wires = {}
        self.open("me")

    def open(self, name, **options):
        wire = Wire(self.port, **options)
        self.wires[name] = wire
        self.sessions.setdefault(wire.session, name)
        self.note(name, "opened", wire.timeout_ms, len(wire.password or b""), wire.read_only)
        return wire

    def note(self, *what):
        self.log.append(what)

    def shown(self, stat):
        """A stat without clocks; sessions by name."""
        stat = dict(stat)
        assert stat.pop("ctime") >= 0 and stat.pop("mtime") >= 0
        owner = stat["ephemeralOwner"]
        stat["ephemeralOwner"] = self.sessions.get(owner, owner)
        for key in ("czxid", "mzxid", "pzxid"):
            stat[key] = counter(stat[key])
        return tuple(stat.items())

    def do(self, kind, body=b"", by="me", xid=None):
        wire = self.wires[by]
        reply = wire.call(kind, body, xid)
        line = inspect.stack()[1].lineno
        self.note(f"line {line}", kind, wire.take_events(), counter(reply.zxid), reply.error,
                  self.decoded(kind, reply))
        return reply

    def burst(self, requests, by="me"):
        """Sends all requests before the first reply is read."""
        wire = self.wires[by]
        for kind, body in requests:
            wire.send(kind, body)
        for number, (kind, _) in enumerate(requests):
            reply = wire.receive()
            self.note(f"request {number}", reply.xid - wire.xid, kind, wire.take_events(),
                      counter(reply.zxid), reply.error, self.decoded(kind, reply))

    def decoded(self, kind, reply):
        reader = reply.reader
        if not reply.body:
            return ()
        decode = {
            CREATE: lambda: reader.text(), SYNC: lambda: reader.text(),
            CREATE2: lambda: (reader.text(), self.shown(reader.stat())),
            CREATE_CONTAINER: lambda: (reader.text(), self.shown(reader.stat())),
            CREATE_TTL: lambda: (reader.text(), self.shown(reader.stat())),
            EXISTS: lambda: self.shown(reader.stat()), SET_DATA: lambda: self.shown(reader.stat()),
            SET_ACL: lambda: self.shown(reader.stat()),
            GET_DATA: lambda: (reader.buffer(), self.shown(reader.stat())),
            GET_ACL: lambda: (reader.vector(reader.acl), self.shown(reader.stat())),
            GET_CHILDREN: lambda: sorted(reader.vector(reader.text)),
            GET_EPHEMERALS: lambda: sorted(reader.vector(reader.text)),
            GET_CHILDREN2: lambda: (
                sorted(reader.vector(reader.text)), self.shown(reader.stat())),
            MULTI: lambda: self.results(reader), MULTI_READ: lambda: self.results(reader),
            WHO_AM_I: lambda: sorted(
                reader.vector(lambda: (reader.text(), reader.text()))),
        }.get(kind, lambda: None)()
        return decode, reader.rest

    def results(self, reader):
        found = []
        while True:
            kind, done, error = reader.take("i?i")
            if done:
                return found + [(kind, error)]
            if kind == CREATE:
                body = reader.text()
            elif kind == CREATE2:
                body = reader.text(), self.shown(reader.stat())
            elif kind == SET_DATA:
                body = self.shown(reader.stat())
            elif kind == GET_DATA:
                body = reader.buffer(), self.shown(reader.stat())
            elif kind == GET_CHILDREN:
                body = sorted(reader.vector(reader.text))
            elif kind == ERROR:
                body = reader.take("i")
            else:
                body = None
            found.append((kind, error, body))

    def closed(self, by="me"):
        self.note(by, "closed", self.wires[by].is_closed())

    def finish(self):
        for wire in self.wires.values():
            wire.close()


def creation(it):
    for flags in range(-1, 8):
        it.do(CREATE, create_body(f"/c{flags}", b"x", flags=flags))
        it.do(CREATE2, create_body(f"/d{flags}", b"", flags=flags))
    for path in ("", "a", "/", "//", "/a/", "/a//b", "/.", "/..", "/a/..", "/nul\0", "/tab\t", "/none/x",
                 "/ä", "/\ue000", "/zookeeper", "/zookeeper/x", "/c0"):
        it.do(CREATE, create_body(path))
        it.do(CREATE, create_body(path, flags=2))
    it.do(CREATE, create_body("/null", None))
    it.do(GET_DATA, text("/null") + b"\0")
    it.do(CREATE, create_body("/c1/child"))
    it.do(CREATE_CONTAINER, create_body("/container", flags=4))
    it.do(CREATE_CONTAINER, create_body("/container/x", flags=0))
    it.do(EXISTS, text("/container") + b"\0")
    for ttl in (-2, -1, 0, 1, 100_000, 0xFFFFFFFFFF, 0x10000000000):
        for flags in (5, 6):
            it.do(CREATE_TTL, create_body(f"/ttl{ttl}-{flags}-", flags=flags, ttl=ttl))
    it.do(EXISTS, text("/ttl100000-5-") + b"\0")
    it.do(CREATE, b"\0\0")
    it.do(CREATE, text(None) + text(b"") + acls(OPEN) + int32(0))
    it.do(EXISTS, text("/") + b"\0")


def changes(it):
    it.do(CREATE, create_body("/a", b"1"))
    for version in (-2, -1, 0, 1, 2, 5):
        it.do(SET_DATA, text("/a") + text(b"12") + int32(version))
    it.do(SET_DATA, text("/a") + text(None) + int32(-1))
    it.do(SET_DATA, text("/none") + text(b"") + int32(-1))
    it.do(SET_DATA, text("/a/") + text(b"") + int32(-1))
    it.do(SET_DATA, text("/") + text(b"root") + int32(-1))
    it.do(SET_DATA, text("/zookeeper/config") + text(b"") + int32(-1))
    it.do(CREATE, create_body("/a/b"))
    for path, version in (("/a", -1), ("/a/b", 3), ("/a/b", 0), ("/a/b", 0), ("", 0), ("/", 0), ("/x", 0),
                          ("/zookeeper", -1), ("/zookeeper/quota", -1), ("/zookeeper/config", -1),
                          ("nope", -1), ("/a/", -1)):
        it.do(DELETE, text(path) + int32(version))
    for kind in (EXISTS, GET_DATA, GET_CHILDREN, GET_CHILDREN2):
        for path in ("/a", "/", "", "/none", "a", "/a/", "/zookeeper", "/nul\0"):
            it.do(kind, text(path) + b"\0")
        it.do(kind, b"")
    for path in ("/", "/a", "/none", "/zookeeper", ""):
        it.do(GET_ALL_CHILDREN_NUMBER, text(path))
        it.do(SYNC, text(path))
    it.do(PING, xid=-2)
    it.do(CHECK, text("/none") + int32(0))
    it.do(CHECK, text("/a") + int32(77))


def multis(it):
    it.do(MULTI, multi_body((CREATE, create_body("/m", b"1")), (CREATE2, create_body("/m/x")),
                            (SET_DATA, text("/m") + text(b"2") + int32(0)),
                            (CHECK, text("/m") + int32(1)), (DELETE, text("/m/x") + int32(-1)),
                            (CREATE_CONTAINER, create_body("/m/c", flags=4)),
                            (CREATE_TTL, create_body("/m/t", flags=5, ttl=100000)),
                            (CREATE, create_body("/m/s-", flags=3))))
    it.do(GET_CHILDREN2, text("/m") + b"\0")
    it.do(MULTI, multi_body())
    it.do(MULTI, multi_body((CREATE, create_body("/n")), (CHECK, text("/m") + int32(9)),
                            (CREATE, create_body("/o")), (DELETE, text("/zookeeper") + int32(-1))))
    it.do(EXISTS, text("/n") + b"\0")
    it.do(MULTI, multi_body((CREATE, create_body("/m")), (DELETE, text("/none") + int32(-1))))
    it.do(MULTI, multi_body((CREATE, create_body("/m/s-", flags=2)), (CREATE, create_body("/m/s-", flags=2)),
                            (CREATE, create_body("/m"))))
    it.do(CREATE, create_body("/m/s-", flags=2))
    it.do(MULTI, multi_body((CREATE, create_body("/p", flags=4)), (CREATE, create_body("/q", flags=5))))
    it.do(MULTI, multi_body((99, b"")))
    it.do(MULTI, multi_body((CREATE, create_body("/r")), (GET_DATA, text("/m") + b"\0")))
    it.do(MULTI_READ, multi_body((GET_DATA, text("/m") + b"\0"), (GET_CHILDREN, text("/m") + b"\0"),
                                 (GET_DATA, text("/none") + b"\0"), (GET_CHILDREN, text("/") + b"\0")))
    it.do(MULTI_READ, multi_body())
    it.do(MULTI, multi_body((GET_DATA, text("/m") + b"\0")))


def watches(it):
    it.do(EXISTS, text("/w") + b"\1")
    it.do(GET_CHILDREN, text("/") + b"\1")
    it.do(GET_DATA, text("/none") + b"\1")
    it.do(CREATE, create_body("/w"))
    it.do(GET_DATA, text("/w") + b"\1")
    it.do(GET_CHILDREN, text("/w") + b"\1")
    it.do(SET_DATA, text("/w") + text(b"1") + int32(-1))
    it.do(GET_DATA, text("/w") + b"\1")
    it.do(DELETE, text("/w") + int32(-1))
    it.do(ADD_WATCH, text("/p") + int32(0))
    it.do(ADD_WATCH, text("/r") + int32(1))
    it.do(ADD_WATCH, text("/r") + int32(7))
    for path in ("/p", "/r"):
        it.do(CREATE, create_body(path))
        it.do(CREATE, create_body(path + "/x"))
        it.do(CREATE, create_body(path + "/x/y"))
        it.do(SET_DATA, text(path + "/x") + text(b"1") + int32(-1))
        it.do(SET_DATA, text(path) + text(b"1") + int32(-1))
        it.do(DELETE, text(path + "/x/y") + int32(-1))
        it.do(DELETE, text(path + "/x") + int32(-1))
        it.do(DELETE, text(path) + int32(-1))
    it.do(GET_CHILDREN, text("/") + b"\1")
    it.do(MULTI, multi_body((CREATE, create_body("/r")), (CREATE, create_body("/r/m")),
                            (DELETE, text("/r/m") + int32(-1))))
    for kind in (1, 2, 3, 4):
        it.do(CHECK_WATCHES, text("/r") + int32(kind))
    for kind in (1, 1, 2, 3, 4):
        it.do(REMOVE_WATCHES, text("/p") + int32(kind))
    it.do(REMOVE_WATCHES, text("/none-here") + int32(3))
    it.do(REMOVE_WATCHES, text("/r") + int32(3))
    it.do(CREATE, create_body("/r/z"))


def many_requests_at_once(it):
    """Each read shows the write before it and not the one after; events come before what shows their
    cause."""
    requests = [(CREATE, create_body("/b", b"0"))]
    for number in range(40):
        requests += [
            (GET_DATA, text("/b") + b"\1"), (SET_DATA, text("/b") + text(b"%d" % number) + int32(number)),
            (GET_DATA, text("/b") + b"\0"), (GET_CHILDREN2, text("/b") + b"\1"),
            (CREATE, create_body("/b/n-", flags=3)), (EXISTS, text("/none") + b"\0"),
            (SET_DATA, text("/b") + text(b"") + int32(number)), (SYNC, text("/b")),
            (MULTI, multi_body((CREATE, create_body(f"/b/m{number}")), (CHECK, text("/b") + int32(1000)))),
            (GET_CHILDREN2, text("/b") + b"\0"), (DELETE, text("/b") + int32(-1)),
        ]
    it.burst(requests + [(GET_EPHEMERALS, text("/")), (CLOSE_SESSION, b"")])
    it.closed()


def watches_of_a_client_that_comes_back(it):
    for path in ("/same", "/changed", "/deleted", "/parent", "/still", "/gone"):
        it.do(CREATE, create_body(path))
    seen = it.do(EXISTS, text("/") + b"\0").zxid
    it.do(SET_DATA, text("/changed") + text(b"1") + int32(-1))
    it.do(DELETE, text("/deleted") + int32(-1))
    it.do(DELETE, text("/gone") + int32(-1))
    it.do(CREATE, create_body("/parent/x"))
    it.do(CREATE, create_body("/new"))
    it.open("back")
    it.do(SET_WATCHES2, int64(seen) + strings(["/same", "/changed", "/deleted"])
          + strings(["/missing", "/new"]) + strings(["/parent", "/still", "/gone"])
          + strings(["/persistent"]) + strings(["/recursive"]), by="back", xid=-8)
    for path in ("/missing", "/persistent", "/recursive", "/recursive/x"):
        it.do(CREATE, create_body(path), by="back")
    it.do(SET_DATA, text("/same") + text(b"1") + int32(-1), by="back")
    it.do(CREATE, create_body("/still/x"), by="back")
    it.open("old")
    it.do(SET_WATCHES, int64(seen) + strings(["/changed"]) + strings([]) + strings(["/parent"]),
          by="old", xid=-8)


def access(it):
    alice = (31, "digest", "alice:ycFWq1WQsEtvQHsdhdMgfNlnBM8=")
    for bad in ([], [(31, "world", "nobody")], [(31, "nosuch", "x")], [(31, "digest", "x")],
                [(31, "ip", "10.0.0.0/40")], [(31, "auth", "")], [(31, "super", "")],
                [(31, "x509", "CN=a")], [(31, "sasl", "a@b@c")]):
        it.do(CREATE, create_body("/bad", acl=bad))
    it.do(CREATE, create_body("/sasl", acl=[(31, "sasl", "somebody")]))
    it.do(GET_DATA, text("/sasl") + b"\0")
    it.do(CREATE, create_body("/twice", acl=[(1, "world", "anyone"), (1, "world", "anyone"), (31, "ip", "127.0.0.0/8")]))
    it.do(GET_ACL, text("/twice"))
    it.do(WHO_AM_I)
    it.open("alice")
    it.do(AUTH, int32(0) + text("digest") + text(b"alice:secret"), by="alice", xid=-4)
    it.do(WHO_AM_I, by="alice")
    it.do(CREATE, create_body("/own", b"x", acl=[(31, "auth", ""), (1, "world", "anyone")]), by="alice")
    it.do(GET_ACL, text("/own"), by="alice")
    it.do(GET_ACL, text("/own"))
    it.do(CREATE, create_body("/closed", b"x", acl=[(30, "auth", "")]), by="alice")
    for kind in (GET_DATA, GET_CHILDREN, GET_CHILDREN2, EXISTS):
        it.do(kind, text("/closed") + b"\1")
    it.do(GET_ACL, text("/closed"))
    it.do(GET_ACL, text("/closed"), by="alice")
    it.do(GET_DATA, text("/closed") + b"\0", by="alice")
    it.do(GET_ALL_CHILDREN_NUMBER, text("/closed"))
    it.do(CREATE, create_body("/closed/x"))
    it.do(CREATE, create_body("/closed/x"), by="alice")
    it.do(DELETE, text("/closed/x") + int32(-1))
    it.do(SET_DATA, text("/closed") + text(b"") + int32(-1))
    it.do(CHECK, text("/closed") + int32(5))
    it.do(MULTI, multi_body((CHECK, text("/closed") + int32(-1))))
    it.do(MULTI_READ, multi_body((GET_DATA, text("/closed") + b"\0")))
    for acl, version in (([alice], 5), ([], -1), ([(31, "nosuch", "")], -1), ([(3, "world", "anyone")], 0)):
        it.do(SET_ACL, text("/own") + acls(acl) + int32(version))
        it.do(SET_ACL, text("/own") + acls(acl) + int32(version), by="alice")
    it.do(SET_ACL, text("/own") + acls(OPEN) + int32(-1), by="alice")
    it.do(SET_ACL, text("/none") + acls(OPEN) + int32(-1))
    it.do(SET_ACL, text("/x/") + acls(OPEN) + int32(-1))
    it.do(GET_ACL, text("/none"))
    it.do(GET_ACL, text("/"))
    it.do(AUTH, int32(0) + text("ip") + text(b""), by="alice", xid=-4)
    it.do(AUTH, int32(0) + text("digest") + text(b"nocolon"), by="alice", xid=-4)
    it.do(WHO_AM_I, by="alice")
    it.open("root")
    it.do(AUTH, int32(0) + text("digest") + text(b"super:test"), by="root", xid=-4)
    it.do(WHO_AM_I, by="root")
    it.do(GET_DATA, text("/closed") + b"\0", by="root")
    it.do(GET_ACL, text("/closed"), by="root")
    it.do(CREATE, create_body("/roots", acl=[(31, "auth", "")]), by="root")
    it.do(GET_ACL, text("/roots"), by="root")
    it.do(AUTH, int32(0) + text("nosuch") + text(b""), xid=-4)
    it.closed()


def watches_of_what_may_not_be_read(it):
    it.open("alice")
    it.do(AUTH, int32(0) + text("digest") + text(b"alice:secret"), by="alice", xid=-4)
    for wire in ("me", "alice"):
        it.do(ADD_WATCH, text("/") + int32(1), by=wire)
        it.do(EXISTS, text("/own") + b"\1", by=wire)
        it.do(ADD_WATCH, text("/own") + int32(0), by=wire)
    it.do(CREATE, create_body("/own", b"x", acl=[(31, "auth", "")]), by="alice")
    it.do(CREATE, create_body("/own/open"), by="alice")
    it.do(SET_DATA, text("/own") + text(b"y") + int32(-1), by="alice")
    it.do(EXISTS, text("/own") + b"\1")
    it.do(SET_ACL, text("/own") + acls(OPEN) + int32(-1), by="alice")
    it.do(SET_DATA, text("/own") + text(b"z") + int32(-1), by="alice")
    it.do(CREATE, create_body("/own/closed", acl=[(30, "auth", "")]), by="alice")
    it.do(DELETE, text("/own/closed") + int32(-1), by="alice")
    it.do(DELETE, text("/own/open") + int32(-1), by="alice")
    it.do(DELETE, text("/own") + int32(-1), by="alice")
    for wire in ("me", "alice"):
        it.do(SYNC, text("/"), by=wire)


def sessions(it):
    other = it.open("other", timeout_ms=100)
    it.do(CREATE, create_body("/e", flags=1), by="other")
    it.do(CREATE, create_body("/e-", flags=3), by="other")
    it.do(CREATE, create_body("/plain"), by="other")
    for prefix in ("", "/", "/e", "/e-", "/none", " "):
        it.do(GET_EPHEMERALS, text(prefix), by="other")
    it.do(GET_EPHEMERALS, text("/"))
    it.do(GET_DATA, text("/e") + b"\1")
    it.do(GET_CHILDREN, text("/") + b"\1")
    it.do(DELETE, text("/e") + int32(-1))
    it.do(EXISTS, text("/e-0000000001") + b"\1")
    it.open("moved", session=other.session, password=other.password, timeout_ms=5000)
    it.closed("other")
    it.do(CREATE, create_body("/f", flags=1), by="moved")
    it.do(CLOSE_SESSION, by="moved")
    it.closed("moved")
    it.do(GET_CHILDREN, text("/") + b"\0")
    it.open("wrong", session=it.wires["me"].session, password=b"x" * 16)
    it.closed("wrong")
    it.open("unknown", session=12345, password=b"\0" * 16)
    it.closed("unknown")


def quotas(it):
    it.do(CREATE, create_body("/q", b"123"))
    it.do(CREATE, create_body("/q/a", b"4"))
    it.do(CREATE, create_body("/zookeeper/quota/q"))
    limits = b"count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=4"
    it.do(CREATE, create_body("/zookeeper/quota/q/zookeeper_limits", limits))
    it.do(CREATE, create_body("/zookeeper/quota/q/zookeeper_stats", b"count=-1,bytes=-1"))
    stats = text("/zookeeper/quota/q/zookeeper_stats") + b"\0"
    it.do(GET_DATA, stats)
    for name in ("b", "c", "d"):
        it.do(CREATE, create_body(f"/q/{name}", b"12"))
        it.do(GET_DATA, stats)
    it.do(SET_DATA, text("/q/b") + text(b"x" * 15) + int32(-1))
    it.do(SET_DATA, text("/q/b") + text(b"x" * 5) + int32(-1))
    it.do(SET_DATA, text("/q/b") + text(b"x" * 5) + int32(0))
    it.do(GET_DATA, stats)
    it.do(MULTI, multi_body((DELETE, text("/q/b") + int32(-1)), (CREATE, create_body("/q/e"))))
    it.do(DELETE, text("/q/b") + int32(-1))
    it.do(GET_DATA, stats)
    it.do(CREATE, create_body("/q/f", b"x" * 50))
    it.do(DELETE, text("/zookeeper/quota/q/zookeeper_limits") + int32(-1))
    it.do(CREATE, create_body("/q/f", b"x" * 50))
    it.do(GET_DATA, stats)


def the_configuration(it):
    """Of a lone server: an ensemble's shows its members."""
    it.do(GET_DATA, text("/zookeeper/config") + b"\1")
    it.do(GET_ACL, text("/zookeeper/config"))
    it.do(AUTH, int32(0) + text("digest") + text(b"super:test"), xid=-4)
    it.do(SET_DATA, text("/zookeeper/config") + text(b"mine") + int32(-1))
    it.do(SET_ACL, text("/zookeeper/config") + acls(OPEN) + int32(-1))
    it.do(GET_DATA, text("/zookeeper/config") + b"\0")
    it.do(RECONFIG, text(None) + text(None) + text(None) + int64(-1))


def what_no_server_knows(it):
    it.do(DELETE_CONTAINER, text("/a"))
    it.do(77)
    it.closed()


SCENARIOS = [
    creation, changes, multis, many_requests_at_once, watches, watches_of_a_client_that_comes_back,
    watches_of_what_may_not_be_read, access, sessions, quotas,
    the_configuration, what_no_server_knows]


def record(port, scenario):
    recorder = Recorder(port)
    try:
        scenario(recorder)
    except Exception as problem:
        recorder.note("failed", repr(problem))
    recorder.finish()
    return recorder.log


def record_alone(folder, scenario, is_real):
    folder.mkdir()
    server = Coordinator(folder, real=is_real, settings=SETTINGS).start()
    try:
        server.wait_for_port(server.port, 30)
        wait_until(lambda: server.mode() == "standalone", 30, server.tail())
        return record(server.port, scenario)
    finally:
        server.kill()


def record_behind_a_leader(folder, scenario):
    folder.mkdir()
    with Ensemble(folder, 3, settings=SETTINGS) as ensemble:
        follower = next(
            server for server in ensemble.servers.values() if server.mode() == "follower")
        return record(follower.port, scenario)


def compare(name, ours, theirs):
    differences = [(mine, real) for mine, real in zip(ours, theirs) if mine != real]
    shown = "\n".join(f"{name} {mine}\ntheirs {real}" for mine, real in differences[:20])
    assert not differences and len(ours) == len(theirs), f"{len(ours)} {len(theirs)}\n{shown}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_the_same_requests_have_the_same_answers(tmp_path, scenario):
    theirs = record_alone(tmp_path / "theirs", scenario, True)
    assert theirs[-1][0] != "failed", theirs[-1]
    compare("ours", record_alone(tmp_path / "ours", scenario, False), theirs)
    if scenario is not the_configuration:
        compare("ours, a follower,", record_behind_a_leader(tmp_path / "three", scenario), theirs)
