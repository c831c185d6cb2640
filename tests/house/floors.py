#!/usr/bin/env python3
"""No folder includes upward: the house plan of HACKING.md as a test."""

import os
import posixpath
import re
import sys

from tap import main, read, rule, tracked

# In src/lock/ two floors live: the rules know no store, the manager joins both.
RULES = {
    "attempt", "deadlock", "decision", "fence", "fields", "lock_state", "modes", "observer", "queue", "record", "record_wait",
    "rules", "snapshot", "trust", "under",
}

BELOW = {"base": set()}
BELOW["store"] = {"base"}
BELOW["rules"] = {"base"}
BELOW["manager"] = {"base", "store", "rules"}
BELOW["compose"] = BELOW["manager"] | {"manager"}
BELOW["files"] = BELOW["compose"] | {"compose"}
BELOW["repo"] = BELOW["files"]
BELOW["index"] = BELOW["files"] | {"files", "repo"}
BELOW["cli"] = set(BELOW) - {"cli"}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def floor_of(path):
    """The floor of a file given by its path under src/, or None."""
    folder, _, rest = path.partition("/")
    if folder == "lock":
        stem = os.path.splitext(rest)[0]
        return "rules" if stem in RULES or stem.split("_")[0] in RULES else "manager"
    return folder if folder in BELOW else None


def includes():
    """(file, floor, what it includes as a path under src/)."""
    sources = {n[len("src/") :] for n in tracked(".c", ".h") if n.startswith("src/")}
    for name in sorted(sources):
        for target in INCLUDE.findall(read("src/" + name)):
            beside = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
            yield name, beside if beside in sources else target, sources


@rule("every file under src/ stands on a floor")
def every_file_has_a_floor():
    return [
        f"{n}: no floor of that name; see BELOW in {os.path.basename(__file__)}"
        for n in tracked(".c", ".h")
        if n.startswith("src/") and floor_of(n[len("src/") :]) is None
    ]


@rule("no folder includes upward, nor its neighbour on the same floor")
def nothing_includes_upward():
    violations = []
    for name, target, _ in includes():
        here, there = floor_of(name), floor_of(target)
        if there and there != here and there not in BELOW.get(here, set()):
            violations.append(f"src/{name} ({here}) includes {target} ({there})")
    return violations


@rule("what is included in quotes is a file of ours")
def quotes_mean_ours():
    return [
        f"src/{name} includes \"{target}\", which is not under src/"
        for name, target, sources in includes()
        if target not in sources and not target.endswith(".inc")
    ]


@rule("the public headers include nothing private")
def public_headers_are_public():
    return [
        f'{n} includes "{t}"'
        for n in tracked(".h")
        if n.startswith("include/")
        for t in INCLUDE.findall(read(n))
    ]


sys.exit(main())
