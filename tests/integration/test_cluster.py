"""Several nodes as one store: how they begin, how they join, and what a death costs."""

import contextlib
import json
import shutil
import time
import unittest

from cluster_support import ClusterTestCase, free_ports, leader_of, metric, voters
from support import CONFIG_INVALID, run_server_command


JSON = {"content-type": "application/json"}


def encode(body):
    return json.dumps(body).encode()


def put_everywhere(nodes, prefix):
    """Writes a key through each node. Returns: what should be read."""
    written = {}
    for number, node in enumerate(nodes):
        with node.redis() as client:
            key = f"{prefix}:{number}"
            client("SET", key, f"by {node.name}")
            written[key] = f"by {node.name}".encode()
    return written


class Beginning(ClusterTestCase):
    def test_several_new_nodes_start_as_one_cluster(self):
        nodes = self.cluster(3)
        written = put_everywhere(nodes, "k")
        for node in nodes:
            with node.redis() as client:
                for key, value in written.items():
                    self.assertEqual(client("GET", key), value, node.name)

    def test_both_protocols_of_every_node_show_the_same(self):
        nodes = self.cluster(3)
        self.assertEqual(nodes[0].http("PUT", "/v1/keys/a", encode({"value": "1"}), JSON).status, 201)
        for node in nodes:
            answer = node.http("GET", "/v1/keys/a")
            self.assertEqual(answer.json()["value"], "1")
            with node.redis() as client:
                self.assertEqual(client("GET", "a"), b"1")

    def test_counters_of_all_nodes_add_up(self):
        nodes = self.cluster(3)
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(node.redis()) for node in nodes]
            for _ in range(50):
                for client in clients:
                    client("INCR", "n")
            self.assertEqual(clients[1]("GET", "n"), b"150")

    def test_a_keyspace_made_on_one_node_is_there_on_all(self):
        nodes = self.cluster(3)
        made = nodes[0].http("POST", "/v1/keyspaces", encode({"name": "t"}), JSON)
        self.assertIn(made.status, (200, 201), made.data)
        for node in nodes:
            self.eventually(
                lambda node=node: node.http("PUT", "/v1/keys/x?keyspace=t", encode({"value": node.name}), JSON).status < 300
            )
        self.assertEqual(
            nodes[0].http("GET", "/v1/keys/x?keyspace=t").json()["value"], "n3"
        )

    def test_a_keyspace_of_several_shards_is_one_from_every_node(self):
        nodes = self.cluster(3)
        made = nodes[0].http("POST", "/v1/keyspaces", encode({"name": "redis/1", "split_at": ["g", "n", "t"]}), JSON)
        self.assertEqual(made.status, 201, made.data)
        self.assertEqual(len(made.json()["shards"]), 4)
        letters = "abcdefghijklmnopqrstuvwxyz"
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(node.redis()) for node in nodes]
            for client in clients:
                self.eventually(lambda client=client: client("SELECT", "1"))
            for at, letter in enumerate(letters):
                self.eventually(lambda at=at, letter=letter: clients[at % 3]("SET", letter, str(at)))
            for client in clients:
                self.assertEqual(client("MGET", "z", "a", "n"), [b"25", b"0", b"13"])
                self.assertEqual(client("DBSIZE"), 26)
        page = nodes[2].http("GET", "/v1/keys?keyspace=redis/1&limit=100").json()
        self.assertEqual("".join(row["key"] for row in page["keys"]), letters)
        # The shards are led by several nodes, and each stays whole when a node dies.
        nodes[1].kill()
        rest = (nodes[0], nodes[2])
        for at, letter in enumerate(letters):
            path = f"/v1/keys/{letter}?keyspace=redis/1"
            self.eventually(lambda at=at, path=path: rest[at % 2].http("GET", path).json().get("value") == str(at))

    def test_a_name_that_the_list_lacks_is_one_clear_line(self):
        ended = run_server_command(
            "--id", "n9", "--initial-cluster", "n1=127.0.0.1:7101", cwd=self.folder
        )
        self.assertEqual(ended.returncode, CONFIG_INVALID)
        self.assertIn("initial_cluster does not name this node, 'n9'", ended.stderr + ended.stdout)

    def test_lists_typed_wrongly_are_one_clear_line(self):
        for flags, words in (
            (("--initial-cluster", "n1"), "'n1' is not name=host:port"),
            (("--join", "nowhere"), "'nowhere' is not host:port"),
            (("--peers", "1@x"), "'1@x' is not id@host:port"),
            (("--join", "127.0.0.1:1", "--durability", "memory"), "durability memory"),
        ):
            ended = run_server_command(*flags, cwd=self.folder)
            self.assertEqual(ended.returncode, CONFIG_INVALID, flags)
            self.assertIn(words, ended.stderr + ended.stdout)


