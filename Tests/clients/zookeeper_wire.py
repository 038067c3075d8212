"""ZooKeeper's client protocol on a bare socket: every request as bytes, every reply as it came.

kazoo and the C client hide what servers answer (order, headers, bodies of odd requests); tests that
compare servers need all of it.
"""

import socket
import struct

from harness import ended

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL, GET_CHILDREN, SYNC = range(1, 10)
PING, GET_CHILDREN2, CHECK, MULTI, CREATE2, RECONFIG = 11, 12, 13, 14, 15, 16
CHECK_WATCHES, REMOVE_WATCHES, CREATE_CONTAINER, DELETE_CONTAINER, CREATE_TTL = range(17, 22)
MULTI_READ, AUTH, SET_WATCHES, SASL, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER = 22, 100, 101, 102, 103, 104
SET_WATCHES2, ADD_WATCH, WHO_AM_I, CLOSE_SESSION, ERROR = 105, 106, 107, -11, -1

OPEN = [(31, "world", "anyone")]
STAT = ("czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion", "ephemeralOwner",
        "dataLength", "numChildren", "pzxid")


def int32(value):
    return struct.pack(">i", value)


def int64(value):
    return struct.pack(">q", value)


def text(value):
    if value is None:
        return int32(-1)
    data = value.encode() if isinstance(value, str) else value
    return int32(len(data)) + data


def strings(values):
    return int32(len(values)) + b"".join(text(value) for value in values)


def acls(entries):
    return int32(len(entries)) + b"".join(
        int32(perms) + text(scheme) + text(name) for perms, scheme, name in entries)


def create_body(path, data=b"", acl=OPEN, flags=0, ttl=None):
    body = text(path) + text(data) + acls(acl) + int32(flags)
    return body if ttl is None else body + int64(ttl)


def multi_body(*operations):
    """operations: (type, body)"""
    body = b"".join(int32(kind) + b"\0" + int32(-1) + part for kind, part in operations)
    return body + int32(-1) + b"\1" + int32(-1)


class Reader:
    def __init__(self, data):
        self.data = data
        self.position = 0

    def take(self, layout):
        values = struct.unpack_from(">" + layout, self.data, self.position)
        self.position += struct.calcsize(">" + layout)
        return values[0] if len(values) == 1 else values

    def buffer(self):
        length = self.take("i")
        if length < 0:
            return None
        self.position += length
        return self.data[self.position - length:self.position]

    def text(self):
        data = self.buffer()
        return None if data is None else data.decode()

    def vector(self, read):
        return [read() for _ in range(self.take("i"))]

    def stat(self):
        return dict(zip(STAT, self.take("qqqqiiiqiiq")))

    def acl(self):
        return self.take("i"), self.text(), self.text()

    @property
    def rest(self):
        return self.data[self.position:]


class Reply:
    def __init__(self, frame):
        reader = Reader(frame)
        self.xid, self.zxid, self.error = reader.take("iqi")
        self.body = reader.rest

    @property
    def reader(self):
        return Reader(self.body)


class Wire:
    """A session on a bare socket."""

    def __init__(self, port, timeout_ms=10_000, session=0, password=b"\0" * 16, seen=0,
                 read_only=False):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.xid = 0
        self.events = []
        self.send_frame(
            struct.pack(">iqiq", 0, seen, timeout_ms, session) + text(password)
            + (b"\1" if read_only else b"\0"))
        answer = Reader(self.receive_frame())
        _, self.timeout_ms, self.session = answer.take("iiq")
        self.password = answer.buffer()
        self.read_only = bool(answer.take("b"))

    def send_frame(self, body):
        self.socket.sendall(int32(len(body)) + body)

    def receive_frame(self):
        return self.exactly(struct.unpack(">i", self.exactly(4))[0])

    def exactly(self, count):
        parts = b""
        while len(parts) < count:
            part = self.socket.recv(count - len(parts))
            if not part:
                raise ConnectionError("closed")
            parts += part
        return parts

    def send(self, kind, body=b"", xid=None):
        if xid is None:
            self.xid += 1
            xid = self.xid
        self.send_frame(int32(xid) + int32(kind) + body)
        return xid

    def receive(self):
        """The next reply; notifications before it are added to `events`."""
        while True:
            reply = Reply(self.receive_frame())
            if reply.xid != -1:
                return reply
            kind, state, = reply.reader.take("ii")
            reader = Reader(reply.body[8:])
            self.events.append((kind, state, reader.text(), reply.zxid, reply.error))

    def call(self, kind, body=b"", xid=None):
        self.send(kind, body, xid)
        return self.receive()

    def take_events(self):
        events, self.events = self.events, []
        return events

    def close(self):
        self.socket.close()

    def is_closed(self):
        """Whether the server has ended the connection; what it sent before is dropped."""
        return ended(self.socket)
