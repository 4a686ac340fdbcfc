"""./dev sim and ./dev fuzz: seeds and inputs that nobody chose."""

import random

import dev_results
from dev_build import build, configure, manifest
from dev_common import BUILD, ROOT, Counts, Failure, locked, run, run_captured, say, show
from dev_test import test_settings

CLUSTER_WORKLOAD = ROOT / "tests" / "sim" / "ci.workload"
SIM_MAIN = ROOT / "tests" / "sim" / "main.cc"


def storm(preset="dev", seeds=100, start=None, minutes=10):
    """Runs the simulator over fresh seeds, or over one that is given. Returns Counts."""
    if not SIM_MAIN.exists():
        return Counts(skips=[("sim_storm", "tests/sim has no main.cc yet")])
    build(preset, ["sim_storm"])
    path = manifest(preset, "storm")[0][1]
    first = random.SystemRandom().randrange(1, 2**48) if start is None else start
    command = [path, "--seeds", seeds, "--start", first]
    show(command)
    code, output = run_captured(command, 60 * minutes, test_settings(preset))
    say("\n".join(output.rstrip().split("\n")[-60:]))
    counts = dev_results.from_counted_line(f"sim_storm --start {first} --seeds {seeds}", code, output)
    say(f"sim_storm ({preset}): {counts.line()}")
    return counts


def clusters(preset="dev", seeds=500, start=None, minutes=10):
    """Whole clusters under faults, half a virtual minute each. Returns Counts."""
    build(preset, ["kvstore"])
    first = random.SystemRandom().randrange(1, 2**40) if start is None else start
    command = [
        BUILD / preset / "kvstore", "simulate", "--seed", first, "--seeds", seeds,
        "--workload", CLUSTER_WORKLOAD,
    ]  # fmt: skip
    show(command)
    code, output = run_captured(command, 60 * minutes, test_settings(preset))
    say("\n".join(output.rstrip().split("\n")[-60:]))
    counts = dev_results.from_counted_line(f"kvstore simulate --seed {first}", code, output)
    say(f"simulated clusters ({preset}): {counts.line()}")
    return counts


def fuzz(target, seconds=60):
    """Runs one fuzz target, or all of them in turn. Returns Counts."""
    with locked("fuzz"):
        configure("fuzz")
    known = {path.rsplit("/", 1)[1]: (module, path) for module, path in manifest("fuzz", "fuzz")}
    if target == "list" or (target != "all" and not any(target in name for name in known)):
        say("fuzz targets: " + (", ".join(sorted(known)) or "none yet"))
        if target == "list":
            return Counts()
        raise Failure(f"no fuzz target is called '{target}'")
    chosen = sorted(name for name in known if target == "all" or target in name)
    counts = Counts()
    if not chosen:
        return Counts(skips=[("fuzz", "no *_fuzz.cc yet")])
    build("fuzz", chosen)
    for name in chosen:
        module, path = known[name]
        counts.add(fuzz_one(name, module, path, seconds))
    return counts


def fuzz_one(name, module, path, seconds):
    """New inputs go to build/fuzz/corpus; testdata/<file>_fuzz/ of the module seeds them."""
    corpus = BUILD / "fuzz" / "corpus" / name
    crashes = BUILD / "fuzz" / "crashes"
    corpus.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(parents=True, exist_ok=True)
    file_name = name[len(module.replace(".", "_")) + 1 :]
    seeds = sorted((ROOT / "src" / module.replace(".", "/")).rglob(f"testdata/{file_name}"))
    command = [
        path, corpus, *seeds, f"-max_total_time={seconds}", f"-artifact_prefix={crashes}/{name}-",
        "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0",
    ]  # fmt: skip
    code = run(command, env=test_settings("fuzz"), check=False)
    if code == 0:
        return Counts(passed=1)
    return Counts(failures=[(f"{name}: see build/fuzz/crashes", f"./dev fuzz {name}")])
