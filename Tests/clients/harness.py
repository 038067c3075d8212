"""Starts and stops the processes that the client tests talk to: ours, and real peers beside them.

Everything binds to loopback on ports that were free a moment ago, keeps its data in a folder of its
own, and is stopped by pid. A process that dies by itself fails the test with the end of its log.
"""

import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("JACKDAW_BIN", ROOT / ".build" / "debug"))
IN_CI = os.environ.get("CI") == "true"


def free_port():
    """A port that nobody uses now, below those that the system gives to outgoing connections: one of
    these would be taken by somebody's client before the server binds it."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def wait_until(condition, seconds, what):
    """Polls until condition() is true; its last exception is part of the failure."""
    end = time.monotonic() + seconds
    problem = None
    while time.monotonic() < end:
        try:
            if condition():
                return
        except Exception as error:  # the thing waited for may not be there yet
            problem = error
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what} ({problem!r})")


def accepts(port):
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


def ended(wire, seconds=20):
    """Whether the server ends the connection in time. What it had not read makes that a reset."""
    wire.settimeout(seconds)
    try:
        while wire.recv(65536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


def read_exactly(wire, count):
    data = b""
    while len(data) < count:
        chunk = wire.recv(count - len(data))
        if not chunk:
            raise ConnectionError("closed in the middle of a frame")
        data += chunk
    return data


def ask(port, api, version, body, seconds=5):
    """One request (without its header) on a connection of its own; the response frame."""
    request = struct.pack(">hhih", api, version, 1, -1) + body
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as wire:
        wire.sendall(struct.pack(">i", len(request)) + request)
        return read_exactly(wire, struct.unpack(">i", read_exactly(wire, 4))[0])


class Process:
    """One server process with its log file."""

    def __init__(self, name, command, folder, env=None):
        self.name = name
        self.command = [str(part) for part in command]
        self.folder = pathlib.Path(folder)
        self.log = self.folder / f"{name}.log"
        self.env = {**os.environ, **(env or {})}
        self.child = None

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                self.command, stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, env=self.env, cwd=self.folder)
        return self

    @property
    def pid(self):
        return self.child.pid

    @property
    def is_running(self):
        return self.child is not None and self.child.poll() is None

    def send(self, number):
        if self.is_running:
            self.child.send_signal(number)

    def kill(self):
        """SIGKILL: no chance to tidy up."""
        self.send(signal.SIGKILL)
        self.wait(10)

    def stop(self, seconds=20):
        """SIGTERM; a process that does not heed it in time fails the test."""
        if self.child is None:
            return None
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} ignored SIGTERM for {seconds} s\n{self.tail()}")

    def wait(self, seconds):
        return self.child.wait(seconds) if self.child else None

    def pause(self):
        self.send(signal.SIGSTOP)

    def resume(self):
        self.send(signal.SIGCONT)

    def tail(self, lines=40):
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_for_port(self, port, seconds=20):
        def ready():
            if not self.is_running:
                raise AssertionError(f"{self.name} exited with {self.child.poll()}\n{self.tail()}")
            return accepts(port)
        wait_until(ready, seconds, f"{self.name} listens on {port}\n{self.tail()}")

    def wait_for_line(self, text, seconds=30):
        def said():
            if not self.is_running:
                raise RuntimeError(f"{self.name} exited with {self.child.poll()}")
            return text in self.log_text()
        try:
            wait_until(said, seconds, f"{self.name} logs {text!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None


def four_letter(port, word, seconds=5):
    """What a coordination server answers to `ruok`, `srvr`, `stat`, `mntr`."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as wire:
        wire.sendall(word.encode())
        parts = []
        while chunk := wire.recv(65536):
            parts.append(chunk)
    return b"".join(parts).decode(errors="replace")


