#!/usr/bin/env python3
"""Runs one unittest file and writes what happened as JSON.

    py_test_runner.py FILE REPORT [PATTERN]

PATTERN keeps the tests whose id contains it. ./dev calls this in a process of its
own for each file, so that one that hangs or dies takes nothing with it.
"""

import importlib.util
import json
import pathlib
import sys
import unittest


class Result(unittest.TextTestResult):
    """Keeps the names of the tests that passed, and counts a failed subtest once."""

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.passed = []

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed.append(test.id())


def load(path):
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def cases(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from cases(item)
        else:
            yield item


def main():
    path, report = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    pattern = sys.argv[3] if len(sys.argv) > 3 else ""
    suite = load(path)
    if pattern:
        suite = unittest.TestSuite(test for test in cases(suite) if pattern in test.id())
    result = unittest.TextTestRunner(verbosity=2, resultclass=Result).run(suite)
    failed = [getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors]
    failed += [test.id() for test in result.unexpectedSuccesses]
    # Those expected to fail did what they should.
    passed = len(result.passed) + len(result.expectedFailures)
    skipped = [(test.id(), reason) for test, reason in result.skipped]
    document = {"passed": passed, "failed": sorted(set(failed)), "skipped": skipped}
    report.write_text(json.dumps(document))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
