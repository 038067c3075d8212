"""TLS, client certificates, SASL and enforced authentication of the coordination service."""

import socket
import ssl
import time

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import AuthFailedError, NoAuthError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.security import make_acl

from certificates import PASSWORD, certificates, tls_settings
from harness import Coordinator, Ensemble, four_letter, free_port, wait_until

SERVERS = pytest.mark.parametrize("real", [False, True], ids=["ours", "zookeepers"])


def secure_client(port, name="client", **more):
    folder = certificates()
    own = {"certfile": str(folder / f"{name}.crt"), "keyfile": str(folder / f"{name}.key")}
    return KazooClient(
        hosts=f"127.0.0.1:{port}", use_ssl=True, ca=str(folder / "ca.pem"), timeout=10,
        **(own if name else {}), **more)


class Started:
    def __init__(self, *clients):
        self.clients = clients

    def __enter__(self):
        for client in self.clients:
            client.start(timeout=20)
        return self.clients[0] if len(self.clients) == 1 else self.clients

    def __exit__(self, *_):
        for client in self.clients:
            client.stop()
            client.close()


@pytest.fixture
def serve(tmp_path):
    """Starts a server; it is gone after the test."""
    started = []

    def start(settings, real=False, wait=None):
        server = Coordinator(tmp_path, real=real, settings=settings)
        server.start()
        started.append(server)
        if wait != 0:
            server.wait_for_port(wait or server.port)
        return server

    yield start
    for server in started:
        server.kill()


def refused(client):
    try:
        client.start(timeout=3)
    except KazooTimeoutError:
        return True
    finally:
        client.stop()
        client.close()
    return False


# MARK: TLS


@SERVERS
def test_clients_speak_tls_and_are_known_by_their_certificates(serve, real):
    port = free_port()
    factory = {"serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory"}
    server = serve({"secureClientPort": port, **tls_settings(), **factory,
                    "authProvider.x509":
                        "org.apache.zookeeper.server.auth.X509AuthenticationProvider"},
                   real=real)
    with Started(secure_client(port)) as alice:
        data = bytes(range(256)) * 3000
        alice.create("/big", data)
        assert alice.get("/big")[0] == data
        alice.create("/own", b"1", acl=[make_acl("x509", "CN=alice,O=Jackdaw", all=True)])
        assert alice.get("/own")[0] == b"1"
        # The same tree without TLS, where nobody is alice.
        with Started(KazooClient(hosts=f"127.0.0.1:{server.port}")) as plain:
            assert plain.get("/big")[0] == data
            with pytest.raises(NoAuthError):
                plain.get("/own")
        with Started(secure_client(port, "admin")) as other:
            with pytest.raises(NoAuthError):
                other.get("/own")


def test_strangers_and_plain_clients_are_turned_away(serve):
    port = free_port()
    server = serve({"secureClientPort": port, **tls_settings()})
    assert refused(secure_client(port, "stranger"))
    assert refused(secure_client(port, None))
    assert refused(KazooClient(hosts=f"127.0.0.1:{port}", timeout=2))
    # The secure port answers words only to those who speak TLS.
    assert four_letter_over_tls(port, "ruok") == b"imok"
    words = dict(line.split("\t") for line in server.words("mntr").splitlines())
    assert int(words["zk_unsuccessful_handshake"]) >= 3
    assert words["zk_outstanding_tls_handshake"] == "0"


def four_letter_over_tls(port, word):
    context = ssl.create_default_context(cafile=certificates() / "ca.pem")
    context.load_cert_chain(certificates() / "client.crt", certificates() / "client.key")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as wire:
        with context.wrap_socket(wire, server_hostname="localhost") as secure:
            secure.sendall(word.encode())
            return secure.recv(100)


