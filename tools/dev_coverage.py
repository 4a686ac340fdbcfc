"""./dev coverage: how much of a module its own tests reach."""

import json
import os
import shutil
import subprocess

from dev_build import build, manifest
from dev_common import BUILD, ROOT, Failure, say
from dev_test import target_of, test_modules

TEST_SECONDS = 1800


def tool(name):
    """LLVM's tools carry its version in their names."""
    for candidate in (f"{name}-19", name):
        if shutil.which(candidate):
            return candidate
    raise Failure(f"{name}-19 is missing: ./dev setup installs it with clang-19")


def coverage(module, minimum):
    """Prints lines and branches a file. Fails when fewer lines than `minimum` percent are reached."""
    if module not in test_modules():
        raise Failure(f"no module '{module}' has tests; there are {', '.join(test_modules())}")
    build("coverage", [target_of(module)])
    binary = dict(manifest("coverage", "test"))[module]
    folder = BUILD / "coverage"
    raw, merged = folder / f"{module}.profraw", folder / f"{module}.profdata"
    settings = {**os.environ, "LLVM_PROFILE_FILE": str(raw)}
    ran = subprocess.run([binary, "--gtest_brief=1"], env=settings, timeout=TEST_SECONDS, check=False)
    if ran.returncode != 0:
        raise Failure(f"the tests of {module} failed")
    subprocess.run([tool("llvm-profdata"), "merge", "-o", merged, raw], check=True)
    sources = [path for path in (ROOT / "src" / module.replace(".", "/")).rglob("*") if is_measured(path)]
    exported = subprocess.run(
        [tool("llvm-cov"), "export", "--summary-only", f"--instr-profile={merged}", binary, *sources],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    report = json.loads(exported.stdout)["data"][0]
    for file in sorted(report["files"], key=lambda entry: entry["filename"]):
        say(line_of(os.path.relpath(file["filename"], ROOT), file["summary"]))
    say(line_of(module, report["totals"]))
    reached = report["totals"]["lines"]["percent"]
    return 0 if reached >= minimum else 1


def is_measured(path):
    """The code of a module, and not what tests it."""
    is_source = path.suffix in {".cc", ".h"}
    return is_source and "testing" not in path.parts and not path.stem.endswith(("_test", "_bench", "_fuzz"))


def line_of(name, summary):
    lines, branches = summary["lines"], summary["branches"]
    return f"{name:48} lines {lines['percent']:6.2f} % of {lines['count']:5}   branches {branches['percent']:6.2f} %"
