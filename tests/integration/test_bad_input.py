"""What clients send that they should not: the server refuses it, stays small, and serves the others."""

import base64
import contextlib
import json
import socket
import time
import unittest

from support import Http, RedisError, ServerTestCase, encode_command, key_path, raw_exchange

KEY_MAX = 64 * 1024
VALUE_MAX = 16 * 1024 * 1024
MIB = 1024 * 1024

# Each ends its connection: where the next request would begin is unknown.
MALFORMED_REDIS = {
    "a count that is no number": b"*x\r\n",
    "far too many arguments": b"*2147483647\r\n",
    "an argument without its length": b"*1\r\nPING\r\n",
    "a length that is no number": b"*1\r\n$ten\r\n",
    "a negative length": b"*1\r\n$-5\r\n",
    "a length beyond every limit": b"*1\r\n$99999999999\r\n",
    "a line without end": b"x" * 200_000,
    "unbalanced quotes": b'SET "a b\r\n',
}

MALFORMED_HTTP = {
    "no HTTP at all": (b"\x00\x01\x02\x03\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "no version": (b"GET /livez\r\n\r\n", 400),
    "a version of the future": (b"GET /livez HTTP/9.9\r\n\r\n", 505),
    "a header without colon": (b"GET /livez HTTP/1.1\r\nnonsense\r\n\r\n", 400),
    "two lengths": (b"PUT /v1/keys/a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "a length that is no number": (b"PUT /v1/keys/a HTTP/1.1\r\nContent-Length: ten\r\n\r\n", 400),
    "a negative length": (b"PUT /v1/keys/a HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
    "a length beyond every limit": (b"PUT /v1/keys/a HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
    "chunks that are none": (b"PUT /v1/keys/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "lengths and chunks": (b"PUT /v1/keys/a HTTP/1.1\r\nTransfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
                           400),
    "a coding that is unknown": (b"PUT /v1/keys/a HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "chunk extensions without end": (b"PUT /v1/keys/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;"
                                     + b"x" * 100_000, 431),
    "headers without end": (b"GET /livez HTTP/1.1\r\n" + b"A: " + b"x" * 100_000, 431),
    "a request line without end": (b"GET /" + b"x" * 100_000, 431),
}  # fmt: skip


class BadInput(ServerTestCase):
    @classmethod
    def setUpClass(cls):
        # One server for all: each test also shows that the one before did no harm.
        cls.holder = ServerTestCase()
        cls.holder.setUp()
        cls.shared = cls.holder.started("--default-engine", "memory")
        cls.process = cls.shared.process

    @classmethod
    def tearDownClass(cls):
        try:
            assert cls.shared.terminate() == 0, cls.shared.log()
        finally:
            cls.holder.doCleanups()

    def tearDown(self):
        self.assertIsNone(self.process.poll(), self.shared.log())
        with self.shared.redis() as redis:
            self.assertEqual(redis("PING"), "PONG")
        self.assertEqual(self.shared.http("GET", "/livez").status, 200)

    # ---- malformed ----

    def test_malformed_redis_requests_get_an_error_and_the_end(self):
        for name, data in MALFORMED_REDIS.items():
            with self.subTest(name):
                answer = raw_exchange(self.shared.resp_port, data)
                self.assertTrue(answer.startswith(b"-ERR"), answer[:100])

    def test_malformed_http_requests_get_a_problem_and_the_end(self):
        for name, (data, status) in MALFORMED_HTTP.items():
            with self.subTest(name):
                answer = raw_exchange(self.shared.http_port, data)
                self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), answer[:200])
                problem = json.loads(answer.split(b"\r\n\r\n", 1)[1])
                self.assertEqual((problem["status"], problem["effect"]), (status, "none"))

    def test_what_came_before_a_malformed_request_is_answered(self):
        data = encode_command("SET", "before", "1") + encode_command("GET", "before") + b"*x\r\n"
        answer = raw_exchange(self.shared.resp_port, data)
        self.assertTrue(answer.startswith(b"+OK\r\n$1\r\n1\r\n-ERR"), answer)

    def test_malformed_bodies_get_a_problem_that_says_what_is_wrong(self):
        deep = b'{"value":' + b"[" * 5000 + b"]" * 5000 + b"}"
        for body in (b"", b"{", b"[]", b"null", b'{"value":1}', b'{"value":"a","value_base64":"YQ=="}',
                     b'{"value_base64":"!"}', b'{"value":"a","ttl_seconds":0}', b'{}',
                     b'{"value":"a","ttl_seconds":-1}', b'{"value":"\xff"}', deep):  # fmt: skip
            with self.subTest(body[:40]):
                answer = self.shared.http("PUT", "/v1/keys/bad", body)
                self.assertEqual(answer.status, 400, answer.data)
                self.assertEqual(answer.type, "application/problem+json")
                self.assertEqual(answer.json()["effect"], "none")
        self.assertEqual(self.shared.http("GET", "/v1/keys/bad").status, 404)

    def test_malformed_parameters_get_a_problem(self):
        for target in ("/v1/keys?limit=0", "/v1/keys?limit=-1", "/v1/keys?limit=1e9",
                       "/v1/keys?cursor=%21", "/v1/keys?reverse=maybe", "/v1/keys?revision=x",
                       "/v1/keys/a?consistency=never", "/v1/keys/%zz"):  # fmt: skip
            with self.subTest(target):
                answer = self.shared.http("GET", target)
                self.assertEqual(answer.status, 400, answer.data)
                self.assertEqual(answer.json()["effect"], "none")

    # ---- limits ----

    def test_keys_and_values_at_their_limits_are_kept_and_above_are_refused(self):
        with self.shared.redis() as redis:
            key = b"k" * KEY_MAX
            self.assertEqual(redis("SET", key, b"at the limit"), "OK")
            self.assertEqual(redis("GET", key), b"at the limit")
            value = bytes(range(256)) * (VALUE_MAX // 256)
            self.assertEqual(redis("SET", "large", value), "OK")
            self.assertEqual(redis("GET", "large"), value)
            for words in (("SET", key + b"k", "v"), ("SET", "larger", value + b"v"),
                          ("SET", "far", b"v" * (100 * MIB)), ("SET", b"k" * (10 * MIB), "v")):  # fmt: skip
                with self.subTest(words[0], key=len(words[1]), value=len(words[-1])):
                    with self.assertRaises(RedisError):
                        redis(*words)
            self.assertEqual(redis("STRLEN", "large"), VALUE_MAX)
            self.assertEqual(redis("EXISTS", "larger", "far"), 0)
            self.assertEqual(redis("DEL", "large", key), 2)

    def test_a_value_does_not_grow_above_the_limit_in_steps(self):
        with self.shared.redis() as redis:
            try:
                redis("SET", "growing", b"v" * VALUE_MAX)
                for words in (("APPEND", "growing", "v"), ("SETRANGE", "growing", VALUE_MAX, "v")):
                    with self.assertRaises(RedisError):
                        redis(*words)
            finally:
                redis("DEL", "growing")

    def test_the_limits_hold_over_http_too(self):
        raw = {"Content-Type": "application/octet-stream"}
        value = bytes(range(256)) * (VALUE_MAX // 256)
        self.assertEqual(self.shared.http("PUT", "/v1/keys/large", value, raw).status, 201)
        got = self.shared.http("GET", "/v1/keys/large", headers={"Accept": raw["Content-Type"]})
        self.assertEqual(got.data, value)
        encoded = {"value_base64": base64.b64encode(value + b"v").decode()}
        for body, headers in ((value + b"v", raw), (encoded, None)):
            answer = self.shared.http("PUT", "/v1/keys/larger", body, headers)
            self.assertEqual((answer.status, answer.json()["effect"]), (413, "none"))
        items = {"items": [{"key": "k" * KEY_MAX, "value": "v"}]}
        self.assertEqual(self.shared.http("POST", "/v1/batch/put", items).json()["results"][0]["ok"], True)
        items["items"][0]["key"] += "k"
        answer = self.shared.http("POST", "/v1/batch/put", items)
        self.assertEqual(answer.status, 413, answer.data)
        many = {"keys": ["k"] * 10_001}
        self.assertEqual(self.shared.http("POST", "/v1/batch/get", many).status, 413)
        self.assertEqual(self.shared.http("DELETE", "/v1/keys/large").json()["deleted"], 1)

    def test_a_body_far_above_the_limit_is_refused_before_it_arrives(self):
        head = b"PUT /v1/keys/a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 10000000000\r\n\r\n"
        before = self.shared.memory_bytes()
        self.assertTrue(raw_exchange(self.shared.http_port, head).startswith(b"HTTP/1.1 413"))
        self.assertLess(self.shared.memory_bytes() - before, 64 * MIB)

    # ---- odd, and right ----

    def test_empty_and_binary_keys_and_values_are_data_as_any_other(self):
        odd = [b"\x00", b"\x00\x00", b"a\x00b", b"\r\n", b"\xff\xfe", bytes(range(256)), b"/../", b"%41",
               "ключ".encode(), b" "]  # fmt: skip
        raw = {"Content-Type": "application/octet-stream"}
        with self.shared.redis() as redis:
            for data in odd:
                with self.subTest(data):
                    self.assertEqual(redis("SET", data, data[::-1]), "OK")
                    got = self.shared.http("GET", key_path(data), headers={"Accept": raw["Content-Type"]})
                    self.assertEqual((got.status, got.data), (200, data[::-1]))
                    self.assertEqual(self.shared.http("PUT", key_path(data), data, raw).status, 200)
                    self.assertEqual(redis("GET", data), data)
                    self.assertEqual(redis("DEL", data), 1)
            self.assertEqual(redis("SET", "empty", b""), "OK")
            self.assertEqual(redis("GET", "empty"), b"")
            self.assertEqual(self.shared.http("GET", "/v1/keys/empty").json()["value"], "")
            self.assertEqual(redis("DEL", "empty"), 1)

    def test_an_empty_key_is_treated_alike_by_both_protocols(self):
        with self.shared.redis() as redis:
            try:
                taken = redis("SET", b"", b"v") == "OK"
            except RedisError:
                taken = False
        answer = self.shared.http("PUT", "/v1/keys/", {"value": "w"})
        if not taken:
            self.assertEqual((answer.status, answer.json()["effect"]), (400, "none"))
            return
        self.assertEqual(answer.status, 200, answer.data)
        self.assertEqual(self.shared.http("GET", "/v1/keys/").json()["value"], "w")
        self.assertEqual(self.shared.http("DELETE", "/v1/keys/").json()["deleted"], 1)

    # ---- half and slow ----

    def test_half_a_request_does_nothing(self):
        whole = encode_command("SET", "half", "x" * 100)
        for cut in range(1, len(whole), 7):
            raw_exchange(self.shared.resp_port, whole[:cut], shut=True)
        put = b"PUT /v1/keys/half HTTP/1.1\r\nContent-Length: 15\r\n\r\n" + b'{"value":"abc"}'
        for cut in range(1, len(put), 7):
            raw_exchange(self.shared.http_port, put[:cut], shut=True)
        with self.shared.redis() as redis:
            self.assertIsNone(redis("GET", "half"))

    def test_all_that_came_before_the_end_of_input_is_answered(self):
        answers = raw_exchange(self.shared.http_port, b"GET /openapi.yaml HTTP/1.1\r\n\r\n" * 300, shut=True)
        self.assertEqual(answers.count(b"HTTP/1.1 200 OK"), 300)
        answers = raw_exchange(self.shared.http_port, b"GET /v1/none HTTP/1.1\r\n\r\n" * 20_000, shut=True)
        self.assertEqual(answers.count(b"HTTP/1.1 404 "), 20_000)

    def test_requests_in_pieces_are_whole_requests(self):
        data = encode_command("SET", "pieces", "v\r\nw") + encode_command("GETDEL", "pieces")
        with self.shared.redis() as redis:
            for i in range(len(data)):
                redis.send_raw(data[i : i + 1])
            self.assertEqual([redis.read(), redis.read()], ["OK", b"v\r\nw"])
        put = b'PUT /v1/keys/pieces HTTP/1.1\r\nConnection: close\r\nContent-Length: 13\r\n\r\n{"value":"x"}'
        with socket.create_connection(("127.0.0.1", self.shared.http_port), timeout=20) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(len(put)):
                connection.sendall(put[i : i + 1])
            self.assertTrue(connection.recv(65536).startswith(b"HTTP/1.1 201"))

    def test_a_slow_http_request_is_given_up_and_holds_up_nobody(self):
        begin = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.shared.http_port), timeout=30) as slow:
            slow.sendall(b"GET /livez HTTP/1.1\r\nA: ")
            self.assertEqual(self.shared.http("GET", "/livez").status, 200)
            answer = slow.recv(65536)
        self.assertTrue(answer.startswith(b"HTTP/1.1 408"), answer)
        self.assertLess(time.monotonic() - begin, 20)

    def test_many_idle_connections_hold_up_nobody(self):
        with contextlib.ExitStack() as stack:
            for port in [self.shared.resp_port, self.shared.http_port] * 200:
                idle = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                idle.sendall(b"*" if port == self.shared.resp_port else b"G")
            with self.shared.redis() as redis:
                self.assertEqual(redis("PING"), "PONG")
            self.assertEqual(self.shared.http("GET", "/livez").status, 200)


class Slowness(ServerTestCase):
    def test_requests_that_never_end_give_their_places_back(self):
        server = self.started("--limits-request-timeout", "1s", "--limits-connections-max", "3")
        halves = ((server.resp_port, b"*2\r\n$3\r\n", b"-ERR Protocol error: the request did not arrive in time\r\n"),
                  (server.http_port, b"GET /", b"HTTP/1.1 408 "),
                  (server.http_port, b"PUT /v1/keys/a HTTP/1.1\r\nContent-Length: 9\r\n\r\n{", b"HTTP/1.1 408 "))  # fmt: skip
        for port, half, word in halves:
            with contextlib.ExitStack() as stack:
                slow = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
                        for _ in range(3)]  # fmt: skip
                for connection in slow:
                    connection.sendall(half)
                for connection in slow:
                    self.assertTrue(connection.recv(65536).startswith(word))
                    self.assertEqual(connection.recv(65536), b"")
        with server.redis() as redis:
            self.assertEqual(redis("PING"), "PONG")
            time.sleep(1.5)
            self.assertEqual(redis("PING"), "PONG")
        self.assertEqual(server.http("GET", "/livez").status, 200)


class Greed(ServerTestCase):
    def test_a_client_that_never_reads_its_replies_costs_bounded_memory(self):
        server = self.started("--default-engine", "memory")
        with server.redis() as redis:
            redis("SET", "large", b"x" * (4 * MIB))
        before = server.memory_bytes()
        asked = (encode_command("GET", "large") * 500, b"GET /v1/keys/large HTTP/1.1\r\n\r\n" * 500)
        with contextlib.ExitStack() as stack:
            # 4 GiB of answers, which nobody reads.
            for port, data in zip((server.resp_port, server.http_port), asked):
                greedy = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
                greedy.sendall(data)
            time.sleep(0.5)
            for _ in range(20):
                with server.redis() as redis:
                    self.assertEqual(redis("STRLEN", "large"), 4 * MIB)
                self.assertEqual(server.http("GET", "/livez").status, 200)
            self.assertLess(server.memory_bytes() - before, 128 * MIB)
        self.assertEqual(server.terminate(), 0)

    def test_a_client_that_never_reads_its_writes_answers_costs_bounded_memory(self):
        server = self.started("--default-engine", "memory", "--default-history", "0")
        piece = encode_command("SET", "key", b"x" * 1000) * 1000
        with server.redis() as greedy:
            before = server.memory_bytes()
            greedy.socket.settimeout(1)
            with contextlib.suppress(TimeoutError):
                for _ in range(100):
                    greedy.send_raw(piece)
            self.assertLess(server.memory_bytes() - before, 512 * MIB)
            with server.redis() as redis:
                self.assertEqual(redis("PING"), "PONG")

    def test_full_memory_refuses_what_adds_data_and_takes_what_deletes(self):
        server = self.started("--default-engine", "memory", "--default-history", "0",
                              "--limits-memory-bytes-max", "16MiB")  # fmt: skip
        self.assertEqual(server.http("POST", "/v1/keyspaces", {"name": "disk", "engine": "lsm"}).status, 201)
        value = b"v" * 100_000
        with server.redis() as redis:
            with self.assertRaisesRegex(RedisError, "OOM memory is full.*limits.memory_bytes_max"):
                for number in range(5_000):
                    redis("SET", f"k{number}", value)
                    time.sleep(0.001)
            refused = server.http("PUT", "/v1/keys/k0", {"value": "v"})
            self.assertEqual((refused.status, refused.json()["effect"]), (507, "none"))
            with self.assertRaises(RedisError):
                redis("APPEND", "k0", "more")
            self.assertEqual(redis("GET", "k0"), value)
            self.assertEqual(server.http("PUT", "/v1/keys/k?keyspace=disk", {"value": "v"}).status, 201)
            self.assertEqual(redis("DEL", "k1"), 1)
            self.assertEqual(redis("FLUSHDB"), "OK")
            end = time.monotonic() + 10
            while time.monotonic() < end:
                with contextlib.suppress(RedisError):
                    self.assertEqual(redis("SET", "k", value), "OK")
                    break
                time.sleep(0.02)
            self.assertEqual(redis("GET", "k"), value)

    def test_connections_above_the_limit_are_refused_and_the_others_served(self):
        server = self.started("--limits-connections-max", "5")
        with contextlib.ExitStack() as stack:
            first = [stack.enter_context(server.redis()) for _ in range(5)]
            self.assertEqual([redis("PING") for redis in first], ["PONG"] * 5)
            answer = raw_exchange(server.resp_port, b"")
            self.assertIn(answer, (b"", b"-ERR max number of clients reached\r\n"))
            webs = [stack.enter_context(contextlib.closing(Http(server.http_port))) for _ in range(5)]
            self.assertEqual([web.request("GET", "/livez").status for web in webs], [200] * 5)
            refused = raw_exchange(server.http_port, b"GET /livez HTTP/1.1\r\n\r\n")
            self.assertTrue(refused.startswith(b"HTTP/1.1 503 "), refused)
            self.assertIn(b"application/problem+json", refused)
            self.assertEqual(json.loads(refused.partition(b"\r\n\r\n")[2])["effect"], "none")
            self.assertEqual([redis("PING") for redis in first], ["PONG"] * 5)
        self.wait_for_room(server)

    def wait_for_room(self, server):
        for _ in range(200):
            with contextlib.suppress(OSError, RedisError), server.redis() as redis:
                if redis("PING") == "PONG":
                    return
            time.sleep(0.02)
        self.fail("the places of closed connections were not given back")


if __name__ == "__main__":
    unittest.main()
