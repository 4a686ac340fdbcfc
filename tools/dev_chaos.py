"""./dev chaos: real processes under faults, for as long as wanted."""

import random

from dev_build import build
from dev_common import ROOT, Counts, say
from dev_test import run_script

TEST = ROOT / "tests/integration/test_cluster_faults.py"
# A cluster and a history of its own for each round: what failed is small enough to look at.
ROUND_SECONDS = 300


def chaos(minutes, seed=None):
    """Rounds with rising seeds, until the time is over. Returns Counts."""
    build("release", ["kvstore"])
    first = random.SystemRandom().randrange(1, 1_000_000) if seed is None else seed
    counts, left = Counts(), int(minutes * 60)
    while left > 0:
        seconds = min(left, ROUND_SECONDS)
        counts.add(one_round(first, seconds))
        first, left = first + 1, left - seconds
    return counts


def one_round(seed, seconds):
    settings = {"KVSTORE_CHAOS_SECONDS": str(seconds), "KVSTORE_SEED": str(seed)}
    say(f"chaos: seed {seed} for {seconds} s")
    counts = run_script(TEST, None, "release", settings)
    hint = f"./dev chaos --minutes {seconds / 60:g} --seed {seed}"
    counts.failures = [(f"{name} (seed {seed})", hint) for name, _ in counts.failures]
    return counts
