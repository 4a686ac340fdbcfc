"""Clients that write down what they ask and are answered (docs/reference/history-format.md)."""

import collections
import contextlib
import json
import random
import threading
import time

from support import BROKEN_CONNECTION, Http, Redis, RedisError, key_path

ANSWER_SECONDS = 4
REST_SECONDS = 0.02  # After an error, so that a dead node is not asked in a tight loop.
WANDERS = 0.02  # How often a client goes on without need, so that healed nodes are asked too.
GENERATION_SECONDS = 5
REGISTERS = 4
COUNTERS = 2

# What a Redis error says when a write may have happened; others certainly did nothing.
OUTCOME_UNKNOWN = "outcome unknown"


class History:
    """The file, and which keys and counters are in it. Thread-safe."""

    def __init__(self, path):
        self.path = path
        self.file = open(path, "w", encoding="utf-8")
        self.lock = threading.Lock()
        self.begin = time.monotonic()
        self.keys = set()
        self.outcomes = collections.Counter()
        self.refusals = collections.Counter()
        self.acknowledged = collections.Counter()
        self.unknown = collections.Counter()
        self.clients = 0
        self.last_write = self.longest_stall = 0

    def new_client(self):
        with self.lock:
            self.clients += 1
            return self.clients

    def generation(self):
        """Keys change with time, which keeps what the checker has to order small."""
        return int((time.monotonic() - self.begin) / GENERATION_SECONDS)

    def stall_begins(self):
        with self.lock:
            self.last_write, self.longest_stall = time.monotonic_ns(), 0

    def stall_seconds(self):
        """The longest time without an acknowledged write of anybody since stall_begins()."""
        with self.lock:
            return max(self.longest_stall, time.monotonic_ns() - self.last_write) / 1e9

    def write(self, record, why=""):
        line = json.dumps(record, separators=(",", ":"))
        key, outcome = record["key"], record["outcome"]
        with self.lock:
            self.file.write(line + "\n")
            self.keys.add(key)
            self.outcomes[outcome] += 1
            if outcome != "ok":
                self.refusals[why] += 1
            elif record["operation"] != "read":
                self.longest_stall = max(self.longest_stall, record["return"] - self.last_write)
                self.last_write = max(self.last_write, record["return"])
            if record["operation"] == "increment" and outcome == "ok":
                self.acknowledged[key] += 1
            if record["operation"] == "increment" and outcome == "unknown":
                self.unknown[key] += 1

    def close(self):
        self.file.close()


class Refused(Exception):
    """Certainly without effect."""


class Unknown(Exception):
    """Nobody knows whether it took effect."""


