"""The kinds of fault, each from its beginning to its healing."""

import os
import random
import time

from cluster_support import status, voters
from support import BROKEN_CONNECTION, DidNotStart

NODES = 3
# A node is replaced once it is found dead, and votes when it has caught up.
REPLACE_SECONDS = 60
# The exit code of a start that a full disk refuses.
DISK_FULL = 10


class Unhealed(Exception):
    """The cluster does not do in time what it owes after a fault."""


class Faults:
    """Does one fault at a time, from its beginning to its healing.

    `missing` names what this machine cannot do; those kinds do not come.
    """

    def __init__(self, nodes, network, history, seed, say, missing):
        self.nodes = nodes
        self.network = network
        self.history = history
        self.random = random.Random(seed)
        self.say = say
        self.stalls = {}
        self.kinds = [
            (self.kill, 4), (self.kill_two, 1), (self.kill_all, 1), (self.kill_while_starting, 2),
            (self.pause, 3), (self.pause_two, 1), (self.pause_long, 1), (self.rolling_restart, 1),
            (self.wipe, 2),
        ]  # fmt: skip
        if network is not None:
            self.kinds += [
                (self.isolate, 3), (self.silence, 2), (self.deafen, 2), (self.cut_pair, 2),
                (self.flap, 2), (self.split, 1), (self.kill_another_while_isolated, 2),
            ]  # fmt: skip
        for what, kind, weight in (
            ("full disks", self.full_disk, 3), ("full disks", self.kill_on_full_disk, 1),
            ("slow disks", self.slow_disk, 3), ("little CPU", self.little_cpu, 2),
            ("clock jumps", self.jump_clock, 3), ("clock jumps", self.jump_all_clocks, 1),
            ("lossy links", self.lossy_link, 2), ("slow links", self.slow_link, 2),
        ):  # fmt: skip
            if what not in missing:
                self.kinds.append((kind, weight))
        only = os.environ.get("KVSTORE_CHAOS_ONLY", "").split(",")
        self.kinds = [kind for kind in self.kinds if kind[0].__name__ in only] or self.kinds
        self.left = []

    def one(self):
        kind = self.next_kind()
        victims = self.random.sample(self.nodes, len(self.nodes))
        self.say(f"{kind.__name__} {' '.join(node.name for node in victims)}")
        self.history.stall_begins()
        kind(*victims)
        self.check_alive()
        stall = self.history.stall_seconds()
        self.say(f"healed; {stall:.2f} s without a write")
        self.stalls.setdefault(kind.__name__, []).append(stall)

    def next_kind(self):
        """By weight, from a bag that is filled again when it is empty: so all kinds come."""
        if not self.left:
            self.left = [kind for kind, weight in self.kinds for _ in range(weight)]
            self.random.shuffle(self.left)
        return self.left.pop()

    def check_alive(self):
        """Faults end only the processes that they start again."""
        for node in self.nodes:
            if not node.is_running():
                raise Unhealed(f"{node.name} ended by itself with {node.process.returncode}")

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

    def pause_long(self, victim, *_):
        """Until the others have given it up."""
        victim.pause()
        self.some(8, 14)
        victim.resume()

    def rolling_restart(self, *victims):
        for victim in victims:
            code = victim.terminate()
            if code != 0:
                raise Unhealed(f"{victim.name} ended with {code} at SIGTERM")
            victim.start()
            self.some(0, 1)

    def wipe(self, victim, *others):
        """It comes back with its name alone, and is given what it lost."""
        victim.kill()
        self.some(0, 1)
        victim.lose_disk()
        victim.start()
        self.wait_for_voters(victim, others)

    def wait_for_voters(self, newcomer, others):
        """Until the shard has its voters again, the newcomer among them: then one may go again."""
        begin = time.monotonic()
        number = status(newcomer)["node_number"]
        while not all(number in self.voters(node) for node in (newcomer, *others)):
            self.check_alive()
            if time.monotonic() - begin > REPLACE_SECONDS:
                seen = {node.name: self.voters(node) for node in (newcomer, *others)}
                raise Unhealed(f"node {number} does not vote: {seen}")
            time.sleep(0.1)
        self.say(f"{newcomer.name} votes as {number} after {time.monotonic() - begin:.1f} s")

    @staticmethod
    def voters(node):
        try:
            found = voters(node)
        except BROKEN_CONNECTION:
            return []
        return found if len(found) >= NODES else []

    # ---- disks, clocks, processors ----

    def full_disk(self, victim, *_):
        victim.disk.fill()
        self.some(2, 8)
        victim.disk.empty()

    def kill_on_full_disk(self, victim, *_):
        victim.disk.fill()
        self.some(0.5, 3)
        victim.kill()
        victim.spawn()
        self.some(0.5, 3)
        victim.disk.empty()
        self.wait_ready_or_restart(victim)

    def wait_ready_or_restart(self, victim):
        """A start on a full disk may be refused, with the exit code of that."""
        try:
            victim.wait_ready()
        except DidNotStart as why:
            self.say(f"{victim.name} did not start: {why.code}")
            if why.code != DISK_FULL:
                raise
            victim.start()

    def slow_disk(self, victim, *_):
        victim.slow_disk.slow(victim.process.pid, self.random.choice((5, 20, 100)))
        self.some(2, 8)
        victim.slow_disk.heal()

    def little_cpu(self, victim, *_):
        victim.cpu.slow(victim.process.pid, self.random.choice((5, 20, 50)))
        self.some(2, 6)
        victim.cpu.heal()

    def jump_clock(self, victim, *_):
        for _ in range(self.random.randint(1, 4)):
            victim.clock.set_ahead(self.random.choice((-1, 1)) * self.random.choice((0.2, 3, 600, 86400)))
            self.some(0.3, 2)
        if self.random.random() < 0.5:
            victim.clock.set_ahead(0)

    def jump_all_clocks(self, *victims):
        for victim in victims:
            victim.clock.set_ahead(self.random.uniform(-7200, 7200))
        self.some(0.5, 3)

    # ---- links ----

    def lossy_link(self, victim, *_):
        self.network.lose(self.nodes.index(victim), self.random.choice((5, 20, 40)))
        self.some(2, 6)
        self.network.heal()

    def slow_link(self, victim, *_):
        self.network.slow(self.nodes.index(victim), self.random.choice((200_000, 1_000_000, 5_000_000)))
        self.some(2, 6)
        self.network.heal()

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
