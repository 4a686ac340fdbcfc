"""Faults on a cluster of real processes under load, and what must hold afterwards.

Which faults come, in which order and for how long, follows from the seed; what they meet
does not. Afterwards everything is healed, and the recorded history is judged by
`kvstore verify`, which decides alone what a store may have answered.
"""

import pathlib
import random
import shutil
import subprocess
import tempfile
import time

from chaos_clients import History, HttpClient, RespClient, running
from chaos_faults import NODES, Faults
from chaos_network import Network, NoNetwork
from chaos_nodes import ChaosNode, Equipment
from cluster_support import ClusterTestCase, free_ports, status
from support import BINARY, clean_environment

WANDERERS_PER_PROTOCOL = 3
# After the last fault every node must serve within this time.
HEAL_SECONDS = 30
VERIFY_SECONDS = 300
HOLDS, UNDECIDED = 0, 7


def settings(seed):
    """What a node does at its edges comes often: small segments, and both engines."""
    chance = random.Random(f"settings/{seed}")
    return [
        "--default-engine", chance.choice(("lsm", "memory")),
        "--wal-segment-bytes", str(chance.choice((1 << 18, 1 << 20, 1 << 24))),
        "--snapshot-interval", chance.choice(("5s", "60s")),
    ]  # fmt: skip


class ChaosTestCase(ClusterTestCase):
    """`storm(seconds, seed)` is the whole of it."""

    def storm(self, seconds, seed):
        self.begin = time.monotonic()
        self.nodes = []
        self.missing = {}
        try:
            self.storm_or_fail(seconds, seed)
        except BaseException as error:
            self.say(f"failed: {error!r}")
            self.keep_evidence(seed)
            raise

    def storm_or_fail(self, seconds, seed):
        network = self.new_network()
        nodes = self.chaos_cluster(network, seed)
        print(f"chaos: seed {seed}, {seconds} s, {' '.join(nodes[0].flags[4:])}")
        for what, why in sorted(self.missing.items()):
            print(f"chaos: no {what}: {why}")
        history = History(self.folder / "history.ndjson")
        self.addCleanup(history.close)
        faults = Faults(nodes, network, history, seed, self.say, self.missing)
        clients = [RespClient(history, nodes, at, seed, stays=True) for at in range(NODES)]
        clients += [
            protocol(history, nodes, number % NODES, seed)
            for protocol in (RespClient, HttpClient)
            for number in range(WANDERERS_PER_PROTOCOL)
        ]
        end = self.begin + seconds
        with running(clients):
            while time.monotonic() < end:
                faults.some(0.2, 1.5)
                faults.one()
            faults.check_alive()
        self.assertEqual([c.failure for c in clients if c.failure], [])
        self.assertFalse([c.id for c in clients if c.thread.is_alive()], "clients still wait")
        self.say("everything is healed")
        self.wait_until_served(nodes)
        finals = self.read_everything(history, nodes)
        history.file.flush()
        print(f"chaos: {dict(history.outcomes)} on {len(history.keys)} keys")
        print(f"chaos: faults and their longest stalls: {faults.summary()}")
        for why, count in history.refusals.most_common(12):
            self.say(f"refused {count} times: {why}")
        self.check_digests(nodes)
        faults.check_alive()
        self.check_counters(history, finals)
        self.check_history(history)
        self.assertGreater(history.outcomes["ok"], 20 * seconds, "too little was served")

    def say(self, text):
        line = f"{time.monotonic() - self.begin:7.2f} {time.monotonic_ns()} {text}\n"
        with open(self.folder / "events", "a", encoding="utf-8") as events:
            events.write(line)

    # ---- beginning ----

    def new_network(self):
        try:
            network = Network(NODES)
        except NoNetwork as why:
            for what in ("partitions", "lossy links", "slow links"):
                self.missing[what] = f"no network namespaces: {why}"
            return None
        self.addCleanup(network.close)
        self.missing.update(network.missing())
        return network

    def chaos_cluster(self, network, seed):
        flags = settings(seed)
        equipment = Equipment(self.folder, self.addCleanup)
        places = []
        for number in range(NODES):
            host = "127.0.0.1" if network is None else network.host(number)
            prefix = [] if network is None else network.words(number)
            places.append((f"n{number + 1}", host, free_ports(4), prefix))
        listed = ",".join(f"{name}={host}:{ports[0]}" for name, host, ports, _ in places)
        self.nodes = nodes = [
            ChaosNode(self.folder, *place, "--initial-cluster", listed, "--insecure", *flags)
            for place in places
        ]
        for node in nodes:
            equipment.equip(node)
            self.addCleanup(node.kill)
            node.spawn()
        self.missing.update(equipment.missing)
        for node in nodes:
            node.wait_ready()
        return nodes

    # ---- the end ----

    def wait_until_served(self, nodes):
        """Every node takes a write, soon after everything is healed."""
        for node in nodes:

            def write(node=node):
                with node.redis(timeout=5) as client:
                    return client("SET", f"healed:{node.name}", "x") == "OK"

            self.eventually(write, HEAL_SECONDS)
            self.say(f"{node.name} serves")

    def read_everything(self, history, nodes):
        """Linearizable reads of every key through every node, recorded. Returns: what they saw."""
        finals = {}
        for number in range(len(nodes)):
            reader = RespClient(history, nodes, number)
            for key in sorted(history.keys):
                reader.at = number
                self.eventually(lambda r=reader, k=key: r.do("read", k), HEAL_SECONDS)
                finals.setdefault(key, set()).add(reader.last_seen[key])
            reader.disconnect()
        for key, seen in finals.items():
            self.assertEqual(len(seen), 1, f"nodes read {key} differently: {seen}")
        return {key: seen.pop() for key, seen in finals.items()}

    def check_counters(self, history, finals):
        for key in sorted(history.keys):
            if not key.startswith("n"):
                continue
            value, least = int(finals[key] or 0), history.acknowledged[key]
            most = least + history.unknown[key]
            self.assertTrue(least <= value <= most, f"{key}: {value}, not in {least}..{most}")

    def check_digests(self, nodes):
        """Equal data at equal applied indexes."""

        def states():
            found = {}
            for node in nodes:
                for shard in status(node)["shards"]:
                    if shard["keyspace"] == "default":
                        found[node.name] = (shard["applied_index"], shard["digest"])
            return found

        def at_one_index():
            found = states()
            if len(found) == len(nodes) and len({index for index, _ in found.values()}) == 1:
                return found
            self.say(f"not at one index: {found}")
            return None

        found = self.eventually(at_one_index, HEAL_SECONDS)
        self.assertEqual(len(set(found.values())), 1, f"replicas differ: {found}")

    def check_history(self, history):
        ended = subprocess.run(
            [BINARY, "verify", str(history.path)], env=clean_environment(), capture_output=True,
            text=True, timeout=VERIFY_SECONDS, check=False,
        )  # fmt: skip
        (self.folder / "verdict").write_text(ended.stdout + ended.stderr)
        if ended.returncode == UNDECIDED:
            print(f"chaos: undecided, of {len(history.keys)} keys:\n{ended.stdout}")
        self.assertEqual(ended.returncode, HOLDS, (ended.stdout + ended.stderr)[-6000:])

    def keep_evidence(self, seed):
        """The history, the events, and each node's folder with its data and logs."""
        place = pathlib.Path(tempfile.mkdtemp(prefix=f"kvstore-chaos-{seed}-"))
        for node in self.nodes:
            node.kill()
        shutil.copytree(self.folder, place, dirs_exist_ok=True)
        print(f"chaos: seed {seed} failed; history, events, logs and data are kept in {place}")
