"""./dev run: three nodes on this machine, shown at work and through the death of a leader."""

import json
import os
import re
import subprocess
import sys
import threading
import urllib.request

from dev_build import build
from dev_common import BIN, ROOT, Failure, environment, say, show

KEYS = 1000
SAMPLE = 700
PATIENCE = 300  # seconds for the whole tour: a busy machine starts slowly
READY = r"ends it\.$"
FAILED_OVER = r"^writes stood still|^error:"


class Demo:
    """`kvstore demo` with its commands on stdin. What it prints is shown as it comes."""

    def __init__(self, program, *arguments):
        command = [str(program), "demo", *arguments]
        show(command)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=ROOT, env=environment(),
        )  # fmt: skip
        # Ended, it ends its nodes and removes their folder.
        self.timer = threading.Timer(PATIENCE, self.process.terminate)
        self.timer.start()
        banner = self.read_until(READY)
        self.http, self.resp = ports(banner)

    def read_until(self, pattern):
        text = ""
        for line in self.process.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            text += line
            if re.search(pattern, line):
                return text
        raise Failure("the demo ended before its time")

    def command(self, line, pattern):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read_until(pattern)

    def close(self):
        """Ends it. Returns its exit code."""
        if self.process.poll() is None:
            self.process.stdin.write("EXIT\n")
            self.process.stdin.close()
        code = self.process.wait()
        self.timer.cancel()
        return code

    def abandon(self):
        self.timer.cancel()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()


def ports(banner):
    """The HTTP and the Redis ports of the nodes, in their order."""
    found = re.findall(r"^  n\d +http://127\.0\.0\.1:(\d+) +127\.0\.0\.1:(\d+) ", banner, re.MULTILINE)
    if len(found) != 3:
        raise Failure("the demo names no three nodes")
    return [int(http) for http, _ in found], [int(resp) for _, resp in found]


def value_of(number):
    return f"value-{number}"


def key_of(number):
    return f"tour:{number:04}"


def load(client, port):
    """Writes every key through one node."""
    lines = "".join(json.dumps({"key": key_of(i), "value": value_of(i)}) + "\n" for i in range(KEYS))
    done = tell(client, "import", "-", "--endpoints", f"127.0.0.1:{port}", input=lines)
    if done.returncode != 0:
        raise Failure(f"the load failed: {done.stderr}")


def tell(*words, **how):
    show(words)
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, cwd=ROOT,
        env=environment(), timeout=PATIENCE, **how,
    )  # fmt: skip


def read_through_redis(port):
    """A key as `redis-cli` shows it. Raises Failure where it is not what was written."""
    expect("redis-cli", value_of(SAMPLE), tell("redis-cli", "-p", port, "get", key_of(SAMPLE)).stdout.strip())


def read_through_http(port):
    done = tell("curl", "-s", f"127.0.0.1:{port}/v1/keys/{key_of(SAMPLE)}")
    expect("curl", value_of(SAMPLE), json.loads(done.stdout or "{}").get("value"))


def count_everywhere(demo):
    for port in demo.http:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/keys?prefix=tour:&count_only=true", timeout=30) as answer:
            expect(f"the count of 127.0.0.1:{port}", KEYS, json.load(answer)["count"])


def expect(what, wanted, got):
    if wanted != got:
        raise Failure(f"{what} shows {got!r} where {wanted!r} was written")


def tour(demo, client):
    """Returns the sentence about the failover."""
    say(f"\n{KEYS} keys are written through n1, and read through n2 and n3:")
    load(client, demo.http[0])
    read_through_redis(demo.resp[1])
    read_through_http(demo.http[2])
    count_everywhere(demo)
    say("\nNow the node that leads is killed while four clients write:")
    failover = demo.command("FAILOVER", FAILED_OVER).splitlines()[-1]
    if failover.startswith("error:"):
        raise Failure(failover)
    count_everywhere(demo)
    return failover


def serve(arguments):
    """Builds, shows the tour, and stays at a prompt over the same data where there is a terminal."""
    build("release", ["kvstore"])
    program, client = BIN / "kvstore", BIN / "kvstore-cli"
    if not program.exists():
        raise Failure("there is no program to run yet")
    has_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    folder = []
    if has_terminal and not any(word.split("=")[0] == "--data" for word in arguments):
        folder = ["--data", str(ROOT / "data")]
    demo = Demo(program, *folder, *arguments)
    try:
        failover = tour(demo, client)
        code = demo.close()
    except BaseException:
        demo.abandon()
        raise
    say(
        f"\n./dev run: three nodes served {KEYS} keys alike, through Redis and HTTP.\n"
        f"./dev run: {failover}.\n./dev run: every key is there on every node"
        + (", and the nodes ended cleanly." if code == 0 else f", but the demo ended with exit code {code}.")
    )
    if has_terminal and code == 0:
        stay(program, [*folder, *arguments])
    return code


def stay(program, arguments):
    """Becomes the demo, so that the terminal is its own."""
    say("\nThe same nodes again, for you to try; what was written is in their folder.\n")
    command = [str(program), "demo", *arguments]
    show(command)
    os.chdir(ROOT)
    os.execve(program, command, environment())
