"""Reads what test programs say about themselves into Counts."""

import json
import re

from dev_common import Counts

STARTED = re.compile(r"^\[ RUN      \] (\S+)", re.MULTILINE)
ENDED = re.compile(r"^\[       OK \] (\S+)", re.MULTILINE)
FAILED = re.compile(r"^\[  FAILED  \] (\S+?),? .*\(\d+ ms\)$", re.MULTILINE)
SKIPPED = re.compile(r"^\[ RUN      \] (\S+)\n((?:(?!^\[).*\n)*?)\[  SKIPPED \] \1", re.MULTILINE)


def from_gtest(module, code, output, report_path, preset="dev"):
    """Counts of one GoogleTest binary: its report, or its output if it died before writing one."""
    again = f"./dev test {module}"
    if preset != "dev":
        again, module = f"./dev test --preset {preset} {module}", f"{module} [{preset}]"
    reasons = {name: reason_of(text) for name, text in SKIPPED.findall(output)}
    if report_path.exists():
        counts = Counts()
        for suite in json.loads(report_path.read_text())["testsuites"]:
            for test in suite["testsuite"]:
                name = f"{suite['name']}.{test['name']}"
                add_gtest_case(counts, name, test, (module, again), reasons)
        if code != 0 and not counts.failures:
            counts.failures.append((f"{module}: {how_it_ended(code)} after its tests", again))
        return counts
    counts = Counts(passed=len(ENDED.findall(output)))
    counts.skips = [(f"{module} {name}", reason) for name, reason in reasons.items()]
    over = {*ENDED.findall(output), *FAILED.findall(output), *reasons}
    died = [name for name in STARTED.findall(output) if name not in over]
    names = [*dict.fromkeys(FAILED.findall(output)), *died]
    for name in names or ["before its first test"]:
        how = f" ({how_it_ended(code)})" if name in died or not names else ""
        counts.failures.append((f"{module} {name}{how}", f"{again} {name}"))
    return counts


def add_gtest_case(counts, name, test, binary, reasons):
    module, again = binary
    if test["status"] == "NOTRUN":
        if test["name"].startswith("DISABLED_"):
            counts.skips.append((f"{module} {name}", "disabled"))
    elif test["result"] == "SKIPPED":
        counts.skips.append((f"{module} {name}", reasons.get(name, "no reason given")))
    elif test.get("failures"):
        counts.failures.append((f"{module} {name}", f"{again} {name}"))
    else:
        counts.passed += 1


def reason_of(text):
    """The message of a GTEST_SKIP(), which is printed below a line with file and number."""
    lines = [line.strip() for line in text.strip().split("\n")]
    lines = [line for line in lines if line and not re.match(r"^\S+:\d+: Skipped$", line)]
    return " ".join(lines) or "no reason given"


def from_unittest(name, code, output, report_path):
    """Counts of one Python test file, run by py_test_runner.py."""
    again = f"./dev test {name}"
    if not report_path.exists():
        return Counts(failures=[(f"{name}: {how_it_ended(code)}", again)])
    report = json.loads(report_path.read_text())
    counts = Counts(passed=report["passed"])
    counts.skips = [(f"{name} {test}", reason) for test, reason in report["skipped"]]
    counts.failures = [(f"{name} {test}", again) for test in report["failed"]]
    if code != 0 and not counts.failures:
        counts.failures.append((f"{name}: {how_it_ended(code)} after its tests", again))
    return counts


def how_it_ended(code):
    if code is None:
        return "out of time"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def from_counted_line(name, code, output):
    """Counts of a program that may print `N passed, N failed` as a line of its own."""
    lines = re.findall(r"^(\d+) passed, (\d+) failed", output, re.MULTILINE)
    passed = int(lines[-1][0]) if lines else int(code == 0)
    failed = int(lines[-1][1]) if lines else int(code != 0)
    if code != 0:
        failed = max(failed, 1)
    return Counts(passed=passed, failures=[(f"{name}: {how_it_ended(code)}", "")] * failed)
