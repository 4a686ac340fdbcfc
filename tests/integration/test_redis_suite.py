"""Redis' own tests of tier T0, against `kvstore server`.

The suite is Debian's source package of redis, fetched at test time and never kept. It runs in its
external mode, as docs say in COMPATIBILITY.md. Every test must pass but those that
tests/compat/redis_t0.txt lists with the reason why they cannot yet; one of those that does pass
must leave the list.

KVSTORE_REDIS_SOURCE names a folder that holds the unpacked source already.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from cluster_support import OneCluster

ROOT = pathlib.Path(os.environ.get("KVSTORE_ROOT", pathlib.Path(__file__).resolve().parents[2]))
BIN = os.environ.get("KVSTORE_BIN", "")
EXCEPTIONS = ROOT / "tests" / "compat" / "redis_t0.txt"

FILES = [
    "unit/type/string",
    "unit/type/incr",
    "unit/keyspace",
    "unit/expire",
    "unit/scan",
    "unit/multi",
    "unit/quit",
    "unit/info",
]
TAGS = (
    "-slow -needs:debug -needs:repl -needs:save -needs:config-maxmemory "
    "-needs:config-resetstat -large-memory -needs:pfdebug"
)
LONG = os.environ.get("KVSTORE_LONG") == "1"
SUITE_SECONDS = 600
FETCH_SECONDS = 120
START_SECONDS = 20

# Begins a line of the list that is about a cluster alone.
ON_CLUSTER = "on a cluster: "
# The fewest tests that the files hold; fewer means that the suite did not run.
TESTS_MIN = 200

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
RESULT = re.compile(r"^\[(ok|err|exception)\]: (.*)$")
TIME = re.compile(r" \(\d+ ms\)$")
PLACE = re.compile(r" in tests/.*$")


def fetch_suite(folder):
    """The unpacked source, or None where Debian's archive cannot be reached."""
    given = os.environ.get("KVSTORE_REDIS_SOURCE")
    if given:
        return pathlib.Path(given)
    if shutil.which("apt-get") is None:
        return None
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True)
    (folder / "sources.list").write_text("deb-src http://deb.debian.org/debian bookworm main\n")
    (folder / "apt.conf").write_text(
        f'Dir::Etc::SourceList "{folder}/sources.list";\n'
        'Dir::Etc::SourceParts "-";\n'
        f'Dir::State::Lists "{folder}/lists";\n'
        f'Dir::Cache "{folder}/cache";\n'
        'APT::Sandbox::User "root";\n'
    )
    settings = dict(os.environ, APT_CONFIG=str(folder / "apt.conf"))
    for words in (["update"], ["source", "--download-only", "redis"]):
        try:
            done = subprocess.run(
                ["apt-get", "-q", *words],
                cwd=folder,
                env=settings,
                capture_output=True,
                timeout=FETCH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
        if done.returncode != 0:
            return None
    archives = list(folder.glob("redis_*.orig.tar.gz"))
    if not archives:
        return None
    subprocess.run(["tar", "xzf", archives[0].name], cwd=folder, check=True)
    sources = list(folder.glob("redis-*/runtest"))
    return sources[0].parent if sources else None


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def read_exceptions(on_cluster=False):
    """{(file, test): reason} of the list: those everywhere, or those that are so on a cluster alone."""
    found = {}
    for line in EXCEPTIONS.read_text().splitlines():
        if not line or line.startswith("#") or line.startswith(ON_CLUSTER) != on_cluster:
            continue
        test, reason = line.removeprefix(ON_CLUSTER).rsplit(" -- ", 1)
        file, name = test.split(": ", 1)
        found[(file, name)] = reason
    return found


def parse_results(text):
    """({passed}, {failed}) of the suite's output, as (file, test)."""
    passed, failed = set(), set()
    file = ""
    for line in COLOUR.sub("", text).splitlines():
        if line.startswith("Testing "):
            file = line.removeprefix("Testing ").strip()
        match = RESULT.match(line)
        if not match:
            continue
        name = PLACE.sub("", TIME.sub("", match.group(2)))
        (passed if match.group(1) == "ok" else failed).add((file, name))
    return passed, failed


class RedisSuite(unittest.TestCase):
    """The server lives as long as one test; data is in a folder of its own."""

    def setUp(self):
        if not BIN:
            self.skipTest("KVSTORE_BIN does not name the server")
        if shutil.which("tclsh") is None:
            self.skipTest("tclsh is not installed")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kvstore-redis-suite-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.suite = fetch_suite(self.folder)
        if self.suite is None:
            self.skipTest("the source package of redis cannot be fetched")

    def start_server(self, durability):
        port = free_port()
        log = open(self.folder / "server.log", "wb")
        self.addCleanup(log.close)
        server = subprocess.Popen(
            [
                BIN,
                "server",
                "--data-dir",
                str(self.folder / f"data-{durability}"),
                "--resp-addr",
                f"127.0.0.1:{port}",
                "--http-addr",
                "127.0.0.1:0",
                "--addr",
                "127.0.0.1:0",
                "--default-engine",
                "memory",
                "--durability",
                durability,
            ],
            stdout=log,
            stderr=log,
        )
        self.addCleanup(self.end_server, server)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if server.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return server, port
            except OSError:
                time.sleep(0.05)
        self.fail("the server does not answer:\n" + (self.folder / "server.log").read_text())

    @staticmethod
    def end_server(server):
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(timeout=START_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()

    def run_suite(self, port):
        words = ["./runtest", "--host", "127.0.0.1", "--port", str(port), "--singledb"]
        words += ["--ignore-encoding", "--ignore-digest", "--durable", "--tags", TAGS]
        for file in FILES:
            words += ["--single", file]
        done = subprocess.run(
            words,
            cwd=self.suite,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SUITE_SECONDS,
            check=False,
        )
        return done.stdout.decode(errors="replace")

    def check(self, durability):
        server, port = self.start_server(durability)
        text = self.run_suite(port)
        self.assertIsNone(server.poll(), "the server has ended:\n" + text[-4000:])
        self.judge(text)

    def judge(self, text, tolerated=()):
        passed, failed = parse_results(text)
        exceptions = read_exceptions()
        self.assertGreaterEqual(len(passed) + len(failed), TESTS_MIN, text[-4000:])
        unexpected = sorted(failed - set(exceptions) - set(tolerated))
        self.assertEqual(unexpected, [], "tests that must pass fail:\n" + text[-8000:])
        stale = sorted(passed & set(exceptions))
        self.assertEqual(stale, [], "these pass now: take them out of " + EXCEPTIONS.name)

    def test_passes_what_needs_no_collections_with_durability_memory(self):
        self.check("memory")

    def test_passes_what_needs_no_collections_with_durability_always(self):
        self.check("always")

    def test_passes_on_a_cluster_through_a_follower(self):
        self.check_on_cluster(lambda node, leader: node is not leader)

    @unittest.skipUnless(LONG, "what a follower passes its leader does: KVSTORE_LONG=1 runs it")
    def test_passes_on_a_cluster_through_the_leader(self):
        self.check_on_cluster(lambda node, leader: node is leader)

    def check_on_cluster(self, is_wanted):
        """Through one node of three, chosen when all of them serve."""
        nodes = OneCluster.start(self)
        leader = OneCluster.leader(self, nodes)
        node = next(node for node in nodes if is_wanted(node, leader))
        text = self.run_suite(node.resp_port)
        self.assertEqual([n.name for n in nodes if not n.is_running()], [], "ended:\n" + text[-4000:])
        self.judge(text, read_exceptions(on_cluster=True))


if __name__ == "__main__":
    unittest.main()
