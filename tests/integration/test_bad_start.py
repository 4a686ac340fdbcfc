"""What a server is started with that cannot work: it says why, and exits with the documented code."""

import os
import socket
import stat
import subprocess
import threading
import time
import unittest

from support import CONFIG_INVALID, ERROR, OK, Http, ServerTestCase, key_path, run_server_command

NOBODY = 65534


class BadConfiguration(ServerTestCase):
    def refused(self, *arguments):
        done = run_server_command("--data-dir", str(self.folder / "data"), *arguments, cwd=self.folder)
        self.assertEqual(done.returncode, CONFIG_INVALID, done.stderr)
        self.assertFalse((self.folder / "data").exists(), "a refused configuration touched the disk")
        return done.stderr

    def test_an_unknown_flag_is_answered_with_the_nearest_one(self):
        self.assertIn("did you mean --http-addr?", self.refused("--htp-addr", "127.0.0.1:0"))
        self.assertIn("--help", self.refused("--something-else-entirely", "1"))

    def test_a_flag_without_its_value_is_refused(self):
        self.assertIn("--http-addr needs a value", self.refused("--http-addr"))
        self.assertIn("no flag", self.refused("stray"))

    def test_values_out_of_bounds_are_refused_with_the_bounds(self):
        for flag, value, word in (("--http-addr", "nonsense", "nonsense"), ("--durability", "maybe", "always"),
                                  ("--default-engine", "btree", "lsm"), ("--replication-factor", "2", "1, 3, 5 or 7"),
                                  ("--limits-connections-max", "0", "between 1"), ("--id", "no spaces", "node id"),
                                  ("--wal-segment-bytes", "1", "between"), ("--http-addr", "127.0.0.1:99999", "99999"),
                                  ("--log-level", "loud", "warning"), ("--snapshot-interval", "soon", "duration")):  # fmt: skip
            with self.subTest(flag):
                said = self.refused(flag, value)
                self.assertIn(flag, said)
                self.assertIn(word, said)

    def test_flags_that_exclude_each_other_are_refused(self):
        said = self.refused("--http-addr", "127.0.0.1:8123", "--resp-addr", "127.0.0.1:8123")
        self.assertIn("127.0.0.1:8123", said)
        said = self.refused("--join", "127.0.0.1:1", "--initial-cluster", "a=127.0.0.1:1")
        self.assertIn("exclude each other", said)

    def test_a_public_address_without_protection_is_refused(self):
        self.assertIn("--insecure", self.refused("--http-addr", "0.0.0.0:0"))

    def test_errors_of_the_settings_file_have_file_line_and_column(self):
        file = self.folder / "settings.yaml"
        for content, place, word in (("id: a\nhttp:\n  adr: 127.0.0.1:0\n", ":3:3", "did you mean"),
                                     ("id: a\ndurability: maybe\n", ":2:1", "always"),
                                     ("id: [a\n", "settings.yaml:", ""), ("- id\n", ":1:1", "name: value"),
                                     ("id: a\n\tx: y\n", "settings.yaml:", "")):  # fmt: skip
            with self.subTest(content):
                file.write_text(content)
                said = self.refused("--config", str(file))
                self.assertIn("settings.yaml" + place if place.startswith(":") else place, said)
                self.assertIn(word, said)
        self.assertIn("missing.yaml", self.refused("--config", "missing.yaml"))
        self.assertIn("cannot read", self.refused("--config", str(self.folder)))


