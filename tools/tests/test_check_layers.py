"""The layer check, on small trees that break one rule each."""

import pathlib
import tempfile
import unittest

import support  # noqa: F401
import check_layers

TABLE = """
[base]
uses = []

[raft]
uses = ["base"]
pure = true

[env]
uses = ["base"]

[posix]
uses = ["base", "env"]
external = ["sys/", "boost/asio"]

[sim]
uses = ["base", "env"]

[store]
uses = ["base", "env"]
tests_use = ["sim"]

[front.end]
uses = ["base"]
external = ["sys/ioctl.h"]
"""


class Tree:
    """A source tree in a temporary folder with the table above."""

    def __init__(self, files, table=TABLE):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        self.write("tools/layers.toml", table)
        for path, text in {"src/base/a.h": "", "src/env/e.h": "", "src/sim/s.h": "", **files}.items():
            self.write(path, text)

    def write(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def problems(self):
        rules = check_layers.Rules(self.root / "tools/layers.toml")
        found = list(rules.problems)
        source = self.root / "src"
        for path in sorted(source.rglob("*.[hc]*")):
            found += [message for _, message in check_layers.check_file(path, source, rules, set())]
        return found

    def build_problems(self):
        rules = check_layers.Rules(self.root / "tools/layers.toml")
        return [text for _, text in check_layers.check_build_lists(self.root / "src", rules)]


class CheckLayers(unittest.TestCase):
    def assert_one(self, files, part):
        problems = Tree(files).problems()
        self.assertEqual(len(problems), 1, problems)
        self.assertIn(part, problems[0])

    def test_accepts_what_the_table_allows(self):
        self.assertEqual(Tree({"src/store/s.cc": '#include "env/e.h"\n'}).problems(), [])

    def test_refuses_a_module_that_is_not_listed(self):
        self.assert_one({"src/env/x.cc": '#include "sim/s.h"\n'}, "env may not use sim")

    def test_lets_tests_use_more(self):
        self.assertEqual(Tree({"src/store/s_test.cc": '#include "sim/s.h"\n'}).problems(), [])
        self.assert_one({"src/store/s.cc": '#include "sim/s.h"\n'}, "store may not use sim")

    def test_refuses_a_foreign_third_party_header(self):
        self.assert_one({"src/env/x.cc": "#include <boost/asio.hpp>\n"}, "belongs to posix alone")

    def test_gives_a_longer_prefix_a_further_home(self):
        self.assertEqual(Tree({"src/front/end/x.cc": "#include <sys/ioctl.h>\n"}).problems(), [])
        self.assert_one({"src/front/end/x.cc": "#include <sys/stat.h>\n"}, "belongs to posix")

    def test_refuses_impurity_in_a_pure_module(self):
        self.assert_one({"src/raft/x.h": "#include <mutex>\n"}, "in a pure module")
        self.assert_one({"src/raft/x.h": "auto t = steady_clock::now();\n"}, "'steady_clock'")

    def test_does_not_read_comments_as_impurity(self):
        self.assertEqual(Tree({"src/raft/x.h": "// no steady_clock here\n"}).problems(), [])

    def test_refuses_internal_and_testing_headers_of_others(self):
        files = {"src/base/internal/i.h": "", "src/env/x.cc": '#include "base/internal/i.h"\n'}
        self.assert_one(files, "internal to base")
        files = {"src/base/testing/t.h": "", "src/env/x.cc": '#include "base/testing/t.h"\n'}
        self.assert_one(files, "for tests only")

    def test_refuses_a_relative_path(self):
        self.assert_one({"src/base/b.h": '#include "a.h"\n'}, "no path below src/")

    def test_refuses_a_table_that_looks_upwards(self):
        table = '[a]\nuses = ["b"]\n[b]\nuses = []\n'
        problems = Tree({}, table).problems()
        self.assertTrue(any("stands no earlier" in p for p in problems), problems)

    def test_holds_the_build_lists_to_the_table(self):
        good = "kvstore_module(store DEPS base env EXTERNAL zstd TEST_DEPS sim)\n"
        self.assertEqual(Tree({"src/store/CMakeLists.txt": good}).build_problems(), [])
        bad = "kvstore_module(store DEPS base posix)\n"
        self.assertIn("'posix'", Tree({"src/store/CMakeLists.txt": bad}).build_problems()[0])
        bad = "kvstore_module(base TEST_DEPS sim)\n"
        self.assertIn("'sim'", Tree({"src/base/CMakeLists.txt": bad}).build_problems()[0])

    def test_refuses_a_module_file_under_another_name(self):
        bad = "kvstore_module(sture DEPS base)\n"
        self.assertIn("does not call", Tree({"src/store/CMakeLists.txt": bad}).build_problems()[0])


if __name__ == "__main__":
    unittest.main()
