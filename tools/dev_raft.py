"""./dev conformance, mutants, explore and lockstep: what judges the consensus core."""

import json
import pathlib
import shutil

from dev_build import build
from dev_common import BUILD, ROOT, Failure, run_captured, say, show

MODULE = "go.etcd.io/raft/v3"
VERSION = "v3.6.0"
# Where Debian's golang-etcd-server-dev puts an older corpus.
PACKAGED = pathlib.Path("/usr/share/gocode/src/go.etcd.io/etcd/raft/v3")
ORACLE = ROOT / "tests" / "conformance" / "raft" / "oracle"
PROGRAMS = BUILD / "dev" / "tests" / "conformance" / "raft"


def go():
    """The Go tool, which is not always on the path."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    return found


def corpus():
    """The folder of the Go module, fetched by Go's own client into its own cache."""
    tool = go()
    if tool:
        command = [tool, "mod", "download", "-json", f"{MODULE}@{VERSION}"]
        show(command)
        code, output = run_captured(command, 120, {"GOFLAGS": "-mod=mod"})
        if code == 0:
            return pathlib.Path(json.loads(output[output.index("{") :])["Dir"])
        say(output.rstrip())
    if PACKAGED.is_dir():
        return PACKAGED
    raise Failure("no corpus: install Go with access to its modules, or golang-etcd-server-dev")


def program(name, *arguments, minutes=10):
    """Builds and runs one of the judging programs. Returns its exit code."""
    build("dev", [name])
    command = [PROGRAMS / name, *arguments]
    show(command)
    code, output = run_captured(command, 60 * minutes, {})
    say(output.rstrip())
    if code is None:
        raise Failure(f"{name} did not end within {minutes} minutes")
    return code


def conformance(what):
    if what != "raft":
        raise Failure(f"no conformance suite is called '{what}'")
    deviations = ROOT / "tests" / "conformance" / "raft" / "deviations.txt"
    return program("raft_conformance", corpus(), deviations)


def mutants(options):
    return program("raft_mutants", "--seeds", options.seeds)


def explore(options):
    return program("raft_explore", *options.arguments)


def lockstep(options):
    tool = go()
    if not tool:
        raise Failure("the oracle needs Go")
    oracle = BUILD / "raft_oracle"
    command = [tool, "build", "-o", oracle, "."]
    show(command)
    code, output = run_captured(command, 300, {"GOFLAGS": "-mod=mod"}, cwd=ORACLE)
    if code != 0:
        raise Failure(output)
    return program("raft_lockstep", oracle, "--steps", options.steps, "--seed", options.seed, minutes=240)


def add_commands(command):
    """Hangs these commands into ./dev."""
    add = command("conformance", "replay another project's scripts: raft")
    add.add_argument("suite", choices=["raft"])
    add = command("mutants", "show that every planted bug is caught: raft")
    add.add_argument("suite", choices=["raft"])
    add.add_argument("--seeds", type=int, default=400)
    add = command("explore", "walk every state of a small world: raft")
    add.add_argument("suite", choices=["raft"])
    add.add_argument("arguments", nargs="*")
    add = command("lockstep", "run our core beside the real etcd/raft: raft")
    add.add_argument("suite", choices=["raft"])
    add.add_argument("--steps", type=int, default=100_000)
    add.add_argument("--seed", type=int, default=1)


def actions(options):
    return {
        "conformance": lambda: conformance(options.suite),
        "mutants": lambda: mutants(options),
        "explore": lambda: explore(options),
        "lockstep": lambda: lockstep(options),
    }
