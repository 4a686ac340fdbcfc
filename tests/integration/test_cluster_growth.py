"""Growing from one node to three and five, and shrinking back, while clients that retry nothing ask.

No request may fail: nobody dies here, and what the cluster moves it moves without anybody noticing.
"""

import contextlib
import json
import time
import unittest

from chaos import ChaosTestCase
from chaos_clients import ANSWER_SECONDS, History, HttpClient, RespClient, running
from cluster_support import ClusterNode, free_ports, leader_of, status, voters

# Each is a shard of its own, so that newcomers are given some.
DATABASES = 5
STEP_SECONDS = 60
QUIET_SECONDS = 1
# After it another node leads, also on a busy machine.
ELECTION_SECONDS = 4
MEMBERS = "/v1/cluster/members"


class DatabaseClient(RespClient):
    """Asks one Redis database; in the history its keys have the database behind their names."""

    def __init__(self, *arguments, database, **options):
        super().__init__(*arguments, **options)
        self.database = database

    def connect(self, node):
        connection = super().connect(node)
        connection("SELECT", self.database)
        return connection

    def do(self, operation, key, **asked):
        suffix = f"@{self.database}"
        return super().do(operation, key if key.endswith(suffix) else key + suffix, **asked)


class Growing(ChaosTestCase):
    def setUp(self):
        super().setUp()
        self.history = History(self.folder / "history.ndjson")
        self.addCleanup(self.history.close)
        self.nodes = []
        self.clients = []

    def say(self, text):
        print(f"growth: {time.monotonic() - self.history.begin:.1f} s: {text}")

    def start_node(self, *flags):
        name = f"n{len(self.nodes) + 1}"
        node = ClusterNode(self.folder, name, free_ports(1)[0], *flags)
        node.host = "127.0.0.1"
        self.addCleanup(node.kill)
        self.nodes.append(node.start())
        return node

    def clients_of(self, node):
        """Both protocols, and every database, through this node alone."""
        at = [node]
        clients = [
            DatabaseClient(self.history, at, 0, seed=node.name, stays=True, database=database)
            for database in range(DATABASES)
        ]
        return [*clients, HttpClient(self.history, at, 0, seed=node.name, stays=True)]

    def join_nodes(self, count, stack):
        for _ in range(count):
            node = self.start_node("--join", self.nodes[0].peer_address)
            self.say(f"{node.name} joined")
            stack.enter_context(running(self.keep(self.clients_of(node))))

    def keep(self, clients):
        self.clients += clients
        return clients

    def wait_for(self, what, check):
        self.eventually(check, STEP_SECONDS)
        self.say(what)
        time.sleep(QUIET_SECONDS)

    def shards_have(self, count):
        """Every shard has so many voters."""
        self.assertEqual([node.name for node in self.nodes if not node.is_running()], [])
        seen = {}
        for node in self.nodes:
            for shard in status(node)["shards"]:
                seen[shard["shard"]] = len(shard["voters"])
        return len(seen) >= DATABASES and set(seen.values()) == {count}

    def is_spread(self):
        """Every node has some of the shards."""
        return all(status(node)["shards"] for node in self.nodes)

    def check_all(self, deaths=()):
        self.assertEqual([c.failure for c in self.clients if c.failure], [])
        self.say(f"{dict(self.history.outcomes)} on {len(self.history.keys)} keys")
        unexplained = [record for record in self.failed() if not self.is_explained(record, deaths)]
        self.assertEqual(unexplained, [], "requests failed, and nobody had died")
        finals = {}
        for node in self.nodes:
            for database in range(DATABASES):
                reader = DatabaseClient(self.history, [node], 0, database=database)
                for key in sorted(k for k in self.history.keys if self.database_of(k) == database):
                    self.assertTrue(reader.do("read", key) if "@" in key else self.read_plain(node, key))
                    if "@" in key:
                        finals.setdefault(key, set()).add(reader.last_seen[key])
                reader.disconnect()
        self.assertEqual([key for key, seen in finals.items() if len(seen) > 1], [])
        self.history.file.flush()
        self.check_history(self.history)

    def failed(self):
        self.history.file.flush()
        records = map(json.loads, self.history.path.read_text().splitlines())
        return [record for record in records if record["outcome"] != "ok"]

    @staticmethod
    def is_explained(record, deaths):
        """Whether it was under way when somebody died, or asked before another one led."""
        return any(
            death - ANSWER_SECONDS * 1e9 < record["call"] < death + ELECTION_SECONDS * 1e9
            for death in deaths
        )

    @staticmethod
    def database_of(key):
        return int(key.partition("@")[2] or 0)

    def read_plain(self, node, key):
        reader = HttpClient(self.history, [node], 0)
        with contextlib.closing(reader.connect(node)) as reader.connection:
            return reader.do("read", key)

    def grow_to_five(self, stack):
        self.start_node()
        stack.enter_context(running(self.keep(self.clients_of(self.nodes[0]))))
        time.sleep(QUIET_SECONDS)
        self.join_nodes(2, stack)
        self.wait_for("three replicas of everything", lambda: self.shards_have(3))
        self.join_nodes(2, stack)
        self.wait_for("every node has shards", self.is_spread)
        self.wait_for("three replicas of everything", lambda: self.shards_have(3))

    def test_growing_from_one_node_to_five_fails_no_request(self):
        with contextlib.ExitStack() as stack:
            self.grow_to_five(stack)
        self.check_all()

    def test_only_a_leaders_death_makes_requests_fail_and_they_say_what_happened(self):
        """What they say is judged by `kvstore verify`."""
        deaths = []
        with contextlib.ExitStack() as stack:
            self.start_node()
            stack.enter_context(running(self.keep(self.clients_of(self.nodes[0]))))
            self.join_nodes(2, stack)
            self.wait_for("three replicas of everything", lambda: self.shards_have(3))
            for _ in range(2):
                leader = self.eventually(lambda: leader_of(self.nodes))
                # Connections that are refused while it is down are no requests.
                deaths.append(time.monotonic_ns())
                leader.restart_after_kill()
                self.say(f"{leader.name} died and is back")
                time.sleep(ELECTION_SECONDS)
        self.check_all(deaths)

    def test_shrinking_from_five_nodes_to_three_fails_no_request(self):
        with contextlib.ExitStack() as stack:
            leaving = contextlib.ExitStack()
            self.grow_to_three_and_two(stack, leaving)
            first = self.nodes[0]
            # Who leaves serves to the end, but its clients have to know it: here they have gone.
            leaving.close()
            for node in self.nodes[3:]:
                answer = node.http("POST", f"{MEMBERS}/{node.name}/decommission")
                self.assertLess(answer.status, 300, answer.data)
            stay = {status(node)["node_number"] for node in self.nodes[:3]}
            self.wait_for(
                "two nodes have left",
                lambda: all(set(voters(node)) == stay for node in self.nodes[:3])
                and len(first.http("GET", MEMBERS).json()["members"]) == 3,
            )
            for node in self.nodes[3:]:
                self.assertEqual(node.terminate(), 0)
            del self.nodes[3:]
            time.sleep(QUIET_SECONDS)
        self.check_all()

    def grow_to_three_and_two(self, stack, leaving):
        self.start_node()
        stack.enter_context(running(self.keep(self.clients_of(self.nodes[0]))))
        self.join_nodes(2, stack)
        self.join_nodes(2, leaving)
        self.wait_for("every node has shards", self.is_spread)
        self.wait_for("three replicas of everything", lambda: self.shards_have(3))


if __name__ == "__main__":
    unittest.main()
