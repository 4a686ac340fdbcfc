"""What redis-benchmark measures, ours and Debian's redis-server in turn."""

import csv
import statistics
import subprocess
from dataclasses import dataclass

from servers import Ours, Redis

CLIENTS = 50
KEYS = 100_000
OPERATIONS = {1: 60_000, 16: 300_000, 64: 600_000}
# Least ratio of operations per CPU-second to Redis' (rows 1 to 3 of the goals).
TARGETS = {
    ("get", 1): 1.3, ("get", 16): 3.5, ("get", 64): 6.0, ("set", 16): 3.0, ("set", 64): 5.0,
}  # fmt: skip
DURABLE_TARGETS = {1: 1.4, 16: 2.5, 64: 4.0}  # of the rate (row 4)


@dataclass
class Sample:
    rate: float  # operations a second
    cpu: float  # server, microseconds an operation
    kernel: float  # of that, in the kernel
    p50: float  # milliseconds
    p99: float


def measure(server, words, operations, clients=CLIENTS, pipeline=1, size=100):
    """One run of redis-benchmark."""
    before, ticks_before = server.cpu_seconds(), server.cpu_ticks()
    done = subprocess.run(
        ["redis-benchmark", "-p", str(server.port), "-c", str(clients), "-P", str(pipeline), "-d",
         str(size), "-n", str(operations), "-r", str(KEYS), "--csv", *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    spent = server.cpu_seconds() - before
    user, kernel = (b - a for a, b in zip(ticks_before, server.cpu_ticks(), strict=True))
    row = next(csv.DictReader(done.stdout.splitlines()))
    share = kernel / (user + kernel) if user + kernel else 0.0
    cpu = spent / operations * 1e6
    return Sample(
        float(row["rps"]), cpu, cpu * share, float(row["p50_latency_ms"]), float(row["p99_latency_ms"])
    )


def median(samples):
    fields = ("rate", "cpu", "kernel", "p50", "p99")
    return Sample(*(statistics.median(getattr(s, name) for s in samples) for name in fields))


def rounds(count, pair, words, operations, **how):
    """Medians of ours and of the peer, measured in turn."""
    samples = ([], [])
    for _ in range(count):
        for server, into in zip(pair, samples, strict=True):
            into.append(measure(server, words, operations, **how))
    return median(samples[0]), median(samples[1])


class Pair:
    """Both servers, started for the length of a `with`."""

    def __init__(self, options, engine, durability, folder):
        self.servers = (
            Ours(options.binary, folder / "ours", engine, durability),
            Redis(folder / "redis", durability),
        )

    def __enter__(self):
        try:
            for server in self.servers:
                server.start()
        except BaseException:
            self.__exit__()
            raise
        return self.servers

    def __exit__(self, *_):
        for server in self.servers:
            server.stop()


def fill(pair, size=100):
    for server in pair:
        measure(server, ["-t", "set"], KEYS * 4, pipeline=16, size=size)


def target(engine, durability, command, pipeline):
    if engine == "memory" and durability == "memory":
        return "CPU", TARGETS.get((command, pipeline))
    if durability == "always" and command == "set":
        return "rate", DURABLE_TARGETS[pipeline]
    return "", None


def verdict(kind, least, rate, cpu):
    if not least:
        return ""
    reached = {"CPU": cpu, "rate": rate}[kind]
    return f"{kind} {least}: {'met' if reached >= least else 'missed'}"


def grid(options, folder):
    yield f"GET and SET, {CLIENTS} connections, {KEYS:,} random keys, medians of {options.rounds} rounds:"
    yield ""
    yield (
        "| engine | durability | op | bytes | pipeline | k/s | Redis k/s | rate ratio | CPU µs | in the kernel "
        "| Redis CPU µs | CPU ratio | p99 ms | Redis p99 ms | target |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    for engine in options.engines.split(","):
        for durability in options.durabilities.split(","):
            with Pair(options, engine, durability, folder / engine / durability) as pair:
                for size in (100, 1024) if options.full else (100,):
                    fill(pair, size)
                    for pipeline, base in OPERATIONS.items():
                        for command in ("get", "set"):
                            ours, peer = rounds(
                                options.rounds, pair, ["-t", command], int(base * options.scale),
                                pipeline=pipeline, size=size,
                            )  # fmt: skip
                            yield grid_row(engine, durability, command, size, pipeline, ours, peer)


def grid_row(engine, durability, command, size, pipeline, ours, peer):
    rate, cpu = ours.rate / peer.rate, peer.cpu / ours.cpu
    kind, least = target(engine, durability, command, pipeline)
    return (
        f"| {engine} | {durability} | {command.upper()} | {size} | {pipeline} | {ours.rate / 1e3:.1f} "
        f"| {peer.rate / 1e3:.1f} | {rate:.2f} | {ours.cpu:.2f} | {ours.kernel:.2f} | {peer.cpu:.2f} | {cpu:.2f} "
        f"| {ours.p99:.2f} | {peer.p99:.2f} | {verdict(kind, least, rate, cpu)} |"
    )


def one_client(options, folder):
    yield "One connection, one command at a time, memory engine:"
    yield ""
    yield "| durability | op | µs a command | Redis | ratio | target |"
    yield "|---|---|---|---|---|---|"
    for durability, command, goal in (("memory", "get", 1 / 1.1), ("always", "set", 1.35)):
        with Pair(options, "memory", durability, folder / durability) as pair:
            fill(pair)
            ours, peer = rounds(options.rounds, pair, ["-t", command], int(8_000 * options.scale), clients=1)
            ratio = ours.rate / peer.rate
            yield (
                f"| {durability} | {command.upper()} | {1e6 / ours.rate:.0f} | {1e6 / peer.rate:.0f} "
                f"| {ratio:.2f} | {verdict('rate', round(goal, 2), ratio, 0)} |"
            )


def many_keys(options, folder):
    yield f"Commands on many keys, {CLIENTS} connections, pipeline 1, durability memory:"
    yield ""
    yield "| engine | command | k/s | Redis k/s | rate ratio | CPU µs | Redis CPU µs | CPU ratio |"
    yield "|---|---|---|---|---|---|---|---|"
    commands = {
        "batch of 10 (MSET)": ["-t", "mset"],
        "scan of 100 keys (SCAN 0 COUNT 100)": ["SCAN", "0", "COUNT", "100"],
    }
    for engine in options.engines.split(","):
        with Pair(options, engine, "memory", folder / engine) as pair:
            fill(pair)
            for name, words in commands.items():
                ours, peer = rounds(options.rounds, pair, words, int(30_000 * options.scale))
                yield (
                    f"| {engine} | {name} | {ours.rate / 1e3:.1f} | {peer.rate / 1e3:.1f} "
                    f"| {ours.rate / peer.rate:.2f} | {ours.cpu:.2f} | {peer.cpu:.2f} | {peer.cpu / ours.cpu:.2f} |"
                )
