#!/usr/bin/env python3
"""What the documents tell people to type works, as it stands there.

A fenced block after a line `<!-- runs -->` is run in a fresh git repository: sh by
`sh -e`, with the built command first in PATH; C compiled against the built library.
"""

import os
import re
import sys

from example import run_c, run_shell
from tap import TOP, main, read, rule, tracked

BLOCK = re.compile(r"<!-- runs -->\n```(\w+)\n(.*?)```", re.DOTALL)
RUNNERS = {"sh": run_shell, "c": run_c}


def check(language, text):
    code, said = RUNNERS[language](text)
    return [] if code == 0 else [f"exit code {code}", text, said]


for document in ["README.md"] + [n for n in tracked(".md") if n.startswith("docs/")]:
    for number, block in enumerate(BLOCK.findall(read(document)), 1):
        rule(f"{document}: example {number} ({block[0]}) runs")(lambda block=block: check(*block))


@rule("README.md shows something that runs")
def something_runs():
    return [] if BLOCK.search(read("README.md")) else ["no block is marked <!-- runs -->"]


@rule("links between the documents lead somewhere")
def links_lead_somewhere():
    violations = []
    for document in tracked(".md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(document)):
            path = os.path.join(TOP, os.path.dirname(document), target)
            if not os.path.exists(path):
                violations.append(f"{document}: {target}")
    return violations


sys.exit(main())
