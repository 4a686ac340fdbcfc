"""./dev stats: how the tree measures up to the sizes of the style guide."""

import re

from dev_common import ROOT, say, source_files

TEST_FILE = re.compile(r"(_test|_bench|_fuzz)\.cc$|/testing/")
ASSERTION = re.compile(r"\bKVSTORE_(DEBUG_|SOFT_)?ASSERT\(")


def module_of(path):
    parts = path.split("/")
    return ".".join(parts[1:3]) if parts[1] == "frontend" else parts[1]


def measure(files):
    """Rows of (module, source lines, test lines, assertions), from pairs of path and text."""
    rows = {}
    for path, text in files:
        source, tests, assertions = rows.get(module_of(path), (0, 0, 0))
        lines = text.count("\n")
        if TEST_FILE.search(path):
            tests += lines
        else:
            source += lines
            assertions += len(ASSERTION.findall(text))
        rows[module_of(path)] = (source, tests, assertions)
    return [(module, *numbers) for module, numbers in sorted(rows.items())]


def stats():
    paths = [p for p in source_files(".h", ".cc") if p.startswith("src/")]
    texts = [(path, (ROOT / path).read_text()) for path in paths]
    rows = measure(texts)
    rows.append(("all", *(sum(row[column] for row in rows) for column in (1, 2, 3))))
    say(f"{'module':20} {'source':>8} {'tests':>8} {'tests/src':>9} {'asserts/1000':>13}")
    for module, source, tests, assertions in rows:
        ratio = tests / source if source else 0.0
        density = 1000 * assertions / source if source else 0.0
        say(f"{module:20} {source:8} {tests:8} {ratio:9.2f} {density:13.1f}")
    say("\nlongest files:")
    for path, text in sorted(texts, key=lambda item: -item[1].count("\n"))[:10]:
        say(f"{text.count(chr(10)):6} {path}")