class Coordinator(Process):
    """A coordination server: ours, or Debian's ZooKeeper when `real`."""

    def __init__(self, folder, sid=1, real=False, settings=None, ports=None, members=None):
        self.sid = sid
        self.real = real
        self.port, self.quorum_port, self.election_port = ports or (
            free_port(), free_port(), free_port())
        self.data = pathlib.Path(folder) / f"data-{sid}"
        self.data.mkdir(parents=True, exist_ok=True)
        lines = {
            "tickTime": 500, "initLimit": 20, "syncLimit": 10, "dataDir": self.data,
            "clientPort": self.port, "clientPortAddress": "127.0.0.1",
            "4lw.commands.whitelist": "*", "admin.enableServer": "false",
            "minSessionTimeout": 1000, "maxSessionTimeout": 60000, "maxClientCnxns": 0,
            **(settings or {}),
        }
        for other in members or []:
            lines[f"server.{other[0]}"] = f"127.0.0.1:{other[1]}:{other[2]}:{other[3]}"
            if other[0] == sid and other[3] == "observer":
                lines["peerType"] = "observer"
        if members:
            (self.data / "myid").write_text(f"{sid}\n")
        config = pathlib.Path(folder) / f"zoo-{sid}.cfg"
        config.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        command = (
            ["java", "-Xmx256m", "-Dzookeeper.admin.enableServer=false", "-cp",
             f"/etc/zookeeper/conf:{REAL_CLASSES}",
             "org.apache.zookeeper.server.quorum.QuorumPeerMain", config]
            if real else [BIN / "jackdaw-coordinator", config])
        name = f"{'zookeeper' if real else 'coordinator'}-{sid}"
        super().__init__(name, command, folder)

    def words(self, word):
        return four_letter(self.port, word)

    def mode(self):
        for line in self.words("srvr").splitlines():
            if line.startswith("Mode:"):
                return line.split(":")[1].strip()
        return None


REAL_CLASSES = "/usr/share/java/*"


class Ensemble:
    """Coordination servers 1…n; `real` names the ids that are Debian's ZooKeeper."""

    def __init__(self, folder, count=3, real=(), settings=None, observers=()):
        ids = range(1, count + 1)
        ports = {sid: (free_port(), free_port(), free_port()) for sid in ids}
        members = [
            (sid, *ports[sid][1:], "observer" if sid in observers else "participant")
            for sid in ids] if count > 1 else None
        self.servers = {
            sid: Coordinator(folder, sid, sid in real, settings, ports[sid], members) for sid in ids}

    def __enter__(self):
        for server in self.servers.values():
            server.start()
        self.wait_until_serving()
        return self

    def __exit__(self, *_):
        for server in self.servers.values():
            if server.is_running:
                server.resume()
                server.kill()

    @property
    def connect(self):
        return ",".join(f"127.0.0.1:{server.port}" for server in self.servers.values())

    def wait_until_serving(self, seconds=60, among=None):
        """Every named server (all that run, by default) is a leader, a follower or standalone."""
        servers = [server for sid, server in self.servers.items()
                   if (among is None or sid in among) and (among or server.is_running)]
        for server in servers:
            wait_until(lambda: server.mode() in ("leader", "follower", "observer", "standalone"),
                       seconds, f"{server.name} serves\n{server.tail()}")

    def leader(self):
        for server in self.servers.values():
            if server.is_running:
                try:
                    if server.mode() in ("leader", "standalone"):
                        return server
                except OSError:
                    continue
        return None


class Broker(Process):
    """A data broker: on an ensemble in ZooKeeper mode, on a quorum in KRaft mode."""

    def __init__(self, folder, broker_id, store, settings=None):
        self.broker_id = broker_id
        self.port = free_port()
        self.metrics_port = free_port()
        self.data = pathlib.Path(folder) / f"broker-{broker_id}"
        self.store = store
        listener = f"PLAINTEXT://127.0.0.1:{self.port}"
        lines = {
            "advertised.listeners": listener,
            "log.dirs": self.data,
            "offsets.topic.replication.factor": 3,
            "offsets.topic.num.partitions": 6,
            "group.initial.rebalance.delay.ms": 0,
            "num.network.threads": 2,
            "jackdaw.metrics.port": self.metrics_port,
        }
        # A connect string will do where a test runs its own coordination servers.
        self.connect = getattr(store, "connect", store if isinstance(store, str) else None)
        if self.connect:
            lines.update({
                "broker.id": broker_id, "listeners": listener, "zookeeper.connect": self.connect,
                "zookeeper.session.timeout.ms": 6000})
        else:
            lines.update(kraft.broker_settings(broker_id, listener, store, settings))
        lines.update(settings or {})
        self.config = pathlib.Path(folder) / f"server-{broker_id}.properties"
        self.config.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        super().__init__(f"broker-{broker_id}", [BIN / "jackdaw-broker", self.config], folder)

    def start(self):
        if not self.connect and not self.data.exists():
            kraft.format_directories(self.config, self.store.cluster_id)
        return super().start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


