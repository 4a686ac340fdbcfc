"""A real data set: the package index of Debian, loaded, searched, killed, reloaded and exported."""

import json
import pathlib
import shutil
import subprocess
import threading
import time
import unittest
import urllib.parse

from support import BINARY, Http, ServerTestCase, clean_environment, encode_command

PREFIXES = (b"pkg:", b"pkg:lib", b"pkg:python3-", b"pkg:zs", b"pkg:no-such-package")
CLI = pathlib.Path(BINARY).with_name("kvstore-cli")
PIPELINE = 200


def read_index():
    """The newest stanza of each package, by key, in key order."""
    if shutil.which("apt-cache") is None:
        return {}
    dump = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=False, timeout=60)
    index = {}
    for stanza in dump.stdout.split(b"\n\n"):
        if stanza.startswith(b"Package: "):
            name = stanza[len(b"Package: ") : stanza.index(b"\n")]
            index.setdefault(b"pkg:" + name, stanza + b"\n")
    return dict(sorted(index.items()))


def as_json_lines(index):
    """The form that `kvstore import` reads and `kvstore export` prints."""
    return b"".join(
        json.dumps({"key": key.decode(), "value": value.decode()}, ensure_ascii=False, separators=(",", ":")).encode()
        + b"\n"
        for key, value in index.items()
    )


def run(command, **options):
    return subprocess.run(command, capture_output=True, env=clean_environment(), timeout=80, check=False, **options)


class DebianIndex(ServerTestCase):
    @classmethod
    def setUpClass(cls):
        cls.index = read_index()
        if len(cls.index) < 1000:
            raise unittest.SkipTest("no package lists here; `apt-get update` as root makes them")
        cls.holder = ServerTestCase()
        cls.holder.setUp()
        cls.addClassCleanup(cls.holder.doCleanups)
        cls.shared = cls.holder.started("--default-engine", "lsm")
        cls.load(cls.shared)

    @classmethod
    def load(cls, server):
        """As the tutorial does it: redis-cli --pipe."""
        if shutil.which("redis-cli") is None:
            raise unittest.SkipTest("redis-cli is not installed; ./dev setup installs it")
        protocol = b"".join(encode_command("SET", key, value) for key, value in cls.index.items())
        begin = time.monotonic()
        done = run(["redis-cli", "-p", str(server.resp_port), "--pipe"], input=protocol)
        said = done.stdout.decode()
        assert f"errors: 0, replies: {len(cls.index)}" in said, said + done.stderr.decode()
        cls.tell("redis-cli --pipe", begin)

    @classmethod
    def tell(cls, what, begin):
        seconds = time.monotonic() - begin
        print(f"{what}: {len(cls.index)} packages in {seconds:.1f} s, {len(cls.index) / seconds:.0f}/s")

    def pages(self, server, **query):
        """Every record of a scan over HTTP."""
        client = Http(server.http_port)
        self.addCleanup(client.close)
        cursor = {}
        while True:
            page = client.request("GET", "/v1/keys?" + urllib.parse.urlencode({**query, **cursor})).json()
            yield from page["keys"]
            if not page["has_more"]:
                return
            cursor = {"cursor": page["cursor"]}

    def test_prefix_scans_of_both_protocols_agree_with_the_index(self):
        with self.shared.redis() as redis:
            self.assertEqual(redis("DBSIZE"), len(self.index))
            for prefix in PREFIXES:
                with self.subTest(prefix):
                    expected = [key for key in self.index if key.startswith(prefix)]
                    found = self.pages(self.shared, prefix=prefix.decode(), keys_only="true", limit=5000)
                    self.assertEqual([record["key"].encode() for record in found], expected)
                    self.assertEqual(sorted(redis.scan_all(prefix + b"*")), expected)

    def test_every_stanza_reads_back_as_it_was(self):
        keys = list(self.index)
        with self.shared.redis() as redis:
            for at in range(0, len(keys), 5000):
                self.assertEqual(redis("MGET", *keys[at : at + 5000]), [self.index[k] for k in keys[at : at + 5000]])

    def test_a_kill_during_a_reload_loses_nothing_and_the_export_is_the_input(self):
        server = self.shared
        changed = {key: b"Reloaded: yes\n" + value for key, value in self.index.items()}
        sure = self.reload_and_kill(server, changed)
        server.start()
        with server.redis() as redis:
            for at, (key, value) in enumerate(changed.items()):
                if at % 7 and at < sure - 1000 or at > sure + 2000:
                    continue  # All around the end, every seventh before, none behind.
                found = redis("GET", key)
                self.assertIn(found, (value,) if at < sure else (value, self.index[key]), key)
        self.load(server)
        server.restart_after_kill()
        begin = time.monotonic()
        found = {r["key"].encode(): r["value"].encode() for r in self.pages(server, limit=1000)}
        self.tell("export over HTTP", begin)
        self.assertEqual(list(found.items()), list(self.index.items()))

    def reload_and_kill(self, server, content):
        """Returns: how many writes were acknowledged before the kill, of `content` in order."""
        killer = threading.Timer(0.7, server.kill)
        acknowledged = 0
        items = list(content.items())
        try:
            with server.redis() as redis:
                killer.start()
                for at in range(0, len(items), PIPELINE):
                    redis.send_raw(b"".join(encode_command("SET", *item) for item in items[at : at + PIPELINE]))
                    for _ in items[at : at + PIPELINE]:
                        self.assertEqual(redis.read(), "OK")
                        acknowledged += 1
        except OSError:
            pass
        killer.join()
        server.kill()
        self.assertGreater(acknowledged, PIPELINE)
        return acknowledged

    @unittest.skipUnless(CLI.exists(), "there is no kvstore-cli beside the binary")
    def test_import_and_export_of_the_command_line_are_inverse(self):
        server = self.started("--default-engine", "memory")
        lines = as_json_lines(self.index)
        file = self.folder / "index.ndjson"
        file.write_bytes(lines)
        endpoint = ["--endpoints", f"127.0.0.1:{server.http_port}"]
        begin = time.monotonic()
        done = run([CLI, "import", file, *endpoint])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.tell("kvstore-cli import", begin)
        server.restart_after_kill()
        endpoint = ["--endpoints", f"127.0.0.1:{server.http_port}"]
        begin = time.monotonic()
        done = run([CLI, "export", *endpoint])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.tell("kvstore-cli export", begin)
        self.assertTrue(done.stdout == lines, "the export is not the input, byte for byte")


if __name__ == "__main__":
    unittest.main()
