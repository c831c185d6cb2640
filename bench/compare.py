#!/usr/bin/env python3
"""Ours and the peers in turn, row by row, and a table at the end.

    compare.py BUILD SCRATCH

BUILD is meson's build folder, SCRATCH an empty folder with proper-lockfile in npm/.
run.sh calls this. HF_BENCH_SCALE is a percentage of all counts. Exits 1 if a side
fails or asserts; a target that is missed is only said. README.md: how to read it.
"""

import collections
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SCALE = int(os.environ.get("HF_BENCH_SCALE", "100"))
ROUNDS = 11 if SCALE >= 50 else 3
FEWEST_ROUNDS = 3
ROW_SECONDS = 15 * max(SCALE, 20) / 100  # no further round once a row took so long
PYTHON = "/usr/bin/python3"  # Debian's, which has python3-filelock
SPAWNED = 40  # runs of each whole process in a round

# A target is about ours/peer ("slower"), peer/ours ("faster"), or nanoseconds of ours.
Target = collections.namedtuple("Target", "kind limit")
INFORMATION = Target("slower", None)
Side = collections.namedtuple("Side", "name measure")
Row = collections.namedtuple("Row", "ours peer target")
Result = collections.namedtuple("Result", "row ours peer ratio low high")


def scaled(count, least=1):
    return str(max(least, count * SCALE // 100))


def run(command):
    """The key=number words that a measured program prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"bench: exit code {done.returncode}: {' '.join(command)}")
    return {key: float(value) for key, value in (w.split("=") for w in done.stdout.split())}


def pair(*command, key="pair_ns"):
    return lambda: run(list(command))[key]


def rounds():
    """Says when to begin another round, so that a slow machine still comes to an end."""
    start = time.monotonic()
    for done in range(ROUNDS):
        if done >= FEWEST_ROUNDS and time.monotonic() - start > ROW_SECONDS:
            return
        yield done


class Bench:
    """The sides, and the scratch files they work on."""

    def __init__(self, build, scratch):
        self.build = build
        self.scratch = scratch
        self.command = os.path.join(build, "holdfast")

    def path(self, name):
        return os.path.join(self.scratch, name)

    def program(self, name):
        return os.path.join(self.build, "bench", "bench-" + name)

    def holdfast(self, name, url, count, key="pair_ns"):
        modules = os.path.join(self.build, "modules")
        command = [self.program("holdfast_pair"), modules, url, scaled(count, least=100)]
        return Side(name, pair(*command, key=key))

    def repository(self, name):
        path = self.path(name)
        if not os.path.exists(path):
            subprocess.run(["git", "init", "-q", path], check=True)
        return path

    def file(self):
        return self.holdfast("file:", "file:" + self.path("locks"), 20000)

    def filelock(self):
        script = os.path.join(HERE, "peers", "filelock_pair.py")
        return Side(
            "python3-filelock", pair(PYTHON, script, self.path("filelock"), scaled(20000))
        )

    def proper_lockfile(self, kind):
        script = os.path.join(HERE, "peers", "proper_lockfile_pair.js")
        target = self.path("proper-lockfile")
        open(target, "a", encoding="utf-8").close()
        command = ["node", script, self.path("npm"), target, scaled(150), kind]
        return Side(f"proper-lockfile, {kind}", pair(*command))

    def flock(self):
        command = [self.program("flock_pair"), self.path("flock"), scaled(100000)]
        return Side("open+flock+close in C", pair(*command))

    def git_history(self):
        return self.holdfast("git:, history", "git:" + self.repository("history"), 600)

    def git_blob(self):
        url = "git:" + self.repository("blob") + "?layout=blob&prefix=refs/gitvan/locks"
        return self.holdfast("git:, blob", url, 600)

    def git_commands(self, name):
        command = [self.program("git_commands_pair"), self.repository(name), scaled(30)]
        return Side("five git commands", pair(*command))

    def floor(self, layout):
        """One pair's files, made by nobody else's code and for nothing."""
        path = self.path("floor-" + layout)
        os.mkdir(path)
        command = [self.program("fs_floor"), path, scaled(300)]

        def measure():
            took = run(command)
            if layout == "history":
                return 2 * (took["object_ns"] + took["exchange_ns"])
            return took["object_ns"] + took["create_ns"]

        return Side("the files alone", measure)

    def memory(self):
        return self.holdfast("memory:", "memory:", 200000, key="quiet_ns")

    def mutex(self):
        command = [self.program("mutex_pair"), scaled(1000000)]
        return Side("mutex and malloc in C", pair(*command))

    def rows(self):
        return [
            Row(self.file(), self.filelock(), Target("slower", 2)),
            Row(self.file(), self.proper_lockfile("sync"), Target("faster", 25)),
            Row(self.file(), self.proper_lockfile("async"), Target("faster", 25)),
            Row(self.file(), self.flock(), INFORMATION),
            Row(self.git_history(), self.git_commands("by-hand"), Target("faster", 25)),
            Row(self.git_blob(), self.git_commands("by-hand"), Target("faster", 50)),
            Row(self.git_history(), self.floor("history"), INFORMATION),
            Row(self.git_blob(), self.floor("blob"), INFORMATION),
            Row(self.memory(), self.mutex(), Target("ns", 2000)),
        ]

    def processes(self):
        """Whole processes, by name, in the order they take turns."""
        url = "file:" + self.path("run")
        once = self.program("holdfast_once")
        forked = self.program("forked")
        return {
            "run": [self.command, "run", "-S", url, "deploy", "--", "true"],
            "flock": ["flock", self.path("run-flock"), "true"],
            "true": ["true"],
            "version": [self.command, "version"],
            "nothing": [once],
            "once": [once, url],
            "direct": [forked, "0", "true"],
            "forked": [forked, "1", "true"],
        }


# ---- numbers ----


def shown(ns):
    for unit, size in (("ns", 1), ("us", 1e3), ("ms", 1e6)):
        if ns < 999.5 * size or unit == "ms":
            return f"{ns / size:.3g} {unit}"
    return None


def compare(row):
    """Rounds in turn; the ratio is that of the medians, low and high are of single rounds."""
    ours, peer = [], []
    for _ in rounds():
        ours.append(row.ours.measure())
        peer.append(row.peer.measure())
    return result(row, ours, peer)


def result(row, ours, peer):
    ratios = [a / b for a, b in zip(ours, peer)]
    ratio = statistics.median(ours) / statistics.median(peer)
    low, high = min(ratios), max(ratios)
    if row.target.kind == "faster":
        ratio, low, high = 1 / ratio, 1 / high, 1 / low
    return Result(row, statistics.median(ours), statistics.median(peer), ratio, low, high)


def verdict(result):
    kind, limit = result.row.target
    if limit is None:
        return "", ""
    if kind == "ns":
        return f"under {shown(limit)}", "met" if result.ours < limit else "missed"
    if kind == "faster":
        return f"at least {limit} times faster", "met" if result.ratio >= limit else "missed"
    return f"at most {limit} times slower", "met" if result.ratio <= limit else "missed"


def line(cells):
    return "{:<16}{:>9}  {:<24}{:>9}  {:<32}{:<26}{}".format(*cells).rstrip()


def cells(result):
    word = "faster" if result.row.target.kind == "faster" else "slower"
    ratio = f"{result.ratio:.3g} times {word} ({result.low:.3g}..{result.high:.3g})"
    return (
        (result.row.ours.name, shown(result.ours), result.row.peer.name, shown(result.peer))
        + (ratio,)
        + verdict(result)
    )


# ---- whole processes ----


def compare_processes(bench):
    """The row of `holdfast run`, and where its time goes."""
    named = bench.processes()
    command = [bench.program("spawn"), scaled(SPAWNED)]
    for arguments in named.values():
        command += ["---"] + arguments
    took = collections.defaultdict(list)
    for _ in rounds():
        words = run(command)
        for i, name in enumerate(named):
            took[name].append(words[f"c{i}_ns"])
    row = Row(Side("holdfast run", None), Side("flock(1)", None), Target("slower", 1.5))
    ns = {name: statistics.median(values) for name, values in took.items()}
    parts = [
        ("the command itself (true)", ns["true"]),
        ("start of holdfast (version)", ns["version"]),
        ("one process between it and the command, forked", ns["forked"] - ns["direct"]),
        ("the store, from open to close", ns["once"] - ns["nothing"]),
    ]
    rest = ns["run"] - sum(part for _, part in parts)
    parts.append(("the rest: watching, signals, what overlaps counts below 0", rest))
    return result(row, took["run"], took["flock"]), parts


# ---- many who wait ----

WAITERS = (1, 10, 100, 1000)
LINE_MS = 2000
HOLD_US = "50"


def line_side(bench, kind, waiters, number):
    """One contender more than wait: one is in."""
    if kind == "flock":
        place = ["-", bench.path("flock-line")]
    else:
        space = bench.path(f"line-{waiters}-{number}")
        url = "file:" + space if kind == "file" else "git:" + bench.repository("git-line")
        if kind == "git, line=off":
            url += "?line=off"
        place = [os.path.join(bench.build, "modules"), url]
    command = [bench.program("line"), *place, str(waiters + 1), scaled(LINE_MS, least=300), HOLD_US]
    return run(command)


def unfair(words):
    return words["most"] / max(words["least"], 0.5)


def say_growth(name, took, limits):
    first = took[WAITERS[0]]
    for waiters, limit in limits.items():
        if waiters not in took:
            continue
        growth = took[waiters] / first
        word = "met" if growth <= limit else "missed"
        print(f"{name:<8}{waiters:>5} waiters: {growth:.3g} times as long as with one, "
              f"at most {limit} times: {word}")
        yield word


def compare_lines(bench):
    """Hand-over by the number of those who wait, and how evenly turns fall; the verdicts."""
    took = {"file": {}, "git": {}, "git, line=off": {}, "flock": {}}
    for waiters in WAITERS:
        for kind in took:
            if kind.startswith("git") and waiters > 100:
                continue
            words = [line_side(bench, kind, waiters, i) for i in rounds()]
            took[kind][waiters] = statistics.median(w["handover_ns"] for w in words)
        flock = took["flock"][waiters]
        cells_of = [f"{kind}: {shown(ns[waiters])} ({ns[waiters] / flock:.3g} times)"
                    for kind, ns in took.items() if waiters in ns and kind != "flock"]
        print(f"{waiters:>5} waiting: flock(2) {shown(flock)}, " + ", ".join(cells_of), flush=True)
    verdicts = []
    for kind in ("file", "git"):
        verdicts += say_growth(kind + ":", took[kind], {100: 2, 1000: 5})
    ours = statistics.median(unfair(line_side(bench, "file", 63, i)) for i in rounds())
    theirs = statistics.median(unfair(line_side(bench, "flock", 63, i)) for i in rounds())
    verdicts.append("met" if ours <= 1.2 else "missed")
    print(f"turns of 64, most/least: file: {ours:.3g}, flock(2) {theirs:.3g}; "
          f"at most 1.2: {verdicts[-1]}")
    return verdicts


# ---- what it ran on ----


def first_line(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()[0]


def say_where(bench):
    if not shutil.which("git") or not shutil.which("flock"):
        sys.exit("bench: git and flock are needed")
    module = "import filelock; print(filelock.__version__)"
    print(
        f"{first_line(bench.command, 'version')}, {first_line('git', '--version')}, "
        f"{first_line('flock', '--version')}, node {first_line('node', '--version')}, "
        f"python3-filelock {first_line(PYTHON, '-c', module)}"
    )
    print(
        f"{os.cpu_count()} processors, file system {first_line('stat', '-fc%T', bench.scratch)}, "
        f"up to {ROUNDS} rounds in turn, medians, ratio of medians (least..greatest of a round)"
    )
    load = os.getloadavg()[0]
    if load > 1:
        print(f"The load average is {load:.1f}: other programs run, and disturb what is measured.")


def main():
    bench = Bench(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]))
    say_where(bench)
    print()
    results = []
    for row in bench.rows():
        results.append(compare(row))
        print(line(cells(results[-1])), flush=True)
    whole, parts = compare_processes(bench)
    results.append(whole)
    print(line(cells(whole)))
    print("\nWhere the time of holdfast run goes:")
    for name, ns in parts:
        print(f"{ns / whole.ours:>8.0%}  {name}")
    print()
    print(line(("ours", "a pair", "peer", "a pair", "ours is", "target", "")))
    for each in results:
        print(line(cells(each)))
    print("\nFrom the beginning of a release to the next one's return, median:")
    verdicts = [verdict(each)[1] for each in results] + compare_lines(bench)
    print(f"\n{verdicts.count('met')} targets met, {verdicts.count('missed')} missed")


main()
