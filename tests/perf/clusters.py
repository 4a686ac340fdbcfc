"""The clusters that are measured, three nodes each on free loopback ports."""

import contextlib
import json
import pathlib
import random
import re
import shutil
import socket
import subprocess
import time
import urllib.request

from servers import Measured

NODES = 3
PATIENCE = 120
# What one node counts, and the sum over nodes is told of.
COUNTERS = {
    "frames": "kvstore_rpc_frames_sent_total",
    "bytes": "kvstore_rpc_sent_bytes_total",
    "syncs": "kvstore_wal_syncs_total",
    "log bytes": "kvstore_wal_bytes_written_total",
}


def free_ports(count):
    """Below those that the kernel gives to connections, which would be taken again before they are listened on."""
    ports = []
    while len(ports) < count:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as one:
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", port))
                ports += [port] if port not in ports else []
    return ports


def ask(url, body=None):
    request = urllib.request.Request(url, data=None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=2) as answer:
        return answer.read().decode()


def eventually(check, what):
    """What `check` returns once that is true. An OSError of it is a no."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            answer = check()
        except OSError:
            answer = None
        if answer:
            return answer
        time.sleep(0.02)
    raise RuntimeError(f"{what}: not within {PATIENCE} s")


class Cluster:
    """Nodes that are one store."""

    name = ""
    protocol = "resp"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.nodes = []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def running(self):
        return [node for node in self.nodes if node.process and node.process.poll() is None]

    def cpu_seconds(self):
        return sum(node.cpu_seconds() for node in self.running())

    def leader(self):
        """The node that leads, as soon as one does."""
        return eventually(self.find_leader, f"{self.name}: a leader")

    def endpoints(self):
        """The leader's first."""
        leader = self.leader()
        rest = [node for node in self.running() if node is not leader]
        return ",".join(f"127.0.0.1:{node.port}" for node in [leader, *rest])

    def counters(self):
        return {}


# ---- ours ----


class OurNode(Measured):
    def __init__(self, binary, folder, name, peer_port, engine, how):
        any_port = "127.0.0.1:0"
        super().__init__(
            [binary, "server", "--id", name, "--data-dir", folder / "data", "--http-addr", any_port,
             "--grpc-addr", any_port, "--resp-addr", any_port, "--peer-addr", f"127.0.0.1:{peer_port}",
             "--default-engine", engine, "--durability", "always", "--default-history", "0",
             "--log-level", "warning", *how],
            folder,
        )  # fmt: skip
        self.data = folder / "data"

    def is_ready(self):
        text = self.log_path.read_text()
        if not re.search(r"^  grpc .*\n", text, re.MULTILINE):
            return False
        self.http_port = int(re.search(r"^  http +http://[^:]+:(\d+)", text, re.MULTILINE)[1])
        self.port = int(re.search(r"^  redis +\S*?:(\d+)\b", text, re.MULTILINE)[1])
        return True

    def status(self):
        return json.loads(ask(f"http://127.0.0.1:{self.http_port}/v1/status"))

    def shard(self):
        """What it says of `default`, or None."""
        return next((one for one in self.status()["shards"] if one["keyspace"] == "default"), None)


class Ours(Cluster):
    name = "kvstore"

    def __init__(self, binary, folder, engine="memory", count=NODES):
        super().__init__(folder)
        self.binary = binary
        self.engine = engine
        self.ports = free_ports(NODES + 1)
        self.count = count

    def listed(self):
        return ",".join(f"n{i + 1}=127.0.0.1:{port}" for i, port in enumerate(self.ports[: self.count]))

    def make(self, at, *how):
        return OurNode(self.binary, self.folder / f"n{at + 1}", f"n{at + 1}", self.ports[at], self.engine, how)

    def start(self):
        self.nodes = [self.make(i, "--initial-cluster", self.listed()) for i in range(self.count)]
        for node in self.nodes:
            node.spawn()
        for node in self.nodes:
            node.wait(node.is_ready)

    def find_leader(self):
        for node in self.running():
            shard = node.shard()
            if shard and shard["leader"] and shard["leader"] == node.status()["node_number"]:
                return node
        return None

    def counters(self):
        total = dict.fromkeys(COUNTERS, 0.0)
        for node in self.running():
            text = ask(f"http://127.0.0.1:{node.http_port}/metrics")
            for word, metric in COUNTERS.items():
                total[word] += float(re.search(rf"^{metric} (\S+)", text, re.MULTILINE)[1])
        return total

    def wait_voter(self, node):
        """Until the others count `node` as a voter: it has caught up then."""
        number = node.status()["node_number"]
        others = [other for other in self.nodes if other is not node]

        def votes():
            for other in others:
                shard = other.shard()
                if shard and number in shard["voters"] and not shard["learners"]:
                    return True
            return False

        eventually(votes, f"{node.log_path.parent.name} votes")

    def add(self):
        """A further node, with every key."""
        others = ",".join(f"127.0.0.1:{port}" for port in self.ports[: self.count])
        node = self.make(self.count, "--join", others)
        self.nodes.append(node)
        node.spawn()
        node.wait(node.is_ready)
        self.wait_voter(node)

    def replace(self, node):
        """A node whose disk is lost comes back empty."""
        node.stop()
        shutil.rmtree(node.data)
        node.spawn()
        node.wait(node.is_ready)
        self.wait_voter(node)


