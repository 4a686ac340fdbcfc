"""The tests that one of the product's descriptions lists by name, against a real server."""

import threading
import time
import unittest

from support import CORRUPTION, ServerTestCase

WAIT_SECONDS = 20


def in_threads(count, work):
    """Runs work(number) in as many threads; raises what the first of them raised."""
    failures = []

    def run(number):
        try:
            work(number)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class NamedTests(ServerTestCase):
    def test_basic_operations(self):
        server = self.started()
        with server.redis() as redis:
            self.assertEqual(redis("SET", "username", "john_doe"), "OK")
            self.assertEqual(redis("GET", "username"), b"john_doe")
            self.assertEqual(server.http("GET", "/v1/keys/username").json()["value"], "john_doe")
            self.assertEqual(redis("SET", "username", "jane"), "OK")
            self.assertEqual(redis("GET", "username"), b"jane")
            self.assertEqual(redis("REMOVE", "username"), 1)
            self.assertIsNone(redis("GET", "username"))
            self.assertEqual(server.http("GET", "/v1/keys/username").status, 404)

    def test_concurrent_operations(self):
        server = self.started()

        def work(number):
            with server.redis() as redis:
                for i in range(100):
                    redis("INCR", "shared")
                    redis("SET", f"own:{number}:{i}", f"{number}.{i}")
                    self.assertEqual(redis("GET", f"own:{number}:{i}"), f"{number}.{i}".encode())

        in_threads(8, work)
        with server.redis() as redis:
            self.assertEqual(redis("GET", "shared"), b"800")
            self.assertEqual(len(redis.scan_all("own:*")), 800)

    def test_wal_recovery(self):
        for engine in ("memory", "lsm"):
            with self.subTest(engine):
                server = self.server("--default-engine", engine, data_dir=self.folder / engine).start()
                with server.redis() as redis:
                    for i in range(300):
                        redis("SET", f"key{i}", f"first {i}")
                    for i in range(0, 300, 3):
                        redis("SET", f"key{i}", f"second {i}")
                    for i in range(1, 300, 3):
                        redis("DEL", f"key{i}")
                self.assertTrue(list((server.data_dir / "wal").glob("wal*")))
                server.restart_after_kill()
                with server.redis() as redis:
                    for i in range(300):
                        expected = (f"second {i}".encode(), None, f"first {i}".encode())[i % 3]
                        self.assertEqual(redis("GET", f"key{i}"), expected)
                server.kill()

    def test_wal_corruption_handling(self):
        server = self.started("--default-engine", "memory")
        with server.redis() as redis:
            for i in range(100):
                redis("SET", f"key{i}", f"a value to be damaged {i}")
        server.kill()
        segments = (server.data_dir / "wal").glob("wal*")
        wal = next(path for path in segments if b"damaged 50" in path.read_bytes())
        content = wal.read_bytes()
        at = content.index(b"damaged 50")
        wal.write_bytes(content[:at] + b"D" + content[at + 1 :])
        said = self.assert_refuses_to_start(server, CORRUPTION, wal.name)
        self.assertIn("verify-data", said)
        wal.write_bytes(content)
        with server.start().redis() as redis:
            self.assertEqual(redis("GET", "key50"), b"a value to be damaged 50")

    def test_snapshot_management(self):
        server = self.started("--default-engine", "memory", "--snapshot-interval", "1")

        def snapshots():
            # Of `default`: the system shard has its own, under names of the same kind.
            shard = server.data_dir / "shards/16"
            return {path.name for path in shard.rglob("snapshot-*") if path.is_file()}

        def wait_for_another(before):
            end = time.monotonic() + WAIT_SECONDS
            while time.monotonic() < end:
                if snapshots() - before:
                    return snapshots()
                time.sleep(0.05)
            self.fail(f"no new snapshot in {WAIT_SECONDS} s beside {before}")

        none = snapshots()
        with server.redis() as redis:
            redis("SET", "early", "in the first snapshot")
            first = wait_for_another(none)
            redis("SET", "early", "in the second")
            redis("SET", "late", "too")
            second = wait_for_another(first)
            redis("SET", "last", "in the log alone")
        self.assertLessEqual(len(second), len(first) + 1, "older snapshots go")
        server.restart_after_kill()
        with server.redis() as redis:
            self.assertEqual(redis("MGET", "early", "late", "last"), [b"in the second", b"too", b"in the log alone"])

    def test_high_concurrency(self):
        server = self.started("--durability", "interval")

        def work(number):
            with server.redis() as redis:
                for turn in range(5):
                    replies = redis.pipeline(
                        [("INCRBY", "sum", "1"), ("SET", f"k{number}", str(turn)), ("GET", f"k{number}")] * 10
                    )
                    self.assertEqual(replies[1::3], ["OK"] * 10)
                    self.assertEqual(replies[2::3], [str(turn).encode()] * 10)

        in_threads(200, work)
        with server.redis() as redis:
            self.assertEqual(redis("GET", "sum"), b"10000")

    def test_the_metrics_have_the_promised_names(self):
        server = self.started()
        with server.redis() as redis:
            redis("SET", "k", "v")
        server.http("GET", "/v1/keys/k")
        text = server.http("GET", "/metrics").data.decode()
        for sample in (
            r'kvstore_request_duration_seconds[{][^}]*quantile="0.95"[^}]*[}]',
            "kvstore_requests_total",
            "kvstore_raft_commit_latency_seconds",
            "kvstore_storage_compaction_duration_seconds",
            "kvstore_storage_operations_total",
        ):
            self.assertRegex(text, "(?m)^" + sample + "[ {_]")


if __name__ == "__main__":
    unittest.main()
