"""A network of its own for a cluster: a namespace a node, and ways to cut between two or make one bad.

The calling thread moves into a fresh network namespace, the hub, whose bridge joins the
nodes' namespaces; threads started afterwards are in the hub too and reach every node,
whatever is cut between nodes. Nothing of this machine's own network is touched, and
nothing stays behind: a namespace goes with its last process.
"""

import ctypes
import os
import shutil
import subprocess
import time

NEW_NET = 0x40000000  # CLONE_NEWNET of <sched.h>
TOOL_SECONDS = 20
LIBC = ctypes.CDLL(None, use_errno=True)


class NoNetwork(Exception):
    """This machine gives us no network namespaces. The message says why."""


def checked(number, what):
    if number != 0:
        raise NoNetwork(f"{what}: {os.strerror(ctypes.get_errno())}")


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=TOOL_SECONDS, check=False)
    if done.returncode != 0:
        raise NoNetwork(f"{' '.join(words)}: {done.stderr.strip()}")


class Network:
    """The hub and `count` nodes, numbered from 0. Raises NoNetwork."""

    def __init__(self, count):
        missing = [tool for tool in ("ip", "nsenter", "unshare") if shutil.which(tool) is None]
        if missing:
            raise NoNetwork(f"{missing[0]} is not installed")
        self.cuts = set()
        self.lossy = set()
        self.narrow = set()
        self.holders = []
        self.before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            checked(LIBC.unshare(NEW_NET), "unshare")
            self.build(count)
        except BaseException:
            self.close()
            raise

    def build(self, count):
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "hub", "type", "bridge")
        run("ip", "link", "set", "hub", "up")
        run("ip", "addr", "add", "10.77.0.254/24", "dev", "hub")
        for number in range(count):
            holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
            self.holders.append(holder)
            self.wait_for_namespace(holder)
            near = f"node{number}"
            run(
                "ip", "link", "add", near, "type", "veth", "peer", "name", "eth0",
                "netns", str(holder.pid),
            )  # fmt: skip
            run("ip", "link", "set", near, "master", "hub", "up")
            self.inside(number, "ip", "link", "set", "lo", "up")
            self.inside(number, "ip", "addr", "add", f"{self.host(number)}/24", "dev", "eth0")
            self.inside(number, "ip", "link", "set", "eth0", "up")

    def wait_for_namespace(self, holder):
        """Until it has left ours."""
        ours = os.readlink("/proc/thread-self/ns/net")
        end = time.monotonic() + TOOL_SECONDS
        while os.readlink(f"/proc/{holder.pid}/ns/net") == ours:
            if holder.poll() is not None or time.monotonic() > end:
                raise NoNetwork("unshare --net gives no namespace")
            time.sleep(0.01)

    @staticmethod
    def host(number):
        return f"10.77.0.{number + 1}"

    def words(self, number):
        """What a command begins with that is to run where the node is; its process id stays."""
        return ["nsenter", f"--net=/proc/{self.holders[number].pid}/ns/net"]

    def inside(self, number, *words):
        run(*self.words(number), *words)

    def cut(self, sender, receiver):
        """Drops what one node sends another."""
        if (sender, receiver) not in self.cuts:
            self.inside(sender, "ip", "route", "add", "blackhole", f"{self.host(receiver)}/32")
            self.cuts.add((sender, receiver))

    def join(self, sender, receiver):
        if (sender, receiver) in self.cuts:
            self.inside(sender, "ip", "route", "del", "blackhole", f"{self.host(receiver)}/32")
            self.cuts.discard((sender, receiver))

    def lose(self, number, percent):
        """Drops some of what the node sends and is sent; to and from everybody."""
        chance = ("numgen", "random", "mod", "100", "<", str(percent), "drop")
        for hook, end in (("input", "saddr"), ("output", "daddr")):
            table = f"lossy_{hook}"
            self.inside(number, "nft", "add", "table", "ip", table)
            self.inside(
                number, "nft", "add", "chain", "ip", table, "chance",
                f"{{ type filter hook {hook} priority 0 ; }}",
            )  # fmt: skip
            self.inside(number, "nft", "add", "rule", "ip", table, "chance", "ip", end, "10.77.0.0/24", *chance)
        self.lossy.add(number)

    def slow(self, number, bits_a_second):
        """Narrows the way out of the node; what waits longer than half a second is dropped."""
        self.inside(
            number, "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", f"{bits_a_second}bit",
            "burst", "16kb", "latency", "500ms",
        )  # fmt: skip
        self.narrow.add(number)

    def missing(self):
        """What cannot be done to links here, and why."""
        found = {}
        for what, tool in (("lossy links", "nft"), ("slow links", "tc")):
            if shutil.which(tool) is None:
                found[what] = f"{tool} is not installed"
                continue
            try:
                self.lose(0, 1) if tool == "nft" else self.slow(0, 1_000_000)
            except NoNetwork as why:
                found[what] = str(why)
        self.heal()
        return found

    def heal(self):
        for sender, receiver in sorted(self.cuts):
            self.join(sender, receiver)
        for number in sorted(self.lossy):
            for hook in ("input", "output"):
                self.inside(number, "nft", "delete", "table", "ip", f"lossy_{hook}")
            self.lossy.discard(number)
        for number in sorted(self.narrow):
            self.inside(number, "tc", "qdisc", "del", "dev", "eth0", "root")
            self.narrow.discard(number)

    def close(self):
        for holder in self.holders:
            holder.kill()
            holder.wait(TOOL_SECONDS)
        self.holders = []
        if self.before is not None:
            checked(LIBC.setns(self.before, NEW_NET), "setns")
            os.close(self.before)
            self.before = None
