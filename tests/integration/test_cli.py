"""The command line, as people and scripts use it: every command against a real server."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import unittest

BINARY = pathlib.Path(os.environ.get("KVSTORE_BIN", "build/dev/kvstore")).resolve()
TIMEOUT_SECONDS = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run(name, *arguments, stdin="", cwd=None, endpoints="127.0.0.1:1"):
    """Runs the program under one of its names; returns (exit code, stdout, stderr)."""
    environment = {**os.environ, "KVSTORE_ENDPOINTS": endpoints, "HOME": "/nonexistent"}
    done = subprocess.run(
        [name, *map(str, arguments)],
        executable=BINARY,
        input=stdin.encode(),
        capture_output=True,
        cwd=cwd,
        env=environment,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Server:
    def __init__(self, directory):
        self.http, self.resp, grpc = (f"127.0.0.1:{free_port()}" for _ in range(3))
        command = [BINARY, "server", "--data-dir", directory]
        command += ["--http-addr", self.http, "--resp-addr", self.resp, "--grpc-addr", grpc]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while run("kvstore-cli", "status", endpoints=self.http)[0] != 0:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError("the server did not start")
            time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT_SECONDS)


class WithServer(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.data = pathlib.Path(self.folder.name) / "data"
        self.server = Server(self.data)
        self.addCleanup(self.server.process.wait)
        self.addCleanup(self.server.process.kill)

    def cli(self, *arguments, stdin=""):
        return run("kvstore-cli", *arguments, stdin=stdin, endpoints=self.server.http)

    def test_put_get_delete_as_promised(self):
        self.assertEqual(self.cli("put", "hello", "world", "--ttl", "1h")[:2], (0, "OK\n"))
        self.assertEqual(self.cli("get", "hello")[:2], (0, "world\n"))
        self.assertIn(self.cli("ttl", "hello")[1], {"3600\n", "3599\n"})
        self.assertEqual(self.cli("put", "hello", "x", "--if-absent")[0], 6)
        self.assertEqual(self.cli("put", "hello", "again", "--prev")[:2], (0, "world\n"))
        self.assertEqual(self.cli("delete", "hello", "other")[:2], (0, "1\n"))
        self.assertEqual(self.cli("get", "hello", "-e")[0], 3)

    def test_a_value_may_come_from_stdin(self):
        self.assertEqual(self.cli("put", "long", stdin="a\nb")[0], 0)
        self.assertEqual(self.cli("get", "long")[1], "a\nb\n")

    def test_incr_counts_and_refuses_text(self):
        self.assertEqual(self.cli("incr", "n")[1], "1\n")
        self.assertEqual(self.cli("incr", "n", "-5")[1], "-4\n")
        self.cli("put", "text", "abc")
        self.assertEqual(self.cli("incr", "text")[0], 1)
        self.assertEqual(self.cli("get", "text")[1], "abc\n")

    def test_scan_shows_a_range(self):
        for key in ("a1", "a2", "b1"):
            self.cli("put", key, "v" + key)
        self.assertEqual(self.cli("scan", "--prefix", "a")[1], "a1\tva1\na2\tva2\n")
        self.assertEqual(self.cli("list", "--keys-only", "--reverse")[1], "b1\na2\na1\n")
        self.assertEqual(self.cli("scan", "--count")[1], "3\n")
        self.assertEqual(self.cli("scan", "--limit", "1")[1], "a1\tva1\n")

    def test_what_is_exported_can_be_imported(self):
        lines = [json.dumps({"key": f"k{i:05}", "value": f"v{i}"}) for i in range(3000)]
        lines.insert(10, "garbage")
        lines.append(json.dumps({"key_base64": "/w==", "value_base64": "/w=="}))
        code, _, errors = self.cli("import", "-", stdin="\n".join(lines))
        self.assertEqual(code, 1)
        self.assertIn("line 11:", errors)
        exported = self.cli("export")[1]
        self.assertEqual(len(exported.splitlines()), 3001)
        self.assertEqual(self.cli("keyspace", "create", "copy", "--engine", "memory")[0], 0)
        self.assertEqual(self.cli("import", "-", "--keyspace", "copy", stdin=exported)[0], 0)
        self.assertEqual(self.cli("export", "--keyspace", "copy")[1], exported)

    def test_keyspaces_are_listed_changed_and_dropped(self):
        self.cli("keyspace", "create", "side", "--history", "1m")
        self.assertEqual(self.cli("keyspace", "change", "side", "--history", "5m")[0], 0)
        self.assertIn("history 5m", self.cli("keyspace", "list")[1])
        self.cli("put", "a", "side", "--keyspace", "side")
        self.assertEqual(self.cli("get", "a", "-e")[0], 3)
        self.assertEqual(self.cli("keyspace", "drop", "side")[0], 0)
        self.assertNotIn("side", self.cli("keyspace", "list")[1])

    def test_the_shell_takes_a_script(self):
        script = "PUT username john_doe\nGET username\nREMOVE username\nGET username\nEXIT\n"
        code, output, _ = run("kvstore", "shell", stdin=script, endpoints=self.server.http)
        self.assertEqual((code, output), (0, "OK\njohn_doe\nOK\nkey not found\n"))

    def test_stress_over_the_network_reports(self):
        arguments = ["--operations", 2000, "--keys", 100, "--pipeline", 4]
        code, output, _ = run("kvstore", "stress", "--resp-addr", self.server.resp, *arguments)
        self.assertEqual(code, 0)
        self.assertIn("2,000 in", output)

    def test_a_stopped_node_verifies_and_damage_is_found(self):
        for i in range(20):
            self.cli("put", f"k{i}", "x" * 5000)
        self.assertEqual(run("kvstore", "verify-data", self.data)[0], 1, "a server holds the lock")
        self.assertEqual((self.cli("save")[0], self.cli("compact")[0]), (0, 0))
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(run("kvstore", "compact", self.data)[0], 0)
        code, output, _ = run("kvstore", "verify-data", self.data)
        self.assertEqual(code, 0)
        self.assertIn("no damage found", output)
        table = next(self.data.glob("shards/*/engine/**/*.sst"))
        content = bytearray(table.read_bytes())
        content[100] ^= 0xFF
        table.write_bytes(content)
        code, output, errors = run("kvstore", "verify-data", self.data)
        self.assertEqual(code, 12, output + errors)


class WithoutServer(unittest.TestCase):
    def test_kv_store_keeps_data_of_its_own(self):
        with tempfile.TemporaryDirectory() as folder:
            code, output, _ = run("kv_store", stdin="PUT a 1\nINCR a\nSCAN\n", cwd=folder)
            self.assertEqual((code, output), (0, "OK\n2\na\t2\n(1 keys)\n"))
            self.assertEqual(run("kv_store", stdin="GET a\n", cwd=folder)[1], "2\n")

    def test_the_stress_test_reports_what_was_promised(self):
        code, output, _ = run("kv_store", "--stress-test", "--operations", 5000)
        self.assertEqual(code, 0)
        for part in ("response time", "throughput", "errors encountered"):
            self.assertIn(part, output)

    def test_errors_say_how_to_repair(self):
        code, _, errors = run("kvstore", "get", "a")
        self.assertEqual(code, 4)
        self.assertIn("kvstore server", errors)
        self.assertEqual(run("kvstore", "get")[0], 2)
        self.assertEqual(run("kvstore", "frobnicate")[0], 2)
        self.assertIn("--prefix", run("kvstore", "scan", "--prefx", "a")[2])

    def test_recorded_histories_are_judged(self):
        base = {"client": 1, "key": "a", "outcome": "ok"}
        write = json.dumps({**base, "operation": "write", "value": "1", "call": 0, "return": 1})
        good = json.dumps({**base, "operation": "read", "observed": "1", "call": 2, "return": 3})
        stale = json.dumps({**base, "operation": "read", "observed": None, "call": 2, "return": 3})
        code, output, _ = run("kvstore", "verify", "-", stdin=f"{write}\n{good}\n")
        self.assertEqual(code, 0)
        self.assertIn("all checks hold", output)
        code, output, _ = run("kvstore", "verify", "-", stdin=f"{write}\n{stale}\n")
        self.assertEqual(code, 1)
        self.assertIn("> line 2", output)
        code, _, errors = run("kvstore", "verify", "-", stdin=f"{write}\nnonsense\n")
        self.assertEqual(code, 2)
        self.assertIn("line 2: column 1", errors)
        self.assertIn("verify-data", run("kvstore", "verify", "/tmp")[2])

    def test_version_is_json_on_request(self):
        facts = json.loads(run("kvstore", "--version", "--json")[1])
        self.assertIn("rocksdb", facts["libraries"])
        self.assertIn("verify-data", run("kvstore", "--help")[1])


if __name__ == "__main__":
    unittest.main()
