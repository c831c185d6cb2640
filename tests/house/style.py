#!/usr/bin/env python3
"""What every file keeps: format, length, and nothing of the machine it was made on."""

import os
import re
import socket
import sys

from tap import TOP, main, read, rule, run, tracked

# Tests are lists of cases: they may be longer, but not much.
LONGEST = 600
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home|Users|mnt)/[\w.-]+")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
BINARY = (".png", ".gz", ".bin", ".zst")


def text_files():
    return [n for n in tracked() if not n.endswith(BINARY) and n != "LICENSE"]


@rule("every C file is as clang-format leaves it (make format)")
def formatted():
    files = tracked(".c", ".h", ".cc")
    code, said = run(["clang-format", "--dry-run", "-Werror"] + files)
    names = sorted({line.split(":")[0] for line in said.splitlines() if "error:" in line})
    return names if names or code == 0 else [said]


@rule("no file is longer than 600 lines")
def short():
    violations = []
    for name in tracked(".c", ".h", ".py", ".sh"):
        length = read(name).count("\n")
        if length > LONGEST:
            violations.append(f"{name}: {length} lines; which second idea moved in?")
    return violations


@rule("no file names a path or host of somebody's machine")
def no_machine():
    host = socket.gethostname()
    violations = []
    for name in text_files():
        for number, line in enumerate(read(name).splitlines(), 1):
            match = MACHINE.search(line)
            if match and not name.startswith("tests/house/"):
                violations.append(f"{name}:{number}: {match.group(0)}")
            if len(host) > 6 and host != "localhost" and host in line:
                violations.append(f"{name}:{number}: {host}")
    return violations


@rule("no file says that it is unfinished")
def finished():
    return [
        f"{name}:{number}: {line.strip()}"
        for name in tracked(".c", ".h", ".py", ".sh", ".md")
        if not name.startswith("tests/house/")
        for number, line in enumerate(read(name).splitlines(), 1)
        if UNFINISHED.search(line)
    ]


@rule("scripts pass their shell's syntax check, and are executable unless they are sourced")
def scripts_are_sound():
    violations = []
    for name in tracked(".sh") + [".ci/run"]:
        first = read(name).split("\n", 1)[0]
        sourced = not first.startswith("#!")
        shell = "bash" if sourced or first.endswith("bash") else "sh"
        code, said = run([shell, "-n", name])
        if code != 0:
            violations.append(f"{name}: {said}")
        if not sourced and not os.access(os.path.join(TOP, name), os.X_OK):
            violations.append(f"{name}: not executable")
    return violations


sys.exit(main())
