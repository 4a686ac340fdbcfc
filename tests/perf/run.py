#!/usr/bin/env python3
"""Compares the server with its peers, interleaved in the same run, and with fixed limits.

Prints Markdown tables of medians; --write replaces the measured part of docs/benchmarks.md.
CPU microseconds per operation survive a busy machine, rates do not.
"""

import argparse
import os
import pathlib
import platform
import shutil
import sys
import tempfile

import redis_tables
import sections

ROOT = pathlib.Path(os.environ.get("KVSTORE_ROOT", pathlib.Path(__file__).resolve().parents[2]))
BINARY = os.environ.get("KVSTORE_BIN", str(ROOT / "bin/kvstore"))
PAGE = ROOT / "docs/benchmarks.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
SECTIONS = {
    "redis": redis_tables.grid,
    "one-client": redis_tables.one_client,
    "many-keys": redis_tables.many_keys,
    "http": sections.http_get,
    "memory": sections.memory_per_key,
    "recovery": sections.recovery,
    "embedded": sections.embedded,
}


def arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="1-KB values too, three times the operations")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, of " + ", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=None, help="factor of the operations of a run")
    parser.add_argument("--engines", default="memory,lsm")
    parser.add_argument("--durabilities", default="memory,interval,always")
    parser.add_argument("--memory-keys", type=int, default=1_000_000)
    parser.add_argument("--recovery-keys", type=int, default=None, help="[1,000,000; --full: 10,000,000]")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    options = parser.parse_args(words)
    options.only = options.only.split(",")
    unknown = set(options.only) - set(SECTIONS)
    if unknown:
        parser.error(f"there is no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    if options.write and len(options.only) < len(SECTIONS):
        parser.error("--write replaces all tables, so it wants all sections")
    options.scale = options.scale or (3 if options.full else 1)
    options.recovery_keys = options.recovery_keys or (10_000_000 if options.full else 1_000_000)
    options.binary = BINARY
    return options


def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kernel = ".".join(platform.release().split(".")[:2])
    control = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")
    congestion = control.read_text().strip() if control.exists() else "?"
    return (
        f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {kernel}, "
        f"TCP congestion control {congestion}"
    )


def load():
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def report(options, sections=SECTIONS):
    """Runs the sections that are asked for; returns what they tell, as a page."""
    lines = []

    def tell(line):
        print(line, flush=True)
        lines.append(line)

    tell(f"Machine: {machine()}. Load average before the run: {load()}.")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kvstore-perf-"))
    try:
        for name in options.only:
            tell("")
            for line in sections[name](options, folder / name):
                tell(line)
            shutil.rmtree(folder / name, ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    tell("")
    tell(f"Load average after the run: {load()}.")
    return "\n".join(lines) + "\n"


def write(measured, begin=BEGIN, end=END):
    """Replaces what stands between two marks of the page."""
    text = PAGE.read_text()
    before, rest = text.split(begin, 1)
    PAGE.write_text(before + begin + measured + end + rest.split(end, 1)[1])


def main():
    options = arguments()
    measured = report(options)
    if options.write:
        write(measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
