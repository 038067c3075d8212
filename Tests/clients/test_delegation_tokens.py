"""Delegation tokens (KIP-48): what brokers refuse without authentication, what controllers issue."""

import hashlib
import hmac
import struct
import time

import pytest

from harness import ask
from kraft import Quorum

CREATE, RENEW, EXPIRE, DESCRIBE = 38, 39, 40, 41
AUTH_DISABLED, NOT_FOUND, NOT_ALLOWED = 61, 62, 64


def code(body):
    """Behind the correlation id."""
    return struct.unpack_from(">h", body, 4)[0]


def create(port, lifetime=-1):
    """Error code, and of a token its id, HMAC and times (issued, expires, ends)."""
    body = ask(port, CREATE, 1, struct.pack(">iq", 0, lifetime))
    position = 6
    for _ in range(2):
        position += 2 + struct.unpack_from(">h", body, position)[0]
    times = struct.unpack_from(">qqq", body, position)
    position += 24
    length = struct.unpack_from(">h", body, position)[0]
    token = body[position + 2:position + 2 + length]
    position += 2 + length
    length = struct.unpack_from(">i", body, position)[0]
    return code(body), token, body[position + 4:position + 4 + length], times


def with_hmac(port, api, secret, period):
    body = ask(port, api, 1, struct.pack(">i", len(secret)) + secret + struct.pack(">q", period))
    return code(body), struct.unpack_from(">q", body, 6)[0]


def test_brokers_hear_nobody_who_is_not_authenticated(cluster):
    port = cluster.brokers[1].port
    assert create(port)[0] == NOT_ALLOWED
    assert with_hmac(port, RENEW, b"x", 1)[0] == NOT_ALLOWED
    assert with_hmac(port, EXPIRE, b"x", 1)[0] == NOT_ALLOWED
    assert code(ask(port, DESCRIBE, 1, struct.pack(">i", -1))) == NOT_ALLOWED


@pytest.mark.parametrize("key", [None, "delegation.token.secret.key",
                                 "delegation.token.master.key"])
def test_controllers_issue_tokens_under_their_secret(tmp_path, key):
    settings = {key: "s3cret", "delegation.token.expiry.time.ms": 50_000,
                "delegation.token.max.lifetime.ms": 90_000,
                "delegation.token.expiry.check.interval.ms": 500} if key else {}
    with Quorum(tmp_path, 1, settings) as quorum:
        port = quorum.leader().port
        if not key:
            assert create(port)[0] == AUTH_DISABLED
            return
        error, token, secret, (issued, expires, ends) = create(port)
        assert error == 0
        assert secret == hmac.new(b"s3cret", token, hashlib.sha512).digest()
        assert (expires - issued, ends - issued) == (50_000, 90_000)
        assert with_hmac(port, RENEW, b"other", 1000)[0] == NOT_FOUND
        error, expires = with_hmac(port, RENEW, secret, 20_000)
        assert error == 0 and abs(expires - time.time() * 1000 - 20_000) < 10_000
        assert with_hmac(port, EXPIRE, secret, -1)[0] == 0
        assert with_hmac(port, RENEW, secret, 1000)[0] == NOT_FOUND
        # One whose time is over is swept.
        error, _, short, _ = create(port, lifetime=300)
        deadline = time.monotonic() + 20
        while with_hmac(port, RENEW, short, 1000)[0] != NOT_FOUND:
            assert time.monotonic() < deadline
            time.sleep(0.1)