class Joining(ClusterTestCase):
    def test_a_cluster_of_one_grows_to_three_replicas(self):
        first = self.node("n1").start()
        with first.redis() as client:
            client("SET", "before", "1")
        nodes = [first]
        for name in ("n2", "n3"):
            nodes.append(self.node(name, "--join", first.peer_address).start())
            with nodes[-1].redis() as client:
                self.assertEqual(client("GET", "before"), b"1", name)
                client("SET", name, "x")
        # Once all three vote, one may die.
        self.eventually(lambda: all(len(voters(node)) == 3 for node in nodes))
        first.kill()
        with nodes[1].redis() as client:
            self.eventually(lambda: client("GET", "before") == b"1")
            self.eventually(lambda: client("SET", "after", "1") == "OK")

    def test_a_node_waits_until_somebody_answers(self):
        port = free_ports(1)[0]
        late = self.node("n2", "--join", f"127.0.0.1:{port}")
        late.spawn()
        self.eventually(lambda: "waiting to join the cluster" in late.log())
        first = self.node("n1", port=port).start()
        late.wait_ready()
        with first.redis() as one, late.redis() as two:
            one("SET", "k", "v")
            self.assertEqual(two("GET", "k"), b"v")

    def test_a_node_comes_back_under_another_address(self):
        nodes = self.cluster(3)
        nodes[2].kill()
        with nodes[0].redis() as client:
            client("SET", "k", "1")
        nodes[2].peer_port = free_ports(1)[0]
        nodes[2].start()
        with nodes[2].redis() as client:
            self.assertEqual(client("GET", "k"), b"1")
            client("SET", "k", "2")

    def test_wait_counts_the_other_replicas_that_hold_a_write(self):
        nodes = self.cluster(3)
        for node in nodes:  # Also through those that do not lead.
            with node.redis() as client:
                client("SET", "k", node.name)
                self.assertEqual(client("WAIT", 2, 20_000), 2)
        leader = self.eventually(lambda: leader_of(nodes))
        dead, other = (node for node in nodes if node is not leader)
        dead.kill()
        for node in (leader, other):
            with node.redis() as client:
                client("SET", "k", "without one")
                self.assertEqual(client("WAIT", 1, 0), 1)
                begin = time.monotonic()
                self.assertEqual(client("WAIT", 2, 400), 1)
                self.assertGreaterEqual(time.monotonic() - begin, 0.4)
        dead.start()
        for node in nodes:
            with node.redis() as client:
                client("SET", "k", "with all")
                self.assertEqual(client("WAIT", 2, 20_000), 2)

    def test_wait_through_a_node_without_a_replica(self):
        nodes = self.cluster(3)
        fourth = self.node("n4", "--join", nodes[0].peer_address).start()
        fifth = self.node("n5", "--join", nodes[0].peer_address).start()
        for node in (*nodes, fourth, fifth):
            with node.redis() as client:
                self.eventually(lambda c=client: c("SET", "k", "v") == "OK")
                self.assertGreaterEqual(client("WAIT", 2, 20_000), 2)


