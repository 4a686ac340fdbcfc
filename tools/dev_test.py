"""./dev test: builds, runs every test there is, and counts test cases."""

import concurrent.futures
import re
import sys

import dev_results
from dev_build import build, manifest
from dev_common import BUILD, ROOT, Counts, Failure, jobs, run_captured, say, show

BINARY_SECONDS = 600
SCRIPT_SECONDS = 1200
SCRIPT_FOLDERS = ("tests/integration", "tests/conformance", "tests/compat")

SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_init_order=1:detect_leaks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": f"halt_on_error=1:second_deadlock_stack=1:suppressions={ROOT}/tools/tsan.supp",
    "LSAN_OPTIONS": f"suppressions={ROOT}/tools/lsan.supp:print_suppressions=0",
}


class Plan:
    """Which of the project's tests a run is about.

    A name that is exactly a module, a script or `tools` means that one alone; any
    other name means everything whose name contains it.
    """

    def __init__(self, name=None, without=()):
        modules = test_modules()
        scripts = [p for p in test_scripts() if p.stem not in without]
        everything = [*modules, *(p.stem for p in scripts), "tools"]
        if name is None:
            chosen = set(everything)
        elif name in everything:
            chosen = {name}
        else:
            chosen = {entry for entry in everything if name in entry}
        if not chosen:
            raise Failure(f"no test is called '{name}'; there are {', '.join(everything)}")
        self.whole = name is None
        self.modules = [module for module in modules if module in chosen]
        self.scripts = [path for path in scripts if path.stem in chosen]
        self.tools = "tools" in chosen


def test_modules():
    """Modules that have a *_test.cc, by the folders of src/, and the cluster simulations."""
    found = []
    for cmake in sorted((ROOT / "src").rglob("CMakeLists.txt")):
        nested = [p.parent for p in cmake.parent.rglob("CMakeLists.txt") if p != cmake]
        tests = [t for t in cmake.parent.rglob("*_test.cc") if not any(n in t.parents for n in nested)]
        if tests:
            found.append(".".join(cmake.parent.relative_to(ROOT / "src").parts))
    if any((ROOT / "tests" / "sim").rglob("*_test.cc")):
        found.append("sim_cluster")
    return found


def test_scripts():
    folders = [ROOT / folder for folder in SCRIPT_FOLDERS]
    return [path for folder in folders for path in sorted(folder.glob("test_*.py"))]


def targets_of(plan, proofs):
    """What to build: everything for a whole run, else no more than the plan needs."""
    if plan.whole:
        return ["all", "all_verify_interface_header_sets"] if proofs else ["all"]
    targets = [target_of(module) for module in plan.modules]
    return [*targets, *(["kvstore"] if plan.scripts else [])]


def target_of(module):
    """The CMake target of a module's test binary."""
    return "kvstore_tests_sim_test" if module == "sim_cluster" else f"kvstore_{module.replace('.', '_')}_test"


def test_settings(preset, seed=None, rewrite=False):
    settings = dict(SANITIZER_OPTIONS) if preset in {"asan", "tsan", "fuzz"} else {}
    if seed is not None:
        settings["KVSTORE_SEED"] = str(seed)
    if rewrite:
        settings["KVSTORE_REWRITE"] = "1"
    return settings


def test(name=None, pattern=None, preset="dev", seed=None, rewrite=False, without=(), repeat=1):
    """Builds and runs; returns Counts. Nothing here raises because a test failed."""
    plan = Plan(name, without)
    proofs = preset == "dev"
    targets = targets_of(plan, proofs)
    if targets:
        build(preset, targets)
    settings = test_settings(preset, seed, rewrite)
    counts = Counts()
    for _ in range(repeat):
        if plan.whole and proofs:
            counts.add(run_proofs(preset))
        counts.add(run_binaries(preset, plan.modules, pattern, settings))
        if plan.tools:
            counts.add(run_scripts(sorted((ROOT / "tools/tests").glob("test_*.py")), None, preset, {}))
        counts.add(run_scripts(plan.scripts, pattern, preset, settings))
    return counts


def run_proofs(preset):
    """Each module's link proof: that it linked is the proof; that it starts is a bonus."""
    counts = Counts()
    for module, path in manifest(preset, "proof"):
        code, _ = run_captured([path], 30)
        if code == 0:
            counts.passed += 1
        else:
            counts.failures.append((f"{module} link proof: {dev_results.how_it_ended(code)}", ""))
    say(f"link proofs: {counts.line()}")
    return counts


def report_folder(preset):
    folder = BUILD / preset / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run_binaries(preset, modules, pattern, settings):
    paths = dict(manifest(preset, "test"))
    counts = Counts()
    for module in modules:
        if module not in paths:
            counts.failures.append((f"{module}: has *_test.cc files and built no test binary", ""))
    with concurrent.futures.ThreadPoolExecutor(jobs()) as pool:
        tasks = [
            pool.submit(run_binary, module, paths[module], preset, pattern, settings)
            for module in modules
            if module in paths
        ]
        for task in tasks:
            counts.add(task.result())
    return counts


def run_binary(module, path, preset, pattern, settings):
    report = report_folder(preset) / f"{module}.json"
    report.unlink(missing_ok=True)
    command = [path, f"--gtest_output=json:{report}"]
    if pattern:
        command.append(f"--gtest_filter={pattern}")
    show(command[:1] + command[2:], settings)
    code, output = run_captured(command, BINARY_SECONDS, settings)
    (report.parent / f"{module}.log").write_text(output)
    counts = dev_results.from_gtest(module, code, output, report, preset)
    tell(module, counts, output)
    return counts


def run_scripts(scripts, pattern, preset, settings):
    counts = Counts()
    for path in scripts:
        counts.add(run_script(path, pattern, preset, settings))
    return counts


def run_script(path, pattern, preset, settings):
    report = report_folder(preset) / f"{path.stem}.json"
    report.unlink(missing_ok=True)
    build_dir = BUILD / preset
    env = {
        **settings,
        "KVSTORE_ROOT": str(ROOT),
        "KVSTORE_BUILD_DIR": str(build_dir),
        "KVSTORE_BIN": str(build_dir / "kvstore"),
        "PYTHONPATH": f"{path.parent}:{ROOT / 'tools'}",
    }
    command = [sys.executable, ROOT / "tools/py_test_runner.py", path, report]
    command += [pattern] if pattern else []
    show(command)
    code, output = run_captured(command, SCRIPT_SECONDS, env)
    (report.parent / f"{path.stem}.log").write_text(output)
    counts = dev_results.from_unittest(path.stem, code, output, report)
    tell(path.stem, counts, output)
    return counts


def tell(name, counts, output):
    """One line for what went well; the end of the output for what did not."""
    if counts.failures:
        say(f"---- {name}: the end of its output")
        say("\n".join(interesting(output).split("\n")[-120:]))
        say("----")
    say(f"{name}: {counts.line()}")


def interesting(output):
    """Drops GoogleTest's lines about tests that passed."""
    kept = re.sub(r"^\[ RUN      \] (\S+)\n\[       OK \] \1.*\n", "", output, flags=re.MULTILINE)
    return re.sub(r"^\[-+\].*\n", "", kept, flags=re.MULTILINE)

