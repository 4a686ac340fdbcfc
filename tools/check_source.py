#!/usr/bin/env python3
"""House rules that no compiler knows: run by CI and by `./dev lint`.

Each rule is a function yielding (line, message). A rule that today's code does
not yet meet everywhere gets a ratchet in tools/ratchet.toml: the listed files
may keep their number, never exceed it, and leave the list when they meet it.
"""

import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).parents[1]
CODE = {".h", ".cc"}
LINES_MAX = {".h": 400, ".cc": 800, "_test.cc": 1200, ".py": 500, ".md": 600}

# Pattern, what to use instead, and where it is allowed (path prefixes).
BANNED = [
    (r"\bassert\(", "KVSTORE_ASSERT, which stays on in release builds", []),
    (r"\bstd::(mutex|condition_variable|thread|jthread|async|future)\b", "one core per object, and async/", ["src/posix/", "src/metrics/", "src/async/scheduler_test.cc", "clients/"]),
    (r"\bstd::this_thread::sleep", "env Clock::sleep, which the simulator can skip", ["src/posix/"]),
    (r"\b(system_clock|steady_clock)::now\b", "env Clock", ["src/posix/", "clients/"]),
    (r"\b(std::random_device|std::mt19937|rand\(\))", "base/random.h, seeded from env", ["src/posix/"]),
    (r"\bstd::function\b", "a template parameter, or base/callback.h, which moves and never copies", []),
    (r"\bstd::regex\b", "a parser written for the input; recursion on user data has no bound", []),
    (r"\bstd::list\b", "base/intrusive_list.h", []),
    (r"\bstd::(unordered_)?(set|map)<[^,<>]*\*", "a key that is the same in a replay: addresses are not, nor is the order of what stands under them", []),
    (r"\bstd::endl\b", "'\\n'", []),
    (r"\b(printf|fprintf|puts|std::cout|std::cerr)\b", "the logger", ["src/base/assert", "src/base/log", "src/cli/", "cmd/", "clients/", "tests/"]),
    (r"\b(new|delete)\s+[A-Z]", "std::make_unique", ["src/base/callback"]),
    (r"\bcatch \(\.\.\.\)", "a named exception at the boundary that can throw it", ["src/async/", "src/server/"]),
    (r"\busing namespace\b", "the full name, or a using-declaration in a .cc", []),
    (r"\bvolatile\b|\bgoto\b|\bsetjmp\b", "nothing of the kind", []),
]  # fmt: skip

# One await a statement, and nothing built beside it: GCC 12 destroys lambdas and
# braced aggregates twice when they are temporaries of an awaiting expression.
AWAIT_WITH_LAMBDA = re.compile(r"co_await[^;]*\(\s*\[|co_await[^;]*,\s*\[")
AWAIT_WITH_BRACES = re.compile(
    r"co_await[^;{]*\([^;{]*(?:\w\{|\{\s*\.)"  # f(Aggregate{...}) or f({.a = ...})
    r"|(?:[\w>]|[=(,]\s*|return\s)\{[^;{}\n]*co_await"  # Aggregate{co_await ...}
    r"|\{\s*\.\w+ =[^;{}]*co_await"
)
AWAIT_TWICE = re.compile(r"co_await[^;]*co_await")


LITERAL = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-zA-Z])'(?:\\.|[^'\\\n])'",
    re.DOTALL,
)


def blank(text):
    """Blanks comments and literals, keeping line numbers."""
    return LITERAL.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def rule_banned(path, text):
    code = blank(text)
    for pattern, instead, homes in BANNED:
        if any(path.startswith(home) for home in homes):
            continue
        for match in re.finditer(pattern, code):
            yield line_of(code, match.start()), f"'{match.group().strip()}': use {instead}"


def rule_await(path, text):
    code = blank(text)
    for pattern, what in (
        (AWAIT_WITH_LAMBDA, "a lambda inside an awaiting expression: name it first"),
        (AWAIT_WITH_BRACES, "a braced initializer around or inside an await: name its parts first"),
        (AWAIT_TWICE, "two awaits in one statement: one each"),
    ):
        for match in pattern.finditer(code):
            yield line_of(code, match.start()), what


def rule_header(path, text):
    if path.endswith(".h") and not re.search(r"^#pragma once$", text, re.MULTILINE):
        yield 1, "no #pragma once"


def rule_leftovers(path, text):
    for match in re.finditer(r"\b(FIXME|XXX|HACK|DO NOT SUBMIT)\b", text):
        yield line_of(text, match.start()), f"leftover {match.group()}"
    for match in re.finditer(r"\bTODO\b(?!\(#\d+\): \S)", text):
        yield line_of(text, match.start()), "write TODO(#issue): what, and what it waits for"
    # An example in a comment is indented by more than the one space of prose.
    for match in re.finditer(r"^[ \t]*//[ \t]?[\w:>.\-\[\]]+\(.*\);[ \t]*$", text, re.MULTILINE):
        yield line_of(text, match.start()), "commented-out code; git remembers it"


def rule_text(path, text):
    if "\t" in text and path.endswith((".h", ".cc", ".py", ".md")):
        yield line_of(text, text.index("\t")), "tab"
    if "\r" in text:
        yield line_of(text, text.index("\r")), "carriage return"
    if path.endswith(".md"):
        body = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        if len(re.findall(r"^# \S", body, re.MULTILINE)) != 1:
            yield 1, "a document has exactly one '# Title'"


def rule_length(path, text):
    suffix = "_test.cc" if path.endswith("_test.cc") else pathlib.Path(path).suffix
    lines = text.count("\n")
    if suffix in LINES_MAX and lines > LINES_MAX[suffix]:
        yield 1, f"length={lines}, at most {LINES_MAX[suffix]}: split it along a noun"


def tracked_files():
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listing.stdout.split("\n")[:-1]


def main():
    ratchet_file = ROOT / "tools" / "ratchet.toml"
    ratchet = tomllib.loads(ratchet_file.read_text()) if ratchet_file.exists() else {}
    code_rules = [rule_banned, rule_await, rule_header, rule_leftovers]
    problems = 0
    for path in tracked_files():
        suffix = pathlib.Path(path).suffix
        if suffix not in {*CODE, ".py", ".md"} or path.startswith("tools/check_"):
            continue
        if not (ROOT / path).is_file():
            continue
        text = (ROOT / path).read_text()
        rules = (code_rules if suffix in CODE else []) + [rule_text, rule_length]
        for rule in rules:
            found = list(rule(path, text))
            allowed = ratchet.get(rule.__name__, {}).get(path, 0)
            if len(found) < allowed:
                print(f"{path}: {rule.__name__} is down to {len(found)}; lower tools/ratchet.toml")
                problems += 1
            if len(found) > allowed:
                for line, message in found:
                    print(f"{path}:{line}: {message}")
                problems += len(found)
    print(f"check_source: {problems} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
