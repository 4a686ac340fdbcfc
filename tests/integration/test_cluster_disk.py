"""One node's disk is full or slow: it hands its leaderships over and says so, and writes go on."""

import contextlib
import time
import unittest

from chaos_disks import Disk, NotHere, SlowDisk
from cluster_support import ClusterTestCase, leader_of, status
from support import RedisError

SMALL_SEGMENTS = ("--wal-segment-bytes", str(1 << 18))
DISK_BYTES = 256 << 20
# How long after its disk is full a leader may keep the others waiting.
STEP_DOWN_SECONDS = 5
ATTEMPTS = 5
FILL_SECONDS = 20
SAID = '"reason":"the disk has no room"'
SLOW_WRITES_A_SECOND = 5


class OneBadDisk(ClusterTestCase):
    def three_on_disks(self, *flags):
        """Each on a file system of its own; skips where there is none."""
        places = {}
        for name in ("n1", "n2", "n3"):
            try:
                disk = Disk(self.folder, name, DISK_BYTES)
            except NotHere as why:
                self.skipTest(str(why))
            self.addCleanup(disk.close)
            places[name] = disk
        nodes = self.cluster(3, *SMALL_SEGMENTS, *flags, place=lambda name: places[name].place / "data")
        for node in nodes:
            node.disk = places[node.name]
        return nodes

    def fill_the_leader(self, nodes, value_bytes):
        """Until it hands over. Its log has segments in store, and goes on with them for a while."""
        for _ in range(ATTEMPTS):
            leader = self.eventually(lambda: leader_of(nodes))
            leader.disk.fill()
            # One that has lost its place for another reason, as balancing, has nothing to say.
            end = time.monotonic() + FILL_SECONDS
            while leader_of(nodes) is leader and SAID not in leader.log() and time.monotonic() < end:
                with contextlib.suppress(RedisError), leader.redis() as client:
                    client.pipeline([("SET", "filling", b"x" * value_bytes)] * 5)
            if SAID in leader.log():
                return leader
            leader.disk.empty()
        return self.fail(f"no leader hands over:\n{leader.log()[-2000:]}")

    def check_a_leader_with_a_full_disk(self, engine, value_bytes=20_000):
        nodes = self.three_on_disks("--default-engine", engine)
        with nodes[0].redis() as client:
            client("SET", "before", "1")
        full = self.fill_the_leader(nodes, value_bytes)
        others = [node for node in nodes if node is not full]

        begin = time.monotonic()
        for node in nodes:  # Also through the one whose disk is full.
            with node.redis() as client:
                self.eventually(lambda c=client, n=node: c("SET", n.name, "1") == "OK", STEP_DOWN_SECONDS)
        print(f"{engine}: writes go on {time.monotonic() - begin:.2f} s after the leader's disk was full")
        shown = full.http("GET", "/v1/keys/before?consistency=eventual")
        self.assertEqual(shown.json()["value"], "1")
        with others[0].redis() as client:
            for number in range(200):
                client("SET", f"k{number}", b"y" * 10_000)

        full.disk.empty()

        def agree():
            found = [s["shards"] for s in map(status, nodes)]
            return len({(s[0]["applied_index"], s[0]["digest"]) for s in found}) == 1

        self.eventually(agree)
        self.assertNotIn("write-ahead log failed", full.log())
        # It serves as before, also as a leader.
        self.eventually(lambda: full.http("GET", "/readyz").status == 200)
        self.cli(others[0], "move-leader", full.name)
        self.eventually(lambda: leader_of(nodes) is full)
        with full.redis() as client:
            self.assertEqual(client("SET", "after", "1"), "OK")
        self.assertEqual(full.starts, 1)
        self.assertTrue(full.is_running())

    def test_a_leader_with_a_full_disk_hands_over_on_the_lsm_engine(self):
        self.check_a_leader_with_a_full_disk("lsm")

    def test_a_leader_with_a_full_disk_hands_over_on_the_memory_engine(self):
        self.check_a_leader_with_a_full_disk("memory")

    def test_a_leader_whose_disk_is_full_in_the_middle_of_a_large_write_hands_over(self):
        self.check_a_leader_with_a_full_disk("memory", value_bytes=1 << 20)

    def test_a_slow_follower_holds_nobody_up(self):
        nodes = self.three_on_disks()
        with nodes[0].redis() as client:
            client("SET", "before", "1")
        leader = self.eventually(lambda: leader_of(nodes))
        slow = next(node for node in nodes if node is not leader)
        try:
            throttle = SlowDisk(slow.disk, slow.name)
        except NotHere as why:
            self.skipTest(str(why))
        self.addCleanup(throttle.close)
        self.addCleanup(slow.kill)
        with leader.redis() as client:
            usual = self.seconds_of_writes(client)
            throttle.slow(slow.process.pid, SLOW_WRITES_A_SECOND)
            held_up = self.seconds_of_writes(client)
            throttle.heal()
        print(f"100 writes: {usual:.2f} s, with one slow disk {held_up:.2f} s")
        self.assertLess(held_up, 3 * usual + 2)
        self.eventually(lambda: len({status(n)["shards"][0]["digest"] for n in nodes}) == 1)

    @staticmethod
    def seconds_of_writes(client):
        begin = time.monotonic()
        for number in range(100):
            client("SET", f"k{number}", "v")
        return time.monotonic() - begin


if __name__ == "__main__":
    unittest.main()
