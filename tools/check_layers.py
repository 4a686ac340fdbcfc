#!/usr/bin/env python3
"""Checks that every #include under src/ follows tools/layers.toml.

Also checks that the lists of each kvstore_module() stay within the table. Prints
one line per offence and exits 1 if there is any. Reads text only, so it runs in
well under a second and needs no build. `--graph` prints the module graph as
Mermaid, for docs/ARCHITECTURE.md; `--notes` names listed modules not yet used.
"""

import argparse
import pathlib
import re
import sys
import tomllib

SOURCE_SUFFIXES = {".h", ".cc"}
TEST_FILE = re.compile(r"(_test|_bench|_fuzz)\.cc$|(^|/)testing/")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)

# What would let hidden time, order, chance or I/O into a pure module.
IMPURE_HEADERS = {
    "atomic", "barrier", "condition_variable", "coroutine", "filesystem", "fstream", "future",
    "iostream", "latch", "mutex", "random", "semaphore", "shared_mutex", "stop_token", "thread",
    "ctime", "time.h",
}  # fmt: skip
IMPURE_NAMES = re.compile(
    r"\b(system_clock|steady_clock|high_resolution_clock|random_device|getenv|thread_local|co_await)\b"
)


def strip_comments_and_strings(text: str) -> str:
    """Blanks comments and string literals, keeping line numbers."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def flatten(table: dict, prefix: str = "") -> dict:
    """Turns [frontend.grpc] into the key "frontend.grpc", keeping file order."""
    modules = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        if "uses" in value:
            modules[name] = value
        for child, inner in value.items():
            if isinstance(inner, dict):
                modules.update(flatten({child: inner}, f"{name}."))
    return modules


class Rules:
    def __init__(self, path: pathlib.Path):
        self.modules = flatten(tomllib.loads(path.read_text()))
        self.problems = []
        seen = set()
        for name, rule in self.modules.items():
            for used in rule["uses"] + rule.get("tests_use", []):
                if used not in seen:
                    self.problems.append(f"{path}: [{name}] uses '{used}', which stands no earlier")
            seen.add(name)
        self.prefix_owners = {}
        for name, rule in self.modules.items():
            for prefix in rule.get("external", []):
                self.prefix_owners.setdefault(prefix, set()).add(name)

    def module_of(self, relative: str) -> str | None:
        """The module a path below src/ belongs to; the longest match wins."""
        parts = relative.split("/")[:-1]
        for length in range(len(parts), 0, -1):
            name = ".".join(parts[:length])
            if name in self.modules:
                return name
        return None


def check_file(path, source_root, rules, used_edges):
    relative = path.relative_to(source_root).as_posix()
    own = rules.module_of(relative)
    if own is None:
        yield 1, "stands in no module of tools/layers.toml"
        return
    rule = rules.modules[own]
    is_test = bool(TEST_FILE.search(relative))
    allowed = {own, *rule["uses"]}
    if is_test:
        allowed.update(rule.get("tests_use", []))
    pure = rule.get("pure", False) and not is_test
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start(2)) + 1
        bracket, target = match.groups()
        owners = set()
        for prefix, modules in rules.prefix_owners.items():
            if target.startswith(prefix):
                owners |= modules
        if owners and own not in owners:
            yield line, f"<{target}> belongs to {', '.join(sorted(owners))} alone"
        if pure and bracket == "<" and target in IMPURE_HEADERS:
            yield line, f"<{target}> in a pure module"
        if bracket == "<" or owners:
            continue
        if not (source_root / target).is_file():
            yield line, f'"{target}" is no path below src/ (write it from src/, never relative)'
            continue
        other = rules.module_of(target)
        used_edges.add((own, other))
        if other not in allowed:
            yield line, f"{own} may not use {other} (\"{target}\")"
        elif other != own and "/internal/" in f"/{target}":
            yield line, f'"{target}" is internal to {other}'
        elif not is_test and "/testing/" in f"/{target}":
            yield line, f'"{target}" is for tests only'
    if pure:
        for match in IMPURE_NAMES.finditer(strip_comments_and_strings(text)):
            line = text.count("\n", 0, match.start()) + 1
            yield line, f"'{match.group()}' in a pure module"


MODULE_CALL = re.compile(r"kvstore_module\(\s*([\w.]+)([^)]*)\)")


def check_build_lists(source_root, rules):
    """The DEPS and TEST_DEPS of every kvstore_module(), against the table."""
    for path in sorted(source_root.rglob("CMakeLists.txt")):
        own = rules.module_of(path.relative_to(source_root).as_posix())
        call = MODULE_CALL.search(path.read_text())
        if call is None or own is None or call.group(1) != own:
            yield path, f"does not call kvstore_module({own} …)"
            continue
        lists, current = {"DEPS": [], "TEST_DEPS": [], "EXTERNAL": []}, None
        for word in call.group(2).split():
            if word in lists:
                current = word
            elif current:
                lists[current].append(word)
        rule = rules.modules[own]
        for word in sorted(set(lists["DEPS"]) - set(rule["uses"])):
            yield path, f"DEPS names '{word}', which tools/layers.toml does not let {own} use"
        tests_use = {*rule["uses"], *rule.get("tests_use", [])}
        for word in sorted(set(lists["TEST_DEPS"]) - tests_use):
            yield path, f"TEST_DEPS names '{word}', which tests of {own} may not use"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parents[1])
    parser.add_argument("--graph", action="store_true", help="print the allowed graph as Mermaid")
    parser.add_argument("--notes", action="store_true", help="name listed modules not yet used")
    options = parser.parse_args()
    rules = Rules(options.root / "tools" / "layers.toml")
    if options.graph:
        print("graph TD")
        for name, rule in rules.modules.items():
            for used in rule["uses"]:
                print(f"  {name} --> {used}")
        return 0
    for problem in rules.problems:
        print(problem)
    count = len(rules.problems)
    source_root = options.root / "src"
    used_edges = set()
    files = sorted(p for p in source_root.rglob("*") if p.suffix in SOURCE_SUFFIXES)
    for path in files:
        for line, problem in check_file(path, source_root, rules, used_edges):
            print(f"{path.relative_to(options.root)}:{line}: {problem}")
            count += 1
    for path, problem in check_build_lists(source_root, rules):
        print(f"{path.relative_to(options.root)}:1: {problem}")
        count += 1
    present = {rules.module_of(p.relative_to(source_root).as_posix()) for p in files}
    for name, rule in rules.modules.items():
        for used in rule["uses"]:
            if options.notes and {name, used} <= present and (name, used) not in used_edges:
                print(f"note: [{name}] lists '{used}' and includes nothing of it; drop it if it stays so")
    print(f"check_layers: {len(files)} files, {len(used_edges)} edges, {count} problems")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
