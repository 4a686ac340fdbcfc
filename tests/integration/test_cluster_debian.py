"""The package index of Debian through a cluster whose leader dies every few seconds.

Loaded through one node, read through another meanwhile, and exported through the third: byte for
byte what went in. KVSTORE_LONG=1 takes the whole index, otherwise a part of it.
"""

import contextlib
import os
import subprocess
import threading
import time
import unittest

from cluster_support import ClusterTestCase, leader_of
from support import BROKEN_CONNECTION, RedisError, clean_environment
from test_debian_index import CLI, as_json_lines, read_index

PACKAGES = None if os.environ.get("KVSTORE_LONG") == "1" else 40_000
# What is sent before its answers are read. Small, so that a killed leader meets many of them.
PIPELINE = 50
# Between the return of one leader and the death of the next.
CALM_SECONDS = 2 if PACKAGES is None else 0.8
LOAD_SECONDS = 600
REST_SECONDS = 0.05


class Loader:
    """Puts everything through one node. Each put may be sent again, since it is the only one of its key."""

    def __init__(self, node, content):
        self.node = node
        self.content = content
        self.acknowledged = 0
        self.attempts = 0

    def run(self):
        items = list(self.content.items())
        end = time.monotonic() + LOAD_SECONDS
        while self.acknowledged < len(items):
            if time.monotonic() > end:
                raise AssertionError(f"{self.acknowledged} of {len(items)} after {LOAD_SECONDS} s")
            self.attempts += 1
            with contextlib.suppress(RedisError, *BROKEN_CONNECTION), self.node.redis() as client:
                while self.acknowledged < len(items):
                    self.send(client, items[self.acknowledged : self.acknowledged + PIPELINE])
            time.sleep(REST_SECONDS)

    def send(self, client, items):
        """What follows the first that was refused is sent again with it."""
        refusal = None
        for reply in client.pipeline([("SET", *item) for item in items]):
            if isinstance(reply, RedisError):
                refusal = refusal or reply
            elif refusal is None:
                self.acknowledged += 1
        if refusal is not None:
            raise refusal


class Killer(threading.Thread):
    """Kills whoever leads, and starts it again, until it is told to stop."""

    def __init__(self, nodes):
        super().__init__()
        self.nodes = nodes
        self.stopping = threading.Event()
        self.kills = 0
        self.failure = None

    def run(self):
        try:
            while not self.stopping.wait(CALM_SECONDS):
                leader = leader_of(self.nodes)
                if leader is not None:
                    leader.kill()
                    self.kills += 1
                    self.stopping.wait(0.3)
                    leader.start()
        except Exception as error:  # Told by the test, in its own thread.
            self.failure = error


class Reader(threading.Thread):
    """Reads what has been acknowledged, through one node. What is there must be right."""

    def __init__(self, node, loader):
        super().__init__()
        self.node = node
        self.loader = loader
        self.items = list(loader.content.items())
        self.stopping = threading.Event()
        self.reads = 0
        self.wrong = []

    def run(self):
        at = 0
        while not self.stopping.is_set():
            with contextlib.suppress(RedisError, *BROKEN_CONNECTION), self.node.redis() as client:
                while not self.stopping.is_set():
                    known = self.loader.acknowledged
                    if known == 0:
                        break
                    at = (at + 997) % known
                    key, value = self.items[at]
                    if client("GET", key) != value:
                        self.wrong.append(key)
                    self.reads += 1
            self.stopping.wait(REST_SECONDS)


class DebianOnACluster(ClusterTestCase):
    def test_the_index_survives_a_leader_that_dies_every_few_seconds(self):
        index = dict(list(read_index().items())[:PACKAGES])
        if len(index) < 1000:
            self.skipTest("no package lists here; `apt-get update` as root makes them")
        nodes = self.cluster(3)
        for node in nodes:
            # Addresses stay over a restart, as they do for a real client.
            node.flags += [
                "--resp-addr", f"127.0.0.1:{node.resp_port}", "--http-addr", f"127.0.0.1:{node.http_port}",
            ]  # fmt: skip
        loader = Loader(nodes[0], index)
        killer, reader = Killer(nodes), Reader(nodes[1], loader)
        begin = time.monotonic()
        killer.start()
        reader.start()
        try:
            loader.run()
        finally:
            for thread in (killer, reader):
                thread.stopping.set()
                thread.join(60)
        print(
            f"{len(index)} packages in {time.monotonic() - begin:.1f} s through {killer.kills} deaths "
            f"of a leader, {loader.attempts} connections, {reader.reads} reads"
        )
        self.assertIsNone(killer.failure)
        self.assertGreater(killer.kills, 1)
        self.assertGreater(reader.reads, 0)
        self.assertEqual(reader.wrong, [])
        self.check_export(nodes[2], index)

    def check_export(self, node, index):
        with node.redis() as client:
            self.eventually(lambda: client("DBSIZE") == len(index))
            keys = list(index)
            for at in range(0, len(keys), 2000):
                self.assertEqual(client("MGET", *keys[at : at + 2000]), [index[k] for k in keys[at : at + 2000]])
        if not CLI.exists():
            return
        done = subprocess.run(
            [CLI, "export", "--endpoints", f"127.0.0.1:{node.http_port}"],
            capture_output=True, env=clean_environment(), timeout=80, check=False,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout == as_json_lines(index), "the export is not the input, byte for byte")


if __name__ == "__main__":
    unittest.main()
