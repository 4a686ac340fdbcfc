"""./dev conformance, lockstep, mutants and explore: what judges the consensus core."""

import argparse
import random
import subprocess

from dev_build import build, manifest
from dev_common import BUILD, ROOT, Counts, environment, say, show
from dev_raft_go import Unavailable, corpus, oracle

PROGRAMS = BUILD / "dev" / "tests" / "conformance" / "raft"
CI_LOCKSTEP_STEPS = 100_000
CI_STORM_SEEDS = 1000


def program(name, *arguments):
    """Builds and runs one of the judging programs, its output passing through. Its exit code."""
    build("dev", [name])
    return judge([PROGRAMS / name, *arguments])


def judge(command, settings=None):
    show(command, settings)
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=ROOT, env=environment(settings), check=False).returncode


def conformance():
    deviations = ROOT / "tests" / "conformance" / "raft" / "deviations.txt"
    return program("raft_conformance", corpus(), deviations)


def lockstep(steps, seed):
    return program("raft_lockstep", oracle(), "--steps", steps, "--seed", seed)


def mutants(seeds):
    return program("raft_mutants", "--seeds", seeds)


def explore(arguments):
    return program("raft_explore", *arguments)


def storm(seeds):
    """The core's own storms with seeds that nobody chose."""
    build("dev", ["kvstore_raft_test"])
    path = dict(manifest("dev", "test"))["raft"]
    first = random.SystemRandom().randrange(1, 2**48)
    settings = {"KVSTORE_SEED": str(first), "KVSTORE_RAFT_SEEDS": str(seeds)}
    return judge([path, "--gtest_filter=RaftStorm.*", "--gtest_brief=1"], settings)


def gates():
    """All that judges the core, within CI's budget: a few minutes. Returns Counts."""
    return run_gates((
        ("etcd/raft corpus", "./dev conformance raft", conformance),
        (
            "lock-step with etcd/raft",
            "./dev lockstep raft",
            lambda: lockstep(CI_LOCKSTEP_STEPS, 1),
        ),
        ("planted bugs", "./dev mutants raft", lambda: mutants(400)),
        ("small worlds", "./dev explore raft", lambda: explore([])),
        ("storms with fresh seeds", "see KVSTORE_SEED above", lambda: storm(CI_STORM_SEEDS)),
    ))  # fmt: skip


def run_gates(named):
    counts = Counts()
    for name, again, gate in named:
        try:
            code = gate()
        except Unavailable as unavailable:
            say(f"skipped: {name}: {unavailable}")
            counts.skips.append((f"raft {name}", str(unavailable)))
            continue
        if code == 0:
            counts.passed += 1
        else:
            counts.failures.append((f"raft {name}: exit code {code}", again))
    return counts


def add_commands(command):
    """Hangs these commands into ./dev."""
    add = command("conformance", "replay another project's scripts: raft")
    add.add_argument("suite", choices=["raft"])
    add = command("mutants", "show that every planted bug is caught: raft")
    add.add_argument("suite", choices=["raft"])
    add.add_argument("--seeds", type=int, default=400)
    add = command("explore", "walk every state of a small world: raft")
    add.add_argument("suite", choices=["raft"])
    add.add_argument("arguments", nargs=argparse.REMAINDER, help="bounds, handed on to it")
    add = command("lockstep", "run our core beside the real etcd/raft: raft")
    add.add_argument("suite", choices=["raft"])
    add.add_argument("--steps", type=int, default=CI_LOCKSTEP_STEPS)
    add.add_argument("--seed", type=int, default=1)


def actions(options):
    return {
        "conformance": conformance,
        "mutants": lambda: mutants(options.seeds),
        "explore": lambda: explore(options.arguments),
        "lockstep": lambda: lockstep(options.steps, options.seed),
    }
