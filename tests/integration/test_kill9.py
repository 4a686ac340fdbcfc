"""A server that is killed at any moment loses nothing it acknowledged, and invents nothing."""

import contextlib
import random
import threading
import time
import unittest

from support import BROKEN_CONNECTION, Http, ServerTestCase, encode_command, key_path

KILLS = 8
KEYS_PER_WRITER = 40
PIPELINE = 8
BROKEN = BROKEN_CONNECTION


class Writer:
    """Owns its keys. For each it knows the values that a reader may find.

    `allowed[key]` holds the value acknowledged last and, behind it, those whose answer
    never came: each of them may have taken effect or not, but nothing else may stand there.
    """

    def __init__(self, name, seed):
        self.name = name
        self.random = random.Random(f"{seed}/{name}")
        self.allowed = {f"{name}:{i}": [None] for i in range(KEYS_PER_WRITER)}
        self.counter = f"{name}:counter"
        self.counter_known = 0
        self.counter_unknown = 0
        self.acknowledged = 0
        self.serial = 0
        self.failure = None
        self.thread = None

    def start(self, server):
        self.thread = threading.Thread(target=self.run, args=(server,), daemon=True)
        self.thread.start()

    def run(self, server):
        try:
            self.write_until_broken(server)
        except BROKEN:
            pass
        except Exception as error:  # Told by the test, in its own thread.
            self.failure = f"{self.name}: {error!r}"

    def fresh_value(self):
        """A value never used before, or None: delete."""
        if self.random.random() < 0.1:
            return None
        self.serial += 1
        return f"{self.name}/{self.serial}/" + "x" * self.random.choice((0, 10, 300, 5000))

    def note_sent(self, key, value):
        self.allowed[key].append(value)

    def note_done(self, key, value):
        self.allowed[key] = [value]
        self.acknowledged += 1


class RedisWriter(Writer):
    """Pipelines of SET, DEL and INCR. A key stands in a pipeline once."""

    def write_until_broken(self, server):
        with server.redis() as redis:
            while True:
                self.write_some(redis)

    def write_some(self, redis):
        keys = self.random.sample(sorted(self.allowed), PIPELINE)
        values = [self.fresh_value() for _ in keys]
        commands = [("DEL", k) if v is None else ("SET", k, v) for k, v in zip(keys, values)]
        commands.append(("INCR", self.counter))
        for key, value in zip(keys, values):
            self.note_sent(key, value)
        self.counter_unknown += 1
        redis.send_raw(b"".join(encode_command(*words) for words in commands))
        for key, value in zip(keys, values):
            reply = redis.read()
            if isinstance(reply, Exception):
                raise ValueError(f"{key}: {reply}")
            self.note_done(key, value)
        count = redis.read()
        if not isinstance(count, int):
            raise ValueError(f"INCR: {count}")
        self.counter_unknown -= 1
        self.counter_known += 1


class HttpWriter(Writer):
    """PUT and DELETE, one at a time."""

    def write_until_broken(self, server):
        with contextlib.closing(Http(server.http_port)) as client:
            while True:
                self.write_some(client)

    def write_some(self, client):
        key = self.random.choice(sorted(self.allowed))
        value = self.fresh_value()
        self.note_sent(key, value)
        if value is None:
            answer = client.request("DELETE", key_path(key))
        else:
            answer = client.request("PUT", key_path(key), {"value": value})
        if answer.status not in (200, 201):
            raise ValueError(f"{key}: {answer.status} {answer.data!r}")
        self.note_done(key, value)


class KilledServer(ServerTestCase):
    def storm(self, *flags):
        seed = time.time_ns() % 1_000_000
        dice = random.Random(seed)
        server = self.server(*flags)
        writers = [RedisWriter(f"redis{i}", seed) for i in range(3)]
        writers += [HttpWriter(f"http{i}", seed) for i in range(2)]
        with self.subTest(seed=seed):
            for _ in range(KILLS):
                server.start()
                self.check(server, writers)
                self.write_and_kill(server, writers, dice)
            server.start()
            self.check(server, writers)
            acknowledged = sum(writer.acknowledged for writer in writers)
            self.assertGreater(acknowledged, 50 * KILLS, "the storm hardly wrote anything")
            self.assertEqual(server.terminate(), 0, server.log())
            server.start()
            self.check(server, writers)

    def write_and_kill(self, server, writers, dice):
        for writer in writers:
            writer.start(server)
        time.sleep(dice.uniform(0.05, 0.8))
        saving = None
        if dice.random() < 0.4:
            # So that kills meet snapshots and flushes too.
            saving = threading.Thread(target=save, args=(server.http_port,), daemon=True)
            saving.start()
            time.sleep(dice.uniform(0, 0.05))
        server.kill()
        for thread in [writer.thread for writer in writers] + ([saving] if saving else []):
            thread.join(20)
            self.assertFalse(thread.is_alive(), "a client hangs after the kill")
        self.assertEqual([writer.failure for writer in writers if writer.failure], [])

    def check(self, server, writers):
        """What stands is what was acknowledged last, or something unanswered after it."""
        with server.redis() as redis:
            for writer in writers:
                keys = sorted(writer.allowed)
                for key, found in zip(keys, redis("MGET", *keys)):
                    text = None if found is None else found.decode()
                    if text not in writer.allowed[key]:
                        self.fail(f"{key} is {text!r:.60}, not one of {writer.allowed[key]!r:.300}")
                    writer.allowed[key] = [text]
                self.check_counter(redis, writer)

    def check_counter(self, redis, writer):
        count = int(redis("GET", writer.counter) or 0)
        self.assertGreaterEqual(count, writer.counter_known, f"{writer.counter} lost increments")
        most = writer.counter_known + writer.counter_unknown
        self.assertLessEqual(count, most, f"{writer.counter} counted what was never asked")
        writer.counter_known, writer.counter_unknown = count, 0

    def test_loses_nothing_acknowledged_in_the_lsm_engine(self):
        self.storm("--default-engine", "lsm", "--durability", "always")

    def test_loses_nothing_acknowledged_in_the_memory_engine(self):
        self.storm("--default-engine", "memory", "--durability", "always")

    def test_loses_nothing_when_synced_at_intervals_since_the_machine_stays_up(self):
        self.storm("--default-engine", "lsm", "--durability", "interval")

    def test_loses_nothing_with_small_logs_and_frequent_snapshots(self):
        self.storm("--default-engine", "memory", "--wal-segment-bytes", "1MiB",
                   "--snapshot-interval", "200ms")  # fmt: skip

    def test_loses_nothing_when_killed_while_it_starts(self):
        server = self.started("--default-engine", "lsm")
        keys = [f"key{i}" for i in range(200)]
        values = [(key * 50).encode() for key in keys]
        with server.redis() as redis:
            redis.pipeline([("SET", key, value) for key, value in zip(keys, values)])
        server.kill()
        dice = random.Random(7)
        for _ in range(10):
            server.spawn()
            time.sleep(dice.uniform(0.01, 0.15))
            server.kill()
        server.start()
        with server.redis() as redis:
            self.assertEqual(redis("MGET", *keys), values)


def save(port):
    with contextlib.suppress(*BROKEN), contextlib.closing(Http(port)) as client:
        client.request("POST", "/v1/admin/save")


if __name__ == "__main__":
    unittest.main()
