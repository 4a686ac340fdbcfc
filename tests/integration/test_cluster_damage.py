"""Damaged files on one node of three: it comes up, its replicas are made anew from the others, and
clients see neither a failure nor a wrong value. On a majority of the nodes: nothing is made up."""

import contextlib
import random
import shutil
import threading
import unittest

from cluster_support import ClusterTestCase, metric, status, voters
from support import BROKEN_CONNECTION, RedisError

COUNT = 200
FLAGS = ("--default-engine", "memory", "--wal-segment-bytes", "1MiB")


def value_of(i):
    return (f"value {i} of the damage test " * 10).encode()


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << random.randrange(8))]))


def flip_value(path, i):
    flip(path, path.read_bytes().index(value_of(i)) + 17)


def shard_of(node, keyspace="default"):
    return next(shard for shard in status(node)["shards"] if shard["keyspace"] == keyspace)


class Client(threading.Thread):
    """Writes and reads back through one node until it is told to stop."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node = node
        self.over = threading.Event()
        self.wrong = []
        self.count = 0

    def run(self):
        with self.node.redis() as redis:
            while not self.over.is_set():
                i = random.randrange(COUNT)
                key = f"own:{self.node.name}"
                try:
                    redis("SET", key, self.count)
                    if int(redis("GET", key)) != self.count:
                        self.wrong.append(f"{key} is not {self.count}")
                    if redis("GET", f"key{i}") != value_of(i):
                        self.wrong.append(f"key{i} is wrong")
                except (RedisError, *BROKEN_CONNECTION) as error:
                    self.wrong.append(repr(error))
                    return
                self.count += 1

    def stop(self):
        self.over.set()
        self.join(30)
        return self.wrong


class ClusterDamage(ClusterTestCase):
    def filled(self, *flags):
        nodes = self.cluster(3, *(flags or FLAGS))
        with nodes[0].redis() as redis:
            for i in range(COUNT):
                redis("SET", f"key{i}", value_of(i))
        return nodes

    def stop_gently(self, node):
        node.process.terminate()
        node.process.wait(30)
        node.kill()

    def shard_folder(self, node, keyspace="default"):
        return node.data_dir / "shards" / str(shard_of(node, keyspace)["shard"])

    def assert_made_anew(self, nodes, hurt):
        """The damaged replica is back, whole, and the same as the others."""

        def is_whole():
            with_all = all(sorted(voters(node)) == [1, 2, 3] for node in nodes)
            return with_all and metric(hurt, "kvstore_replication_damaged_replicas") == 0

        self.eventually(is_whole, 60)

        def agree():
            shards = [s for node in nodes for s in status(node)["shards"] if s["keyspace"] == "default"]
            states = {(shard["applied_index"], shard["digest"]) for shard in shards}
            return len(shards) == len(nodes) and len(states) == 1

        self.eventually(agree)
        for i in range(0, COUNT, 7):
            answer = hurt.http("GET", f"/v1/keys/key{i}?consistency=eventual")
            self.assertEqual(answer.json()["value"].encode(), value_of(i), f"key{i}")

    def hurt_and_heal(self, nodes, damage, *, rebuilt=True):
        """Stops the last node, damages it, starts it; clients of the others go on all the while."""
        hurt = nodes[2]
        folder = self.shard_folder(hurt)
        clients = [Client(node) for node in nodes[:2]]
        for client in clients:
            client.start()
        self.stop_gently(hurt)
        damage(hurt, folder)
        hurt.start()
        if rebuilt:
            self.eventually(lambda: "is damaged" in hurt.log() or "is lost" in hurt.log())
        with hurt.redis() as redis:
            for i in range(0, COUNT, 11):
                self.assertEqual(redis("GET", f"key{i}"), value_of(i), "through the damaged node")
        for client in clients:
            self.assertEqual(client.stop(), [])
            self.assertGreater(client.count, 0)
        self.assert_made_anew(nodes, hurt)
        # What was made anew lasts.
        hurt.restart_after_kill()
        self.assert_made_anew(nodes, hurt)

    def segment_with(self, node, i):
        segments = sorted((node.data_dir / "wal").glob("wal-0*"))
        return next(path for path in segments if value_of(i) in path.read_bytes())

    def test_a_damaged_log(self):
        def damage(node, _):
            flip_value(self.segment_with(node, 20), 20)

        nodes = self.filled()
        self.hurt_and_heal(nodes, damage)
        self.assertTrue((nodes[2].data_dir / "wal-damaged-1").is_dir())

    def test_a_log_that_is_gone(self):
        self.hurt_and_heal(self.filled(), lambda node, _: shutil.rmtree(node.data_dir / "wal"))

    def test_a_log_without_one_of_its_files(self):
        def damage(node, _):
            segments = sorted((node.data_dir / "wal").glob("wal-0*"))
            segments[len(segments) // 2].unlink()

        nodes = self.filled()
        with nodes[0].redis() as redis:
            for i in range(400):
                redis("SET", f"more{i % 5}", b"x" * 8000)
        self.hurt_and_heal(nodes, damage)

    def test_a_damaged_snapshot(self):
        def damage(_, folder):
            snapshots = [p for p in folder.rglob("snapshot-*") if value_of(7) in p.read_bytes()]
            flip_value(snapshots[-1], 7)

        nodes = self.filled()
        self.assertEqual(nodes[2].http("POST", "/v1/admin/save").status, 200)
        self.hurt_and_heal(nodes, damage)

    def test_a_shard_folder_that_is_gone(self):
        self.hurt_and_heal(self.filled(), lambda _, folder: shutil.rmtree(folder))

    def test_a_damaged_replica_is_shown_while_it_is_missed_by_nobody(self):
        nodes = self.filled()
        folder = self.shard_folder(nodes[2])
        self.stop_gently(nodes[2])
        self.stop_gently(nodes[1])  # so that it cannot be made anew yet
        flip(folder / "shard", 30)
        hurt = nodes[2].start()

        ready = hurt.http("GET", "/readyz")
        self.assertEqual(ready.status, 200)
        self.assertIn("[!]replicas", ready.data.decode())
        shard = int(folder.name)
        self.assertEqual([d["shard"] for d in hurt.http("GET", "/v1/status").json()["damaged"]], [shard])
        self.assertEqual(metric(hurt, "kvstore_replication_damaged_replicas"), 1)
        health = self.cli(hurt, "endpoint", "health")
        self.assertIn("1 damaged, to be made anew from other nodes", health)
        self.assertIn(f"shard {shard}: ", self.cli(hurt, "status"))
        self.eventually(lambda: "1 replica damaged" in self.cli(nodes[0], "node", "status", "n3"))

        nodes[1].start()
        self.assert_made_anew(nodes, hurt)
        self.assertEqual(hurt.http("GET", "/readyz").data, b"ready\n")

    def test_a_damaged_shard_file(self):
        self.hurt_and_heal(self.filled(), lambda _, folder: flip(folder / "shard", 30))

    def test_the_system_shards_folder_is_gone(self):
        def damage(node, _):
            shutil.rmtree(node.data_dir / "shards" / "1")

        self.hurt_and_heal(self.filled(), damage)

    def test_a_damaged_list_of_members(self):
        def damage(node, _):
            members = node.data_dir / "members"
            members.write_bytes(members.read_bytes()[:5])

        self.hurt_and_heal(self.filled(), damage, rebuilt=False)

    def test_everything_below_the_data_directory_but_its_marker_is_gone(self):
        def damage(node, _):
            shutil.rmtree(node.data_dir / "wal")
            shutil.rmtree(node.data_dir / "shards")

        self.hurt_and_heal(self.filled(), damage)

    def test_a_damaged_table_of_the_lsm_engine(self):
        def damage(_, folder):
            tables = [p for p in folder.rglob("*.sst") if value_of(7) in p.read_bytes()]
            self.assertTrue(tables, "no table holds the keys")
            flip(tables[0], tables[0].stat().st_size - 4)

        nodes = self.filled("--default-engine", "lsm", "--lsm-compression", "none")
        self.assertEqual(nodes[2].http("POST", "/v1/admin/save").status, 200)
        self.hurt_and_heal(nodes, damage)

    def test_two_of_three_damaged_lose_nothing_in_silence(self):
        nodes = self.filled()
        for node in nodes[1:]:
            self.stop_gently(node)
            flip_value(self.segment_with(node, 20), 20)
        for node in nodes[1:]:
            node.spawn()
        # The system shard has lost its majority too, so they have nobody to ask; the one that is
        # whole says what it has, and what it cannot say.
        for node in nodes[1:]:
            self.eventually(lambda node=node: "the write-ahead log is lost" in node.log())
            self.eventually((node.data_dir / "wal-damaged-1").is_dir)  # kept for people
        with nodes[0].redis() as redis, contextlib.suppress(*BROKEN_CONNECTION):
            with self.assertRaises(RedisError):
                redis("SET", "key1", "made up")
        shown = nodes[0].http("GET", "/v1/keys/key1?consistency=eventual")
        self.assertEqual(shown.json()["value"].encode(), value_of(1))


if __name__ == "__main__":
    unittest.main()
