"""Faults on a cluster of real processes under load, and what must hold afterwards.

Which faults come, in which order and for how long, follows from the seed; what they meet
does not. Afterwards everything is healed, and the recorded history is judged by
`kvstore verify`, which decides alone what a store may have answered.
"""

import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time

from chaos_clients import History, HttpClient, RespClient, running
from chaos_network import Network, NoNetwork
from cluster_support import ClusterNode, ClusterTestCase, free_ports, status
from support import BINARY, Http, Redis, clean_environment

NODES = 3
WANDERERS_PER_PROTOCOL = 3
# After the last fault every node must serve within this time.
HEAL_SECONDS = 30
VERIFY_SECONDS = 300
HOLDS, UNDECIDED = 0, 7


class ChaosNode(ClusterNode):
    """A node whose addresses stay, on a host of its own where there is a network."""

    def __init__(self, folder, name, host, ports, prefix, *flags):
        super().__init__(folder, name, ports[0], *flags)
        self.host = host
        self.ports = ports
        self.prefix = prefix

    @property
    def peer_address(self):
        return f"{self.host}:{self.peer_port}"

    def command(self, *more):
        words = super().command(*more)
        for flag, port in zip(("peer", "http", "resp", "grpc"), self.ports, strict=True):
            words[words.index(f"--{flag}-addr") + 1] = f"{self.host}:{port}"
        return [*self.prefix, *words]

    def redis(self, **options):
        return Redis(self.resp_port, host=self.host, **options)

    def http(self, method, target, body=None, headers=None, port=None):
        client = Http(port or self.http_port, host=self.host)
        try:
            return client.request(method, target, body, headers)
        finally:
            client.close()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)


class Faults:
    """Does one fault at a time, from its beginning to its healing."""

    def __init__(self, nodes, network, history, seed, say):
        self.nodes = nodes
        self.network = network
        self.history = history
        self.random = random.Random(seed)
        self.say = say
        self.stalls = {}
        self.kinds = [
            (self.kill, 4), (self.kill_two, 1), (self.kill_all, 1), (self.kill_while_starting, 2),
            (self.pause, 3), (self.pause_two, 1),
        ]  # fmt: skip
        if network is not None:
            self.kinds += [
                (self.isolate, 3), (self.silence, 2), (self.deafen, 2), (self.cut_pair, 2),
                (self.flap, 2), (self.split, 1), (self.kill_another_while_isolated, 2),
            ]  # fmt: skip

    def one(self):
        kinds, weights = zip(*self.kinds, strict=True)
        kind = self.random.choices(kinds, weights)[0]
        victims = self.random.sample(self.nodes, len(self.nodes))
        self.say(f"{kind.__name__} {' '.join(node.name for node in victims)}")
        self.history.stall_begins()
        kind(*victims)
        stall = self.history.stall_seconds()
        self.say(f"healed; {stall:.2f} s without a write")
        self.stalls.setdefault(kind.__name__, []).append(stall)

    def summary(self):
        """How often each was done, and the longest time without a write."""
        return ", ".join(
            f"{kind} {len(stalls)} ({max(stalls):.1f} s)"
            for kind, stalls in sorted(self.stalls.items())
        )

    def some(self, least, most):
        time.sleep(self.random.uniform(least, most))

    # ---- processes ----

    def kill(self, victim, *_):
        victim.kill()
        self.some(0, 3)
        victim.start()

    def kill_two(self, one, two, *_):
        one.kill()
        self.some(0, 1)
        two.kill()
        self.some(0, 3)
        self.start_together([one, two])

    def kill_all(self, *victims):
        for victim in victims:
            victim.process.kill()
        for victim in victims:
            victim.kill()
        self.start_together(victims)

    def kill_while_starting(self, victim, *_):
        for _ in range(3):
            victim.kill()
            victim.spawn()
            self.some(0.02, 0.5)
        victim.kill()
        victim.start()

    def start_together(self, nodes):
        for node in nodes:
            node.spawn()
            self.some(0, 0.5)
        for node in nodes:
            node.wait_ready()

    def pause(self, victim, *_):
        victim.pause()
        self.some(0.3, 6)
        victim.resume()

    def pause_two(self, one, two, *_):
        one.pause()
        self.some(0, 1)
        two.pause()
        self.some(0.5, 4)
        one.resume()
        self.some(0, 1)
        two.resume()

    # ---- partitions; whatever is cut is joined again in the end ----

    def between(self, ones, others, action, back=True):
        for one in ones:
            for other in others:
                a, b = self.nodes.index(one), self.nodes.index(other)
                action(a, b)
                if back:
                    action(b, a)

    def isolate(self, victim, *others):
        self.between([victim], others, self.network.cut)
        self.some(0.5, 6)
        self.network.heal()

    def silence(self, victim, *others):
        """It hears the others, and they do not hear it."""
        self.between([victim], others, self.network.cut, back=False)
        self.some(0.5, 6)
        self.network.heal()

    def deafen(self, victim, *others):
        """It does not hear the others, and they hear it."""
        self.between(others, [victim], self.network.cut, back=False)
        self.some(0.5, 6)
        self.network.heal()

    def cut_pair(self, one, two, *_):
        """Both still reach the third."""
        self.between([one], [two], self.network.cut)
        self.some(0.5, 6)
        self.network.heal()

    def flap(self, victim, *others):
        for _ in range(self.random.randint(3, 8)):
            self.between([victim], others, self.network.cut)
            self.some(0.05, 0.8)
            self.network.heal()
            self.some(0.05, 0.8)

    def split(self, *nodes):
        """Nobody reaches anybody."""
        for node in nodes:
            self.between([node], [n for n in nodes if n is not node], self.network.cut)
        self.some(0.5, 4)
        self.network.heal()

    def kill_another_while_isolated(self, victim, another, *others):
        """The one cut off comes back while another, which knows more, is down."""
        self.between([victim], [another, *others], self.network.cut)
        self.some(0.5, 3)
        another.kill()
        self.network.heal()
        self.some(0.5, 3)
        another.start()


class ChaosTestCase(ClusterTestCase):
    """`storm(seconds, seed)` is the whole of it."""

    def storm(self, seconds, seed):
        self.begin = time.monotonic()
        self.nodes = []
        try:
            self.storm_or_fail(seconds, seed)
        except BaseException as error:
            self.say(f"failed: {error!r}")
            self.keep_evidence(seed)
            raise

    def storm_or_fail(self, seconds, seed):
        network = self.new_network()
        print(f"chaos: seed {seed}, {seconds} s, partitions {'off' if network is None else 'on'}")
        nodes = self.chaos_cluster(network)
        history = History(self.folder / "history.ndjson")
        self.addCleanup(history.close)
        faults = Faults(nodes, network, history, seed, self.say)
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
            print(f"chaos: no partitions, since there are no network namespaces: {why}")
            return None
        self.addCleanup(network.close)
        return network

    def chaos_cluster(self, network):
        places = []
        for number in range(NODES):
            host = "127.0.0.1" if network is None else network.host(number)
            prefix = [] if network is None else network.words(number)
            places.append((f"n{number + 1}", host, free_ports(4), prefix))
        listed = ",".join(f"{name}={host}:{ports[0]}" for name, host, ports, _ in places)
        self.nodes = nodes = [
            ChaosNode(self.folder, *place, "--initial-cluster", listed, "--insecure")
            for place in places
        ]
        for node in nodes:
            self.addCleanup(node.kill)
            node.spawn()
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
