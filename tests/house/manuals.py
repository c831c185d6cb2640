#!/usr/bin/env python3
"""The manual pages render without a complaint, and say what the program knows."""

import re
import sys

from example import run_c
from tap import main, public_api, read, rule, run, tracked

EXAMPLE = re.compile(r"^\.EX\n(#include.*?)^\.EE", re.DOTALL | re.MULTILINE)
PAGE = re.compile(r"^man/[\w.-]+\.[1-8]$")


def pages():
    return [n for n in tracked() if PAGE.match(n)]


@rule("holdfast(1), holdfast(3) and holdfast(7) are there")
def all_there():
    return sorted({"man/holdfast.1", "man/holdfast.3", "man/holdfast.7"} - set(pages()))


@rule("every manual page renders without a warning")
def pages_render():
    violations = []
    for page in pages():
        code, said = run(["groff", "-mandoc", "-ww", "-z", "-Tutf8", "-K", "utf8", page])
        if code != 0 or said.strip():
            violations.append(f"{page}:\n{said}")
    return violations


@rule("holdfast(3) has every function of the public headers")
def every_function_is_named():
    manual = read("man/holdfast.3")
    functions = set(re.findall(r"\b(hf_\w+)\s*\(", public_api()))
    return [n for n in sorted(functions) if n.replace("-", "\\-") not in manual and n not in manual]


@rule("holdfast(7) has every option of a store's URL")
def every_option_is_named():
    manual = read("man/holdfast.7")
    violations = []
    for name in tracked(".c"):
        if not name.startswith("src/store/"):
            continue
        for option in re.findall(r'^\t"(\w+)=\S+ - ', read(name), re.MULTILINE):
            if not re.search(rf"\b{option}\b", manual):
                violations.append(f"{name}: {option}=")
    return violations


@rule("the programs in the manual pages compile and run")
def programs_run():
    violations = []
    for page in pages():
        for text in EXAMPLE.findall(read(page)):
            code, said = run_c(text.replace("\\\\", "\\").replace("\\-", "-"))
            if code != 0:
                violations.append(f"{page}: exit code {code}\n{said}")
    return violations


sys.exit(main())
