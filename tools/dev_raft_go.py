"""The Go tool and the real etcd/raft, which the consensus core is judged by.

Any Go from 1.23 on will do. Debian's own is older: it can fetch modules, and a newer
toolchain is one (golang.org/toolchain, checked against Go's checksum database), which is then
kept in build/go.
"""

import json
import os
import pathlib
import re
import shutil

from dev_common import BUILD, ROOT, Failure, run_captured, say, show
from dev_setup import setup

MODULE = "go.etcd.io/raft/v3"
VERSION = "v3.6.0"
TOOLCHAIN = "golang.org/toolchain"
TOOLCHAIN_VERSION = "v0.0.1-go1.23.6.linux-amd64"
GO_NEEDED = (1, 23)
# Where Debian's golang-etcd-server-dev puts an older corpus.
PACKAGED = pathlib.Path("/usr/share/gocode/src/go.etcd.io/etcd/raft/v3")
ORACLE = ROOT / "tests" / "conformance" / "raft" / "oracle"
PLACES = "/usr/local/go/bin:/usr/lib/go/bin"


class Unavailable(Failure):
    """What judges the core is not here and cannot be fetched. CI names it as a skip."""


def any_go():
    """Some Go: the one on the path, or Debian's, installed if need be."""
    found = shutil.which("go") or shutil.which("go", path=PLACES)
    if found is None:
        try:
            setup(verbose=False, more=["golang-go"])
        except Failure as failure:
            raise Unavailable(f"Go is not here and apt cannot install it: {failure}") from failure
        found = shutil.which("go")
    if found is None:
        raise Unavailable("Go is not installed (Debian: golang-go)")
    return found


def version_of(tool):
    _, output = run_captured([tool, "env", "GOVERSION"], 30)
    return parse_version(output)


def parse_version(text):
    """(1, 23) of "go1.23.6"; (0, 0) of what is no version."""
    found = re.search(r"go(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def new_enough_go():
    """A Go that compiles the oracle."""
    tool = any_go()
    if version_of(tool) >= GO_NEEDED:
        return tool
    kept = BUILD / "go"
    if not (kept / "bin" / "go").exists():
        fetched = download(tool, TOOLCHAIN, TOOLCHAIN_VERSION)
        say(f"{tool} is older than Go {GO_NEEDED[0]}.{GO_NEEDED[1]}: copying a newer one to build/go")
        keep_toolchain(fetched, kept)
    return str(kept / "bin" / "go")


def keep_toolchain(fetched, kept):
    """Copies a toolchain out of the module cache, where nothing is writable or executable."""
    fresh = kept.with_name(".go.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(fetched, fresh, copy_function=shutil.copyfile)
    for folder, _, files in os.walk(fresh):
        os.chmod(folder, 0o755)
        program = "/bin" in folder or "/pkg/tool" in folder
        for file in files:
            os.chmod(pathlib.Path(folder) / file, 0o755 if program else 0o644)
    shutil.rmtree(kept, ignore_errors=True)
    fresh.rename(kept)


def download(tool, module, version):
    """The folder of a module, fetched by Go's own client into its own cache."""
    command = [tool, "mod", "download", "-json", f"{module}@{version}"]
    show(command)
    code, output = run_captured(command, 300, {"GOFLAGS": "-mod=mod"}, cwd=ORACLE)
    if code != 0:
        raise Unavailable(f"cannot fetch {module} {version}: {reason_of(output)}")
    return pathlib.Path(json.loads(output[output.index("{") :])["Dir"])


def reason_of(output):
    """The error that `go` reports, in one line."""
    found = re.search(r'"Error": "((?:[^"\\]|\\.)*)"', output)
    if found:
        return found[1]
    lines = [line for line in output.strip().split("\n") if not line.startswith("go: downloading")]
    return lines[-1].strip() if lines and lines[-1] else "no reason given"


def corpus():
    """The folder of etcd/raft with its scripts."""
    try:
        return download(any_go(), MODULE, VERSION)
    except Unavailable as unavailable:
        if PACKAGED.is_dir():
            say(f"{unavailable}; taking the older corpus of golang-etcd-server-dev")
            return PACKAGED
        raise


def oracle():
    """The program around the real etcd/raft, built if it is not up to date."""
    tool = new_enough_go()
    download(tool, MODULE, VERSION)
    program = BUILD / "raft_oracle"
    command = [tool, "build", "-o", program, "."]
    show(command)
    settings = {"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    code, output = run_captured(command, 600, settings, cwd=ORACLE)
    if code != 0:
        kind = Unavailable if "dial tcp" in output or "proxy" in output else Failure
        raise kind(f"the oracle does not build: {reason_of(output)}")
    return program
