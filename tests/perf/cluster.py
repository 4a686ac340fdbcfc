#!/usr/bin/env python3
"""Compares a cluster of three nodes with etcd and with Redis and two replicas, in turn.

One load generator (tests/perf/clusterload) drives all of them; CPU time is summed over the nodes.
--write replaces the cluster's part of docs/benchmarks.md.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

import run as single
from clusters import NODES, Etcd, Ours, Redis

LOAD = os.environ.get("KVSTORE_LOAD", "")
BEGIN, END = "<!-- cluster: begin -->\n", "<!-- cluster: end -->\n"
KEYS = 10_000
# Of the rate, against etcd's (rows 5 and 8 of the goals), by operation and clients.
TARGETS = {("put", 1): 2.3, ("put", 64): 6.0, ("put", 256): 6.0, ("get", 64): 5.0, ("get", 256): 5.0}
PUT_CPU_MAX = 20  # µs, summed over the nodes (row 5)
UNLOADED_PUT_MAX = 0.36  # ms (row 17)
REDIS_TARGETS = {1: 2.0, 16: 4.0}  # by pipeline (row 10)
BATCHED_TARGETS = {(256, 64): 400}  # thousands a second, by clients and pipeline (row 6)
MIXED_LOSS_MAX = 0.20  # row 9
GIB = 1 << 30
# etcd leaves a write that a dead leader had for seven seconds; a client that asks anew is served sooner.
FAILOVER_PATIENCE = "500ms"

OPERATIONS = {
    "put": ["-reads", "0"],
    "get": ["-reads", "100"],
    "get, eventual": ["-reads", "100", "-eventual", "-spread"],
    "mixed 95/5": ["-reads", "95"],
}


def load(cluster, *words, seconds):
    """One run of the generator. Returns what it printed."""
    done = subprocess.run(
        [LOAD, "-protocol", cluster.protocol, "-endpoints", cluster.endpoints(), "-keys", str(KEYS),
         "-seconds", str(seconds), *[str(word) for word in words]],
        capture_output=True, text=True, check=True, timeout=seconds + 120,
    )  # fmt: skip
    return json.loads(done.stdout)


def measure(cluster, words, seconds):
    before = cluster.cpu_seconds()
    seen = load(cluster, *words, seconds=seconds)
    spent = cluster.cpu_seconds() - before
    seen["cpu"] = spent / max(seen["reads"] + seen["writes"], 1) * 1e6
    return seen


def rounds(options, runs):
    """Medians for each (cluster, words), measured in turn."""
    taken = [[] for _ in runs]
    for _ in range(options.rounds):
        for (cluster, words), into in zip(runs, taken, strict=True):
            into.append(measure(cluster, words, options.seconds))
    return [
        {key: statistics.median(one[key] for one in samples) for key in samples[0] if key != "last_error"}
        for samples in taken
    ]


def words_for(operation, cluster):
    words = list(OPERATIONS[operation])
    if isinstance(cluster, Redis):
        words = [word for word in words if word not in ("-eventual", "-spread")] + ["-wait", "1"]
    return words


@contextlib.contextmanager
def started(options, folder):
    """Ours, etcd and Redis, filled."""
    with contextlib.ExitStack() as stack:
        clusters = [stack.enter_context(kind(options.binary, folder / kind.__name__)) for kind in (Ours, Etcd, Redis)]
        for cluster in clusters:
            load(cluster, "-reads", 0, "-clients", 64, "-bytes", options.sizes[-1], seconds=1)
        yield clusters


def met(holds):
    return "met" if holds else "missed"


# ---- the sections ----


def grid(options, folder):
    yield (
        f"Three nodes on one machine, memory engine, synced on a majority before the answer, {KEYS:,} keys, clients on the leader "
        f"(eventual: on all nodes), one operation on its way in each, medians of {options.rounds} rounds of {options.seconds:g} s:"
    )
    yield ""
    yield (
        "| op | bytes | clients | k/s | etcd k/s | ratio | Redis WAIT 1 k/s | ratio | CPU µs, all nodes | etcd | Redis "
        "| p50 / p99 ms | etcd | Redis | client CPU µs, ours / etcd | target |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    with started(options, folder) as clusters:
        for operation in OPERATIONS:
            for size in options.sizes:
                for clients in options.clients:
                    yield grid_row(options, clusters, operation, size, clients)


def grid_row(options, clusters, operation, size, clients):
    common = ["-clients", clients, "-bytes", size]
    ours, etcd, redis = rounds(
        options, [(cluster, [*words_for(operation, cluster), *common]) for cluster in clusters]
    )
    ratio = ours["rate"] / etcd["rate"]
    return (
        f"| {operation} | {size} | {clients} | {ours['rate'] / 1e3:.1f} | {etcd['rate'] / 1e3:.1f} | {ratio:.1f} "
        f"| {redis['rate'] / 1e3:.1f} | {ours['rate'] / redis['rate']:.2f} | {ours['cpu']:.1f} | {etcd['cpu']:.0f} "
        f"| {redis['cpu']:.1f} | {latency(ours)} | {latency(etcd)} | {latency(redis)} "
        f"| {ours['client_cpu_us']:.0f} / {etcd['client_cpu_us']:.0f} | {verdict(operation, size, clients, ours, ratio)} |"
    )


def latency(seen):
    kind = "read" if seen["reads"] > seen["writes"] else "write"
    return f"{seen[kind + '_p50_ms']:.2f} / {seen[kind + '_p99_ms']:.2f}"


def verdict(operation, size, clients, ours, ratio):
    if size != 100:
        return ""
    parts = []
    if (operation, clients) in TARGETS:
        least = TARGETS[operation, clients]
        parts.append(f"ratio {least}: {met(ratio >= least)}")
    if operation == "put" and clients >= 64:
        parts.append(f"CPU ≤ {PUT_CPU_MAX}: {met(ours['cpu'] <= PUT_CPU_MAX)}")
    if operation == "put" and clients == 1:
        parts.append(f"p50 ≤ {UNLOADED_PUT_MAX} ms: {met(ours['write_p50_ms'] <= UNLOADED_PUT_MAX)}")
    return "; ".join(parts)


def pipelined(options, folder):
    yield "Puts of 100 bytes, several on their way in each connection:"
    yield ""
    yield "| clients | pipeline | k/s | Redis WAIT 1 k/s | ratio | CPU µs, all nodes | Redis | p99 ms | Redis | target |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    with started(options, folder) as (ours, _, redis):
        for clients, pipeline in ((50, 1), (50, 16), (50, 64), (256, 64)):
            words = ["-reads", 0, "-clients", clients, "-pipeline", pipeline]
            a, b = rounds(options, [(ours, words), (redis, [*words, "-wait", 1])])
            ratio = a["rate"] / b["rate"]
            goals = []
            if pipeline in REDIS_TARGETS:
                goals.append(f"ratio {REDIS_TARGETS[pipeline]}: {met(ratio >= REDIS_TARGETS[pipeline])}")
            if (clients, pipeline) in BATCHED_TARGETS:
                least = BATCHED_TARGETS[clients, pipeline]
                goals.append(f"{least} k/s: {met(a['rate'] / 1e3 >= least)}")
            yield (
                f"| {clients} | {pipeline} | {a['rate'] / 1e3:.1f} | {b['rate'] / 1e3:.1f} | {ratio:.2f} | {a['cpu']:.2f} "
                f"| {b['cpu']:.2f} | {a['write_p99_ms']:.1f} | {b['write_p99_ms']:.1f} "
                f"| {'; '.join(goals)} |"
            )


def reads_while_writing(options, folder):
    yield "Linearizable reads by 64 clients, alone and while 10 % are writes:"
    yield ""
    yield "| store | reads k/s alone | reads k/s, 90/10 | lost | target |"
    yield "|---|---|---|---|---|"
    with started(options, folder) as clusters:
        for cluster in clusters[:2]:
            alone = load(cluster, "-reads", 100, "-clients", 64, seconds=options.seconds)
            mixed = load(cluster, "-reads", 90, "-clients", 64, seconds=options.seconds)
            before, after = (seen["reads"] / options.seconds for seen in (alone, mixed))
            lost = 1 - after / 0.9 / before
            goal = f"≤ {MIXED_LOSS_MAX:.0%}: {met(lost <= MIXED_LOSS_MAX)}" if isinstance(cluster, Ours) else ""
            yield f"| {cluster.name} | {before / 1e3:.1f} | {after / 1e3:.1f} | {lost:.0%} | {goal} |"


def per_write(options, folder):
    yield "What a committed write of 100 bytes costs all nodes together, background traffic included:"
    yield ""
    yield "| clients | writes k/s | CPU µs | in the kernel | messages | bytes between nodes | syncs | log bytes | system calls |"
    yield "|---|---|---|---|---|---|---|---|---|"
    with Ours(options.binary, folder) as ours:
        for clients in options.clients:
            ticks = [node.cpu_ticks() for node in ours.nodes]
            before, cpu = ours.counters(), ours.cpu_seconds()
            calls = SystemCalls(ours, options.seconds)
            seen = load(ours, "-reads", 0, "-clients", clients, seconds=options.seconds)
            after, writes = ours.counters(), seen["writes"]
            user = kernel = 0.0
            for node, (user_before, kernel_before) in zip(ours.nodes, ticks, strict=True):
                now = node.cpu_ticks()
                user, kernel = user + now[0] - user_before, kernel + now[1] - kernel_before
            each = {word: (after[word] - before[word]) / writes for word in after}
            yield (
                f"| {clients} | {writes / options.seconds / 1e3:.1f} | {(ours.cpu_seconds() - cpu) / writes * 1e6:.1f} "
                f"| {kernel / max(user + kernel, 0.01):.0%} | {each['frames']:.2f} | {each['bytes']:.0f} | {each['syncs']:.2f} "
                f"| {each['log bytes']:.0f} | {calls.each(writes)} |"
            )


class SystemCalls:
    """Counted by perf where that is allowed, for as long as a run lasts."""

    def __init__(self, cluster, seconds):
        self.process = None
        if shutil.which("perf"):
            numbers = ",".join(str(node.process.pid) for node in cluster.nodes)
            self.process = subprocess.Popen(
                ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", numbers, "--", "sleep", str(seconds)],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip

    def each(self, writes):
        if self.process is None:
            return "no perf here"
        _, said = self.process.communicate()
        found = re.search(r"^(\d+),", said, re.MULTILINE)
        return f"{int(found[1]) / writes:.1f}" if found else "not counted"


def failover(options, folder):
    yield f"Longest time without an acknowledged write when the leader is killed with SIGKILL, 16 clients on all nodes that ask another node after {FAILOVER_PATIENCE}:"
    yield ""
    yield "| store | seconds, median | all |"
    yield "|---|---|---|"
    times = {Ours: [], Etcd: []}
    for number in range(max(options.rounds, 3)):
        for kind, into in times.items():
            with kind(options.binary, folder / f"{kind.__name__}{number}") as cluster:
                into.append(one_failover(cluster))
    for kind, seen in times.items():
        yield f"| {kind.name} | {statistics.median(seen):.2f} | {', '.join(f'{one:.2f}' for one in sorted(seen))} |"


def one_failover(cluster):
    leader = cluster.leader()
    generator = subprocess.Popen(
        [LOAD, "-protocol", cluster.protocol, "-endpoints", cluster.endpoints(), "-spread", "-clients", "16", "-seconds", "12",
         "-patience", FAILOVER_PATIENCE],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(2)
    leader.process.kill()
    said, _ = generator.communicate(timeout=120)
    return json.loads(said)["longest_without_write_ms"] / 1000


def membership(options, folder):
    size = GIB if options.full else 64 << 20
    yield f"A node added to two, and a node whose disk is lost replaced among three, with {size >> 20} MiB of data, 8 clients writing:"
    yield ""
    yield "| store | what | seconds | longest without a write ms | write p99 ms |"
    yield "|---|---|---|---|---|"
    for kind in (Ours, Etcd):
        for what, count in (("add", NODES - 1), ("replace", NODES)):
            with kind(options.binary, folder / f"{kind.__name__}-{what}", "lsm", count) as cluster:
                fill(cluster, size)
                yield membership_row(cluster, what)


def fill(cluster, size):
    """Random keys of 16 KiB until about as much was written."""
    keys = size // 16384
    subprocess.run(
        [LOAD, "-protocol", cluster.protocol, "-endpoints", cluster.endpoints(), "-clients", "16", "-bytes", "16384",
         "-keys", str(keys), "-fill"],
        check=True, stdout=subprocess.DEVNULL, timeout=1800,
    )  # fmt: skip


def membership_row(cluster, what):
    leader = cluster.leader()
    generator = subprocess.Popen(
        [LOAD, "-protocol", cluster.protocol, "-endpoints", f"127.0.0.1:{leader.port}", "-clients", "8", "-seconds", "600",
         "-until-stdin"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(1)
    began = time.monotonic()
    if what == "add":
        cluster.add()
    else:
        cluster.replace(next(node for node in cluster.nodes if node is not leader))
    seconds = time.monotonic() - began
    said, _ = generator.communicate(input="", timeout=120)
    seen = json.loads(said)
    return f"| {cluster.name} | {what} | {seconds:.1f} | {seen['longest_without_write_ms']:.0f} | {seen['write_p99_ms']:.1f} |"


SECTIONS = {
    "grid": grid,
    "pipelined": pipelined,
    "reads-while-writing": reads_while_writing,
    "per-write": per_write,
    "failover": failover,
    "membership": membership,
}


def numbers(text):
    return [int(word) for word in text.split(",")]


def arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, of " + ", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=None, help="of one run")
    parser.add_argument("--clients", type=numbers, default=[1, 16, 64, 256])
    parser.add_argument("--sizes", type=numbers, default=[100, 1024])
    parser.add_argument("--full", action="store_true", help="longer runs, more rounds, 1 GiB to add and replace nodes")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    options = parser.parse_args(words)
    options.only = options.only.split(",")
    unknown = set(options.only) - set(SECTIONS)
    if unknown:
        parser.error(f"there is no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    if options.write and len(options.only) < len(SECTIONS):
        parser.error("--write replaces all tables, so it wants all sections")
    options.rounds = options.rounds or (5 if options.full else 3)
    options.seconds = options.seconds or (10 if options.full else 3)
    options.binary = single.BINARY
    return options


def main():
    options = arguments()
    if not LOAD:
        sys.exit("KVSTORE_LOAD names no load generator: ./dev bench cluster builds it")
    measured = single.report(options, SECTIONS)
    if options.write:
        single.write(measured, BEGIN, END)
    return 0


if __name__ == "__main__":
    sys.exit(main())