class Client:
    """One connection at a time; after an error, and now and then, it goes to the next node.

    One that `stays` asks the same node again: only where each node has such a client does
    a time without any answer mean that no node serves.

    Protocols give `connect(node)`, and a method for each operation that returns what the
    answer adds to the record, or raises Refused, Unknown or a broken connection.
    """

    def __init__(self, history, nodes, first, seed=0, stays=False):
        self.stays = stays
        self.history = history
        self.nodes = nodes
        self.at = first
        self.id = history.new_client()
        self.random = random.Random(f"{seed}/{self.id}")
        self.connection = None
        self.serial = 0
        self.last_seen = {}
        self.failure = None
        self.stopping = threading.Event()
        self.thread = None

    def start(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.one_operation()
        except Exception as error:  # Told by the test, in its own thread.
            self.failure = f"client {self.id}: {error!r}"
        finally:
            self.disconnect()

    def disconnect(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def one_operation(self):
        if not self.stays and self.random.random() < WANDERS:
            self.next_node(rest=0)
        generation = self.history.generation()
        if self.random.random() < 0.2:
            self.do("increment", f"n{generation}.{self.random.randrange(COUNTERS)}", by=1)
            return
        key = f"r{generation}.{self.random.randrange(REGISTERS)}"
        operation = self.random.choices(("write", "read", "delete", "other"), (40, 40, 8, 12))[0]
        if operation == "write":
            self.do("write", key, value=self.fresh_value())
        elif operation == "other":
            self.own_operation(key)
        else:
            self.do(operation, key)

    def own_operation(self, key):
        self.do("read", key)

    def fresh_value(self):
        self.serial += 1
        return f"{self.id}/{self.serial}" + "x" * self.random.choice((0, 0, 0, 100, 3000))

    def do(self, operation, key, **asked):
        """Asks once and records it. Returns: whether there was an answer."""
        record = {
            "client": self.id, "node": self.at + 1, "operation": operation, "key": key, **asked,
        }  # fmt: skip
        if not self.connected():
            return False
        record["call"] = time.monotonic_ns()
        outcome, why, answer = self.ask(operation, key, asked)
        record["outcome"] = outcome
        if outcome == "ok":
            record["return"] = time.monotonic_ns()
            record.update(answer)
            if "observed" in answer:
                self.last_seen[key] = answer["observed"]
        else:
            record["note"] = why
            self.next_node()
        self.history.write(record, why)
        return outcome == "ok"

    def ask(self, operation, key, asked):
        """Returns: the outcome, why it is not ok, and what an answer adds."""
        try:
            call = getattr(self, operation.replace("-", "_"))
            return "ok", "", call(key, **asked)
        except Refused as error:
            return "failed", str(error), {}
        except Unknown as error:
            return "unknown", str(error), {}
        except BROKEN_CONNECTION as error:
            self.disconnect()
            return "unknown", f"broken: {type(error).__name__}", {}

    def connected(self):
        if self.connection is not None:
            return True
        try:
            self.connection = self.connect(self.nodes[self.at])
        except BROKEN_CONNECTION:
            self.next_node()
            return False
        return True

    def next_node(self, rest=REST_SECONDS):
        self.disconnect()
        if not self.stays:
            self.at = (self.at + 1) % len(self.nodes)
        self.stopping.wait(rest)


class RespClient(Client):
    def connect(self, node):
        return Redis(node.resp_port, timeout=ANSWER_SECONDS, host=node.host)

    def command(self, *words):
        try:
            return self.connection(*words)
        except RedisError as error:
            kind = Unknown if OUTCOME_UNKNOWN in str(error) else Refused
            raise kind(str(error)) from error

    def write(self, key, value):
        self.command("SET", key, value)
        return {}

    def read(self, key):
        found = self.command("GET", key)
        return {"observed": None if found is None else found.decode()}

    def delete(self, key):
        return {"number": self.command("DEL", key)}

    def increment(self, key, by):
        return {"number": self.command("INCRBY", key, by)}


class HttpClient(Client):
    def connect(self, node):
        client = Http(node.http_port, timeout=ANSWER_SECONDS, host=node.host)
        client.connection.connect()  # Now: a request on no connection would count as unknown.
        return client

    def own_operation(self, key):
        """A conditional write; now and then a weak read."""
        if self.random.random() < 0.2:
            self.do("read", key, consistency="eventual")
            return
        value, expected = self.fresh_value(), self.last_seen.get(key)
        self.do("compare-and-set", key, value=value, expected=expected)

    def request(self, method, target, body=None, expect=()):
        answer = self.connection.request(method, target, body)
        problem = {} if answer.status < 300 else answer.json()
        if answer.status < 300 or answer.status in expect:
            return answer
        kind = Refused if problem["effect"] == "none" else Unknown
        raise kind(f"{answer.status} {problem['detail']}")

    def write(self, key, value):
        answer = self.request("PUT", key_path(key), {"value": value})
        return {"revision": answer.json()["revision"]}

    def compare_and_set(self, key, value, expected):
        body = {"value": value, "expected": expected}
        answer = self.request("PUT", key_path(key), body, expect=(412,))
        if answer.status == 412:
            return {"matched": False, "observed": answer.json().get("current_value")}
        return {"matched": True, "revision": answer.json()["revision"]}

    def read(self, key, consistency="linearizable"):
        target = f"{key_path(key)}?consistency={consistency}"
        answer = self.request("GET", target, expect=(404,))
        if answer.status == 404:
            return {"observed": None}
        found = answer.json()
        return {"observed": found["value"], "revision": found["mod_revision"]}

    def delete(self, key):
        return {"number": self.request("DELETE", key_path(key)).json()["deleted"]}

    def increment(self, key, by):
        answer = self.request("POST", f"{key_path(key)}/increment", {"by": by})
        return {"number": answer.json()["value"]}


@contextlib.contextmanager
def running(clients):
    """Starts them, and in the end waits for their last answers."""
    for client in clients:
        client.start()
    try:
        yield
    finally:
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.thread.join(60)
