"""What deploy/ says, held against the program: no container runtime is needed.

The topology of the compose file runs with its own flags, each node in a network namespace
of its own where the ports are the same for all, as containers have them. The image's files
are laid out by its own script, and the program runs in them as the image's user.
"""

import json
import os
import re
import shutil
import subprocess
import unittest

import yaml

from chaos_network import Network, NoNetwork
from cluster_support import ClusterTestCase
from support import BINARY, OK, ROOT, START_SECONDS, STOP_SECONDS, Http, Redis, clean_environment

DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose/docker-compose.yml"
DOCKERFILE = DEPLOY / "docker/Dockerfile"
ROOTFS = DEPLOY / "docker/rootfs.sh"
USER = "65532:65532"
DATA = "/var/lib/kvstore"


def compose():
    return yaml.safe_load(COMPOSE.read_text())


def instructions():
    """The Dockerfile as (word, rest), continued lines joined."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(None, 1)) for line in lines]


def run(*words, **how):
    return subprocess.run(
        words, capture_output=True, text=True, timeout=START_SECONDS, check=False,
        env=clean_environment(), **how,
    )  # fmt: skip


def has_command(*words):
    """Whether the program knows it; the health check comes with the administration commands."""
    return "unknown command" not in run(BINARY, *words, "--help").stderr


class ComposeFile(unittest.TestCase):
    def setUp(self):
        self.services = compose()["services"]
        self.help = run(BINARY, "server", "--help").stdout

    def test_every_flag_is_one_of_the_server(self):
        known = set(re.findall(r"^  (--[a-z-]+)", self.help, re.MULTILINE))
        for name, service in self.services.items():
            self.assertEqual(service["command"][0], "server", name)
            flags = {word for word in service["command"] if word.startswith("--")}
            self.assertEqual(flags - known, set(), name)

    def test_every_node_lists_all_nodes_under_their_names(self):
        listed = ",".join(f"{name}={name}:7070" for name in self.services)
        for name, service in self.services.items():
            words = service["command"]
            self.assertEqual(words[words.index("--initial-cluster") + 1], listed)
            self.assertEqual(words[words.index("--id") + 1], name)
            self.assertEqual(words[words.index("--advertise") + 1], f"{name}:7070")

    def test_every_node_keeps_its_data_in_a_volume_of_its_own(self):
        volumes = [service["volumes"] for service in self.services.values()]
        self.assertEqual(volumes, [[f"{name}:{DATA}"] for name in self.services])
        self.assertEqual(set(compose()["volumes"]), set(self.services))

    def test_no_port_is_published_beyond_this_machine(self):
        published = [port for service in self.services.values() for port in service["ports"]]
        self.assertTrue(all(port.startswith("127.0.0.1:") for port in published), published)
        self.assertEqual(len({port.rsplit(":", 1)[0] for port in published}), len(published))

    def test_nodes_run_without_rights_and_are_watched(self):
        for name, service in self.services.items():
            self.assertEqual(service["user"], USER, name)
            self.assertTrue(service["read_only"], name)
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertEqual(service["healthcheck"]["test"][:2], ["CMD", "/usr/bin/kvstore"], name)

    @unittest.skipIf(shutil.which("docker-compose") is None, "docker-compose is not installed")
    def test_compose_itself_takes_it(self):
        done = run("docker-compose", "-f", str(COMPOSE), "config", "--quiet")
        self.assertEqual(done.returncode, 0, done.stderr)


class ImageFile(unittest.TestCase):
    def setUp(self):
        lines = instructions()
        last = max(i for i, (word, _) in enumerate(lines) if word == "FROM")
        self.runtime = lines[last:]

    def only(self, word):
        found = [rest for name, rest in self.runtime if name == word]
        self.assertEqual(len(found), 1, word)
        return found[0]

    def test_the_runtime_is_what_operators_expect(self):
        self.assertEqual(self.only("FROM"), "scratch")
        self.assertEqual(self.only("USER"), USER)
        self.assertEqual(self.only("VOLUME"), DATA)
        self.assertEqual(self.only("STOPSIGNAL"), "SIGTERM")
        self.assertEqual(json.loads(self.only("ENTRYPOINT")), ["/usr/bin/kvstore"])
        self.assertEqual(json.loads(self.only("CMD")), ["server"])
        self.assertIn("org.opencontainers.image.licenses", self.only("LABEL"))

    def test_the_health_check_is_the_programs_own_and_the_same_as_in_compose(self):
        check = json.loads(self.only("HEALTHCHECK").split("CMD", 1)[1])
        for service in compose()["services"].values():
            self.assertEqual(["CMD", *check], service["healthcheck"]["test"])

    def test_its_environment_sets_settings_and_is_refused_only_for_being_public(self):
        variables = dict(pair.split("=", 1) for pair in self.only("ENV").split())
        self.assertEqual(variables["KVSTORE_DATA_DIR"], DATA)
        done = subprocess.run(
            [BINARY, "server"], capture_output=True, text=True, timeout=START_SECONDS, check=False,
            env={**clean_environment(), **variables},
        )  # fmt: skip
        self.assertIn("--insecure", done.stderr)
        help_text = run(BINARY, "server", "--help").stdout
        for name in variables:
            self.assertIn("--" + name.removeprefix("KVSTORE_").lower().replace("_", "-"), help_text)


@unittest.skipIf(os.geteuid() != 0, "chroot is root's")
class ImageFiles(ClusterTestCase):
    def test_the_program_runs_in_them_as_their_user(self):
        root = self.folder / "rootfs"
        done = run(str(ROOTFS), BINARY, str(root))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(path.name for path in (root / "usr/bin").iterdir()), ["kvstore", "kvstore-cli"])
        self.assertTrue(list(root.glob("usr/share/doc/*/copyright")))

        def inside(*words):
            return run("chroot", f"--userspec={USER}", str(root), "/usr/bin/kvstore", *words)

        self.assertIn("kvstore", inside("version").stdout)
        # Its folder is its own, and nothing else is.
        ended = inside("verify-data", DATA)
        self.assertNotIn("denied", ended.stderr)
        refused = inside("server", "--data-dir", "/etc/data", "--http-addr", "127.0.0.1:0")
        self.assertNotEqual(refused.returncode, OK)


class Topology(ClusterTestCase):
    def setUp(self):
        super().setUp()
        try:
            self.network = Network(3)
        except NoNetwork as why:
            self.skipTest(str(why))
        self.addCleanup(self.network.close)
        self.services = compose()["services"]
        self.processes = {}

    def host(self, name):
        return self.network.host(list(self.services).index(name))

    def start(self, name):
        """The service's own command where names are hosts' names and its volume is a folder."""
        text = json.dumps(self.services[name]["command"]).replace(DATA, str(self.folder / name))
        for other in self.services:
            text = text.replace(f"{other}:7070", f"{self.host(other)}:7070")
        prefix = self.network.words(list(self.services).index(name))
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                [*prefix, BINARY, *json.loads(text)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env=clean_environment(),
            )  # fmt: skip
        self.processes[name] = process
        self.addCleanup(lambda: (process.kill(), process.wait(STOP_SECONDS)))

    def is_ready(self, name):
        client = Http(8080, host=self.host(name))
        try:
            return client.request("GET", "/readyz").status == 200
        finally:
            client.close()

    def redis(self, name):
        return Redis(6379, host=self.host(name))

    def test_three_containers_are_one_store_that_outlives_one_of_them(self):
        for name in self.services:
            self.start(name)
        for name in self.services:
            self.eventually(lambda name=name: self.is_ready(name))
        with self.redis("n1") as client:
            client("SET", "city", "Utrecht")
        for name in self.services:
            with self.redis(name) as client:
                self.assertEqual(client("GET", "city"), b"Utrecht")
        client = Http(8080, host=self.host("n2"))
        self.addCleanup(client.close)
        addresses = client.request("GET", "/v1/status").json()["addresses"]
        self.assertEqual(addresses["http"], f"{self.host('n2')}:8080")
        self.check_health("n3", OK)

        self.processes["n3"].kill()
        self.processes["n3"].wait(STOP_SECONDS)
        def write():
            with self.redis("n1") as one:
                return one("SET", "city", "Delft") == "OK"
        self.eventually(write)
        self.start("n3")
        self.eventually(lambda: self.is_ready("n3"))
        with self.redis("n3") as client:
            self.assertEqual(client("GET", "city"), b"Delft")
        for process in self.processes.values():
            process.terminate()
            self.assertEqual(process.wait(STOP_SECONDS), OK)

    def check_health(self, name, code):
        check = self.services[name]["healthcheck"]["test"][2:]
        if has_command(check[0]):
            prefix = self.network.words(list(self.services).index(name))
            self.assertEqual(run(*prefix, BINARY, *check).returncode, code)


if __name__ == "__main__":
    unittest.main()
