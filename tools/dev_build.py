"""./dev build: configures and builds a preset; a release build also fills bin/."""

import json
import os
import shutil

from dev_common import BIN, BUILD, ROOT, Failure, jobs, locked, run, say

LINKS = ("kvstore-cli", "kv_store")


def preset_names():
    presets = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
    return [preset["name"] for preset in presets if not preset.get("hidden")]


def build(preset="release", targets=()):
    if preset not in preset_names():
        raise Failure(f"no preset '{preset}'; there are {', '.join(preset_names())}")
    with locked(preset):
        configure(preset)
        command = ["cmake", "--build", BUILD / preset, "-j", jobs()]
        run([*command, *(["--target", *targets] if targets else [])])
        if preset == "release":
            fill_bin()


def configure(preset):
    run(["cmake", "--preset", preset], quiet=True)


def fill_bin():
    """Copies the executable to bin/ and makes its other names.

    Copied beside and renamed over, so that a server that runs keeps the file it has.
    """
    built = BUILD / "release" / "kvstore"
    if not built.exists():
        say("no executable yet: src/cli has no main.h")
        return
    BIN.mkdir(exist_ok=True)
    fresh = BIN / ".kvstore.new"
    shutil.copy2(built, fresh)
    os.replace(fresh, BIN / "kvstore")
    for name in LINKS:
        link = BIN / name
        if not link.is_symlink() or os.readlink(link) != "kvstore":
            link.unlink(missing_ok=True)
            link.symlink_to("kvstore")
    say(f"built bin/kvstore, also as {' and '.join('bin/' + name for name in LINKS)}")


def manifest(preset, kind):
    """What the build of this preset made of one kind: a list of (module, path)."""
    path = BUILD / preset / "manifest.txt"
    if not path.exists():
        return []
    rows = [line.split(" ", 2) for line in path.read_text().splitlines() if line]
    return [(module, file) for row_kind, module, file in rows if row_kind == kind]
