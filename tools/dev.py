#!/usr/bin/env python3
"""The code behind ./dev. Each command prints the commands that it runs."""

import argparse
import sys

import dev_bench
import dev_build
import dev_chaos
import dev_ci
import dev_coverage
import dev_lint
import dev_new
import dev_raft
import dev_setup
import dev_sim
import dev_stats
import dev_test
import dev_tour
from dev_common import Counts, Failure


def parser():
    top = argparse.ArgumentParser(prog="./dev", description="Builds, tests and runs kvstore.")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    def command(name, text):
        return commands.add_parser(name, help=text, description=text)

    command("setup", "install what is missing, by apt")
    add = command("build", "build a preset (release fills bin/)")
    add.add_argument("preset", nargs="?", default="release")
    add.add_argument("targets", nargs="*")
    add = command("test", "build and run all tests, or those whose name matches")
    add.add_argument("name", nargs="?", help="a module, a test script, or a part of such a name")
    add.add_argument("pattern", nargs="?", help="a --gtest_filter, or a part of a script's test")
    add.add_argument("--seed", type=int, help="repeat with this KVSTORE_SEED")
    add.add_argument("--rewrite", action="store_true", help="update the golden scripts")
    add.add_argument("--preset", default="dev", choices=["dev", "asan", "tsan", "fuzz"])
    add.add_argument("--repeat", type=int, default=1, help="run them this many times")
    add = command("lint", "layers, source rules, promises, format; --tidy adds clang-tidy")
    add.add_argument("--tidy", action="store_true", help="clang-tidy on the files that changed")
    add.add_argument("--all", action="store_true", help="clang-tidy on every file")
    add.add_argument("--base", default="HEAD~10", help="what --tidy compares with")
    add.add_argument("--max", type=int, default=40, help="at most so many files for --tidy")
    add.add_argument("--minutes", type=int, default=8, help="at most so long for --tidy")
    add.add_argument("paths", nargs="*", help="files for --tidy")
    add = command("format", "apply clang-format")
    add.add_argument("paths", nargs="*")
    add = command("sim", "run the simulator: one seed, or fresh ones")
    add.add_argument("seed", nargs="?", type=int)
    add.add_argument("--seeds", type=int, default=None)
    add = command("chaos", "faults on three real nodes under load, judged by kvstore verify")
    add.add_argument("--minutes", type=float, default=5)
    add.add_argument("--seed", type=int, help="which faults; the next round takes the next one")
    add = command("fuzz", "run a fuzz target, all, or list")
    add.add_argument("target")
    add.add_argument("--seconds", type=int, default=60)
    add = command("bench", "compare with peers, or run one benchmark")
    add.add_argument("name", nargs="?")
    add.add_argument("arguments", nargs="*", help="handed on to it")
    add = command("run", "build, start three nodes, show them at work and through a failover")
    add.add_argument("arguments", nargs="*", help="further flags of kvstore demo")
    add = command("coverage", "how much of a module its own tests reach")
    add.add_argument("module")
    add.add_argument("--min", type=float, default=0, help="fail below so many percent of lines")
    command("stats", "lines, tests and assertions a module")
    add = command("new", "begin a module, an adr or a change note")
    add.add_argument("kind", choices=["module", "adr", "change"])
    add.add_argument("words", nargs="+")
    dev_raft.add_commands(command)
    command("ci", "every gate, cheapest first")
    return top


def parse(words):
    """Like parse_args, but what run and bench hand on is not looked into."""
    top = parser()
    if words[0] not in {"run", "bench"} or words[1:2] in (["-h"], ["--help"]):
        return top.parse_args(words)
    options = top.parse_args(words[:1])
    rest = words[1:]
    if words[0] == "bench" and rest and not rest[0].startswith("-"):
        options.name = rest.pop(0)
    options.arguments = rest
    return options


def lint(options):
    counts = dev_lint.lint()
    if options.tidy or options.all or dev_lint.tidy_wanted():
        paths, base = options.paths, options.base
        counts.add(dev_lint.tidy(options.all, base, paths, options.max, options.minutes))
    return counts


def simulate(options):
    seeds = options.seeds or (100 if options.seed is None else 1)
    counts = dev_sim.storm("dev", seeds, options.seed)
    counts.add(dev_sim.clusters("dev", seeds, options.seed))
    return counts


def dispatch(options):
    """Runs a command. Returns Counts, an exit code, or None for success."""
    command = options.command
    if command == "ci":
        return dev_ci.ci()
    if command not in {"new", "stats"}:
        dev_setup.setup(verbose=command == "setup")
    if command == "build":
        return dev_build.build(options.preset, options.targets)
    if command == "test":
        return dev_test.test(
            options.name, options.pattern, options.preset, options.seed, options.rewrite,
            repeat=options.repeat,
        )  # fmt: skip
    if command == "run":
        return dev_tour.serve(options.arguments)
    if command == "bench":
        return dev_bench.bench(options.name, options.arguments)
    actions = {
        "setup": lambda: None,
        "lint": lambda: lint(options),
        "format": lambda: dev_lint.format_sources(options.paths),
        "sim": lambda: simulate(options),
        "chaos": lambda: dev_chaos.chaos(options.minutes, options.seed),
        "fuzz": lambda: dev_sim.fuzz(options.target, options.seconds),
        "coverage": lambda: dev_coverage.coverage(options.module, options.min),
        "stats": dev_stats.stats,
        "new": lambda: dev_new.new(options.kind, options.words),
        **dev_raft.actions(options),
    }
    return actions[command]()


def main(words):
    if words[:1] == ["help"] or not words:
        parser().print_help()
        return 0
    options = parse(words)
    try:
        outcome = dispatch(options)
    except Failure as failure:
        print(f"./dev {options.command}: {failure}", file=sys.stderr)
        if options.command in {"test", "ci"}:
            Counts(failures=[(str(failure), "")]).report()
        return 1
    except KeyboardInterrupt:
        return 130
    if isinstance(outcome, Counts):
        outcome.report()
        return 1 if outcome.failures else 0
    return outcome or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