class Dying(ClusterTestCase):
    def test_one_of_three_may_die_whoever_it_is(self):
        nodes = self.cluster(3)
        put_everywhere(nodes, "k")
        for victim in list(nodes):
            victim.kill()
            others = [node for node in nodes if node is not victim]
            for node in others:
                def write(node=node, victim=victim):
                    with node.redis() as client:
                        return client("SET", f"without:{victim.name}", node.name) == "OK"
                self.eventually(write)
            victim.start()
            with victim.redis() as client:
                self.eventually(
                    lambda c=client, v=victim, o=others: c("GET", f"without:{v.name}") == o[-1].name.encode()
                )

    def test_a_dead_leader_is_replaced_and_the_election_counted(self):
        nodes = self.cluster(3)
        leader = self.eventually(lambda: leader_of(nodes))
        others = [node for node in nodes if node is not leader]
        before = {node.name: metric(node, "kvstore_raft_leader_elections_total") for node in others}
        leader.kill()
        heir = self.eventually(lambda: leader_of(others))
        self.assertGreater(metric(heir, "kvstore_raft_leader_elections_total"), before[heir.name])

    def test_a_planned_restart_of_each_node_fails_no_request(self):
        nodes = self.cluster(3)
        counts = [0, 0]
        for victim in list(nodes):
            others = [node for node in nodes if node is not victim]
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(node.redis()) for node in others]

                def write(clients=clients):
                    for number, client in enumerate(clients):
                        client("INCR", f"n{number}")
                        counts[number] += 1

                for _ in range(20):
                    write()
                victim.process.terminate()
                while victim.is_running():
                    write()
                self.assertEqual(victim.process.returncode, 0)
                for _ in range(20):
                    write()
                victim.start()
                write()
                for number, client in enumerate(clients):
                    self.assertEqual(client("GET", f"n{number}"), str(counts[number]).encode())

    def test_a_minority_refuses_writes_and_shows_what_it_holds(self):
        nodes = self.cluster(3)
        with nodes[0].redis() as client:
            client("SET", "k", "v")
        self.eventually(
            lambda: nodes[0].http("GET", "/v1/keys/k?consistency=eventual").status == 200
        )
        nodes[1].kill()
        nodes[2].kill()
        refused = nodes[0].http("PUT", "/v1/keys/k", encode({"value": "w"}), JSON)
        self.assertEqual(refused.status, 503, refused.data)
        self.assertEqual(nodes[0].http("GET", "/v1/keys/k").status, 503)
        shown = nodes[0].http("GET", "/v1/keys/k?consistency=eventual")
        self.assertEqual(shown.json()["value"], "v")

    def test_all_may_die_at_once_and_nothing_is_lost(self):
        nodes = self.cluster(3)
        with nodes[1].redis() as client:
            for number in range(200):
                client("SET", f"k{number}", number)
        for node in nodes:
            node.kill()
        for node in nodes:
            node.spawn()
        for node in nodes:
            node.wait_ready()
        with nodes[2].redis() as client:
            self.eventually(lambda: client("GET", "k199") == b"199")
            for number in range(200):
                self.assertEqual(client("GET", f"k{number}"), str(number).encode())

    def test_a_node_that_lost_its_disk_is_a_new_one(self):
        nodes = self.cluster(3)
        with nodes[0].redis() as client:
            client("SET", "k", "v")
        nodes[2].kill()
        shutil.rmtree(nodes[2].data_dir)
        nodes[2].spawn()
        self.eventually(lambda: "known with another data directory" in nodes[2].log())
        with nodes[0].redis() as client:
            self.eventually(lambda: client("SET", "k", "w") == "OK")

    def test_a_node_of_another_cluster_is_refused(self):
        mine, theirs = self.node("a").start(), self.node("b").start()
        theirs.kill()
        theirs.start("--join", mine.peer_address)
        with mine.redis() as one, theirs.redis() as two:
            one("SET", "k", "mine")
            self.assertIsNone(two("GET", "k"))


if __name__ == "__main__":
    unittest.main()
