"""./dev new: begins a module, a decision record or a change note in the house form."""

import re

from dev_common import ROOT, Failure, say

KINDS = ("safety", "features", "performance", "operations", "api", "fixes")

ADR = """# {number}. {title}

## Status

Proposed.

## Context

## Decision

## Consequences

## Alternatives refused
"""

CHARTER = """# {name}

## Purpose

## What may enter

## Invariants

## Where to start reading
"""


def new(kind, words):
    makers = {"module": new_module, "adr": new_adr, "change": new_change}
    if kind not in makers or not words:
        raise Failure("./dev new module NAME | adr TITLE… | change KIND SLUG")
    for path, text in makers[kind](words).items():
        target = ROOT / path
        if target.exists():
            raise Failure(f"{path} is there already")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        say(f"wrote {path}")


def slug_of(title):
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def new_module(words):
    name = words[0]
    if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)?", name):
        raise Failure("a module is called like storage or frontend.resp")
    table = (ROOT / "tools/layers.toml").read_text()
    if f"[{name}]\n" not in table:
        raise Failure(f"[{name}] is not in tools/layers.toml; put it there first, and say why")
    folder = f"src/{name.replace('.', '/')}"
    return {
        f"{folder}/CMakeLists.txt": f"kvstore_module({name} DEPS base)\n",
        f"{folder}/README.md": CHARTER.format(name=name),
    }


def new_adr(words):
    title = " ".join(words)
    taken = [int(p.name[:4]) for p in (ROOT / "docs/adr").glob("[0-9][0-9][0-9][0-9]-*.md")]
    number = max(taken, default=0) + 1
    return {f"docs/adr/{number:04}-{slug_of(title)}.md": ADR.format(number=number, title=title)}


def new_change(words):
    if len(words) < 2 or words[0] not in KINDS:
        raise Failure("./dev new change " + "|".join(KINDS) + " SLUG")
    slug = slug_of(" ".join(words[1:]))
    return {f"changes/{words[0]}/{slug}.md": f"# {' '.join(words[1:])}\n\nOne or two sentences for the user.\n"}
