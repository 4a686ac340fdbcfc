"""./dev setup: installs what is missing, and nothing else."""

import os
import pathlib
import shutil
import subprocess

from dev_common import Failure, run, say

PACKAGES = """
clang-19 clang-tidy-19 clang-format-19 lld-19 libclang-rt-19-dev llvm-19
cmake ninja-build make ccache pkg-config git python3 curl procps
libboost1.81-dev libboost-json1.81-dev liburing-dev librocksdb-dev libzstd-dev liblz4-dev
libisal-dev libxxhash-dev libjemalloc-dev libyaml-cpp-dev libcli11-dev libedit-dev libssl-dev
libgtest-dev libgmock-dev libbenchmark-dev
redis-server redis-tools python3-redis python3-yaml tcl dpkg-dev nftables iproute2
""".split()

# Peers and clients that only ./dev bench uses.
BENCH_PACKAGES = ["wrk", "nginx-light"]

POLICY = pathlib.Path("/usr/sbin/policy-rc.d")


def missing_packages(wanted):
    """Those that dpkg does not know as installed."""
    query = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n", *wanted],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return still_missing(query.stdout, wanted)


def still_missing(listing, wanted):
    installed = set()
    for line in listing.splitlines():
        name, _, status = line.partition(" ")
        if status == "installed":
            installed.add(name)
    return [name for name in wanted if name not in installed]


def setup(verbose=True, more=()):
    """Makes everything available that the other commands use, and `more`. Instant when it is."""
    wanted = [*PACKAGES, *more]
    if os.environ.get("KVSTORE_NO_SETUP") == "1":
        return
    if shutil.which("dpkg-query") is None:
        say("no dpkg here: install the equivalents of these Debian packages: " + " ".join(wanted))
        return
    missing = missing_packages(wanted)
    if not missing:
        if verbose:
            say(f"setup: all {len(wanted)} packages are installed")
        return
    say("setup: missing " + " ".join(missing))
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    if as_root and shutil.which("sudo") is None:
        raise Failure("run as root: apt-get install " + " ".join(missing))
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
    # RUNLEVEL=1 and policy-rc.d: what is installed as a peer for tests is not started.
    quiet_apt = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
    own_policy = not POLICY.exists()
    if own_policy:
        run([*as_root, "sh", "-c", f"printf '#!/bin/sh\\nexit 101\\n' >{POLICY}; chmod 755 {POLICY}"])
    try:
        run([*as_root, *quiet_apt, "apt-get", "update", "-q"])
        run([*as_root, *quiet_apt, *install])
    finally:
        if own_policy:
            run([*as_root, "rm", "-f", POLICY])
