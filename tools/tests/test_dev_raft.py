"""What fetches the judges of the consensus core, and what CI makes of their verdicts."""

import pathlib
import stat
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import dev_raft  # noqa: E402
import dev_raft_go  # noqa: E402


class GoTool(unittest.TestCase):
    def test_a_version_is_read_from_what_go_says(self):
        self.assertEqual(dev_raft_go.parse_version("go1.23.6\n"), (1, 23))
        self.assertEqual(dev_raft_go.parse_version("go1.19.8"), (1, 19))
        self.assertEqual(dev_raft_go.parse_version("devel"), (0, 0))

    def test_the_reason_of_a_failed_download_is_one_line(self):
        output = '{\n\t"Path": "m",\n\t"Error": "m: dial tcp: \\"refused\\""\n}\n'
        self.assertEqual(dev_raft_go.reason_of(output), 'm: dial tcp: \\"refused\\"')
        self.assertEqual(dev_raft_go.reason_of("go: downloading a\nno space left\n"), "no space left")
        self.assertEqual(dev_raft_go.reason_of(""), "no reason given")

    def test_a_kept_toolchain_can_be_run(self):
        with tempfile.TemporaryDirectory() as folder:
            fetched = pathlib.Path(folder) / "fetched"
            for name in ("bin/go", "pkg/tool/linux_amd64/compile", "src/fmt/print.go"):
                path = fetched / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("")
                path.chmod(0o444)
            kept = pathlib.Path(folder) / "go"

            dev_raft_go.keep_toolchain(fetched, kept)

            self.assertTrue((kept / "bin/go").stat().st_mode & stat.S_IXUSR)
            self.assertTrue((kept / "pkg/tool/linux_amd64/compile").stat().st_mode & stat.S_IXUSR)
            self.assertFalse((kept / "src/fmt/print.go").stat().st_mode & stat.S_IXUSR)


class Gates(unittest.TestCase):
    def test_what_cannot_be_fetched_is_a_skip_and_what_fails_is_a_failure(self):
        def unavailable():
            raise dev_raft_go.Unavailable("no network")

        counts = dev_raft.run_gates((
            ("corpus", "again", unavailable),
            ("worlds", "again", lambda: 0),
            ("bugs", "./dev mutants raft", lambda: 1),
        ))  # fmt: skip

        self.assertEqual(counts.passed, 1)
        self.assertEqual(counts.skips, [("raft corpus", "no network")])
        self.assertEqual(counts.failures, [("raft bugs: exit code 1", "./dev mutants raft")])


if __name__ == "__main__":
    unittest.main()
