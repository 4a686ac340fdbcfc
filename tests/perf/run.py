#!/usr/bin/env python3
"""Compares the server with Debian's redis-server, interleaved in the same run.

Prints one Markdown table of medians; --write replaces the measured part of
docs/benchmarks.md. CPU microseconds per operation survive a busy machine, rates do not.
"""

import argparse
import csv
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

from servers import Ours, Redis

ROOT = pathlib.Path(os.environ.get("KVSTORE_ROOT", pathlib.Path(__file__).resolve().parents[2]))
BINARY = os.environ.get("KVSTORE_BIN", str(ROOT / "bin/kvstore"))
PAGE = ROOT / "docs/benchmarks.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
CLIENTS = 50
KEYS = 100_000
OPERATIONS = {1: 50_000, 16: 200_000, 64: 400_000}
# Least ratio of operations per CPU-second to Redis' (GOALS: rows 1 to 4).
TARGETS = {
    ("get", 1): 1.3, ("get", 16): 3.5, ("get", 64): 6.0, ("set", 16): 3.0, ("set", 64): 5.0,
}  # fmt: skip
DURABLE_TARGETS = {1: 1.4, 16: 2.5, 64: 4.0}  # of the rate


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="1-KB values too, five times the operations")
    parser.add_argument("--quick", action="store_true", help="100-byte values only (the default)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=None, help="factor of the operations of a run")
    parser.add_argument("--engines", default="memory,lsm")
    parser.add_argument("--durabilities", default="memory,interval,always")
    parser.add_argument("--memory-keys", type=int, default=1_000_000, help="0: skip memory per key")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    return parser.parse_args()


def measure(server, command, pipeline, size, operations):
    """One run of redis-benchmark. Returns: (operations/s, CPU µs an operation, p99 ms)."""
    before = server.cpu_seconds()
    done = subprocess.run(
        ["redis-benchmark", "-p", str(server.port), "-t", command, "-c", str(CLIENTS), "-P",
         str(pipeline), "-d", str(size), "-n", str(operations), "-r", str(KEYS), "--csv"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    spent = server.cpu_seconds() - before
    row = next(r for r in csv.DictReader(done.stdout.splitlines()) if r["test"].lower() == command)
    return float(row["rps"]), spent / operations * 1e6, float(row["p99_latency_ms"])


def medians(samples):
    return [statistics.median(column) for column in zip(*samples, strict=True)]


def target(engine, durability, command, pipeline):
    if engine == "memory" and durability == "memory":
        return "CPU", TARGETS.get((command, pipeline))
    if durability == "always" and command == "set":
        return "rate", DURABLE_TARGETS[pipeline]
    return "", None


def compare(options, engine, durability, folder):
    """Yields the table's rows of one engine and durability."""
    scale = options.scale or (5 if options.full else 1)
    pair = (Ours(BINARY, folder / "ours", engine, durability), Redis(folder / "redis", durability))
    try:
        for server in pair:
            server.start()
        for size in (100, 1024) if options.full else (100,):
            for server in pair:
                measure(server, "set", 16, size, KEYS * 2)
            for pipeline, base in OPERATIONS.items():
                for command in ("get", "set"):
                    samples = ([], [])
                    for _ in range(options.rounds):
                        for server, into in zip(pair, samples, strict=True):
                            into.append(measure(server, command, pipeline, size, int(base * scale)))
                    yield row(engine, durability, command, size, pipeline, *map(medians, samples))
    finally:
        for server in pair:
            server.stop()


def row(engine, durability, command, size, pipeline, ours, peer):
    rate, cpu = ours[0] / peer[0], peer[1] / max(ours[1], 1e-9)
    kind, least = target(engine, durability, command, pipeline)
    reached = {"CPU": cpu, "rate": rate}.get(kind, 0)
    verdict = f"{kind} {least}: {'met' if reached >= least else 'missed'}" if least else ""
    return (
        f"| {engine} | {durability} | {command.upper()} | {size} | {pipeline} | {ours[0] / 1e3:.1f} "
        f"| {peer[0] / 1e3:.1f} | {rate:.2f} | {ours[1]:.2f} | {peer[1]:.2f} | {cpu:.2f} "
        f"| {ours[2]:.2f} | {peer[2]:.2f} | {verdict} |"
    )


def memory_per_key(keys, folder):
    """Growth of resident memory by `keys` keys of 16 bytes with 100-byte values."""
    lines = ["", "| memory a key, 16 + 100 bytes | bytes |", "|---|---|"]
    for name, server in (
        ("ours, memory engine, no history", Ours(BINARY, folder / "ours", "memory", "memory")),
        ("redis-server", Redis(folder / "redis", "memory")),
    ):
        try:
            server.start()
            before = server.rss_bytes()
            load = subprocess.Popen(["redis-cli", "-p", str(server.port), "--pipe"],
                                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # fmt: skip
            for i in range(keys):
                load.stdin.write(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$100\r\n%s\r\n" % (i, b"x" * 100))
            load.stdin.close()
            if load.wait() != 0:
                raise RuntimeError("the load failed")
            lines.append(f"| {name}, {keys:,} keys | {(server.rss_bytes() - before) / keys:.0f} |")
        finally:
            server.stop()
    return lines


def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {kernel}"


def load():
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def report(options):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kvstore-perf-"))
    lines = [
        f"Machine: {machine()}. Load average before the run: {load()}.",
        f"Medians of {options.rounds} interleaved rounds, {CLIENTS} connections, {KEYS:,} random keys.",
        "",
        "| engine | durability | op | bytes | pipeline | k/s | Redis k/s | rate ratio | CPU µs | Redis CPU µs "
        "| CPU ratio | p99 ms | Redis p99 ms | target |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    try:
        for engine in options.engines.split(","):
            for durability in options.durabilities.split(","):
                for line in compare(options, engine, durability, folder / engine / durability):
                    print(line, flush=True)
                    lines.append(line)
        if options.memory_keys:
            more = memory_per_key(options.memory_keys, folder / "keys")
            print("\n".join(more), flush=True)
            lines += more
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return "\n".join([*lines, "", f"Load average after the run: {load()}."]) + "\n"


def write(measured):
    text = PAGE.read_text()
    before, rest = text.split(BEGIN, 1)
    PAGE.write_text(before + BEGIN + measured + END + rest.split(END, 1)[1])


def main():
    options = arguments()
    measured = report(options)
    if options.write:
        write(measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
