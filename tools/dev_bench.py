"""./dev bench: the release build, measured."""

import sys

from dev_build import build, manifest
from dev_common import BIN, BUILD, ROOT, Failure, run
from dev_raft_go import new_enough_go
from dev_setup import BENCH_PACKAGES, setup

# What a script of tests/perf needs besides.
MORE_PACKAGES = {"cluster": ["etcd-server", "etcd-client", "linux-perf"]}
LOAD_SOURCES = ROOT / "tests/perf/clusterload"


def bench(name, arguments):
    """Without a name, tests/perf/run.py compares with peers; a name picks one benchmark."""
    setup(verbose=False, more=[*BENCH_PACKAGES, *MORE_PACKAGES.get(name, [])])
    build("release")
    programs = {path.rsplit("/", 1)[1]: path for _, path in manifest("release", "bench")}
    scripts = {path.stem: path for path in sorted((ROOT / "tests/perf").glob("*.py"))}
    env = {"KVSTORE_BIN": str(BIN / "kvstore"), "KVSTORE_ROOT": str(ROOT)}
    if name is None:
        if "run" not in scripts:
            raise Failure("there is no tests/perf/run.py yet; " + known(programs, scripts))
        return run([sys.executable, scripts["run"], *arguments], env=env, check=False)
    if name == "cluster":
        env["KVSTORE_LOAD"] = str(load_generator())
    if name in scripts:
        return run([sys.executable, scripts[name], *arguments], env=env, check=False)
    chosen = [path for program, path in sorted(programs.items()) if name in program]
    if not chosen:
        raise Failure(f"no benchmark is called '{name}'; " + known(programs, scripts))
    return max(run([path, *arguments], env=env, check=False) for path in chosen)


def load_generator():
    """The program that drives clusters. Go builds only what has changed."""
    program = BUILD / "clusterload"
    run([new_enough_go(), "build", "-o", program, "."], cwd=LOAD_SOURCES, env={"GOTOOLCHAIN": "local"})
    return program


def known(programs, scripts):
    return "there are " + (", ".join([*sorted(programs), *sorted(scripts)]) or "none")
