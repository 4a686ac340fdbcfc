"""./dev ci: every gate, cheapest first; stops at the first that is red."""

import time

import dev_lint
import dev_raft
import dev_sim
from dev_build import build
from dev_common import ROOT, Counts, Failure, say
from dev_setup import setup
from dev_test import run_binaries, run_scripts, target_of, test, test_modules, test_settings

# Run last and against the release build, since they take longest.
FAULT_TESTS = (
    "test_kill9", "test_cluster_faults", "test_cluster_disk", "test_cluster_misuse", "test_cluster_growth",
    "test_cluster_debian",
)  # fmt: skip
FAULT_SETTINGS = {"KVSTORE_CHAOS_SECONDS": "300", "KVSTORE_LONG": "1"}
# Those that stage_dev() leaves out, for want of KVSTORE_LONG.
LONG_TESTS = {"test_redis_suite": "on_a_cluster_through_the_leader"}
# Where threads meet: the modules that the thread sanitizer is about.
TSAN_MODULES = ("async", "metrics")
SEEDS = 300
CLUSTER_SEEDS = 500
FUZZ_SECONDS = 15


def ci():
    """Runs the stages; returns the summed Counts."""
    total, begin = Counts(), time.monotonic()
    for name, stage in STAGES:
        say(f"\n==== {name}")
        start = time.monotonic()
        try:
            counts = stage()
        except Failure as failure:
            counts = Counts(failures=[(f"{name}: {failure}", "")])
        total.add(counts)
        minutes = (time.monotonic() - start) / 60
        say(f"==== {name}: {counts.line()} in {minutes:.1f} min")
        if counts.failures:
            say(f"stopped at the first red stage: {name}")
            break
    say(f"\nci took {(time.monotonic() - begin) / 60:.1f} min")
    return total


def stage_setup():
    setup()
    return Counts()


def stage_lint():
    counts = dev_lint.lint()
    if dev_lint.tidy_wanted():
        counts.add(dev_lint.tidy())
    return counts


def stage_dev():
    return test(preset="dev", without=FAULT_TESTS)


def stage_asan():
    """One instrumented build serves the unit tests, the seeds and the fuzz targets."""
    counts = units("fuzz", None)
    if not counts.failures:
        counts.add(dev_sim.fuzz("all", FUZZ_SECONDS))
    return counts


def stage_tsan():
    return units("tsan", TSAN_MODULES)


def units(preset, modules):
    """The unit tests of some modules, or of all, without the scripts and the tools."""
    chosen = [m for m in test_modules() if modules is None or m in modules]
    if not chosen:
        return Counts(skips=[(f"{preset} unit tests", "no module has tests yet")])
    build(preset, [target_of(module) for module in chosen])
    counts = run_binaries(preset, chosen, None, test_settings(preset))
    for module in test_modules():
        if module not in chosen:
            counts.add(Counts(skips=[(f"{preset} {module}", "not on the list of tools/dev_ci.py yet")]))
    return counts


def stage_seeds():
    counts = dev_sim.storm("dev", seeds=SEEDS)
    if not counts.failures:
        counts.add(dev_sim.clusters("dev", seeds=CLUSTER_SEEDS))
    return counts


def stage_faults():
    build("release")
    scripts = [p for name in FAULT_TESTS for p in (ROOT / "tests").glob(f"*/{name}.py")]
    if not scripts:
        return Counts(skips=[("real-process faults", "tests/integration has no test_kill9.py yet")])
    counts = run_scripts(scripts, None, "release", FAULT_SETTINGS)
    for name, pattern in LONG_TESTS.items():
        path = ROOT / f"tests/integration/{name}.py"
        counts.add(run_scripts([path], pattern, "release", FAULT_SETTINGS))
    return counts


STAGES = (
    ("setup", stage_setup),
    ("lint", stage_lint),
    ("dev build, proofs and tests", stage_dev),
    ("consensus core: etcd/raft's corpus, lock-step, planted bugs, small worlds", dev_raft.gates),
    ("fresh simulation seeds", stage_seeds),
    ("address sanitizer and fuzz smoke", stage_asan),
    ("thread sanitizer", stage_tsan),
    ("release build and real-process faults", stage_faults),
)
