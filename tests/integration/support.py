"""What the tests with real processes share: a server in a folder of its own, and clients.

Every server binds port 0 and says in its banner which ports it got, so tests run side
by side. A test ends only processes that it started.
"""

import contextlib
import http.client
import json
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
import urllib.parse

ROOT = pathlib.Path(os.environ.get("KVSTORE_ROOT", pathlib.Path(__file__).resolve().parents[2]))
BINARY = os.environ.get("KVSTORE_BIN", str(ROOT / "build/dev/kvstore"))

# Generous: a sanitizer build on a busy machine starts slowly.
START_SECONDS = 30
STOP_SECONDS = 30

OK = 0
ERROR = 1
CONFIG_INVALID = 3
CORRUPTION = 12


def clean_environment():
    """Ours, without settings that would change what a server does."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KVSTORE_")}
    kept.pop("NODE_ADDRESS", None)
    return kept


# What a client sees of a server that is killed.
BROKEN_CONNECTION = (OSError, EOFError, http.client.HTTPException)


class DidNotStart(Exception):
    """A server ended before it was ready. `code` and `output` say how."""

    def __init__(self, code, output):
        super().__init__(f"exit code {code}: {output[-2000:]}")
        self.code = code
        self.output = output


class Server:
    """One server process at a time over one data directory."""

    def __init__(self, folder, *flags, data_dir=None):
        self.folder = pathlib.Path(folder)
        self.data_dir = pathlib.Path(data_dir or self.folder / "data")
        self.flags = list(flags)
        self.process = None
        self.starts = 0
        self.log_path = None
        self.http_port = self.resp_port = self.grpc_port = None

    def command(self, *more):
        return [
            BINARY, "server", "--data-dir", str(self.data_dir), "--http-addr", "127.0.0.1:0",
            "--grpc-addr", "127.0.0.1:0", "--resp-addr", "127.0.0.1:0", "--peer-addr",
            "127.0.0.1:0", *self.flags, *more,
        ]  # fmt: skip

    def start(self, *more, **popen):
        """Starts and waits until it serves. Raises DidNotStart."""
        self.spawn(*more, **popen)
        return self.wait_ready()

    def wait_ready(self):
        """Waits until it serves. Raises DidNotStart."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            text = self.log()
            if re.search(r"^  grpc .*\n", text, re.MULTILINE):
                self.read_banner(text)
                return self
            if self.process.poll() is not None:
                raise DidNotStart(self.process.returncode, self.log())
            time.sleep(0.01)
        self.kill()
        raise DidNotStart(None, f"not ready after {START_SECONDS} s: {self.log()}")

    def spawn(self, *more, **popen):
        """Starts and does not wait."""
        self.starts += 1
        self.log_path = self.folder / f"log-{self.starts}"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                self.command(*more), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env=self.environment(), **popen,
            )  # fmt: skip

    def environment(self):
        return clean_environment()

    def read_banner(self, text):
        def port(name):
            return int(re.search(rf"^  {name} +\S*?:(\d+)\b", text, re.MULTILINE)[1])

        self.http_port = int(re.search(r"^  http +http://[^:]+:(\d+)", text, re.MULTILINE)[1])
        self.resp_port = port("redis")
        self.grpc_port = port("grpc")

    def log(self):
        return self.log_path.read_text(errors="replace")

    def kill(self):
        """SIGKILL; the operating system keeps what was written."""
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait(STOP_SECONDS)

    def terminate(self):
        """SIGTERM. Returns: the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def restart_after_kill(self):
        self.kill()
        return self.start()

    def memory_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def redis(self, **options):
        return Redis(self.resp_port, **options)

    def http(self, method, target, body=None, headers=None, port=None):
        """One request on a connection of its own. Returns: an Answer."""
        with contextlib.closing(Http(port or self.http_port)) as client:
            return client.request(method, target, body, headers)


class ServerTestCase(unittest.TestCase):
    """Gives each test a temporary folder, and ends its servers after it."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kvstore-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def server(self, *flags, **options):
        """A server that is not yet started."""
        server = Server(self.folder, *flags, **options)
        self.addCleanup(server.kill)
        return server

    def started(self, *flags, **options):
        return self.server(*flags, **options).start()

    def assert_refuses_to_start(self, server, code, *words):
        """Returns: what it said."""
        with self.assertRaises(DidNotStart) as caught:
            server.start()
        self.assertEqual(caught.exception.code, code, caught.exception.output)
        for word in words:
            self.assertIn(word, caught.exception.output)
        return caught.exception.output


def run_server_command(*arguments, cwd=None, seconds=START_SECONDS):
    """`kvstore server ARGUMENTS`, which is expected to end by itself."""
    return subprocess.run(
        [BINARY, "server", *arguments], cwd=cwd, env=clean_environment(), capture_output=True,
        text=True, timeout=seconds, check=False,
    )  # fmt: skip


class RedisError(Exception):
    """An error reply."""


def encode_command(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


class Redis:
    """A client of the Redis protocol, version 2. Error replies are raised, or values in pipelines."""

    def __init__(self, port, timeout=20, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")

    def close(self):
        self.reader.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send_raw(self, data):
        self.socket.sendall(data)

    def __call__(self, *words):
        self.send_raw(encode_command(*words))
        reply = self.read()
        if isinstance(reply, RedisError):
            raise reply
        return reply

    def pipeline(self, commands):
        self.send_raw(b"".join(encode_command(*words) for words in commands))
        return [self.read() for _ in commands]

    def line(self):
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        return line[:-2]

    def read(self):
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return RedisError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return self.read_bulk(int(rest))
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        raise ConnectionError(f"no reply begins like {line[:50]!r}")

    def read_bulk(self, size):
        if size < 0:
            return None
        data = self.reader.read(size + 2)
        if len(data) != size + 2:
            raise ConnectionError("the server closed the connection within a reply")
        return data[:-2]

    def scan_all(self, pattern, count=1000):
        """Every key of SCAN MATCH."""
        keys, cursor = [], b"0"
        while True:
            cursor, page = self("SCAN", cursor, "MATCH", pattern, "COUNT", count)
            keys += page
            if cursor == b"0":
                return keys


class Answer:
    """An HTTP answer, read to its end."""

    def __init__(self, response, data):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.data = data

    @property
    def type(self):
        return self.headers.get("content-type", "")

    def json(self):
        return json.loads(self.data)


class Http:
    """A keep-alive HTTP connection. Bodies that are not bytes go as JSON."""

    def __init__(self, port, timeout=30, host="127.0.0.1"):
        self.connection = http.client.HTTPConnection(host, port, timeout=timeout)

    def close(self):
        self.connection.close()

    def request(self, method, target, body=None, headers=None):
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        self.connection.request(method, target, body, headers)
        response = self.connection.getresponse()
        return Answer(response, response.read())


def key_path(key):
    """The target of a key, given as text or bytes."""
    return "/v1/keys/" + urllib.parse.quote(key, safe="")


def raw_exchange(port, data, timeout=20, shut=False):
    """Sends bytes and reads until the server closes. Returns: what it sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
            if shut:
                connection.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                received += piece
        return received
