"""A pytest plugin: kazoo's own test suite on servers of our choice.

kazoo's harness starts a cluster of ZooKeeper servers with `java`. This plugin keeps the harness and
replaces what starts one server: ours (`KAZOO_SUITE_SERVER=jackdaw`, the default), or Debian's
ZooKeeper (`=zookeeper`), both from the same configuration. It also replaces what makes the
certificates: PEM files from the `openssl` command, which both kinds of server read, so that neither
pyjks nor pyOpenSSL has to be installed.

    python -m pytest -p kazoo_cluster --pyargs kazoo.tests
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types

HARNESS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HARNESS))

# kazoo.testing.common imports both at its top, and uses them in the one function replaced below.
for name in ("jks", "OpenSSL"):
    sys.modules.setdefault(name, types.ModuleType(name))

from harness import BIN, REAL_CLASSES, free_port  # noqa: E402

from kazoo.testing import common  # noqa: E402

IS_REAL = os.environ.get("KAZOO_SUITE_SERVER", "jackdaw") == "zookeeper"
HAS_TLS = os.environ.get("KAZOO_SUITE_TLS", "yes") == "yes"
LOGS = pathlib.Path(os.environ.get("KAZOO_SUITE_LOGS", tempfile.gettempdir()))


def free_port_range(count):
    """The first of `count` consecutive ports that nobody uses: the harness counts up from one."""
    for _ in range(100):
        first = free_port()
        if first + count < 65536 and all(is_free(first + index) for index in range(count)):
            return first
    raise RuntimeError(f"no {count} consecutive free ports")


def is_free(port):
    import socket
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


os.environ.setdefault("ZOOKEEPER_VERSION", "3.8.0")
os.environ.setdefault("ZOOKEEPER_CLASSPATH", "unused")
os.environ.setdefault("ZOOKEEPER_PORT_OFFSET", str(free_port_range(30)))


def run(server):
    """Takes the place of `ManagedZooKeeper.run`."""
    if server.running:
        return
    folder = pathlib.Path(server.working_path)
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    (data / "myid").write_text(str(server.server_info.server_id))
    write_stores(folder, server.ssl_configuration)
    config = folder / "zoo.cfg"
    config.write_text("".join(f"{key}={value}\n" for key, value in settings(server, data).items()))
    jaas = folder / "jaas.conf"
    jaas.write_text(server.jaas_config or "")
    if IS_REAL:
        command = [
            "java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp",
            f"/etc/zookeeper/conf:{REAL_CLASSES}", "-Dfile.encoding=UTF-8",
            "-Dreadonlymode.enabled=true", f"-Djava.security.auth.login.config={jaas}",
            *server.java_system_properties,
            "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(config)]
    else:
        command = [str(BIN / "jackdaw-coordinator"), str(config)]
    LOGS.mkdir(parents=True, exist_ok=True)
    log_path = LOGS / f"server-{server.server_info.server_id}.log"
    with open(log_path, "ab") as log:
        server.process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    server._running = True


def settings(server, data):
    """`zoo.cfg`, with the values that kazoo's harness gives."""
    info = server.server_info
    folder = data.parent
    lines = {
        "tickTime": 2000, "dataDir": data, "clientPort": info.client_port, "maxClientCnxns": 0,
        "secureClientPort": info.secure_client_port, "admin.serverPort": info.admin_port,
        "authProvider.1": "org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
        "ssl.keyStore.location": folder / "server.pem",
        "ssl.trustStore.location": folder / "ca.pem",
    }
    lines.update(entry.split("=", 1) for entry in server.configuration_entries)
    if server.peers:
        lines.update({"initLimit": 4, "syncLimit": 2, "peerType": info.peer_type})
        for peer in (info, *server.peers):
            lines[f"server.{peer.server_id}"] = (
                f"localhost:{peer.leader_port}:{peer.election_port}:{peer.peer_type}")
    if IS_REAL:
        lines["serverCnxnFactory"] = "org.apache.zookeeper.server.NettyServerCnxnFactory"
    else:
        lines["readonlymode.enabled"] = "true"
        # What the real server takes as properties of its virtual machine.
        for entry in server.java_system_properties:
            key, value = entry.removeprefix("-Dzookeeper.").split("=", 1)
            lines[key] = value
        if server.jaas_config:
            lines["java.security.auth.login.config"] = folder / "jaas.conf"
    if not HAS_TLS:
        for key in [key for key in lines if key.startswith(("ssl.", "secure"))]:
            del lines[key]
    return lines


def write_stores(folder, certificates):
    (folder / "server.pem").write_bytes(certificates["server_pem"])
    (folder / "ca.pem").write_bytes(certificates["ca_cert_pem"])


def make_certificates(cluster):
    """Takes the place of `ZookeeperCluster.perform_ssl_certs_generation`."""
    if cluster._ssl_configuration:
        return
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        authority(folder)
        for name in ("server", "client"):
            signed(folder, name)
        read = {path.name: path.read_bytes() for path in folder.iterdir()}
    finally:
        shutil.rmtree(folder)
    cluster._ssl_configuration = {
        "ca_cert_pem": read["ca.pem"], "server_pem": read["server.key"] + read["server.pem"],
        "client_cert_pem": read["client.pem"], "client_key_pem": read["client.key"],
    }


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def authority(folder):
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout",
            "ca.key", "-out", "ca.pem", "-subj", "/CN=ca.kazoo.org", "-addext",
            "keyUsage=critical,keyCertSign,cRLSign")


def signed(folder, name):
    common_name = "localhost" if name == "server" else name
    openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out",
            f"{name}.csr", "-subj", f"/CN={common_name}")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-out", f"{name}.pem")


common.ManagedZooKeeper.run = run
common.ZookeeperCluster.perform_ssl_certs_generation = make_certificates
