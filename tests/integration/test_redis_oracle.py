"""The same commands to redis-server and to `kvstore server`: the replies must be the same bytes."""

import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from cluster_support import OneCluster

BIN = os.environ.get("KVSTORE_BIN", "")
SEED = int(os.environ.get("KVSTORE_SEED", "1"))
START_SECONDS = 20

# One script a line group; words are split at blanks, "" is the empty argument, \r\n and \x.. are bytes.
SCRIPT = r"""
SET a 1 | GET a | SET a 2 NX | SET a 2 XX | SET a 3 GET | SET b 1 XX | SET a 4 NX GET | SET n 1 NX GET
SET a x EX 0 | SET a x EX -1 | SET a x PX abc | SET a x EX 9223372036854775807 | SET a x EX 10 PX 10
SET a x KEEPTTL EX 1 | SET a x NX XX | SET a x EX | SET a x foo | SET a | GET | GET a b
SETEX a 10 v | TTL a | SETEX a 0 v | PSETEX a -1 v | SETNX a 1 | SETNX new 1 | GETSET a 9 | GETDEL a | GETDEL a
GETEX new | GETEX new PERSIST | GETEX new EX 100 | TTL new | GETEX new EX 0 | GETEX new KEEPTTL | GETEX none EX 10
APPEND s hello | APPEND s "" | STRLEN s | GETRANGE s 1 3 | GETRANGE s -3 -1 | GETRANGE s 5 9 | GETRANGE s -1 -3
GETRANGE s 0 -100 | SUBSTR s 0 1 | GETRANGE s a 1 | GETRANGE none 0 -1 | SETRANGE s 1 XX | SETRANGE s -1 x
SETRANGE s 536870911 ab | SETRANGE none 0 "" | SETRANGE s 0 "" | SETRANGE pad 3 x | GET pad | STRLEN none
MSET k1 1 k2 2 | MSET k1 | MSET k1 1 k2 | MGET k1 k2 none | MSETNX k1 1 k9 9 | MSETNX k8 8 k9 9 | MGET k8 k9
INCR c | INCRBY c 5 | DECR c | DECRBY c 3 | INCRBY c x | INCRBY c 9223372036854775807 | DECRBY c -9223372036854775808
SET c 9223372036854775807 | INCR c | SET c " 1" | INCR c | SET c 01 | INCR c | SET c 1.5 | INCR c | INCRBYFLOAT c 0.1
INCRBYFLOAT c 1e3 | INCRBYFLOAT c abc | INCRBYFLOAT c inf | SET c text | INCRBYFLOAT c 1 | INCRBYFLOAT f 3.0
INCRBYFLOAT f 1.23456789012345678 | INCRBYFLOAT f -4.23456789012345678
SET l1 ohmytext | SET l2 mynewtext | LCS l1 l2 | LCS l1 l2 LEN | LCS l1 l2 IDX | LCS l1 l2 IDX WITHMATCHLEN MINMATCHLEN 4
LCS l1 none | LCS l1 l2 LEN IDX | LCS l1 l2 FOO | LCS l1 l2 MINMATCHLEN
DEL k1 k2 none | UNLINK k8 | EXISTS k9 k9 none | TOUCH k9 none | TYPE k9 | TYPE none | DEL
EXPIRE k9 100 | TTL k9 | EXPIRE k9 50 GT | EXPIRE k9 200 GT | EXPIRE k9 300 LT | EXPIRE k9 100 LT | EXPIRE k9 10 NX
EXPIRE k9 10 XX | EXPIRE k9 10 NX XX | EXPIRE k9 10 GT LT | EXPIRE k9 10 AB | EXPIRE k9 x | EXPIRE none 1
EXPIRE k9 9223372036854775807 | PEXPIRE k9 9223372036854775807 | PERSIST k9 | PERSIST k9 | EXPIRE k9 10 XX LT | TTL k9
EXPIREAT k9 4102444800 | EXPIRETIME k9 | PEXPIREAT k9 4102444800123 | PEXPIRETIME k9 | TTL none | EXPIRETIME none
PEXPIRETIME a | EXPIREAT k9 1 | EXISTS k9 | SET e 1 PXAT 4102444800000 | PEXPIRETIME e | SET e 2 KEEPTTL | PEXPIRETIME e
SET e 3 | PTTL e | EXPIRE e 10 GT | EXPIRE e -1 LT | EXISTS e
SET r 1 | RENAME r r2 | RENAME r r3 | RENAME r2 r2 | RENAMENX r2 s | RENAMENX r2 r3 | RENAMENX r3 r3 | RENAME none none
COPY r3 r4 | COPY r3 r4 | COPY r3 r4 REPLACE | COPY r3 r3 | COPY none x | COPY r3 x FOO | COPY r3 x DB 99 | COPY r3 x DB a
OBJECT REFCOUNT none | OBJECT ENCODING r3 | OBJECT FREQ r3 | OBJECT FOO r3 | OBJECT HELP | OBJECT ENCODING
SET d foo | DUMP d | DUMP none | RESTORE d2 0 bad | RESTORE d2 -1 bad | RESTORE d2 x bad | RESTORE d2 0 bad FOO
RESTORE d2 0 \x00\x03foo\n\x00sI9\xdbM\xc1\xba\x97 | GET d2 | RESTORE d2 0 \x00\x03foo\n\x00sI9\xdbM\xc1\xba\x97
RESTORE d2 0 \x00\xc0{\n\x00H\xe2S\xe1\x00zg\xb9 REPLACE | GET d2 | RESTORE d3 0 x IDLETIME -1 | RESTORE d3 0 x FREQ 256
KEYS none* | SCAN 0 MATCH none* COUNT 1000 | SCAN x | SCAN 0 COUNT 0 | SCAN 0 COUNT x | SCAN 0 FOO 1 | SCAN 0 COUNT
SCAN 0 MATCH none* COUNT 1000 TYPE string | KEYS d2 | KEYS [d]2 | KEYS d\x5c2
MULTI | SET t 1 | INCR t | GET t | MGET t none | STRLEN t | EXPIRE t 10 | PERSIST t | COPY t t2 | RENAME t2 t3 | DEL t3 | EXEC
MULTI | MULTI | WATCH a | DISCARD | DISCARD | EXEC | MULTI | NOSUCH | SET t 1 | EXEC | MULTI | SET t | EXEC
MULTI | INCR s | GETEX t | GETDEL t | PING x | ECHO y | TYPE t | TTL t | EXISTS t s | SETRANGE u 1 x | APPEND u y | EXEC
MULTI | EXEC | WATCH t | SET t 1 | MULTI | GET t | EXEC | GET t | WATCH t | UNWATCH | SET t 2 | MULTI | GET t | EXEC
WATCH t | MULTI | SET t 3 | EXEC | MULTI | SELECT 0 | DBSIZE | FLUSHDB | DBSIZE | EXEC | WATCH | UNWATCH x
PING | PING a | PING a b | ECHO | ECHO a | SELECT 99 | SELECT a | SELECT -1 | AUTH x | AUTH default x | AUTH joe x | AUTH a b c
HELLO 9 | HELLO a | HELLO 2 FOO | HELLO 2 AUTH joe x | CLIENT SETNAME a\x20b | CLIENT SETNAME ok | CLIENT GETNAME
CLIENT SETNAME "" | CLIENT GETNAME | CLIENT REPLY foo | CLIENT KILL x | CLIENT KILL ID x | CLIENT KILL ID 999999
CLIENT NO-EVICT on | CLIENT NO-EVICT x | CLIENT FOO | CLIENT | CLIENT GETNAME x | CLIENT LIST TYPE foo | CLIENT LIST ID x
CLIENT UNPAUSE | CLIENT PAUSE x | CLIENT PAUSE -1 | CLIENT UNBLOCK 99999 | CLIENT GETREDIR | CLIENT LIST FOO
CONFIG GET maxmemory | CONFIG GET none | CONFIG SET none 1 | CONFIG SET maxmemory bla | CONFIG SET maxmemory 1 maxmemory 2
CONFIG SET maxmemory | CONFIG SET save "" | CONFIG GET save | CONFIG REWRITE | CONFIG RESETSTAT | CONFIG FOO | CONFIG GET
CONFIG SET maxmemory 100mb | CONFIG GET maxmemory | CONFIG SET maxmemory 0 | CONFIG SET activerehashing maybe
FUNCTION FLUSH | SLOWLOG LEN | SLOWLOG RESET | LATENCY RESET | LATENCY LATEST | MEMORY USAGE none | WAIT 0 0 | WAIT x 0
WAIT 0 x | WAIT 0 -1 | COMMAND COUNT x | COMMAND GETKEYS MSET a 1 b 2 | COMMAND GETKEYS PING | COMMAND GETKEYS GET
COMMAND INFO nosuch | COMMAND FOO | FLUSHALL FOO | FLUSHDB FOO | NOSUCH | NOSUCH a b c | nosuch "a b" | GETKEYS
"""