class Cluster:
    """Brokers 1…n with what holds their metadata: a coordination ensemble (mode zookeeper), a
    controller quorum (kraft), or each other (combined). `store` is the one or the other;
     `each` has settings of single brokers."""

    def __init__(self, folder, brokers=3, coordinators=3, real=(), settings=None,
                 each=None, mode="zookeeper"):
        self.folder = pathlib.Path(folder)
        self.mode = mode
        spread = {
            "offsets.topic.replication.factor": min(brokers, 3),
            "transaction.state.log.replication.factor": min(brokers, 3),
            "transaction.state.log.min.isr": min(brokers, 2),
            "transaction.state.log.num.partitions": 6,
            "default.replication.factor": min(brokers, 3),
            "min.insync.replicas": min(brokers, 2),
            **(settings or {}),
        }
        if mode == "zookeeper":
            self.store = Ensemble(self.folder, coordinators, real)
        elif mode == "combined":
            self.store = kraft.CombinedQuorum(brokers)
        else:
            # Controllers check and place by the same defaults, and judge by the same rules.
            shared = {key: value for key, value in spread.items()
                      if key in ("default.replication.factor", "min.insync.replicas",
                                 "authorizer.class.name", "allow.everyone.if.no.acl.found",
                                 "super.users", "unstable.feature.versions.enable",
                                 "eligible.leader.replicas.enable")
                      or key.startswith("metadata.log.")}
            self.store = kraft.Quorum(self.folder, coordinators, shared)
        self.brokers = {
            number: Broker(self.folder, number, self.store,
                           {**spread, **(each or {}).get(number, {})})
            for number in range(1, brokers + 1)}

    @property
    def ensemble(self):
        return self.store if self.mode == "zookeeper" else None

    def __enter__(self):
        self.store.__enter__()
        try:
            for broker in self.brokers.values():
                broker.start()
            for broker in self.brokers.values():
                broker.wait_for_line("started", 60)
            self.wait_until_known()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_until_known(self, seconds=60):
        """Every broker names all brokers and the controller in its metadata."""
        for broker in self.brokers.values():
            wait_until(lambda: self.is_known_to(broker), seconds,
                       f"{broker.name} knows the cluster\n{broker.tail()}")

    def is_known_to(self, broker):
        body = ask(broker.port, 3, 4, struct.pack(">ib", 0, 0))
        count = struct.unpack_from(">i", body, 8)[0]
        position = 12
        for _ in range(count):
            host = struct.unpack_from(">h", body, position + 4)[0]
            position += 4 + 2 + host + 4
            rack = struct.unpack_from(">h", body, position)[0]
            position += 2 + max(rack, 0)
        cluster_id = struct.unpack_from(">h", body, position)[0]
        position += 2 + max(cluster_id, 0)
        controller = struct.unpack_from(">i", body, position)[0]
        return count == len(self.brokers) and controller >= 0

    def __exit__(self, *_):
        for broker in self.brokers.values():
            if broker.is_running:
                broker.resume()
                broker.kill()
        self.store.__exit__()

    @property
    def bootstrap(self):
        return ",".join(broker.address for broker in self.brokers.values())

    @property
    def metrics_ports(self):
        return {number: broker.metrics_port for number, broker in self.brokers.items()}

    def restart(self, number):
        broker = self.brokers[number]
        broker.start()
        broker.wait_for_port(broker.port, 60)
        return broker


import kraft  # noqa: E402  its classes build on those above
