"""./dev lint and ./dev format."""

import compileall
import concurrent.futures
import os
import subprocess
import sys
import time

from dev_build import build, configure
from dev_common import (
    BUILD, CLANG_FORMAT, CLANG_TIDY, ROOT, Counts, Failure, environment, jobs, run, run_captured, say, show,
    source_files,
)  # fmt: skip

FORMATTED = (".h", ".cc", ".proto")


def lint():
    """Every check that needs no build, each counted as one."""
    checks = {
        "layers": [sys.executable, ROOT / "tools/check_layers.py"],
        "source": [sys.executable, ROOT / "tools/check_source.py"],
        "promises": [sys.executable, ROOT / "tools/check_promises.py"],
        "shell": ["sh", "-n", ROOT / "dev", ROOT / ".ci/run"],
    }
    counts = Counts()
    for name, command in checks.items():
        add(counts, f"lint {name}", run(command, check=False) == 0)
    add(counts, "lint format", well_formatted(source_files(*FORMATTED)))
    add(counts, "lint python", bool(compileall.compile_dir(ROOT / "tools", quiet=1)))
    return counts


def well_formatted(files):
    if not files:
        return True
    say(f"$ {CLANG_FORMAT} --dry-run -Werror  # {len(files)} files")
    code, output = run_captured([CLANG_FORMAT, "--dry-run", "-Werror", *files], 300)
    wrong = sorted({line.split(":", 1)[0] for line in output.split("\n") if ": error: " in line})
    for name in wrong:
        say(f"{name}: not formatted")
    if code != 0:
        say("./dev format mends this" if wrong else output)
    return code == 0


def add(counts, name, good):
    if good:
        counts.passed += 1
    else:
        counts.failures.append((name, "./dev lint"))


def format_sources(paths):
    files = paths or source_files(*FORMATTED)
    say(f"$ {CLANG_FORMAT} -i  # {len(files)} files")
    for start in range(0, len(files), 100):
        command = [CLANG_FORMAT, "-i", *files[start : start + 100]]
        if subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode != 0:
            raise Failure(f"{CLANG_FORMAT} failed; ./dev setup installs it")


def changed_since(base):
    """Files under src/ and cmd/ that differ from `base`, committed or not."""
    listing = subprocess.run(
        ["git", "diff", "--name-only", "--diff-filter=d", base], cwd=ROOT, env=environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    names = listing.stdout.split() if listing.returncode == 0 else []
    return [n for n in names if n.endswith(".cc") and n.startswith(("src/", "cmd/"))]


def tidy(everything=False, base="HEAD~10", paths=(), at_most=40, minutes=8):
    """clang-tidy on what changed, bounded in files and time; what was left out is named."""
    files = list(paths) or (source_files(".cc") if everything else changed_since(base))
    files = [f for f in files if (ROOT / f).is_file() and not f.endswith("_fuzz.cc")]
    counts = Counts()
    for name in files[at_most:]:
        counts.skips.append((f"tidy {name}", f"more than {at_most} files changed"))
    files = files[:at_most]
    if not files:
        return counts
    configure("dev") if (BUILD / "dev" / "build.ninja").exists() else build("dev", ["kvstore_base"])
    end = time.monotonic() + 60 * minutes
    with concurrent.futures.ThreadPoolExecutor(jobs()) as pool:
        for name, code, output in pool.map(lambda f: tidy_file(f, end), files):
            if code == "late":
                counts.skips.append((f"tidy {name}", f"the {minutes} minutes were over"))
                continue
            if code != 0:
                say(output)
            add(counts, f"tidy {name}", code == 0)
    return counts


def tidy_file(name, end):
    left = end - time.monotonic()
    if left <= 0:
        return name, "late", ""
    command = [CLANG_TIDY, "--quiet", "-p", BUILD / "dev", name]
    show(command)
    code, output = run_captured(command, left)
    return name, "late" if code is None else code, output


def tidy_wanted():
    return os.environ.get("KVSTORE_TIDY") == "1"
