#!/usr/bin/env python3
"""The public headers compile alone, in C and in C++, whoever includes them."""

import os
import sys

from tap import TOP, main, rule, run, tracked

WARNINGS = ["-pedantic", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-fsyntax-only"]
DIALECTS = [
    (["gcc", "-x", "c", "-std=c11"], "C11"),
    (["g++", "-x", "c++", "-std=c++17"], "C++17"),
]


def compile_alone(compiler):
    violations = []
    for name in tracked(".h"):
        if not name.startswith("include/"):
            continue
        include = os.path.relpath(name, "include")
        source = f"#include <{include}>\n#include <{include}>\n"
        code, said = run(
            ["sh", "-c", 'printf "%s" "$0" | "$@" -', source]
            + compiler
            + WARNINGS
            + ["-I", os.path.join(TOP, "include")]
        )
        if code != 0:
            violations.append(f"{name}:\n{said}")
    return violations


for command, dialect in DIALECTS:
    rule(f"each public header compiles alone as {dialect} -pedantic -Werror")(
        lambda command=command: compile_alone(command)
    )

sys.exit(main())
