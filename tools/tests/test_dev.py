"""The parts of ./dev that decide something: counting, choosing, and its command line."""

import contextlib
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import support  # noqa: F401
import dev
import dev_build
import dev_common
import dev_new
import dev_results
import dev_setup
import dev_stats
import dev_test

DIED = """[ RUN      ] A.Passes
[       OK ] A.Passes (0 ms)
[ RUN      ] A.Skips
a_test.cc:3: Skipped
needs a disk
[  SKIPPED ] A.Skips (0 ms)
[ RUN      ] A.Fails
oh
[  FAILED  ] A.Fails (0 ms)
[ RUN      ] A.Dies
"""


def gtest_report(folder, *cases):
    path = pathlib.Path(folder) / "r.json"
    path.write_text(json.dumps({"testsuites": [{"name": "A", "testsuite": list(cases)}]}))
    return path


def case(name, **values):
    return {"name": name, "status": "RUN", "result": "COMPLETED", **values}


class CountingGoogleTests(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def test_counts_cases_and_keeps_reasons(self):
        cases = [
            case("Passes"), case("Skips", result="SKIPPED"), case("Fails", failures=[{}]),
            case("DISABLED_Off", status="NOTRUN"),
        ]  # fmt: skip
        report = gtest_report(self.folder.name, *cases)
        counts = dev_results.from_gtest("kv", 1, DIED, report)
        self.assertEqual(counts.line(), "1 passed, 1 failed, 2 skipped")
        self.assertIn(("kv A.Skips", "needs a disk"), counts.skips)
        self.assertEqual(counts.failures[0], ("kv A.Fails", "./dev test kv A.Fails"))

    def test_leaves_out_what_a_filter_left_out(self):
        report = gtest_report(self.folder.name, case("Other", status="NOTRUN"))
        self.assertEqual(dev_results.from_gtest("kv", 0, "", report).line(), "0 passed, 0 failed, 0 skipped")

    def test_names_the_test_in_which_a_binary_died(self):
        counts = dev_results.from_gtest("kv", -6, DIED, pathlib.Path("/nowhere/r.json"))
        self.assertEqual(counts.line(), "1 passed, 2 failed, 1 skipped")
        self.assertIn("A.Dies (killed by signal 6)", counts.failures[1][0])

    def test_fails_a_binary_that_dies_before_or_after_its_tests(self):
        counts = dev_results.from_gtest("kv", None, "", pathlib.Path("/nowhere/r.json"))
        self.assertIn("before its first test (out of time)", counts.failures[0][0])
        report = gtest_report(self.folder.name, case("Passes"))
        counts = dev_results.from_gtest("kv", 23, "", report)
        self.assertEqual(counts.line(), "1 passed, 1 failed, 0 skipped")


class CountingScripts(unittest.TestCase):
    def run_script(self, body):
        with tempfile.TemporaryDirectory() as folder:
            script, report = pathlib.Path(folder) / "test_x.py", pathlib.Path(folder) / "r.json"
            script.write_text(f"import os, unittest\nclass T(unittest.TestCase):\n{body}")
            runner = dev_common.ROOT / "tools/py_test_runner.py"
            done = subprocess.run([sys.executable, runner, script, report], capture_output=True, check=False)
            return dev_results.from_unittest("test_x", done.returncode, "", report)

    def test_counts_what_a_script_did(self):
        counts = self.run_script(
            "  def test_a(self): pass\n"
            "  def test_b(self): self.fail('x')\n"
            "  def test_c(self): raise OSError\n"
            "  @unittest.skip('no redis')\n"
            "  def test_d(self): pass\n"
        )
        self.assertEqual(counts.line(), "1 passed, 2 failed, 1 skipped")
        self.assertEqual(counts.skips[0][1], "no redis")

    def test_fails_a_script_that_dies(self):
        counts = self.run_script("  def test_a(self): os._exit(7)\n")
        self.assertEqual(counts.failures[0][0], "test_x: exit code 7")

    def test_counts_failed_subtests_as_one_test(self):
        counts = self.run_script(
            "  def test_a(self):\n"
            "    for n in range(3):\n"
            "      with self.subTest(n=n): self.assertEqual(n, 9)\n"
        )
        self.assertEqual(counts.line(), "0 passed, 1 failed, 0 skipped")

    def test_reads_a_summing_line(self):
        counts = dev_results.from_counted_line("storm", 1, "x\n98 passed, 2 failed\n")
        self.assertEqual((counts.passed, len(counts.failures)), (98, 2))
        self.assertEqual(dev_results.from_counted_line("storm", 0, "").line(), "1 passed, 0 failed, 0 skipped")
        self.assertEqual(len(dev_results.from_counted_line("storm", -9, "5 passed, 0 failed").failures), 1)


class Choosing(unittest.TestCase):
    def test_a_plan_of_one_name_is_that_alone(self):
        plan = dev_test.Plan("tools")
        self.assertTrue(plan.tools)
        self.assertEqual((plan.modules, plan.scripts, plan.whole), ([], [], False))

    def test_an_unknown_name_is_told(self):
        with self.assertRaises(dev_common.Failure):
            dev_test.Plan("no-such-test")

    def test_setup_asks_for_what_dpkg_does_not_have(self):
        listing = "".join(f"{name} installed\n" for name in dev_setup.PACKAGES[2:])
        listing += f"{dev_setup.PACKAGES[0]} config-files\n"
        self.assertEqual(dev_setup.still_missing(listing, dev_setup.PACKAGES), dev_setup.PACKAGES[:2])

    def test_presets_are_those_of_the_document(self):
        presets = ["dev", "release", "asan", "tsan", "fuzz", "coverage"]
        self.assertEqual(dev_build.preset_names(), presets)

    def test_stats_tell_tests_and_assertions_apart(self):
        files = [
            ("src/kv/a.cc", "KVSTORE_ASSERT(x);\nKVSTORE_DEBUG_ASSERT(y);\n"),
            ("src/kv/a_test.cc", "1\n2\n3\n"),
            ("src/frontend/resp/b.h", "\n"),
        ]
        self.assertEqual(dev_stats.measure(files), [("frontend.resp", 1, 0, 0), ("kv", 2, 3, 2)])


class Beginning(unittest.TestCase):
    def test_a_module_must_stand_in_the_table(self):
        with self.assertRaises(dev_common.Failure):
            dev_new.new_module(["nonsense"])
        self.assertIn("src/backup/CMakeLists.txt", dev_new.new_module(["backup"]))

    def test_a_record_takes_the_next_number(self):
        (path,) = dev_new.new_adr(["Why we", "do This"])
        self.assertRegex(path, r"^docs/adr/\d{4}-why-we-do-this\.md$")

    def test_a_change_note_has_a_known_kind(self):
        self.assertEqual(list(dev_new.new_change(["fixes", "A b"])), ["changes/fixes/a-b.md"])
        with self.assertRaises(dev_common.Failure):
            dev_new.new_change(["improvements", "x"])


class CommandLine(unittest.TestCase):
    def test_knows_every_documented_command(self):
        for line in (
            "setup", "build", "build dev", "test", "test kv --seed 7 --rewrite", "lint --tidy", "format",
            "sim 42", "chaos --minutes 2 --seed 7", "fuzz all --seconds 3", "bench", "bench wal",
            "run --data x", "stats", "new adr x", "ci",
        ):  # fmt: skip
            dev.parse(line.split())

    def test_hands_on_what_run_and_bench_are_given(self):
        self.assertEqual(dev.parse(["run", "--id", "a", "-x"]).arguments, ["--id", "a", "-x"])
        options = dev.parse(["bench", "wal", "--quick"])
        self.assertEqual((options.name, options.arguments), ("wal", ["--quick"]))
        self.assertIsNone(dev.parse(["bench", "--quick"]).name)

    def test_refuses_an_unknown_command(self):
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
            dev.parse(["frobnicate"])

    def test_a_command_that_never_ends_is_ended_with_its_children(self):
        code, output = dev_common.run_captured(["sh", "-c", "echo begun; sleep 60 & wait"], 0.3)
        self.assertIsNone(code)
        self.assertEqual(output, "begun\n")


if __name__ == "__main__":
    unittest.main()