def test_certificates_may_be_optional_and_stores_pem(serve):
    port = free_port()
    folder = certificates()
    serve({"secureClientPort": port, "ssl.clientAuth": "want",
           "ssl.keyStore.location": folder / "server.pem",
           "ssl.trustStore.location": folder / "ca.pem"})
    with Started(secure_client(port, None)) as nobody, Started(secure_client(port)) as alice:
        alice.create("/own", b"1", acl=[make_acl("x509", "CN=alice,O=Jackdaw", all=True)])
        with pytest.raises(NoAuthError):
            nobody.get("/own")


def test_one_port_takes_both(serve):
    server = serve({"client.portUnification": "true", **tls_settings()})
    with Started(secure_client(server.port)) as alice:
        alice.create("/x", b"1")
        with Started(KazooClient(hosts=f"127.0.0.1:{server.port}")) as plain:
            assert plain.get("/x")[0] == b"1"
    assert server.words("ruok") == "imok"


def test_the_super_users_certificate(serve):
    port = free_port()
    serve({"secureClientPort": port, **tls_settings(),
           "X509AuthenticationProvider.superUser": "CN=admin,O=Jackdaw"})
    with Started(secure_client(port), secure_client(port, "admin")) as (alice, admin):
        alice.create("/own", b"1", acl=[make_acl("x509", "CN=alice,O=Jackdaw", all=True)])
        assert admin.get("/own")[0] == b"1"


def test_a_server_with_a_secure_port_only(serve):
    port = free_port()
    server = serve({"secureClientPort": port, **tls_settings()}, wait=0)
    config = server.folder / "zoo-1.cfg"
    server.kill()
    config.write_text("".join(
        line for line in config.read_text().splitlines(True)
        if not line.startswith(("clientPort=", "clientPortAddress="))))
    server.start()
    server.wait_for_port(port)
    assert four_letter_over_tls(port, "ruok") == b"imok"
    with pytest.raises(OSError):
        four_letter(server.port, "ruok")


@pytest.mark.parametrize("settings, words", [
    ({"ssl.keyStore.location": "/tmp/jackdaw-old.jks"},
     ["ssl.keyStore.location", "keytool -importkeystore", "-deststoretype PKCS12"]),
    ({"ssl.keyStore.location": "/nowhere.pem"}, ["ssl.keyStore.location", "no such file"]),
    ({}, ["ssl.keyStore.location", "needs a key store"]),
    ({"ssl.keyStore.location": "SERVER", "ssl.keyStore.password": "not-this-one"},
     ["ssl.keyStore.location", "password"]),
    ({"ssl.keyStore.location": "SERVER", "ssl.keyStore.password": PASSWORD,
      "ssl.enabledProtocols": "SSLv3"}, ["ssl.enabledProtocols", "SSLv3"]),
    ({"ssl.crl": "true"}, ["ssl.crl"]),
])
def test_wrong_tls_settings_are_named(serve, settings, words):
    with open("/tmp/jackdaw-old.jks", "wb") as old:
        old.write(bytes.fromhex("feedfeed00000002"))
    settings = {key: certificates() / "server.p12" if value == "SERVER" else value
                for key, value in settings.items()}
    server = serve({"secureClientPort": free_port(), **settings}, wait=0)
    assert server.wait(10) == 1
    for word in words:
        assert word in server.log_text(), server.log_text()
    assert "not-this-one" not in server.log_text()


# MARK: TLS between servers

QUORUM = {"sslQuorum": "true", **tls_settings("ssl.quorum.")}


@pytest.mark.parametrize("real", [(), (1,), (1, 2)], ids=["ours", "one-real", "two-real"])
def test_quorum_tls(tmp_path, real):
    with Ensemble(tmp_path, 3, real=real, settings=QUORUM) as ensemble:
        client = KazooClient(hosts=ensemble.connect, timeout=10)
        with Started(client):
            client.create("/x", b"1")
            for server in ensemble.servers.values():
                with Started(KazooClient(hosts=f"127.0.0.1:{server.port}")) as one:
                    one.sync("/x")
                    assert one.get("/x")[0] == b"1"
        # Without TLS nobody is listened to.
        with socket.create_connection(
                ("127.0.0.1", ensemble.servers[3].election_port), timeout=5) as wire:
            wire.sendall(bytes.fromhex("ffffffffffff0000") + b"\0" * 20)
            wire.settimeout(10)
            assert receive_all(wire)[:1] in (b"", b"\x15")


