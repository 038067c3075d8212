"""Clusters in KRaft mode: controllers, formatted directories, and brokers that follow the quorum."""

import base64
import pathlib
import struct
import subprocess
import uuid

from harness import BIN, Process, ask, free_port, wait_until


def new_id():
    """A Kafka UUID: 22 characters, and none that begins like a flag."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def write_config(path, lines):
    pathlib.Path(path).write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
    return path


def format_directories(config, cluster_id, *flags):
    """What an operator does before the first start of a node."""
    subprocess.run(
        [BIN / "jackdaw", "storage", "format", "--cluster-id", cluster_id, "--config", config,
         *flags], check=True, capture_output=True, text=True, timeout=60)


def describe_quorum(port):
    """Error code and leader id of the metadata partition, as one controller tells them."""
    name = b"__cluster_metadata"
    # Version 0, flexible: tags behind the header and behind every struct.
    body = ask(port, 55, 0, b"\0" + b"\2" + bytes([len(name) + 1]) + name
               + b"\2" + struct.pack(">i", 0) + b"\0" + b"\0" + b"\0")
    error = struct.unpack_from(">h", body, 5)[0]
    if error or body[7] < 2:
        return error, -1
    position = 8 + 1 + body[8] - 1 + 1
    _, partition_error, leader = struct.unpack_from(">ihi", body, position)
    return partition_error, leader


class Controller(Process):
    """One controller of the quorum."""

    def __init__(self, folder, node_id, port, voters, settings=None):
        self.node_id, self.port = node_id, port
        self.metrics_port = free_port()
        self.data = pathlib.Path(folder) / f"controller-{node_id}"
        self.config = write_config(pathlib.Path(folder) / f"controller-{node_id}.properties", {
            "process.roles": "controller", "node.id": node_id,
            "listeners": f"CONTROLLER://127.0.0.1:{port}",
            "controller.listener.names": "CONTROLLER", "controller.quorum.voters": voters,
            "log.dirs": self.data, "broker.session.timeout.ms": 6000,
            "jackdaw.metrics.port": self.metrics_port, **(settings or {})})
        super().__init__(
            f"controller-{node_id}", [BIN / "jackdaw-controller", self.config], folder)

    def mode(self):
        """leader or follower; None while it is neither."""
        return quorum_role(self.port, self.node_id)


def quorum_role(port, node_id):
    error, leader = describe_quorum(port)
    return "leader" if error == 0 and leader == node_id else "follower"


class Quorum:
    """Controllers with processes of their own, with node ids from 101 on."""

    def __init__(self, folder, count=3, settings=None):
        self.cluster_id = new_id()
        ports = {100 + number: free_port() for number in range(1, count + 1)}
        self.voters = ",".join(f"{node}@127.0.0.1:{port}" for node, port in ports.items())
        self.servers = {
            node: Controller(folder, node, port, self.voters, settings)
            for node, port in ports.items()}

    def __enter__(self):
        for server in self.servers.values():
            if not server.data.exists():
                format_directories(server.config, self.cluster_id)
            server.start()
        self.wait_until_serving()
        return self

    def __exit__(self, *_):
        for server in self.servers.values():
            if server.is_running:
                server.resume()
                server.kill()

    def leader(self):
        for server in self.servers.values():
            try:
                if server.is_running and server.mode() == "leader":
                    return server
            except (OSError, struct.error, IndexError):
                continue
        return None

    def wait_until_serving(self, seconds=60):
        tails = "\n".join(server.tail(10) for server in self.servers.values())
        wait_until(lambda: self.leader(), seconds, f"the quorum has a leader\n{tails}")


class CombinedQuorum:
    """The controllers of brokers that have both roles: they start and stop with their brokers."""

    def __init__(self, count):
        self.cluster_id = new_id()
        self.ports = {number: free_port() for number in range(1, count + 1)}
        self.voters = ",".join(f"{node}@127.0.0.1:{port}" for node, port in self.ports.items())
        self.servers = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def broker_settings(broker_id, listener, quorum, settings):
    """The lines that put a broker into a KRaft cluster."""
    lines = {
        "process.roles": "broker", "node.id": broker_id, "listeners": listener,
        "controller.listener.names": "CONTROLLER", "controller.quorum.voters": quorum.voters,
        "broker.heartbeat.interval.ms": 1000}
    if isinstance(quorum, CombinedQuorum):
        lines["process.roles"] = "broker,controller"
        lines["listeners"] += f",CONTROLLER://127.0.0.1:{quorum.ports[broker_id]}"
        lines["broker.session.timeout.ms"] = 6000
    if settings:
        lines.update(settings)
    return lines
