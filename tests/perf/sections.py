"""What is measured besides redis-benchmark's workloads."""

import json
import re
import shutil
import statistics
import subprocess
import time
import urllib.request

from servers import Nginx, Ours, Redis

VALUE = b"x" * 100
HTTP_TARGET_CPU = 7.0  # row 15
MEMORY_TARGET_BYTES = 150  # row 18
REST_SECONDS = 8  # until allocators have given back what the load itself needed


# ---- HTTP ----


def http_get(options, folder):
    yield "GET /v1/keys/{key} over HTTP/1.1 by wrk, 50 connections kept alive, 100-byte value, memory engine:"
    yield ""
    yield "| server | k/s | CPU µs | p99 ms | target |"
    yield "|---|---|---|---|---|"
    ours = Ours(options.binary, folder / "ours", "memory", "memory")
    peer = None
    try:
        ours.start()
        url = f"http://127.0.0.1:{ours.http_port}/v1/keys/key"
        put = urllib.request.Request(url, data=json.dumps({"value": VALUE.decode()}).encode(), method="PUT")
        urllib.request.urlopen(put).read()
        body = urllib.request.urlopen(url).read().decode()
        peer = Nginx(folder / "nginx", body).start()
        samples = ([], [])
        for _ in range(options.rounds):
            for server, into in zip((ours, peer), samples, strict=True):
                into.append(wrk(server, 3 * options.scale))
        for name, taken in zip(("kvstore", "nginx, a fixed answer"), samples, strict=True):
            rate, cpu, p99 = (statistics.median(column) for column in zip(*taken, strict=True))
            goal = ""
            if name == "kvstore":
                goal = f"CPU ≤ {HTTP_TARGET_CPU:.0f}: {'met' if cpu <= HTTP_TARGET_CPU else 'missed'}"
            yield f"| {name} | {rate / 1e3:.1f} | {cpu:.2f} | {p99:.2f} | {goal} |"
    finally:
        for server in (ours, peer):
            if server:
                server.stop()


def wrk(server, seconds):
    before = server.cpu_seconds()
    done = subprocess.run(
        ["wrk", "-t1", "-c50", f"-d{seconds:.0f}s", "--latency",
         f"http://127.0.0.1:{server.http_port}/v1/keys/key"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    spent = server.cpu_seconds() - before
    if "Non-2xx" in done.stdout:
        raise RuntimeError("wrk saw errors:\n" + done.stdout)
    count = int(re.search(r"(\d+) requests in", done.stdout)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])
    p99, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout).groups()
    return rate, spent / count * 1e6, float(p99) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]


# ---- memory and recovery ----