class BadSurroundings(ServerTestCase):
    def test_a_port_in_use_is_named(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            for flag in ("--http-addr", "--resp-addr", "--grpc-addr"):
                with self.subTest(flag):
                    self.assert_refuses_to_start(self.server(flag, address), ERROR, address)

    def test_two_servers_never_share_a_directory(self):
        first = self.started()
        with first.redis() as redis:
            redis("SET", "a", "1")
            second = self.server()
            second.starts = 100  # its own log
            self.assert_refuses_to_start(second, ERROR, "locked", str(first.process.pid))
            self.assertEqual(redis("GET", "a"), b"1")

    def test_a_directory_of_a_newer_version_is_left_alone(self):
        server = self.started()
        server.kill()
        marker = server.data_dir / "kvstore"
        newer = marker.read_bytes().replace(b"kvstore-data 1", b"kvstore-data 2", 1)
        marker.write_bytes(newer)
        before = listing(server.data_dir)
        self.assert_refuses_to_start(server, ERROR, "format 2", "newer kvstore")
        self.assertEqual(listing(server.data_dir), before)

    def test_a_directory_of_another_node_is_left_alone(self):
        server = self.started("--id", "one")
        server.kill()
        server.flags = ["--id", "two"]
        self.assert_refuses_to_start(server, ERROR, "'one'", "--id one")

    def test_a_directory_of_something_else_is_left_alone(self):
        server = self.server()
        server.data_dir.mkdir()
        (server.data_dir / "thesis.txt").write_text("mine")
        self.assert_refuses_to_start(server, ERROR, "thesis.txt", "not empty")
        self.assertEqual((server.data_dir / "thesis.txt").read_text(), "mine")

    def test_a_file_in_the_place_of_the_directory_is_refused(self):
        server = self.server()
        server.data_dir.write_text("a file")
        self.assert_refuses_to_start(server, ERROR)

    def test_a_directory_that_may_not_be_written_is_named(self):
        server = self.server()
        server.data_dir.mkdir()
        server.data_dir.chmod(stat.S_IRUSR | stat.S_IXUSR)
        self.refuses_as_nobody(server)

    def test_a_directory_that_may_not_be_read_is_named(self):
        server = self.server()
        server.data_dir.mkdir()
        server.data_dir.chmod(0)
        self.refuses_as_nobody(server)

    def refuses_as_nobody(self, server):
        """Permissions mean nothing to root: as root, the server runs as another user."""
        options = {}
        if os.geteuid() == 0:
            self.folder.chmod(0o755)
            options = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        process = subprocess.run(
            server.command(), capture_output=True, text=True, timeout=30, check=False,
            cwd=self.folder, **options,
        )  # fmt: skip
        self.assertEqual(process.returncode, ERROR, process.stderr)
        self.assertIn(str(server.data_dir), process.stderr)

    def test_a_disk_that_fills_up_refuses_writes_and_keeps_what_it_took(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to mount a small file system")
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", disk], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("may not mount: " + mounted.stderr.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=False)
        server = self.started("--default-engine", "memory", "--wal-segment-bytes", "4MiB", data_dir=disk / "data")
        acknowledged = self.fill(server)
        self.assertGreater(len(acknowledged), 5)
        with server.redis() as redis:
            self.assertEqual(redis("GET", acknowledged[0]), VALUE)
        server.kill()
        subprocess.run(["mount", "-o", "remount,size=256m", disk], check=True)
        server.start()
        with server.redis() as redis:
            self.assertEqual([key for key in acknowledged if redis("GET", key) != VALUE], [])
            self.assertEqual(redis("SET", "again", "1"), "OK")

    def fill(self, server):
        """Writes until one is refused. Returns: the keys that were acknowledged."""
        acknowledged = []
        for i in range(200):
            answer = server.http("PUT", key_path(f"key{i}"), VALUE, {"Content-Type": "application/octet-stream"})
            if answer.status != 201:
                self.assertIn(answer.status, (503, 507), answer.data)
                self.assertIn("effect", answer.json())
                return acknowledged
            acknowledged.append(f"key{i}")
        self.fail("200 MiB went onto a disk of 96 MiB")


VALUE = b"v" * (1024 * 1024)


class Goodbye(ServerTestCase):
    def test_sigterm_under_load_finishes_what_was_accepted(self):
        server = self.started("--default-engine", "lsm")
        done = {}
        threads = [threading.Thread(target=write_until_closed, args=(server, i, done)) for i in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.7)
        self.assertEqual(server.terminate(), OK, server.log())
        for thread in threads:
            thread.join(20)
        self.assertGreater(len(done), 20)
        server.start()
        with server.redis() as redis:
            lost = [key for key, value in done.items() if redis("GET", key) != value]
        self.assertEqual(lost, [])

    def test_sigterm_does_not_wait_for_idle_clients(self):
        server = self.started()
        with server.redis() as redis:
            redis("PING")
            begin = time.monotonic()
            self.assertEqual(server.terminate(), OK, server.log())
            self.assertLess(time.monotonic() - begin, 10)

    def test_shutdown_by_a_client_ends_the_server_cleanly(self):
        server = self.started()
        with server.redis() as redis:
            redis("SET", "a", "1")
            redis.send_raw(b"SHUTDOWN\r\n")
            self.assertEqual(server.process.wait(20), OK)
        server.start()
        with server.redis() as redis:
            self.assertEqual(redis("GET", "a"), b"1")


def write_until_closed(server, writer, done):
    try:
        if writer % 2:
            with server.redis() as redis:
                for i in range(100_000):
                    redis("SET", f"{writer}:{i}", "v")
                    done[f"{writer}:{i}"] = b"v"
        else:
            client = Http(server.http_port)
            for i in range(100_000):
                answer = client.request("PUT", f"/v1/keys/{writer}:{i}", {"value": "v"})
                if answer.status == 201:
                    done[f"{writer}:{i}"] = b"v"
    except Exception:  # However the connection ends, only what was acknowledged counts.
        return


def listing(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "LOCK"
    }


if __name__ == "__main__":
    unittest.main()