def receive_all(wire):
    parts = []
    try:
        while chunk := wire.recv(4096):
            parts.append(chunk)
    except ConnectionError:
        pass
    return b"".join(parts)


def test_quorum_moves_to_tls_one_server_at_a_time(tmp_path):
    """Port unification first, then TLS, then TLS alone: what ZooKeeper's guide has people do."""
    stages = [{}, {"portUnification": "true", **tls_settings("ssl.quorum.")},
              {"portUnification": "true", **QUORUM}, QUORUM]
    with Ensemble(tmp_path, 3) as ensemble:
        with Started(KazooClient(hosts=ensemble.connect, timeout=10)) as client:
            client.create("/x", b"0")
        for number, stage in enumerate(stages[1:], 1):
            for sid, server in ensemble.servers.items():
                server.stop()
                config = tmp_path / f"zoo-{sid}.cfg"
                base = [line for line in config.read_text().splitlines(True)
                        if not line.startswith(("ssl", "portUnification"))]
                config.write_text(
                    "".join(base) + "".join(f"{k}={v}\n" for k, v in stage.items()))
                server.start()
                ensemble.wait_until_serving()
            with Started(KazooClient(hosts=ensemble.connect, timeout=10)) as client:
                client.set("/x", str(number).encode())
        with Started(KazooClient(hosts=ensemble.connect, timeout=10)) as client:
            assert client.get("/x")[0] == b"3"


def test_a_stranger_is_no_member(tmp_path):
    """A server whose certificate nobody trusts finds no ensemble, and disturbs none."""
    with Ensemble(tmp_path, 3, settings=QUORUM) as ensemble:
        server = next(s for s in ensemble.servers.values() if s is not ensemble.leader())
        server.stop()
        config = tmp_path / f"zoo-{server.sid}.cfg"
        config.write_text(config.read_text().replace("server.p12", "stranger.p12"))
        server.start()
        server.wait_for_port(server.port)
        time.sleep(3)
        assert server.mode() is None
        with Started(KazooClient(hosts=ensemble.connect, timeout=10)) as client:
            client.create("/x", b"1")


@pytest.mark.parametrize("judged", ["true", "false"])
def test_names_of_servers_that_connect_are_judged(tmp_path, judged):
    """Its certificate is trusted, and is for another host: whether it may come in is a setting."""
    settings = {**QUORUM, "ssl.quorum.clientHostnameVerification": judged}
    with Ensemble(tmp_path, 3, settings=settings) as ensemble:
        server = ensemble.servers[3]
        server.stop()
        ensemble.wait_until_serving(among=(1, 2))
        config = tmp_path / "zoo-3.cfg"
        config.write_text(config.read_text().replace("server.p12", "elsewhere.p12"))
        server.start()
        server.wait_for_port(server.port)
        if judged == "true":
            time.sleep(3)
            assert server.mode() is None
        else:
            wait_until(lambda: server.mode() == "follower", 30, server.tail())


# MARK: SASL

JAAS = """
// Users of the coordination service.
Server {
  org.apache.zookeeper.server.auth.DigestLoginModule required
    user_super="adminsecret"
    user_bob="bob\\"s secret" /* quoted */;
};
Client { com.example.Other required; };
"""


def sasl_client(port, user, password, **more):
    return KazooClient(hosts=f"127.0.0.1:{port}", timeout=10, sasl_options={
        "mechanism": "DIGEST-MD5", "username": user, "password": password}, **more)


@pytest.fixture
def jaas(tmp_path):
    path = tmp_path / "jaas.conf"
    path.write_text(JAAS)
    return {"java.security.auth.login.config": path}


