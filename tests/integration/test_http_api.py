"""The HTTP API does what api/openapi.yaml says: every path, and every answer's form."""

import base64
import contextlib
import threading
import time
import unittest
import urllib.parse

try:
    from contract import Contract, ContractBroken
except ImportError:
    Contract = None
from support import Answer, Http, ServerTestCase, key_path

RAW = {"Content-Type": "application/octet-stream"}
BINARY = b"\xff\x00\xfe"
BINARY_TEXT = base64.b64encode(BINARY).decode()


@unittest.skipIf(Contract is None, "python3-yaml is not installed; ./dev setup installs it")
class HttpApi(ServerTestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = ServerTestCase()
        cls.holder.setUp()
        cls.shared = cls.holder.started("--default-engine", "memory")
        cls.contract = Contract()

    @classmethod
    def tearDownClass(cls):
        try:
            assert cls.shared.terminate() == 0, cls.shared.log()
        finally:
            cls.holder.doCleanups()

    def setUp(self):
        super().setUp()
        self.client = Http(self.shared.http_port)
        self.addCleanup(self.client.close)
        # A keyspace for each test, as each test has names of its own.
        self.space = self.id().rsplit(".", 1)[1].replace("_", "-")[:40].strip("-")
        self.call("POST", "/v1/keyspaces", {"name": self.space, "engine": "memory"}, status=201)

    def call(self, method, target, body=None, headers=None, status=200):
        """A request whose answer must have this status and fit the contract."""
        answer = self.client.request(method, target, body, headers)
        self.assertEqual(answer.status, status, answer.data[:500])
        self.contract.check(method, target, answer)
        return answer

    def at(self, key, **query):
        """The target of a key of this test's keyspace."""
        return key_path(key) + "?" + urllib.parse.urlencode({"keyspace": self.space, **query})

    def page(self, status=200, **query):
        target = "/v1/keys?" + urllib.parse.urlencode({"keyspace": self.space, **query})
        return self.call("GET", target, status=status).json()

    def put(self, key, value, status=201, headers=None, **more):
        return self.call("PUT", self.at(key), {"value": value, **more}, headers, status)

    # ---- the whole contract ----

    def test_every_operation_of_the_contract_is_served(self):
        space = {"name": "made", "engine": "lsm", "history": "1h"}
        pair = {"key": "old", "value": "1"}
        for method, target, body, status in (
            ("PUT", "/v1/keys/a", {"value": "1"}, 201), ("GET", "/v1/keys/a", None, 200),
            ("DELETE", "/v1/keys/a", None, 200), ("POST", "/v1/keys/n/increment", None, 200),
            ("GET", "/v1/keys", None, 200),
            ("POST", "/v1/batch/put", {"items": [{"key": "b", "value": "2"}]}, 200),
            ("POST", "/v1/batch/get", {"keys": ["b", "absent"]}, 200),
            ("POST", "/v1/batch/delete", {"keys": ["b", {"key": "absent"}]}, 200),
            ("POST", "/v1/keyspaces", space, 201), ("GET", "/v1/keyspaces", None, 200),
            ("GET", "/v1/keyspaces/made", None, 200),
            ("PATCH", "/v1/keyspaces/made", {"history": "5m"}, 200),
            ("DELETE", "/v1/keyspaces/made", None, 204), ("GET", "/v1/status", None, 200),
            ("GET", "/v1/cluster/members", None, 200),
            ("POST", "/v1/cluster/members", {"name": "later", "learner": True}, 201),
            ("POST", "/v1/cluster/members/later/promote?wait=1s", None, 200),
            ("DELETE", "/v1/cluster/members/later", None, 200),
            ("POST", "/v1/cluster/members/1/drain", None, 412),
            ("POST", "/v1/cluster/members/1/undrain", None, 200),
            ("POST", "/v1/cluster/members/1/decommission", None, 412),
            ("POST", "/v1/cluster/members/1/recommission", None, 200),
            ("GET", "/v1/cluster/shards", None, 200),
            ("POST", "/v1/cluster/shards/1/leader", {"node": 1}, 200),
            ("POST", "/v1/cluster/shards/1/move", {"automatic": True}, 200),
            ("POST", "/v1/admin/save", None, 200), ("POST", "/v1/admin/compact", None, 200),
            ("GET", "/metrics", None, 200), ("GET", "/livez", None, 200),
            ("GET", "/readyz", None, 200), ("GET", "/readyz?verbose", None, 200),
            ("GET", "/openapi.yaml", None, 200), ("POST", "/Set", pair, 200),
            ("GET", "/Get?key=old", None, 200), ("DELETE", "/Delete", {"key": "old"}, 200),
            ("POST", "/kvstore", pair, 200), ("PUT", "/kvstore", pair, 200),
            ("GET", "/kvstore?key=old", None, 200), ("DELETE", "/kvstore?key=old", None, 200),
        ):  # fmt: skip
            with self.subTest(f"{method} {target}"):
                self.call(method, target, body, status=status)
        self.assertEqual(self.contract.operations() - self.contract.seen, set())

    def test_the_server_hands_out_its_contract(self):
        self.assertEqual(self.call("GET", "/openapi.yaml").data.decode(), self.contract.text)

    def test_paths_and_methods_outside_the_contract_are_refused(self):
        answer = self.client.request("GET", "/v1/nothing")
        self.assertEqual((answer.status, answer.type), (404, "application/problem+json"))
        answer = self.client.request("POST", "/v1/status", {})
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET"))

    def test_the_checker_of_the_contract_notices(self):
        class Response:
            status = 200

            def getheaders(self):
                return [("Content-Type", "application/json"), ("ETag", '"1"'), ("Kvstore-Session", "A")]

        good = b'{"create_revision":1,"mod_revision":1,"version_count":1,"version":"1","value":"a"}'
        self.contract.check("GET", "/v1/keys/a", Answer(Response(), good))
        for bad in (good.replace(b'"version":"1"', b'"version":1'), good.replace(b'"mod_revision":1,', b""),
                    good.replace(b'"value"', b'"valve"'), good.replace(b":1,", b":true,"), b"[]"):  # fmt: skip
            with self.assertRaises(ContractBroken):
                self.contract.check("GET", "/v1/keys/a", Answer(Response(), bad))

    # ---- one key ----

    def test_a_key_is_written_read_and_deleted(self):
        written = self.put("user:1/profile", "Ada")
        self.assertEqual(written.json()["created"], True)
        read = self.call("GET", self.at("user:1/profile"))
        self.assertEqual(read.json()["value"], "Ada")
        self.assertEqual(read.headers["etag"], written.headers["etag"])
        self.assertEqual(self.put("user:1/profile", "Bea", 200).json()["created"], False)
        self.assertEqual(self.call("GET", self.at("user:1/profile")).json()["version_count"], 2)
        self.assertEqual(self.call("DELETE", self.at("user:1/profile")).json()["deleted"], 1)
        self.assertEqual(self.call("DELETE", self.at("user:1/profile")).json()["deleted"], 0)
        problem = self.call("GET", self.at("user:1/profile"), status=404).json()
        self.assertEqual(problem["effect"], "none")

    def test_bytes_that_are_no_text_go_as_base64_or_raw(self):
        self.call("PUT", self.at(BINARY), {"value_base64": BINARY_TEXT}, status=201)
        record = self.call("GET", self.at(BINARY)).json()
        self.assertEqual((record["key_base64"], record["value_base64"]), (BINARY_TEXT, BINARY_TEXT))
        self.assertNotIn("value", record)
        raw = self.call("GET", self.at(BINARY), headers={"Accept": RAW["Content-Type"]})
        self.assertEqual(raw.data, BINARY)
        self.call("PUT", self.at("raw", ttl_seconds=60), BINARY, RAW, 201)
        record = self.call("GET", self.at("raw")).json()
        self.assertEqual((record["value_base64"], record["ttl_seconds"]), (BINARY_TEXT, 60))

    def test_head_answers_as_get_without_a_body(self):
        self.put("a", "1")
        answer = self.client.request("HEAD", self.at("a"))
        self.assertEqual((answer.status, answer.data), (200, b""))
        self.assertIn("etag", answer.headers)

    def test_etags_make_reads_and_writes_conditional(self):
        etag = self.put("a", "1").headers["etag"]
        self.call("GET", self.at("a"), headers={"If-None-Match": etag}, status=304)
        newer = self.put("a", "2", 200, {"If-Match": etag}).headers["etag"]
        self.call("GET", self.at("a"), headers={"If-None-Match": etag})
        problem = self.put("a", "3", 412, {"If-Match": etag}).json()
        self.assertEqual((problem["effect"], problem["current_value"]), ("none", "2"))
        self.assertEqual(problem["current_mod_revision"], int(newer.strip('"')))
        self.put("a", "3", 412, {"If-None-Match": "*"})
        self.put("b", "1", 201, {"If-None-Match": "*"})
        self.put("b", "2", 200, {"If-Match": "*"})
        self.put("c", "1", 412, {"If-Match": "*"})
        self.call("DELETE", self.at("a"), headers={"If-Match": etag}, status=412)
        self.call("DELETE", self.at("a"), headers={"If-Match": newer})

    def test_expected_values_make_writes_conditional(self):
        self.put("a", "1", 201, expected=None)
        self.put("a", "2", 412, expected=None)
        self.put("a", "2", 200, expected="1")
        self.put("a", "3", 412, expected="1")
        self.put("absent", "1", 412, expected="")
        self.put("a", "3", 200, expected_base64=base64.b64encode(b"2").decode())
        self.put("a", "4", 400, {"If-Match": "*"}, expected="3")
        self.call("DELETE", self.at("a"), {"expected": "2"}, status=412)
        self.call("DELETE", self.at("a"), {"expected": "3"})

    def test_previous_values_are_answered_on_request(self):
        put = self.call("PUT", self.at("a", prev="true"), {"value": "1"}, status=201)
        self.assertIsNone(put.json()["old_value"])
        put = self.call("PUT", self.at("a", prev="true"), {"value_base64": BINARY_TEXT})
        self.assertEqual(put.json()["old_value"], "1")
        gone = self.call("DELETE", self.at("a", prev="true"))
        self.assertEqual(gone.json()["old_value_base64"], BINARY_TEXT)
        self.assertNotIn("old_value", self.put("a", "2").json())

    def test_keys_expire(self):
        self.put("a", "1", ttl_seconds=1)
        record = self.call("GET", self.at("a")).json()
        self.assertEqual(record["ttl_seconds"], 1)
        left = record["expires_at_ms"] / 1000 - time.time()
        self.assertTrue(-0.1 < left <= 1.1, left)
        time.sleep(max(0, left) + 0.1)
        self.call("GET", self.at("a"), status=404)
        self.assertEqual(self.page()["count"], 0)
        self.put("b", "1", ttl_seconds=3600)
        self.put("b", "2", 200)
        self.assertNotIn("expires_at_ms", self.call("GET", self.at("b")).json())

    def test_old_revisions_can_be_read(self):
        first = self.put("a", "1").json()["revision"]
        second = self.put("a", "2", 200).json()["revision"]
        third = self.call("DELETE", self.at("a")).json()["revision"]
        self.assertTrue(first < second < third)
        self.assertEqual(self.call("GET", self.at("a", revision=first)).json()["value"], "1")
        self.assertEqual(self.call("GET", self.at("a", revision=second)).json()["value"], "2")
        self.call("GET", self.at("a", revision=third), status=404)
        self.assertEqual([r["value"] for r in self.page(revision=second)["keys"]], ["2"])
        self.call("GET", self.at("a", revision=third + 1000), status=400)

    def test_every_consistency_reads_ones_own_writes_on_one_node(self):
        self.put("a", "1")
        for consistency in ("linearizable", "causal", "bounded", "eventual", "strong"):
            with self.subTest(consistency):
                read = self.call("GET", self.at("a", consistency=consistency))
                self.assertEqual(read.json()["value"], "1")

    # ---- numbers ----

    def add(self, key, body=None, status=200, headers=None):
        target = key_path(key) + "/increment?" + urllib.parse.urlencode({"keyspace": self.space})
        return self.call("POST", target, body, headers, status)

    def test_numbers_are_counted_in_one_request(self):
        first = self.add("n")
        self.assertEqual((first.json()["value"], first.json()["created"]), (1, True))
        self.assertEqual(self.add("n", {"by": -43}).json()["value"], -42)
        read = self.call("GET", self.at("n"))
        self.assertEqual((read.json()["value"], read.json()["version_count"]), ("-42", 2))
        self.assertEqual(self.add("n", {"by": 2**63 - 1}).json()["value"], 2**63 - 43)
        problem = self.add("n", {"by": 43}, 409).json()
        self.assertEqual((problem["title"], problem["effect"]), ("out of range", "none"))
        self.put("text", "a")
        problem = self.add("text", None, 409).json()
        self.assertEqual((problem["title"], problem["effect"]), ("wrong type", "none"))
        for bad in ({"by": 1.5}, {"by": "1"}, {"by": 2**63}, {"ttl_seconds": 0}, []):
            with self.subTest(bad):
                self.assertEqual(self.add("n", bad, 400).json()["effect"], "none")

    def test_numbers_keep_their_lifetime_and_take_another(self):
        self.put("n", "1", ttl_seconds=1000)
        self.add("n")
        self.assertIn(self.call("GET", self.at("n")).json()["ttl_seconds"], range(900, 1001))
        self.add("n", {"ttl_seconds": 5000})
        self.assertIn(self.call("GET", self.at("n")).json()["ttl_seconds"], range(4900, 5001))

    def test_a_conditional_count_is_safe_to_repeat(self):
        etag = self.add("n").headers["etag"]
        self.add("n", headers={"If-Match": etag})
        self.assertEqual(self.add("n", None, 412, {"If-Match": etag}).json()["current_value"], "2")

    def test_counts_of_many_clients_are_all_kept(self):
        target = key_path("n") + "/increment?" + urllib.parse.urlencode({"keyspace": self.space})

        def count():
            with contextlib.closing(Http(self.shared.http_port)) as client:
                for _ in range(50):
                    assert client.request("POST", target).status == 200

        clients = [threading.Thread(target=count) for _ in range(8)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        self.assertEqual(self.call("GET", self.at("n")).json()["value"], "400")

    # ---- pages ----

    def test_pages_forward_and_backward_show_every_key_once(self):
        names = sorted([f"key{i:03}".encode() for i in range(57)] + [BINARY, b"\x00"])
        for name in names:
            self.call("PUT", self.at(name), {"value": "v"}, status=201)
        for limit in (1, 7, 59, 60, 1000):
            for reverse in ("false", "true"):
                with self.subTest(limit=limit, reverse=reverse):
                    found = self.all_pages(limit=limit, reverse=reverse)
                    self.assertEqual(found, names if reverse == "false" else names[::-1])

    def all_pages(self, **query):
        names, cursor = [], ""
        while True:
            page = self.page(cursor=cursor, **query) if cursor else self.page(**query)
            names += [name_of(record) for record in page["keys"]]
            self.assertEqual(page["count"], len(page["keys"]))
            if not page["has_more"]:
                self.assertNotIn("cursor", page)
                return names
            cursor = page["cursor"]

    def test_a_page_is_bounded_by_prefix_and_range(self):
        for name in ("a", "b:1", "b:2", "b:3", "c"):
            self.put(name, name.upper())
        for query, expected in (({"prefix": "b:"}, "b:1 b:2 b:3"), ({"from": "b:2"}, "b:2 b:3 c"),
                                ({"to": "b:2"}, "a b:1"), ({"from": "b:2", "to": "c"}, "b:2 b:3"),
                                ({"prefix": "b:", "from": "b:2"}, "b:2 b:3"), ({"prefix": "x"}, ""),
                                ({"from": "c", "to": "a"}, ""), ({"prefix": ""}, "a b:1 b:2 b:3 c")):  # fmt: skip
            with self.subTest(query):
                self.assertEqual([r["key"] for r in self.page(**query)["keys"]], expected.split())
        self.assertEqual(self.page(count_only="true")["count"], 5)
        self.assertEqual(self.page(count_only="true")["keys"], [])
        self.assertTrue(all("value" not in r for r in self.page(keys_only="true")["keys"]))

    # ---- batches ----

    def test_items_of_a_batch_succeed_and_fail_each_by_itself(self):
        self.put("a", "1")
        put = self.batch("put", items=[
            {"key": "a", "value": "2", "expected": "1"}, {"key": "a2", "value": "2", "expected": "1"},
            {"key_base64": BINARY_TEXT, "value_base64": BINARY_TEXT}, {"key": "t", "value": "", "ttl_seconds": 9},
        ])  # fmt: skip
        self.assertEqual([r["ok"] for r in put["results"]], [True, False, True, True])
        self.assertEqual(put["results"][1]["effect"], "none")
        got = self.batch("get", keys=["a", "a2", {"key_base64": BINARY_TEXT}, "t"])
        self.assertEqual([r["found"] for r in got["results"]], [True, False, True, True])
        self.assertEqual(got["results"][2]["value_base64"], BINARY_TEXT)
        gone = self.batch("delete", keys=["a", "a2", "t"])
        self.assertEqual((gone["deleted"], [r["deleted"] for r in gone["results"]]), (2, [1, 0, 1]))
        self.assertEqual(self.batch("put", items=[])["results"], [])

    def batch(self, kind, **body):
        return self.call("POST", f"/v1/batch/{kind}?keyspace={self.space}", body).json()

    def test_a_malformed_item_refuses_the_whole_batch(self):
        items = [{"key": "a", "value": "1"}, {"key": "b"}]
        answer = self.call("POST", f"/v1/batch/put?keyspace={self.space}", {"items": items}, status=400)
        self.assertIn("items[1]", answer.json()["detail"])
        self.call("GET", self.at("a"), status=404)

    # ---- keyspaces ----

    def test_keyspaces_do_not_see_each_other(self):
        self.put("a", "1")
        self.call("GET", "/v1/keys/a?keyspace=default", status=404)
        self.call("GET", "/v1/keys/a?keyspace=no-such-keyspace", status=404)
        self.call("POST", "/v1/keyspaces", {"name": self.space}, status=409)
        self.call("DELETE", f"/v1/keyspaces/{self.space}", status=204)
        self.call("GET", self.at("a"), status=404)
        self.call("POST", "/v1/keyspaces", {"name": self.space}, status=201)
        self.assertEqual(self.page()["count"], 0)

    def test_keyspaces_are_described_and_changed(self):
        names = [s["name"] for s in self.call("GET", "/v1/keyspaces").json()["keyspaces"]]
        self.assertIn("default", names)
        self.assertEqual(names, sorted(names))
        changed = self.call("PATCH", f"/v1/keyspaces/{self.space}", {"history": "2h"}).json()
        self.assertEqual((changed["history"], changed["engine"]), ("2h", "memory"))
        self.call("PATCH", f"/v1/keyspaces/{self.space}", {"engine": "lsm"}, status=400)
        self.call("PATCH", "/v1/keyspaces/no-such", {"history": "2h"}, status=404)
        self.call("DELETE", "/v1/keyspaces/no-such", status=404)
        for bad in ({}, {"name": ""}, {"name": "x" * 1000}, {"name": "e", "engine": "tape"},
                    {"name": "h", "history": "long"}, {"name": "f", "replication_factor": 99}):  # fmt: skip
            with self.subTest(bad):
                problem = self.call("POST", "/v1/keyspaces", bad, status=400).json()
                self.assertEqual(problem["effect"], "none")

    # ---- older paths, the node ----

    def test_the_older_paths_share_the_default_keyspace(self):
        self.call("POST", "/Set", {"key": "legacy", "value": "1"})
        self.assertEqual(self.call("GET", "/Get?key=legacy").json(), {"value": "1"})
        self.assertEqual(self.call("GET", "/v1/keys/legacy").json()["value"], "1")
        self.call("PUT", "/kvstore", {"key": "legacy", "value": "2"})
        self.assertEqual(self.call("GET", "/kvstore?key=legacy").json(), {"value": "2"})
        self.call("DELETE", "/Delete", {"key": "legacy"})
        self.call("GET", "/Get?key=legacy", status=404)
        self.call("DELETE", "/kvstore?key=legacy", status=404)
        self.call("POST", "/Set", {"key": "legacy"}, status=400)

    def test_the_node_tells_about_itself(self):
        status = self.call("GET", "/v1/status").json()
        self.assertEqual((status["node_id"], status["durability"]), ("node1", "always"))
        self.assertIn(self.space, [shard["keyspace"] for shard in status["shards"]])
        metrics = self.call("GET", "/metrics").data.decode()
        self.assertRegex(metrics, r'(?m)^kvstore_requests_total\{protocol="http"\} [1-9]')
        self.assertEqual(self.call("GET", "/readyz").data, b"ready\n")
        for path in ("/livez", "/healthz", "/startupz"):
            self.assertEqual(self.client.request("GET", path).status, 200)

    def test_the_grpc_port_answers_http_too(self):
        answer = self.shared.http("GET", "/livez", port=self.shared.grpc_port)
        self.assertEqual(answer.status, 200)


def name_of(record):
    return record["key"].encode() if "key" in record else base64.b64decode(record["key_base64"])


if __name__ == "__main__":
    unittest.main()
