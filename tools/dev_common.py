"""What every part of ./dev shares: paths, running commands, counting results."""

import contextlib
import dataclasses
import fcntl
import os
import pathlib
import shlex
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
BIN = ROOT / "bin"

CLANG_FORMAT = "clang-format-19"
CLANG_TIDY = "clang-tidy-19"


def jobs():
    """How many processes a build may use: two, unless KVSTORE_JOBS says otherwise."""
    return int(os.environ.get("KVSTORE_JOBS", min(2, os.cpu_count() or 1)))


class Failure(Exception):
    """Something that ends ./dev with a message and exit code 1, without a traceback."""


@dataclasses.dataclass
class Counts:
    """Passed, failed and skipped, with the names of what was not passed."""

    passed: int = 0
    failures: list = dataclasses.field(default_factory=list)
    skips: list = dataclasses.field(default_factory=list)

    def add(self, other):
        self.passed += other.passed
        self.failures += other.failures
        self.skips += other.skips

    def line(self):
        return f"{self.passed} passed, {len(self.failures)} failed, {len(self.skips)} skipped"

    def report(self):
        """Prints what was skipped and what failed by name, and the summing line last."""
        for name, reason in self.skips:
            print(f"skipped: {name}: {reason}")
        for name, hint in self.failures:
            print(f"failed: {name}" + (f"  (again: {hint})" if hint else ""))
        print(self.line(), flush=True)


def say(text):
    print(text, flush=True)


def show(command, env=None):
    """Prints a command the way a person would type it, with those settings that are ours."""
    ours = {key: value for key, value in (env or {}).items() if key.startswith("KVSTORE_")}
    settings = [f"{key}={shlex.quote(value)}" for key, value in ours.items()]
    words = [os.path.relpath(w, ROOT) if str(w).startswith(f"{ROOT}/") else str(w) for w in command]
    say("$ " + " ".join([*settings, shlex.join(words)]))


def environment(extra=None):
    """The environment of every child: ours, a home for ccache, and git that trusts the clone."""
    env = dict(os.environ)
    env.setdefault("HOME", str(BUILD))
    # A clone that another user owns is still only read here.
    env.update(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*")
    env.update(extra or {})
    return env


def run(command, env=None, check=True, quiet=False, cwd=ROOT, stdin=subprocess.DEVNULL):
    """Runs a command after printing it. With quiet, its output is shown only if it fails."""
    show(command, env)
    words = [str(word) for word in command]
    output = subprocess.PIPE if quiet else None
    try:
        done = subprocess.run(
            words, cwd=cwd, env=environment(env), stdin=stdin, stdout=output,
            stderr=subprocess.STDOUT if quiet else None, text=True, errors="replace", check=False,
        )  # fmt: skip
    except FileNotFoundError as missing:
        raise Failure(f"{words[0]} is not installed; ./dev setup installs it") from missing
    if done.returncode != 0:
        if quiet:
            sys.stdout.write(done.stdout)
        if check:
            raise Failure(f"{words[0]} ended with exit code {done.returncode}")
    return done.returncode


def run_captured(command, seconds, env=None, cwd=ROOT):
    """Runs a command and returns (exit code, output); None as the code means out of time.

    The command gets a process group of its own, so that nothing it started outlives it.
    """
    process = subprocess.Popen(
        [str(word) for word in command], cwd=cwd, env=environment(env), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=seconds)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        kill_group(process.pid)
        output, _ = process.communicate()
        return None, output
    except BaseException:
        kill_group(process.pid)
        raise


def kill_group(pid):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


@contextlib.contextmanager
def locked(name):
    """Keeps two ./dev from building in one folder at the same time."""
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / f".{name}.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another ./dev that builds {name}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def source_files(*suffixes):
    """Paths, relative to the root, of the project's own files with these suffixes."""
    listing = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    if listing.returncode == 0:
        paths = listing.stdout.split("\n")[:-1]
    else:
        # A release archive has no git; what is built or stored does not count.
        found = (p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file())
        paths = [str(p) for p in found if p.parts[0] not in {"build", "bin", "data", ".git"}]
    return sorted(p for p in paths if p.endswith(suffixes) and (ROOT / p).is_file())
