"""A cluster administered from the command line, while clients that never retry use it."""

import contextlib
import json
import threading
import time
import unittest

from cluster_support import ClusterTestCase, free_ports
from support import BROKEN_CONNECTION, Http, RedisError

UNAVAILABLE, CONFLICT, ERROR, USAGE = 4, 6, 1, 2
FOUND_DEAD_SECONDS = 60


class Load:
    """Clients on some nodes, on both protocols, that count what they did and never retry."""

    def __init__(self, *nodes):
        self.nodes = nodes
        self.failures = []
        self.counts = {}
        self.is_over = threading.Event()
        self.threads = [
            threading.Thread(target=client, args=(node, f"{client.__name__}:{node.name}"))
            for node in nodes
            for client in (self.redis, self.http)
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def repeat(self, key, once):
        self.counts[key] = 0
        while not self.is_over.is_set():
            begun = time.monotonic()
            try:
                once(self.counts[key] + 1)
                self.counts[key] += 1
            except (RedisError, AssertionError, *BROKEN_CONNECTION) as error:
                took = time.monotonic() - begun
                self.failures.append(f"{key} after {took:.3f} s: {error!r}")
                return

    def redis(self, node, key):
        with node.redis() as client:

            def once(count):
                assert client("INCR", key) == count, "a write was lost or done twice"
                assert client("GET", key) == str(count).encode(), "a read was stale"

            self.repeat(key, once)

    def http(self, node, key):
        with contextlib.closing(Http(node.http_port)) as client:

            def once(count):
                put = client.request("PUT", f"/v1/keys/{key}", {"value": str(count)})
                assert put.status in (200, 201), put.data
                got = client.request("GET", f"/v1/keys/{key}")
                assert got.status == 200, got.data
                assert got.json()["value"] == str(count), got.data

            self.repeat(key, once)


class Nowhere:
    """Where nobody listens."""

    def __init__(self):
        self.http_port = free_ports(1)[0]


class Administrating(ClusterTestCase):
    def cli_json(self, node, *words, **options):
        return json.loads(self.cli(node, *words, "--output", "json", **options))

    def members(self, node):
        return {one["name"]: one for one in self.cli_json(node, "member", "list")["members"]}

    def shard(self, node, keyspace="default"):
        shards = self.cli_json(node, "shard", "list")["shards"]
        return next(one for one in shards if one["keyspace"] == keyspace)

    def led_shard(self, node):
        """The shard of `default`, while somebody leads it."""

        def led():
            shard = self.shard(node)
            return shard if shard["leader"] else None

        return self.eventually(led)

    def wait_alive(self, node, name, liveness="alive"):
        self.eventually(
            lambda: self.members(node)[name]["liveness"] == liveness, FOUND_DEAD_SECONDS
        )

    def assert_no_failure(self, load):
        self.assertEqual(load.failures, [])
        for key, count in load.counts.items():
            self.assertGreater(count, 10, key)

    def fourth(self, nodes):
        """A node that joins `nodes`."""
        return self.node("n4", "--join", nodes[0].peer_address).start()

    # ---- leaders ----

    def test_leaders_move_without_a_failed_request(self):
        nodes = self.cluster(3)
        with Load(*nodes) as load:
            time.sleep(0.5)
            for node in (*nodes, *nodes):
                self.cli(nodes[0], "move-leader", node.name)
                members = self.members(nodes[1])
                self.assertEqual(members[node.name]["leaders"], members[node.name]["replicas"])
                time.sleep(0.3)
        self.assert_no_failure(load)
        shard = str(self.shard(nodes[0])["id"])
        self.cli(nodes[0], "move-leader", "--shard", shard, "--automatic")
        self.assertEqual(self.shard(nodes[0])["preferred_leader"], 0)

    def test_a_drained_node_leads_nothing_and_restarts_without_a_failed_request(self):
        nodes = self.cluster(3)
        with Load(*nodes[:2]) as load:
            for _ in range(2):
                self.cli(nodes[0], "node", "drain", "n3")
                self.assertEqual(self.members(nodes[0])["n3"]["leaders"], 0)
                self.assertEqual(nodes[2].terminate(), 0)
                nodes[2].start()
                self.assertEqual(self.members(nodes[1])["n3"]["state"], "draining")
                self.cli(nodes[1], "node", "undrain", "n3")
                self.wait_alive(nodes[1], "n3")
                self.cli(nodes[1], "move-leader", "n3")
        self.assert_no_failure(load)

    # ---- replicas ----

    def test_a_shard_moves_to_a_new_node_and_back_without_a_failed_request(self):
        nodes = self.cluster(3)
        with Load(*nodes) as load:
            nodes.append(self.fourth(nodes))
            with Load(nodes[3]) as more:
                self.wait_alive(nodes[1], "n4")
                shard = self.led_shard(nodes[0])
                leader = shard["leader"]
                number = str(shard["id"])
                move = ("shard", "move", number, "--from")
                # The balance may have given it a replica already.
                holders, newcomer = shard["voters"], self.members(nodes[0])["n4"]["id"]
                if newcomer in holders:
                    absent = next(n for n in (1, 2, 3, 4) if n not in holders)
                    self.cli(nodes[0], *move, "n4", "--to", str(absent))
                    leader = self.led_shard(nodes[0])["leader"]
                self.cli(nodes[1], *move, str(leader), "--to", "n4")
                self.assertIn(newcomer, self.shard(nodes[3])["voters"])
                self.cli(nodes[1], "move-leader", "n4", "--shard", number)
                self.cli(nodes[2], *move, "n4", "--to", str(leader))
                self.assertNotIn(newcomer, self.shard(nodes[3])["voters"])
        self.assert_no_failure(load)
        self.assert_no_failure(more)
        self.cli(nodes[0], "shard", "move", number, "--automatic")
        self.assertEqual(self.shard(nodes[0])["wanted"], [])

    def test_a_node_is_decommissioned_without_a_failed_request(self):
        nodes = self.cluster(3)
        nodes.append(self.fourth(nodes))
        self.wait_alive(nodes[0], "n4")
        leader = self.led_shard(nodes[0])["leader"]
        names = {one["id"]: name for name, one in self.members(nodes[0]).items()}
        leaving = next(node for node in nodes if node.name == names[leader])
        staying = [node for node in nodes if node is not leaving]
        with Load(*staying) as load:
            time.sleep(0.5)
            self.cli([leaving, staying[0]], "node", "decommission", leaving.name)
            self.assertNotIn(leaving.name, self.members(staying[0]))
            time.sleep(0.5)
        self.assert_no_failure(load)
        # The data are where they should be, and the node says that it is out.
        self.assertEqual(len(self.shard(staying[0])["voters"]), 3)
        self.eventually(lambda: leaving.http("GET", "/readyz").status == 503)
        self.assertIn("removed", leaving.http("GET", "/readyz").data.decode())
        refused = leaving.http("GET", "/v1/keys/k")
        self.assertEqual((refused.status, refused.json()["effect"]), (503, "none"))
        self.assertIn("removed", refused.json()["detail"])
        # What it gave away is gone from its disk, and it says once what is to be done.
        shards = leaving.data_dir / "shards"
        self.eventually(lambda: {folder.name for folder in shards.iterdir()} <= {"1"})
        self.assertEqual(leaving.log().count("does not belong to the cluster any more"), 1)
        self.assertIn("start it with an empty data directory", leaving.log())
        self.assertEqual(leaving.terminate(), 0)
        # It stays out when it comes back.
        leaving.spawn()
        self.eventually(lambda: "does not belong to the cluster any more" in leaving.log())
        self.assertEqual(leaving.terminate(), 0)

    def test_what_would_leave_too_few_nodes_is_refused(self):
        nodes = self.cluster(3)
        said = self.cli(nodes[0], "node", "decommission", "n2", expect=CONFLICT)
        self.assertIn("is to have 3 replicas and only 2 nodes could hold them", said)
        self.assertEqual(self.members(nodes[0])["n2"]["state"], "active")
        # One that has begun and cannot end, since the node that should take over has just died, is
        # told about, and taken back.
        four = self.fourth(nodes)
        self.wait_alive(nodes[0], "n4")
        four.kill()
        said = self.cli(nodes[0], "node", "decommission", "n2", "--wait", "1s", expect=UNAVAILABLE)
        self.assertIn("has a replica on it", said)
        self.assertEqual(self.members(nodes[0])["n2"]["state"], "decommissioning")
        self.cli(nodes[0], "node", "recommission", "n2")
        self.assertEqual(self.members(nodes[0])["n2"]["state"], "active")

    def test_a_removal_that_would_lose_a_majority_is_refused(self):
        nodes = self.cluster(3)
        held = nodes[2].data_dir / "shards" / str(self.shard(nodes[0])["id"])
        self.eventually(held.is_dir)
        nodes[2].kill()
        self.wait_alive(nodes[0], "n3", "dead")
        said = self.cli(nodes[0], "member", "remove", "n2", expect=CONFLICT)
        self.assertIn("would be left with 1 live voters of 2", said)
        with nodes[0].redis() as client:
            client("SET", "k", "v")
        # Nor may the dead one, before there is another: two nodes would keep one copy of two.
        said = self.cli(nodes[0], "member", "remove", "n3", expect=CONFLICT)
        self.assertIn("is to have 3 replicas and only 2 nodes could hold them", said)
        self.cli(nodes[0], "member", "add", "n4")
        four = self.fourth(nodes)
        self.wait_alive(nodes[0], "n4")
        self.cli(nodes[0], "member", "remove", "n3")
        self.assertNotIn("n3", self.members(nodes[0]))
        self.eventually(lambda: len(self.shard(four)["voters"]) == 3)
        with four.redis() as client:
            self.assertEqual(client("GET", "k"), b"v")
        # Who was cut off does not take part when it comes back.
        nodes[2].spawn()
        self.eventually(lambda: "does not belong to the cluster any more" in nodes[2].log())
        self.assertTrue(held.is_dir(), "what it holds is kept for people")
        self.assertEqual(nodes[2].terminate(), 0)

    # ---- members ----

    def test_a_learner_serves_and_holds_nothing_until_it_is_promoted(self):
        nodes = self.cluster(3)
        said = self.cli(nodes[0], "member", "add", "n4", "--learner")
        self.assertIn("kvstore server --id n4 --join 127.0.0.1:", said)
        self.assertEqual(self.members(nodes[1])["n4"]["state"], "expected")
        taken = self.cli(nodes[0], "member", "add", "n1", expect=ERROR)
        self.assertIn("the name n1 is that of node 1, which is active", taken)
        four = self.fourth(nodes)
        with four.redis() as client:
            client("SET", "k", "v")
            self.assertEqual(client("GET", "k"), b"v")
        self.wait_alive(nodes[0], "n4")
        member = self.members(four)["n4"]
        self.assertEqual((member["role"], member["replicas"]), ("learner", 0))
        shard = self.shard(nodes[0])
        refused = self.cli(
            nodes[0], "shard", "move", str(shard["id"]), "--from", "n1", "--to", "n4",
            expect=CONFLICT,
        )  # fmt: skip
        self.assertIn("promote it first", refused)
        self.cli(four, "member", "promote", "n4")
        self.cli(nodes[0], "shard", "move", str(shard["id"]), "--from", "n1", "--to", "n4")
        self.assertEqual(self.members(nodes[0])["n4"]["role"], "full")

    # ---- endpoints ----

    def test_endpoints_are_asked_each_by_itself(self):
        nodes = self.cluster(3)
        health = self.cli_json(nodes, "endpoint", "health")["endpoints"]
        self.assertEqual([one["healthy"] for one in health], [True] * 3)
        names = [
            one["status"]["node_id"]
            for one in self.cli_json(nodes, "endpoint", "status")["endpoints"]
        ]
        self.assertEqual(names, ["n1", "n2", "n3"])
        nodes[1].kill()
        health = self.cli_json(nodes, "endpoint", "health", expect=UNAVAILABLE)["endpoints"]
        self.assertEqual([one["healthy"] for one in health], [True, False, True])
        table = self.cli(nodes, "endpoint", "health", expect=UNAVAILABLE).splitlines()
        self.assertRegex(table[0], r"^ENDPOINT +HEALTHY +TOOK +ERROR +WARNING$")
        self.assertRegex(table[2], r" +false +\d+ms +unavailable")
        # Other commands go on to the next endpoint.
        self.assertIn("n1", self.cli([nodes[1], nodes[0]], "member", "list"))

    def test_commands_typed_wrongly_say_how_they_are_used(self):
        node = self.node("n1").start()
        for words in (
            ("member",), ("member", "add"), ("member", "explode", "n1"), ("node", "drain"),
            ("shard", "move", "16"), ("shard", "move", "16", "--from", "n1"), ("move-leader",),
            ("endpoint", "explode"), ("node", "drain", "n1", "--wait", "x"),
        ):  # fmt: skip
            self.cli(node, *words, expect=USAGE)
        self.cli(node, "node", "status", "n9", expect=ERROR)
        said = self.cli(node, "node", "drain", "n1", expect=CONFLICT)
        self.assertIn("no other node is active", said)
        self.cli(Nowhere(), "member", "list", expect=UNAVAILABLE)

    def test_a_node_that_is_alone_says_so(self):
        node = self.node("n1", "--durability", "memory").start()
        self.assertEqual(list(self.members(node)), ["n1"])
        said = self.cli(node, "node", "drain", "n1", expect=CONFLICT)
        self.assertIn("this node is alone", said)


if __name__ == "__main__":
    unittest.main()
