"""`kvstore demo`: three nodes, what it says to try, a failover, and that nothing stays behind."""

import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import threading
import unittest

from cluster_support import ClusterTestCase
from support import BINARY, OK, ROOT, Redis, clean_environment

PATIENCE = 60


def is_alive(process_id):
    """Whether it runs: an ended child that nobody has waited for does not."""
    try:
        stat = pathlib.Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


class Demo:
    """One demo, with its commands on stdin."""

    def __init__(self, folder, *flags, command=(BINARY, "demo")):
        environment = {**clean_environment(), "TMPDIR": str(folder), "KVSTORE_BIN": str(BINARY)}
        self.process = subprocess.Popen(
            [*command, *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, bufsize=1, cwd=folder, env=environment,
        )  # fmt: skip
        self.timer = threading.Timer(PATIENCE, self.process.kill)
        self.timer.start()
        self.banner = self.read_until(r"ends it\.$")
        self.nodes = re.findall(r"^  n\d +http://127.0.0.1:(\d+) +127.0.0.1:(\d+) .* (\d+)\b", self.banner, re.MULTILINE)

    def read_until(self, pattern):
        """What it prints, until a line that matches. Ends with it."""
        text = ""
        for line in self.process.stdout:
            text += line
            if re.search(pattern, line):
                return text
        raise AssertionError(f"no {pattern!r} in:\n{text}")

    def command(self, line, pattern):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read_until(pattern)

    @property
    def children(self):
        return [int(process) for _, _, process in self.nodes]

    def http_port(self, at):
        return int(self.nodes[at][0])

    def resp_port(self, at):
        return int(self.nodes[at][1])

    def close(self):
        self.timer.cancel()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdin.close()
        self.process.stdout.close()


class DemoTest(ClusterTestCase):
    def demo(self, *flags, **how):
        demo = Demo(self.folder, *flags, **how)
        self.addCleanup(demo.close)
        self.assertEqual(len(demo.nodes), 3, demo.banner)
        return demo

    def assert_nothing_is_left(self, demo):
        self.eventually(lambda: not any(is_alive(child) for child in demo.children))


class Starting(DemoTest):
    def test_three_nodes_serve_the_same_sample_data(self):
        demo = self.demo()
        for at in range(3):
            with Redis(demo.resp_port(at)) as client:
                self.assertEqual(client("GET", "user:1"), b"Ada")

    def test_the_script_of_old_starts_three_nodes(self):
        demo = self.demo(command=("bash", ROOT / "run.sh"))
        with Redis(demo.resp_port(0)) as client:
            client("SET", "k", "v")
        with Redis(demo.resp_port(2)) as client:
            self.assertEqual(client("GET", "k"), b"v")

    def test_every_line_to_try_works_as_it_is_printed(self):
        demo = self.demo()
        section = demo.banner.split("Try in another terminal")[1]
        lines = [line.strip() for line in section.splitlines() if line.startswith("  ")]
        self.assertGreaterEqual(len(lines), 6)
        printed = []
        for line in lines:
            if shutil.which(shlex.split(line)[0]) is None:
                continue
            done = subprocess.run(
                line, shell=True, capture_output=True, text=True, timeout=PATIENCE, check=False,
                env=clean_environment(),
            )  # fmt: skip
            self.assertEqual(done.returncode, 0, line + "\n" + done.stderr)
            self.assertNotIn("error", done.stdout.lower(), line)
            printed.append(done.stdout)
        self.assertTrue(any("Barbara" in text for text in printed), printed)
        self.assertTrue(any("city:utrecht" in text for text in printed), printed)

    def test_a_taken_port_is_replaced_and_that_is_said(self):
        first = self.demo()
        second = self.demo()
        self.assertIn("Some default ports were taken", second.banner)
        ports = [{port for node in demo.nodes for port in node[:2]} for demo in (first, second)]
        self.assertEqual(ports[0] & ports[1], set())

    def test_a_folder_of_ones_own_keeps_the_data(self):
        folder = str(self.folder / "mine")
        demo = self.demo("--data", folder)
        with Redis(demo.resp_port(2)) as client:
            client("SET", "user:1", "mine")
        demo.process.stdin.write("EXIT\n")
        demo.process.stdin.flush()
        self.assertEqual(demo.process.wait(PATIENCE), OK)
        again = self.demo("--data", folder)
        with Redis(again.resp_port(0)) as client:
            self.assertEqual(client("GET", "user:1"), b"mine")

    def test_a_node_that_cannot_start_is_told_with_what_it_said(self):
        folder = self.folder / "mine"
        (folder / "n2").mkdir(parents=True)
        (folder / "n2" / "kvstore").write_text("something else")
        done = subprocess.run(
            [BINARY, "demo", "--data", str(folder)], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=PATIENCE, check=False, env=clean_environment(),
        )  # fmt: skip
        self.assertEqual(done.returncode, 1)
        self.assertIn("node n2 ended; it said:", done.stderr)
        self.assertIn("kvstore server:", done.stderr)


class Failover(DemoTest):
    def test_a_killed_leader_costs_seconds_and_no_acknowledged_write(self):
        demo = self.demo()
        said = demo.command("FAILOVER", r"^writes stood still|^error")
        self.assertRegex(said, r"writes stood still for \d+\.\d\d s when n\d was killed; [\d,]+ acknowledged, 0 lost")
        self.assertEqual(said.count("acknowledged writes are there"), 3)
        nodes = demo.command("NODES", r"^  n3 ")
        self.assertNotIn("does not run", nodes)

    def test_a_node_is_killed_and_started_at_the_prompt(self):
        demo = self.demo()
        demo.command("KILL n2", "^killed")
        self.assertFalse(is_alive(demo.children[1]))
        self.assertIn("does not run", demo.command("FAILOVER", "^error"))
        self.assertIn("does not run", demo.command("NODES", r"^  n3 "))
        demo.command("START 2", "^OK$")
        with Redis(demo.resp_port(1)) as client:
            self.assertEqual(client("GET", "user:2"), b"Grace")
        self.assertIn("runs already", demo.command("START 2", "^error"))
        self.assertIn("use KILL", demo.command("KILL 4", "^error"))


class Ending(DemoTest):
    def test_exit_ends_the_nodes_and_removes_the_data(self):
        demo = self.demo()
        demo.process.stdin.write("EXIT\n")
        demo.process.stdin.flush()
        self.assertEqual(demo.process.wait(PATIENCE), OK)
        self.assert_nothing_is_left(demo)
        self.assertEqual(list(self.folder.glob("kvstore-demo-*")), [])

    def test_signals_end_the_nodes_and_remove_the_data(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            demo = self.demo()
            demo.process.send_signal(number)
            self.assertEqual(demo.process.wait(PATIENCE), OK)
            self.assert_nothing_is_left(demo)
            self.assertEqual(list(self.folder.glob("kvstore-demo-*")), [])

    def test_the_end_of_stdin_does_not_end_it(self):
        demo = self.demo()
        demo.process.stdin.close()
        with Redis(demo.resp_port(0)) as client:
            self.assertEqual(client("PING"), "PONG")
        self.assertIsNone(demo.process.poll())
        demo.process.terminate()
        self.assertEqual(demo.process.wait(PATIENCE), OK)

    def test_the_nodes_end_when_the_demo_is_killed(self):
        demo = self.demo()
        demo.process.kill()
        demo.process.wait(PATIENCE)
        self.assert_nothing_is_left(demo)


if __name__ == "__main__":
    unittest.main()
