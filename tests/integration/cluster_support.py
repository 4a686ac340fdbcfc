"""Clusters of real processes on loopback, each node in a folder of its own."""

import contextlib
import pathlib
import signal
import socket
import subprocess
import time

from support import BINARY, BROKEN_CONNECTION, RedisError, Server, ServerTestCase, clean_environment

HEAL_SECONDS = 30


def free_ports(count):
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class ClusterNode(Server):
    """A node: its name, its peer port that stays, and its flags."""

    def __init__(self, folder, name, port, *flags):
        folder = pathlib.Path(folder) / name
        folder.mkdir(exist_ok=True)
        super().__init__(folder, "--id", name, *flags)
        self.name = name
        self.peer_port = port

    def command(self, *more):
        words = super().command(*more)
        words[words.index("--peer-addr") + 1] = f"127.0.0.1:{self.peer_port}"
        return words

    @property
    def peer_address(self):
        return f"127.0.0.1:{self.peer_port}"

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)


class ClusterTestCase(ServerTestCase):
    """Starts clusters, and ends their nodes after each test."""

    def node(self, name, *flags, port=None):
        node = ClusterNode(self.folder, name, port or free_ports(1)[0], *flags)
        self.addCleanup(node.kill)
        return node

    def cluster(self, count, *flags, place=None):
        """`count` new nodes as one cluster, all serving. `place(name)`: where each has its data."""
        ports = free_ports(count)
        names = [f"n{i + 1}" for i in range(count)]
        listed = ",".join(
            f"{name}=127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)
        )
        nodes = [
            self.node(name, "--initial-cluster", listed, *flags, port=port)
            for name, port in zip(names, ports, strict=True)
        ]
        for node in nodes:
            node.data_dir = place(node.name) if place else node.data_dir
            node.spawn()
        for node in nodes:
            node.wait_ready()
        return nodes

    def cli(self, node, *words, expect=0, seconds=150):
        """Runs a command through `node`, or through several. Returns: what it printed."""
        nodes = node if isinstance(node, list) else [node]
        endpoints = ",".join(f"127.0.0.1:{one.http_port}" for one in nodes)
        ended = subprocess.run(
            [BINARY, *words, "--endpoints", endpoints], env=clean_environment(),
            capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        self.assertEqual(ended.returncode, expect, ended.stdout + ended.stderr)
        return ended.stdout + ended.stderr

    def eventually(self, check, seconds=HEAL_SECONDS):
        """Calls `check` until it returns something true, and returns that."""
        end = time.monotonic() + seconds
        while True:
            try:
                result = check()
            except (RedisError, *BROKEN_CONNECTION) as error:
                result, last = None, error
            else:
                last = result
            if result:
                return result
            if time.monotonic() > end:
                self.fail(f"still {last!r} after {seconds} s")
            time.sleep(0.05)


class OneCluster:
    """Three nodes for a test case that is not about clusters."""

    @staticmethod
    def start(test, *flags):
        holder = ClusterTestCase()
        holder.setUp()
        test.addCleanup(holder.doCleanups)
        return holder.cluster(3, *flags)

    @staticmethod
    def leader(test, nodes):
        """The node that leads the shard of `default`."""
        end = time.monotonic() + HEAL_SECONDS
        while time.monotonic() < end:
            leader = leader_of(nodes)
            if leader is not None:
                return leader
            time.sleep(0.05)
        return test.fail("nobody leads")


def leader_of(nodes, keyspace="default"):
    """The running node that says that it leads the keyspace's shard; or None."""
    for node in nodes:
        with contextlib.suppress(*BROKEN_CONNECTION):
            seen = status(node)
            for shard in seen["shards"]:
                if shard["keyspace"] == keyspace and shard["leader"] == seen["node_number"]:
                    return node
    return None


def status(node):
    return node.http("GET", "/v1/status").json()


def metric(node, name):
    """The sum over a metric's labels."""
    lines = node.http("GET", "/metrics").data.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def voters(node, keyspace="default"):
    """The numbers of the nodes that vote on a keyspace's shard, as `node` knows them."""
    shards = {shard["keyspace"]: shard for shard in status(node)["shards"]}
    return shards[keyspace]["voters"] if keyspace in shards else []
