"""What goes wrong by mistake or at the worst moment: nothing is mixed up, and what is wrong is said."""

import contextlib
import json
import shutil
import time
import unittest

from cluster_support import ClusterTestCase, free_ports, leader_of, status, voters
from support import BROKEN_CONNECTION, RedisError

JSON = {"content-type": "application/json"}
# Small, so that a replica that was away needs the whole state and not the log.
SHORT_LOG = ("--wal-segment-bytes", str(1 << 20), "--default-engine", "memory")
VALUE = b"x" * 60_000
VALUES = 800
TRANSFER_SECONDS = 60


def says(node, *words):
    log = node.log()
    return all(word in log for word in words)


def write(node, key, value, body=None):
    body = json.dumps({"value": value}).encode()
    return node.http("PUT", f"/v1/keys/{key}", body, JSON)


class Mistakes(ClusterTestCase):
    def test_a_node_of_another_cluster_at_a_members_address_is_kept_out(self):
        mine = self.cluster(3)
        theirs = self.node("stranger").start()
        with theirs.redis() as client:
            client("SET", "k", "theirs")
        theirs.kill()
        mine[2].kill()
        theirs.peer_port = mine[2].peer_port
        theirs.start()
        with mine[0].redis() as one, theirs.redis() as two:
            self.eventually(lambda: one("SET", "k", "mine") == "OK")
            self.assertEqual(two("GET", "k"), b"theirs")
        self.assertNotEqual(status(mine[0])["cluster_id"], status(theirs)["cluster_id"])
        theirs.kill()
        mine[2].start()
        with mine[2].redis() as client:
            self.eventually(lambda: client("GET", "k") == b"mine")

    def test_a_second_node_under_a_members_name_waits_and_says_why(self):
        nodes = self.cluster(3)
        with nodes[0].redis() as client:
            client("SET", "k", "v")
        double = self.node("other", "--join", nodes[0].peer_address)
        double.flags[double.flags.index("other")] = "n3"
        double.spawn()
        self.eventually(lambda: says(double, "the name n3 is that of node", "choose another name"))
        self.assertTrue(double.is_running())
        with nodes[2].redis() as client:
            self.assertEqual(client("GET", "k"), b"v")
            client("SET", "k", "w")
        self.assertEqual(len(voters(nodes[0])), 3)

    def test_two_founders_under_one_name_do_not_both_take_part(self):
        """Both are the n3 of the list, on different machines, as it were."""
        nodes = self.cluster(3)
        with nodes[0].redis() as client:
            client("SET", "k", "v")
        founding = nodes[2].flags
        double = self.node("double", port=free_ports(1)[0])
        double.flags = list(founding)
        double.spawn()
        self.eventually(lambda: says(double, "known with another data directory"))
        for node in nodes:
            with node.redis() as client:
                self.assertEqual(client("GET", "k"), b"v", node.name)
        self.assertEqual(len(voters(nodes[0])), 3)

    def test_a_join_to_who_is_no_member_waits_and_says_so(self):
        first = self.node("n1").start()
        for name, address in (
            ("http", f"127.0.0.1:{first.http_port}"),
            ("redis", f"127.0.0.1:{first.resp_port}"),
            ("nobody", f"127.0.0.1:{free_ports(1)[0]}"),
            ("unknown", "no-such-host.invalid:7070"),
        ):
            with self.subTest(name):
                late = self.node(f"late-{name}", "--join", address)
                late.spawn()
                self.eventually(lambda late=late: says(late, "waiting to join the cluster"))
                line = next(li for li in late.log().splitlines() if "waiting to join" in li)
                self.assertIn(address.partition(":")[0], json.loads(line)["reason"])
                self.assertTrue(late.is_running())
                late.process.terminate()
                late.process.wait(10)
        self.assertEqual(first.http("GET", "/readyz").status, 200)

    def test_a_join_by_one_right_address_of_several_works(self):
        first = self.node("n1").start()
        wrong = f"127.0.0.1:{free_ports(1)[0]},127.0.0.1:{first.http_port}"
        second = self.node("n2", "--join", f"{wrong},{first.peer_address}").start()
        with first.redis() as one, second.redis() as two:
            one("SET", "k", "v")
            self.assertEqual(two("GET", "k"), b"v")

    def test_a_majority_that_comes_back_finds_everything(self):
        nodes = self.cluster(3)
        with nodes[0].redis() as client:
            client("SET", "k", "v")
        for node in nodes[1:]:
            node.kill()
        refused = write(nodes[0], "k", "w")
        self.assertEqual(refused.status, 503)
        problem = refused.json()
        self.assertIn(problem["effect"], ("none", "unknown"))
        for node in nodes[1:]:
            node.start()
        with nodes[0].redis() as client:
            value = self.eventually(lambda: client("GET", "k"))
            self.assertIn(value, (b"v",) if problem["effect"] == "none" else (b"v", b"w"))
            self.eventually(lambda: client("SET", "k", "x") == "OK")


