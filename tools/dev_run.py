"""./dev run and ./dev bench: the release build at work."""

import os
import sys

from dev_build import build, manifest
from dev_common import BIN, ROOT, Failure, environment, run, say, show
from dev_setup import BENCH_PACKAGES, setup

TO_TRY = """
The server listens on loopback only. In another terminal, try:

  bin/kvstore-cli put greeting hello      and  bin/kvstore-cli get greeting
  redis-cli set city Utrecht EX 60        and  redis-cli get city
  curl -X PUT localhost:8080/v1/keys/user:1 -d '{"value":"Ada"}'
  curl localhost:8080/v1/keys?prefix=user:
  bin/kv_store                            (a shell: PUT k v, GET k, REMOVE k)

Ctrl-C stops it; what was acknowledged is in ./data.
"""


def serve(arguments):
    """Builds, then becomes the server, so that signals reach it and not us."""
    build("release", ["kvstore"])
    program = BIN / "kvstore"
    if not program.exists():
        raise Failure("there is no server to run yet")
    given = any(word.split("=")[0] == "--data-dir" for word in arguments)
    command = [program, "server", *([] if given else ["--data-dir", ROOT / "data"]), *arguments]
    say(TO_TRY)
    show(command)
    os.chdir(ROOT)
    os.execve(program, [str(word) for word in command], environment())


def bench(name, arguments):
    """Without a name, tests/perf/run.py compares with peers; a name picks one benchmark."""
    setup(verbose=False, more=BENCH_PACKAGES)
    build("release")
    programs = {path.rsplit("/", 1)[1]: path for _, path in manifest("release", "bench")}
    scripts = {path.stem: path for path in sorted((ROOT / "tests/perf").glob("*.py"))}
    env = {"KVSTORE_BIN": str(BIN / "kvstore"), "KVSTORE_ROOT": str(ROOT)}
    if name is None:
        if "run" not in scripts:
            raise Failure("there is no tests/perf/run.py yet; " + known(programs, scripts))
        return run([sys.executable, scripts["run"], *arguments], env=env, check=False)
    if name in scripts:
        return run([sys.executable, scripts[name], *arguments], env=env, check=False)
    chosen = [path for program, path in sorted(programs.items()) if name in program]
    if not chosen:
        raise Failure(f"no benchmark is called '{name}'; " + known(programs, scripts))
    return max(run([path, *arguments], env=env, check=False) for path in chosen)


def known(programs, scripts):
    return "there are " + (", ".join([*sorted(programs), *sorted(scripts)]) or "none")
