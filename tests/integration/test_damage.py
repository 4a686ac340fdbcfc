"""Damaged files: no wrong byte is ever served. The server refuses to start, or the read is an error."""

import random
import time
import unittest

from support import CORRUPTION, DidNotStart, RedisError, ServerTestCase

COUNT = 300


def value_of(i):
    return (f"value {i} " * 40).encode()


class Damage(ServerTestCase):
    def filled(self, *flags):
        server = self.started(*flags)
        with server.redis() as redis:
            for i in range(COUNT):
                redis("SET", f"key{i}", value_of(i))
        return server

    def flip(self, path, offset):
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ (1 << random.randrange(8))]))

    def assert_never_served(self, server):
        """Returns: "refused", or how many reads were errors."""
        try:
            server.start()
        except DidNotStart as refusal:
            self.assertEqual(refusal.code, CORRUPTION, refusal.output)
            return "refused", refusal.output
        errors = 0
        for i in range(COUNT):
            with server.redis() as redis:
                try:
                    self.assertEqual(redis("GET", f"key{i}"), value_of(i), f"key{i} is wrong")
                except (RedisError, OSError):
                    errors += 1
        server.kill()
        return "served", errors

    def test_a_bit_flipped_in_the_log_is_found_and_the_file_named(self):
        server = self.filled("--default-engine", "memory")
        server.kill()
        segments = sorted((server.data_dir / "wal").glob("wal-0*"))
        wal = next(path for path in segments if value_of(100) in path.read_bytes())
        content = wal.read_bytes()
        for i in (10, 100, 200):
            with self.subTest(key=i):
                self.flip(wal, content.index(value_of(i)) + 17)
                outcome, said = self.assert_never_served(server)
                self.assertEqual(outcome, "refused")
                self.assertIn(wal.name, said)
                wal.write_bytes(content)
        self.assertEqual(self.assert_never_served(server), ("served", 0))

    def test_a_log_file_that_vanished_is_found(self):
        server = self.filled("--default-engine", "memory", "--wal-segment-bytes", "1MiB")
        with server.redis() as redis:
            for i in range(600):
                redis("SET", f"more{i % 5}", b"x" * 8000)
        server.kill()
        segments = sorted((server.data_dir / "wal").glob("wal-0*"))
        self.assertGreater(len(segments), 2)
        segments[len(segments) // 2].unlink()
        self.assert_refuses_to_start(server, CORRUPTION)

    def test_a_bit_flipped_in_a_snapshot_is_found_and_the_file_named(self):
        server = self.filled("--default-engine", "memory")
        answer = server.http("POST", "/v1/admin/save")
        self.assertEqual(answer.status, 200, answer.data)
        server.kill()
        snapshots = sorted(p for p in server.data_dir.rglob("snapshot-*") if value_of(7) in p.read_bytes())
        self.assertTrue(snapshots, "no snapshot holds the keys")
        snapshot = snapshots[-1]
        content = snapshot.read_bytes()
        for offset in (3, content.index(value_of(7)) + 5, len(content) // 2, len(content) - 1):
            with self.subTest(offset=offset):
                self.flip(snapshot, offset)
                outcome, said = self.assert_never_served(server)
                self.assertEqual(outcome, "refused")
                self.assertIn(snapshot.name, said)
                snapshot.write_bytes(content)
        with self.subTest("cut short"):
            snapshot.write_bytes(content[: len(content) * 2 // 3])
            self.assertEqual(self.assert_never_served(server)[0], "refused")
            snapshot.write_bytes(content)
        self.assertEqual(self.assert_never_served(server), ("served", 0))

    def test_a_bit_flipped_in_a_table_of_the_lsm_engine_is_never_served(self):
        server = self.filled("--default-engine", "lsm", "--lsm-compression", "none")
        self.assertEqual(server.http("POST", "/v1/admin/save").status, 200)
        server.kill()
        tables = [p for p in server.data_dir.rglob("*.sst") if value_of(7) in p.read_bytes()]
        self.assertTrue(tables, "no table holds the keys")
        content = tables[0].read_bytes()
        for offset in (content.index(value_of(7)) + 5, content.index(value_of(250)) + 9, len(content) - 4):
            with self.subTest(offset=offset):
                self.flip(tables[0], offset)
                outcome, detail = self.assert_never_served(server)
                if outcome == "served":
                    self.assertGreater(detail, 0, "the damage went unnoticed")
                else:
                    self.assertIn(tables[0].name, detail)
                tables[0].write_bytes(content)
        self.assertEqual(self.assert_never_served(server), ("served", 0))

    def test_a_damaged_marker_is_found(self):
        server = self.filled()
        server.kill()
        marker = server.data_dir / "kvstore"
        content = marker.read_bytes()
        for damaged in (b"", content[:-5], content.replace(b"node", b"mode", 1), b"\x00" * len(content)):
            with self.subTest(damaged[:20]):
                marker.write_bytes(damaged)
                self.assert_refuses_to_start(server, CORRUPTION, "'kvstore'")

    def test_random_damage_anywhere_is_never_served(self):
        seed = time.time_ns() % 1_000_000
        dice = random.Random(seed)
        server = self.filled("--default-engine", "lsm")
        self.assertEqual(server.http("POST", "/v1/admin/save").status, 200)
        server.kill()
        originals = {p: p.read_bytes() for p in server.data_dir.rglob("*") if p.is_file() and p.stat().st_size}
        for _ in range(12):
            path = dice.choice(sorted(p for p in originals if p.suffix == ".sst" or p.parent.name == "wal"))
            offset = dice.randrange(len(originals[path]))
            with self.subTest(seed=seed, file=path.name, offset=offset):
                self.flip(path, offset)
                self.assert_never_served(server)
                self.restore(server, originals)

    def restore(self, server, originals):
        for path in server.data_dir.rglob("*"):
            if path.is_file() and path not in originals and path.name != "LOCK":
                path.unlink()
        for path, content in originals.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


if __name__ == "__main__":
    unittest.main()