def load_keys(server, count):
    """Sets `count` keys of 16 bytes to 100-byte values through redis-cli --pipe."""
    pipe = subprocess.Popen(
        ["redis-cli", "-p", str(server.port), "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    head, tail = b"*3\r\n$3\r\nSET\r\n$16\r\nkey:", b"\r\n$100\r\n" + VALUE + b"\r\n"
    step = 10_000
    for begin in range(0, count, step):
        pipe.stdin.write(b"".join(head + b"%012d" % i + tail for i in range(begin, min(begin + step, count))))
    pipe.stdin.close()
    if pipe.wait() != 0:
        raise RuntimeError("the load failed")


def memory_per_key(options, folder):
    count = options.memory_keys
    yield f"Growth of resident memory by {count:,} keys of 16 bytes with 100-byte values, after {REST_SECONDS} s of rest:"
    yield ""
    yield "| server | bytes a key | target |"
    yield "|---|---|---|"
    for name, server in (
        ("kvstore, memory engine, no history", Ours(options.binary, folder / "ours", "memory", "memory")),
        ("redis-server", Redis(folder / "redis", "memory")),
    ):
        try:
            server.start()
            before = server.rss_bytes()
            load_keys(server, count)
            time.sleep(REST_SECONDS)
            grown = (server.rss_bytes() - before) / count
            met = "met" if grown <= MEMORY_TARGET_BYTES else "missed"
            goal = f"≤ {MEMORY_TARGET_BYTES}: {met}" if isinstance(server, Ours) else ""
            yield f"| {name} | {grown:.0f} | {goal} |"
        finally:
            server.stop()


def recovery(options, folder):
    count = options.recovery_keys
    yield f"From start to ready with {count:,} keys of 16 bytes with 100-byte values, page cache warm:"
    yield ""
    yield "| server | seconds | bytes on disk a key |"
    yield "|---|---|---|"
    for name, engine, saves in (
        ("kvstore, memory engine, from its log", "memory", False),
        ("kvstore, memory engine, from a snapshot", "memory", True),
        ("kvstore, LSM engine, flushed", "lsm", True),
        ("redis-server, from its RDB file", "redis", True),
    ):
        place = folder / name.replace(" ", "-")
        if engine == "redis":
            server = Redis(place, "memory")
        else:
            server = Ours(options.binary, place, engine, "interval")
        try:
            server.start()
            load_keys(server, count)
            if saves:
                save(server)
            stop_cleanly = engine != "memory" or saves
            server.stop() if not stop_cleanly else server.end()
            size = sum(f.stat().st_blocks * 512 for f in place.rglob("*") if f.is_file())
            begin = time.monotonic()
            server.start()
            seconds = time.monotonic() - begin
            have = int(subprocess.run(["redis-cli", "-p", str(server.port), "DBSIZE"],
                                      capture_output=True, text=True, check=True).stdout)  # fmt: skip
            if have < count * 0.99:
                raise RuntimeError(f"{name}: only {have} keys came back")
            yield f"| {name} | {seconds:.1f} | {size / count:.0f} |"
        finally:
            server.stop()
            shutil.rmtree(place, ignore_errors=True)


def save(server):
    if isinstance(server, Redis):
        subprocess.run(["redis-cli", "-p", str(server.port), "SAVE"], capture_output=True, check=True)
        return
    request = urllib.request.Request(f"http://127.0.0.1:{server.http_port}/v1/admin/save", method="POST")
    urllib.request.urlopen(request, timeout=600).read()


# ---- in process ----


def embedded(options, _folder):
    """The stress test of the product: the whole of kv, mvcc and engine, without a network."""
    yield "In process, one thread (`kvstore stress --embedded`, half reads, half writes, 16-byte keys, 100-byte values):"
    yield ""
    yield "| engine | durability | keys | length | operations/s | get p50 / p95 / p99 | store p50 / p95 / p99 |"
    yield "|---|---|---|---|---|---|---|"
    for engine, durability, keys, length in (
        ("memory", "memory", 10_000, ["--operations", "5000000"]),
        ("memory", "memory", 1_000_000, ["--operations", "5000000"]),
        ("memory", "memory", 10_000, ["--seconds", "25"]),
        ("memory", "interval", 10_000, ["--operations", "2000000"]),
        ("lsm", "memory", 10_000, ["--operations", "2000000"]),
        ("lsm", "interval", 1_000_000, ["--operations", "1000000"]),
    ):
        done = subprocess.run(
            [options.binary, "stress", "--embedded", "--engine", engine, "--durability", durability,
             "--keys", str(keys), *length, "-o", "json"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found = json.loads(done.stdout)
        spans = (
            " / ".join(span(found[kind][f"{at}_ns"]) for at in ("p50", "p95", "p99")) for kind in ("reads", "writes")
        )
        yield (
            f"| {engine} | {durability} | {keys:,} | {' '.join(length).lstrip('-')} "
            f"| {found['operations_per_second']:,} | " + " | ".join(spans) + " |"
        )


def span(nanoseconds):
    return f"{nanoseconds} ns" if nanoseconds < 1000 else f"{nanoseconds / 1000:.1f} µs"