# ---- etcd ----


class EtcdNode(Measured):
    def __init__(self, folder, name, client_port, peer_port, cluster, state):
        client, peer = f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
        super().__init__(
            ["etcd", "--name", name, "--data-dir", folder / "data", "--listen-client-urls", client,
             "--advertise-client-urls", client, "--listen-peer-urls", peer,
             "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster,
             "--initial-cluster-state", state, "--quota-backend-bytes", str(8 << 30),
             "--logger", "zap", "--log-level", "error"],
            folder,
        )  # fmt: skip
        self.name = name
        self.port = client_port
        self.peer = peer
        self.data = folder / "data"

    def status(self):
        return json.loads(ask(f"http://127.0.0.1:{self.port}/v3/maintenance/status", {}))

    def is_ready(self):
        try:
            return "leader" in self.status()
        except OSError:
            return False


class Etcd(Cluster):
    name = "etcd"
    protocol = "etcd"

    def __init__(self, _binary, folder, _engine="", count=NODES):
        super().__init__(folder)
        self.count = count
        self.clients = free_ports(NODES + 1)
        self.peers = free_ports(NODES + 1)

    def make(self, at, state="new"):
        listed = max(self.count, at + 1)
        cluster = ",".join(f"n{i + 1}=http://127.0.0.1:{self.peers[i]}" for i in range(listed))
        return EtcdNode(self.folder / f"n{at + 1}", f"n{at + 1}", self.clients[at], self.peers[at], cluster, state)

    def start(self):
        self.nodes = [self.make(i) for i in range(self.count)]
        for node in self.nodes:
            node.spawn()
        for node in self.nodes:
            node.wait(node.is_ready)

    def find_leader(self):
        for node in self.running():
            status = node.status()
            if status.get("leader") == status["header"]["member_id"]:
                return node
        return None

    def control(self, *words):
        """Asked again while it refuses: it wants its members connected for some seconds before it changes."""

        def accepted():
            done = subprocess.run(
                ["etcdctl", "--endpoints", self.endpoints(), *words], check=False, capture_output=True, text=True,
                env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"}, timeout=PATIENCE,
            )  # fmt: skip
            said.append(done.stderr.strip())
            return done.returncode == 0

        said = []
        try:
            eventually(accepted, "etcdctl " + " ".join(words))
        except RuntimeError as error:
            raise RuntimeError(f"{error}; it said: {said[-1]}") from error

    def is_level(self, node):
        theirs = self.leader().status()
        return int(node.status()["raftAppliedIndex"]) >= int(theirs["raftAppliedIndex"])

    def add(self):
        node = self.make(self.count, "existing")
        self.enter(node)

    def enter(self, node):
        self.control("member", "add", node.name, "--peer-urls", node.peer)
        if node not in self.nodes:
            self.nodes.append(node)
        node.spawn()
        node.wait(node.is_ready)
        eventually(lambda: self.is_level(node), "the member is level")

    def replace(self, node):
        number = int(node.status()["header"]["member_id"])
        node.stop()
        self.control("member", "remove", f"{number:x}")
        shutil.rmtree(node.data)
        fresh = self.make(self.nodes.index(node), "existing")
        self.nodes[self.nodes.index(node)] = fresh
        self.enter(fresh)


# ---- Redis ----


class Redis(Cluster):
    """A primary with two replicas. There is nobody to elect another."""

    name = "Redis, WAIT 1"

    def __init__(self, _binary, folder, _engine="", count=NODES):
        super().__init__(folder)
        self.count = count

    def start(self):
        ports = free_ports(self.count)
        for i, port in enumerate(ports):
            folder = self.folder / f"r{i + 1}"
            of = [] if i == 0 else ["--replicaof", "127.0.0.1", ports[0]]
            node = Measured(
                ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder,
                 "--daemonize", "no", "--appendonly", "yes", "--appendfsync", "always",
                 "--repl-diskless-sync-delay", "0", *of],
                folder,
            )  # fmt: skip
            node.port = port
            self.nodes.append(node)
            node.spawn()
        eventually(lambda: self.info().count("state=online") == self.count - 1, "replicas")

    def info(self):
        done = subprocess.run(
            ["redis-cli", "-p", str(self.nodes[0].port), "INFO", "replication"], capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        return done.stdout

    def find_leader(self):
        return self.nodes[0]