class Replacing(ClusterTestCase):
    def test_a_dead_node_is_replaced_once_its_time_is_over(self):
        nodes = self.cluster(3, "--cluster-replace-after", "3s")
        nodes.append(self.node("n4", "--join", nodes[0].peer_address).start())
        with nodes[0].redis() as client:
            client("SET", "k", "v")
        self.eventually(lambda: len(voters(nodes[0])) == 3)
        dead = next(n for n in nodes if status(n)["node_number"] in voters(nodes[0]))
        number = status(dead)["node_number"]
        dead.kill()
        left = [node for node in nodes if node is not dead]
        numbers = {status(node)["node_number"] for node in left}
        self.eventually(lambda: any(set(voters(node)) == numbers for node in left), 60)
        # It comes back with what it had, and is given nothing that it would have to forget.
        dead.start()
        with dead.redis() as client:
            self.eventually(lambda: client("GET", "k") == b"v")
        self.assertEqual(status(dead)["node_number"], number)

    def test_a_node_that_is_back_in_time_is_not_replaced(self):
        nodes = self.cluster(3, "--cluster-replace-after", "60s")
        nodes.append(self.node("n4", "--join", nodes[0].peer_address).start())
        self.eventually(lambda: len(voters(nodes[0])) == 3)
        before = set(voters(nodes[0]))
        away = next(n for n in nodes[1:] if status(n)["node_number"] in before)
        away.kill()
        time.sleep(8)
        away.start()
        self.eventually(lambda: set(voters(away)) == before)


class Interrupted(ClusterTestCase):
    """A replica that needs the whole state, which takes a while to come; somebody dies half way."""

    def behind(self):
        """Returns: nodes, of which the last is down, and far behind the log of the others."""
        nodes = self.cluster(3, *SHORT_LOG)
        with nodes[0].redis() as client:
            client("SET", "before", "1")
        victim = next(node for node in nodes if node is not leader_of(nodes))
        victim.kill()
        others = [node for node in nodes if node is not victim]
        with others[0].redis() as client:
            for at in range(0, VALUES, 50):
                replies = client.pipeline([("SET", f"k{n}", VALUE) for n in range(at, at + 50)])
                self.assertEqual(set(map(str, replies)), {"OK"})
        # Snapshots let the log go, so that what the victim lacks is not in it any more.
        for node in others:
            self.assertLess(node.http("POST", "/v1/admin/save").status, 300)
        return [*others, victim]

    def wait_for_transfer(self, node):
        """Until a part of the state has come, and not all of it."""
        end = time.monotonic() + TRANSFER_SECONDS
        while time.monotonic() < end:
            sizes = [file.stat().st_size for file in self.received(node)]
            if sum(sizes) > len(VALUE) * VALUES // 20:
                return
            time.sleep(0.002)
        self.fail(f"no state came to {node.name} within {TRANSFER_SECONDS} s:\n{node.log()[-3000:]}")

    @staticmethod
    def received(node):
        found = []
        for place in node.data_dir.glob("shards/*/incoming*"):
            with contextlib.suppress(OSError):
                found += [file for file in [place, *place.rglob("*")] if file.is_file()]
        return found

    def check_whole(self, nodes):
        for node in nodes:
            with node.redis(timeout=60) as client:
                self.eventually(lambda c=client: c("GET", f"k{VALUES - 1}") == VALUE)

        def digests():
            return {
                (shard["applied_index"], shard["digest"])
                for node in nodes
                for shard in status(node)["shards"]
                if shard["keyspace"] == "default"
            }

        self.eventually(lambda: len(digests()) == 1 and all(status(n)["shards"] for n in nodes))

    def test_the_receiver_of_a_state_dies_half_way(self):
        *others, victim = self.behind()
        victim.start()
        for _ in range(3):
            self.wait_for_transfer(victim)
            victim.restart_after_kill()
        self.check_whole([*others, victim])

    def test_the_sender_of_a_state_dies_half_way(self):
        *others, victim = self.behind()
        victim.start()
        self.wait_for_transfer(victim)
        leader = leader_of(others)
        self.assertIsNotNone(leader)
        leader.restart_after_kill()
        self.check_whole([*others, victim])

    def test_everybody_dies_half_way_through_a_state(self):
        nodes = self.behind()
        nodes[-1].start()
        self.wait_for_transfer(nodes[-1])
        for node in nodes:
            node.kill()
        for node in nodes:
            node.spawn()
        for node in nodes:
            node.wait_ready()
        self.check_whole(nodes)


if __name__ == "__main__":
    unittest.main()
