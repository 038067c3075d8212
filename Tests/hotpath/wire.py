"""Requests as bytes, and a connection that counts nothing but what the broker does for them."""

import socket
import struct

from kafka.record.default_records import DefaultRecordBatchBuilder

from harness import read_exactly

# Longer than what Swift keeps inside a string: a name that is made anew for every request shows.
CLIENT = "a-client-id-of-more-than-fifteen-bytes"


def text(value, compact=False):
    data = value.encode()
    length = bytes([len(data) + 1]) if compact else struct.pack(">h", len(data))
    return length + data


def batch(records=100, size=100, producer=-1, sequence=-1):
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=False, producer_id=producer,
        producer_epoch=0 if producer >= 0 else -1, base_sequence=sequence, batch_size=1 << 20)
    for number in range(records):
        builder.append(number, timestamp=1_700_000_000_000, key=b"k%d" % number, value=bytes(size),
                       headers=[])
    return bytes(builder.build())


class Wire:
    """One connection; requests are answered in order."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, api, version, body, flexible=False):
        head = struct.pack(">hhi", api, version, 7) + text(CLIENT)
        frame = head + (b"\0" if flexible else b"") + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def receive(self):
        size = struct.unpack(">i", read_exactly(self.socket, 4))[0]
        return read_exactly(self.socket, size)

    def produce(self, topic, records, acks, version=9):
        """Sends one batch for partition 0; returns its base offset."""
        # Compact lengths are varints of the length plus one.
        body = b"\0" + struct.pack(">hi", acks, 30_000) + b"\2" + text(topic, True)
        body += b"\2" + struct.pack(">i", 0) + varint(len(records) + 1) + records + b"\0\0\0"
        self.send(0, version, body, flexible=True)
        if acks == 0:
            return None
        answer = self.receive()
        # correlation id, tagged fields, one topic, its name, one partition, its index
        at = 4 + 1 + 1 + 1 + len(topic) + 1 + 4
        error, offset = struct.unpack_from(">hq", answer, at)
        assert error == 0, error
        return offset

    def api_versions(self):
        self.send(18, 0, b"")
        self.receive()

    def fetch(self, topic, offset, session=(0, -1), name=True, wait=0):
        """Fetches partition 0 in version 11; returns the session id."""
        body = struct.pack(">iiiibii", -1, wait, 1, 1 << 20, 0, *session)
        if name:
            body += struct.pack(">i", 1) + text(topic) + struct.pack(">i", 1)
            body += struct.pack(">iiqqi", 0, -1, offset, -1, 1 << 20)
        else:
            body += struct.pack(">i", 0)
        body += struct.pack(">i", 0) + text("")
        self.send(1, 11, body)
        answer = self.receive()
        error, found = struct.unpack_from(">hi", answer, 8)
        assert error == 0, error
        return found


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])
