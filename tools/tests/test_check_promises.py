"""The page of promises: rows that say more than the tree can show, and rows that do not."""

import unittest

import support  # noqa: F401
import check_promises
from check_promises import Tree

FILES = {
    "src/kv/kv_test.cc": "TEST(KvPut, IsRead) {}\nTEST_F(KvPut,\n       IsKept) {}\n"
    "// TEST(KvPut, IsCommentedOut) {}\nTEST(KvPut, DISABLED_IsOff) {}\nTEST(Kv, DISABLED_IsOff) {}\n",
    "src/env/testing/suite.h": "TYPED_TEST_P(EnvSuite, Reads) {}\n",
    "tests/integration/test_cli.py": "class A:\n  def test_puts(self): pass\n  def run(self): pass\n",
    "tools/tests/test_dev.py": "class B:\n  def test_counts(self): pass\ndef test_of_nobody(): pass\n",
    "LICENSE": "",
}
TREE = Tree(FILES, FILES.__getitem__)


class CheckPromises(unittest.TestCase):
    def problems(self, *rows):
        """Of rows given as (where it stands, test that shows it)."""
        lines = [f"| S0.{at} | a promise | {stands} | {shows} |" for at, (stands, shows) in enumerate(rows, 1)]
        found = check_promises.problems("\n".join(lines), TREE, {"S0": len(rows)})
        return "\n".join(f"{line}: {message}" for line, message in found)

    def test_takes_what_exists(self):
        rows = [
            ("done", "`KvPut.IsRead`"), ("done", "`KvPut.IsKept`, `EnvSuite.*` and more"), ("done", "`LICENSE`"),
            ("done (in part)", "`test_cli.py: test_puts`"), ("done", "`test_cli.py`, `test_dev.py: test_counts`"),
            ("measured (GET)", "-"), ("works, no test yet", "-"), ("planned: later", "-"),
            ("planned: strong clusters (a part stands)", "`KvPut.*`"), ("not a feature", "-"),
        ]  # fmt: skip
        self.assertEqual(self.problems(*rows), "")

    def test_refuses_a_test_that_does_not_exist(self):
        for name in ("KvPut.IsLost", "KvPut.Is", "Kv.*", "KvGet.*", "KvPut.IsCommentedOut", "KvPut.IsOff",
                     "KvPut.DISABLED_IsOff", "test_cli.py: test_gets", "test_cli.py: run", "test_kv.py",
                     "test_dev.py: test_of_nobody", "src/kv/lost.cc", "./dev bench", "KvPut"):  # fmt: skip
            with self.subTest(name):
                self.assertIn(f"`{name.split(':')[0]}", self.problems(("done", f"`{name}`")))
                self.assertTrue(self.problems(("planned: later", f"`{name}`")))

    def test_asks_what_is_done_for_its_test(self):
        self.assertEqual(self.problems(("done", "-")), "1: S0.1: done, and names no test that shows it")

    def test_knows_where_a_promise_can_stand(self):
        for stands in ("almost", "planned", "planned: some day", "Done"):
            with self.subTest(stands):
                self.assertIn(stands, self.problems((stands, "-")))

    def test_notices_a_row_that_is_lost_or_moved(self):
        row = "| S0.{} | a promise | not a feature | - |"
        for numbers in ((1, 2), (1, 3), (1, 2, 2, 3), (2, 1, 3), (1, 2, 3, 4)):
            with self.subTest(numbers):
                text = "\n".join(row.format(number) for number in numbers)
                self.assertTrue(list(check_promises.problems(text, TREE, {"S0": 3})))
        text = "| S9.1 | nobody's | not a feature | - |"
        self.assertTrue(list(check_promises.problems(text, TREE, {})))

    def test_tells_a_bar_in_backquotes_from_the_border_of_a_cell(self):
        self.assertEqual(self.problems(("done (`a|b`)", "`KvPut.IsRead`")), "")
        self.assertIn("cells", self.problems(("done", "`KvPut.IsRead` | more")))
        self.assertIn("cells", self.problems(("done", "")))


if __name__ == "__main__":
    unittest.main()