def test_sasl_users(serve, jaas):
    server = serve({**jaas, "superUser": "super"})
    with Started(sasl_client(server.port, "bob", 'bob"s secret')) as bob:
        bob.create("/own", b"1", acl=[make_acl("sasl", "bob", all=True)])
        assert bob.get("/own")[0] == b"1"
        with Started(KazooClient(hosts=f"127.0.0.1:{server.port}")) as nobody:
            with pytest.raises(NoAuthError):
                nobody.get("/own")
        with Started(sasl_client(server.port, "super", "adminsecret")) as admin:
            admin.create("/admins", b"1", acl=[make_acl("digest", "x:y", all=True)])
            assert admin.get("/own")[0] == b"1"
            assert admin.get("/admins")[0] == b"1"
    assert "bob\"s secret" not in server.log_text()


def test_the_super_users_password_may_be_a_key(serve, jaas):
    server = serve({**jaas, "superUser": "super",
                    "zookeeper.SASLAuthenticationProvider.superPassword": "another"})
    with Started(sasl_client(server.port, "bob", 'bob"s secret')) as bob:
        bob.create("/own", b"1", acl=[make_acl("sasl", "bob", all=True)])
    with Started(sasl_client(server.port, "super", "another")) as admin:
        assert admin.get("/own")[0] == b"1"
    client = sasl_client(server.port, "super", "adminsecret")
    with pytest.raises((AuthFailedError, KazooTimeoutError)):
        client.start(timeout=5)
        client.get_async("/").get(timeout=5)
    client.stop()
    client.close()
    assert "another" not in server.log_text()


@pytest.mark.parametrize("user, password", [("bob", "wrong"), ("nobody", "x")])
def test_wrong_sasl_passwords(serve, jaas, user, password):
    server = serve(jaas)
    client = sasl_client(server.port, user, password)
    with pytest.raises((AuthFailedError, KazooTimeoutError)):
        client.start(timeout=5)
        client.get_async("/").get(timeout=5)
    client.stop()
    client.close()
    assert "SASL authentication failed" in server.log_text()


@pytest.mark.parametrize("settings", [
    {"sessionRequireClientSASLAuth": "true"},
    {"enforce.auth.enabled": "true", "enforce.auth.schemes": "sasl"}])
def test_sasl_can_be_required(serve, jaas, settings):
    server = serve({**jaas, **settings})
    with Started(sasl_client(server.port, "bob", 'bob"s secret')) as bob:
        bob.create("/x", b"1")
    client = KazooClient(hosts=f"127.0.0.1:{server.port}", timeout=10)
    client.start(timeout=20)
    with pytest.raises(Exception):
        client.get_async("/x").get(timeout=5)
    client.stop()
    client.close()
    assert "without the required authentication" in server.log_text()


def test_other_schemes_can_be_required(serve):
    server = serve({"enforce.auth.enabled": "true", "enforce.auth.schemes": "digest,x509"})
    with Started(KazooClient(hosts=f"127.0.0.1:{server.port}",
                             auth_data=[("digest", "u:p")])) as client:
        client.create("/x", b"1")


@pytest.mark.parametrize("text, words", [
    (None, ["no such file"]), ("Client { a b; };", ["no section Server"]),
    ("Server { com.sun.security.auth.module.Krb5LoginModule required; };", ["not supported"]),
    ("Server { org.apache.zookeeper.server.auth.DigestLoginModule required; };", ["no user"]),
    ("Server { org.apache.zookeeper.server.auth.DigestLoginModule required user_a=\"b };",
     ["quote"])])
def test_wrong_jaas_files_are_named(serve, tmp_path, text, words):
    path = tmp_path / "jaas.conf"
    if text:
        path.write_text(text)
    server = serve({"java.security.auth.login.config": path}, wait=0)
    assert server.wait(10) == 1
    for word in ["java.security.auth.login.config", str(path)] + words:
        assert word in server.log_text(), server.log_text()


def test_required_sasl_needs_users(serve):
    server = serve({"sessionRequireClientSASLAuth": "true"}, wait=0)
    assert server.wait(10) == 1
    assert "java.security.auth.login.config" in server.log_text()
