#!/usr/bin/env python3
"""Holds docs/promises.md to the tree: run by CI and by `./dev lint`.

A row that is done names the tests that show it, and every test and file that a row
names exists. No row is lost, and each says in one of a few words where it stands.
"""

import ast
import re
import sys

import check_source
from dev_common import ROOT, source_files

PAGE = "docs/promises.md"
# How many promises each description makes. A row goes on saying what it says until it works.
ROWS = {"S0": 27, "S1": 21, "S2": 65, "S3": 78, "S4": 20}
PARTS = (
    "strong clusters", "quorum keyspaces", "gRPC, watch, transactions", "client libraries", "security",
    "backup and restore", "deployment and operations", "later",
)  # fmt: skip
STATES = ("done", "measured", "works, no test yet", "planned", "not a feature")

ROW = re.compile(r"^\| (S\d)\.(\d+) \|(.*)\|$")
# A bar within backquotes is text, not the border of a cell.
CELL = re.compile(r"(?:`[^`]*`|[^|`])*")
GOOGLE_TEST = re.compile(r"^(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.MULTILINE)
GOOGLE_NAME = re.compile(r"[A-Z]\w*\.(?:[A-Z]\w*|\*)")
SCRIPT_NAME = re.compile(r"(test_\w+\.py)(?:: (test_\w+))?")


class Tree:
    """What a row may name: GoogleTest cases, test scripts with their tests, and files."""

    def __init__(self, files, read):
        """Takes the paths of all files, and a function from a path to its text."""
        self.files = set(files)
        self.cases = set()
        self.scripts = {}
        for path in files:
            name = path.rsplit("/", 1)[-1]
            if path.startswith(("src/", "tests/")) and path.endswith((".cc", ".h")):
                self.cases |= google_tests(read(path))
            elif SCRIPT_NAME.fullmatch(name):
                self.scripts.setdefault(name, set()).update(script_tests(read(path)))

    def lacks(self, name):
        """Returns: why `name` is nothing that exists, or None."""
        if GOOGLE_NAME.fullmatch(name):
            suite = name.removesuffix("*")
            there = any(case.startswith(suite) for case in self.cases) if suite != name else name in self.cases
            return None if there else f"there is no test `{name}`"
        if match := SCRIPT_NAME.fullmatch(name):
            script, test = match.groups()
            if script not in self.scripts:
                return f"there is no test script `{script}`"
            return None if test is None or test in self.scripts[script] else f"`{script}` has no `{test}`"
        if name in self.files:
            return None
        return f"`{name}` is no test and no file; name a `Suite.Case`, a `test_file.py: test_name` or a path"


def google_tests(text):
    """Cases that run: neither commented out nor disabled."""
    found = GOOGLE_TEST.findall(check_source.blank(text))
    return {f"{suite}.{case}" for suite, case in found if not f"{suite}.{case}".count("DISABLED_")}


def script_tests(text):
    classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    functions = [node.name for c in classes for node in c.body if isinstance(node, ast.FunctionDef)]
    return {name for name in functions if name.startswith("test_")}


def state_problem(stands):
    """Returns: what is wrong with what a row says about where it stands, or None."""
    if not stands.startswith(STATES):
        return f"'{stands}' begins with none of: {', '.join(STATES)}"
    if stands.startswith("planned") and not stands.removeprefix("planned: ").startswith(PARTS):
        return f"'{stands}' names no part that brings it: {', '.join(PARTS)}"
    return None


def row_problems(cells, tree):
    if len(cells) != 3:
        yield f"{len(cells) + 1} cells, not 4"
        return
    _, stands, shows = cells
    if problem := state_problem(stands):
        yield problem
    named = re.findall(r"`([^`]*)`", shows)
    if stands.startswith("done") and not named:
        yield "done, and names no test that shows it"
    for name in named:
        if problem := tree.lacks(name):
            yield problem


def problems(text, tree, rows):
    """Yields (line, message) for each thing that is wrong with the page."""
    numbers = {source: [] for source in rows}
    for at, line in enumerate(text.split("\n"), 1):
        match = ROW.match(line)
        if not match:
            continue
        source, number, rest = match.groups()
        numbers.setdefault(source, []).append(int(number))
        cells = [cell.strip() for cell in CELL.findall(rest) if cell.strip()]
        for message in row_problems(cells, tree):
            yield at, f"{source}.{number}: {message}"
    for source, found in numbers.items():
        if found != list(range(1, rows.get(source, 0) + 1)):
            yield 1, f"{source} has not each of its {rows.get(source, 0)} promises once and in order"


def main():
    tree = Tree(source_files(""), lambda path: (ROOT / path).read_text())
    found = list(problems((ROOT / PAGE).read_text(), tree, ROWS))
    for line, message in found:
        print(f"{PAGE}:{line}: {message}")
    print(f"check_promises: {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