def encode(words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(parts)


def words_of(text):
    found = []
    word, quoted, begun = "", False, False
    for char in text:
        if char == '"':
            quoted, begun = not quoted, True
        elif char == " " and not quoted:
            if word or begun:
                found.append(word)
            word, begun = "", False
        else:
            word += char
    if word or begun:
        found.append(word)
    return [w.encode("latin-1").decode("unicode_escape").encode("latin-1") for w in found]


def commands_of(script):
    return [words_of(c.strip()) for line in script.splitlines() for c in line.split(" | ") if c.strip()]


class Client:
    """Reads replies as raw bytes."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            return line
        kind, rest = line[:1], line[1:-2]
        if kind in (b"$", b"=") and rest != b"-1":
            return line + self.file.read(int(rest) + 2)
        if kind in (b"*", b"~", b">") and rest != b"-1":
            return line + b"".join(self.reply() for _ in range(int(rest)))
        if kind == b"%":
            return line + b"".join(self.reply() for _ in range(2 * int(rest)))
        return line


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class RedisOracle(unittest.TestCase):
    rounds = 300
    unlike = ()

    def setUp(self):
        if not BIN:
            self.skipTest("KVSTORE_BIN does not name the server")
        if shutil.which("redis-server") is None:
            self.skipTest("redis-server is not installed")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kvstore-redis-oracle-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        theirs = free_port()
        self.start(["redis-server", "--port", str(theirs), "--bind", "127.0.0.1", "--save", ""])
        self.theirs = self.connect(theirs)
        self.ours = self.connect(self.start_ours())

    def start_ours(self):
        """Returns: the port."""
        ours = free_port()
        self.start(
            [BIN, "server", "--data-dir", str(self.folder / "data"), "--resp-addr", f"127.0.0.1:{ours}"]
            + ["--http-addr", "127.0.0.1:0", "--addr", "127.0.0.1:0"]
            + ["--default-engine", "memory", "--durability", "memory"]
        )
        return ours

    def start(self, words):
        process = subprocess.Popen(
            words, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.addCleanup(end, process)

    def connect(self, port):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                client = Client(port)
                self.addCleanup(client.close)
                return client
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def compare(self, commands):
        differences = []
        for words in self.alike(commands):
            request = encode(words)
            self.theirs.send(request)
            self.ours.send(request)
            theirs, ours = self.theirs.reply(), self.ours.reply()
            if theirs != ours:
                differences.append(f"{words}\n  redis  {theirs!r}\n  here   {ours!r}")
        self.assertEqual(differences, [], "\n" + "\n".join(differences))

    def alike(self, commands):
        return [words for words in commands if words[0] not in self.unlike]

    def test_answers_as_redis_does_in_version_2(self):
        self.compare(commands_of(SCRIPT))

    def test_answers_as_redis_does_in_version_3(self):
        for client in (self.theirs, self.ours):
            client.send(encode([b"HELLO", b"3"]))
            client.reply()
        self.compare([c for c in commands_of(SCRIPT) if c[0] != b"HELLO"])

    def test_answers_a_random_pipeline_as_redis_does(self):
        chance = random.Random(SEED)
        keys = [b"a", b"b", b"c", b"d"]
        values = [b"1", b"2.5", b"text", b"", b"-7", b"9223372036854775807"]
        kinds = [
            lambda: [b"SET", key(), value()],
            lambda: [b"SET", key(), value(), b"GET", chance.choice([b"NX", b"XX"])],
            lambda: [b"GET", key()],
            lambda: [b"INCRBY", key(), str(chance.randrange(-5, 9)).encode()],
            lambda: [b"APPEND", key(), value()],
            lambda: [b"SETRANGE", key(), str(chance.randrange(5)).encode(), value()],
            lambda: [b"GETRANGE", key(), b"1", b"-2"],
            lambda: [b"DEL", key(), key()],
            lambda: [b"MGET", *keys],
            lambda: [b"MSET", key(), value(), key(), value()],
            lambda: [b"MSETNX", key(), value(), key(), value()],
            lambda: [b"EXISTS", *keys],
            lambda: [b"RENAME", key(), key()],
            lambda: [b"COPY", key(), key()],
            lambda: [b"EXPIRE", key(), chance.choice([b"1000", b"-1", b"0"])],
            lambda: [b"PERSIST", key()],
            lambda: [b"GETDEL", key()],
            lambda: [b"GETSET", key(), value()],
            lambda: [b"STRLEN", key()],
            lambda: [b"DBSIZE"],
            lambda: [b"MULTI"],
            lambda: [b"EXEC"],
            lambda: [b"DISCARD"],
            lambda: [b"WATCH", key()],
            lambda: [b"FLUSHDB"],
        ]

        def key():
            return chance.choice(keys)

        def value():
            return chance.choice(values)

        for _ in range(self.rounds):
            commands = [chance.choice(kinds)() for _ in range(30)]
            # A key that was absent and is absent again counts as unchanged here: watch present ones.
            commands = [w for c in commands for w in ([[b"SET", c[1], b"w"], c] if c[0] == b"WATCH" else [c])]
            # MSETNX within a transaction is refused here.
            commands = [c for c in commands if c[0] != b"MSETNX" or commands[0][0] == b"SET"]
            commands = self.alike(commands)
            commands[:0] = [[b"DISCARD"], [b"UNWATCH"]]
            if any(c[0] == b"MSETNX" for c in commands):
                commands = [c for c in commands if c[0] != b"MULTI"]
            request = b"".join(encode(c) for c in commands)
            self.theirs.send(request)
            self.ours.send(request)
            for words in commands:
                theirs, ours = self.theirs.reply(), self.ours.reply()
                self.assertEqual(theirs, ours, f"seed {SEED}: {words} in {commands}")

    def test_ends_a_connection_where_redis_does(self):
        for request in (
            b"*1\r\nfoo\r\n",
            b"*x\r\n",
            b"*2\r\n$3\r\nGET\r\n$-5\r\n",
            b'set "a\r\n',
            b"PING\r\n\r\nECHO 'a b'\r\nQUIT\r\nPING\r\n",
            b"*0\r\n*-1\r\nQUIT\r\n",
        ):
            theirs, ours = (Client(c.socket.getpeername()[1]) for c in (self.theirs, self.ours))
            answers = []
            for client in (theirs, ours):
                client.send(request)
                answers.append(client.file.read())
                client.close()
            self.assertEqual(answers[0], answers[1], request)


class RedisOracleOnACluster(RedisOracle):
    """The same through a follower of a cluster of three."""

    rounds = 100
    # In a transaction DBSIZE counts what the replica of the asked node holds, which may be behind;
    # and of the replicas that WAIT counts this Redis has none.
    unlike = (b"DBSIZE", b"WAIT")

    def start_ours(self):
        nodes = OneCluster.start(self)
        leader = OneCluster.leader(self, nodes)
        return next(node.resp_port for node in nodes if node is not leader)


if __name__ == "__main__":
    unittest.main()
