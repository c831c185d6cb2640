#!/usr/bin/env python3
"""What the README tells people to type works, as it stands there.

A fenced block after a line `<!-- runs -->` is run by `sh -e` in a fresh git repository,
with the built command first in PATH and folders of its own for state and runtime. A
fenced C block after it is compiled against the built library, and run.
"""

import os
import re
import shutil
import sys
import tempfile

from tap import BUILD, TOP, main, read, rule, run, tracked

BLOCK = re.compile(r"<!-- runs -->\n```(\w+)\n(.*?)```", re.DOTALL)


def scratch(folder):
    """A repository to be in, and the environment to be there with."""
    commands = os.path.join(folder, "bin")
    work = os.path.join(folder, "work")
    for path in (commands, work, os.path.join(folder, "run"), os.path.join(folder, "state")):
        os.mkdir(path, 0o700)
    for name in ("holdfast", "git-hold"):
        script = os.path.join(commands, name)
        with open(script, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\nexec "{BUILD}/holdfast" "$@"\n')
        os.chmod(script, 0o755)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST_", "GIT_", "XDG_"))}
    env.update(
        PATH=commands + ":" + env["PATH"],
        HOME=folder,
        XDG_RUNTIME_DIR=os.path.join(folder, "run"),
        XDG_STATE_HOME=os.path.join(folder, "state"),
        GIT_CONFIG_NOSYSTEM="1",
        GIT_AUTHOR_NAME="reader",
        GIT_AUTHOR_EMAIL="reader@example.org",
        GIT_COMMITTER_NAME="reader",
        GIT_COMMITTER_EMAIL="reader@example.org",
    )
    setup = "git init -q . && git commit -q --allow-empty -m start"
    code, said = run(["sh", "-ec", setup], cwd=work, env=env)
    if code != 0:
        raise RuntimeError(said)
    with open(os.path.join(work, "deploy.sh"), "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\necho deploying with token $HOLDFAST_TOKEN\n")
    os.chmod(os.path.join(work, "deploy.sh"), 0o755)
    return work, env


def run_shell(text, work, env):
    return run(["timeout", "60", "sh", "-ec", text], cwd=work, env=env)


def run_c(text, work, env):
    source = os.path.join(work, "example.c")
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    program = os.path.join(work, "example")
    code, said = run(
        ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-I", os.path.join(TOP, "include")]
        + ["-o", program, source, "-L", BUILD, "-lholdfast", f"-Wl,-rpath,{BUILD}"],
        env=env,
    )
    if code != 0:
        return code, said
    return run(["timeout", "60", program], cwd=work, env=env)


RUNNERS = {"sh": run_shell, "c": run_c}


def check(language, text):
    folder = tempfile.mkdtemp(prefix="holdfast-readme-")
    try:
        work, env = scratch(folder)
        code, said = RUNNERS[language](text, work, env)
        return [] if code == 0 else [f"exit code {code}", text, said]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


for document in ["README.md"] + [n for n in tracked(".md") if n.startswith("docs/")]:
    for language, text in BLOCK.findall(read(document)):
        first = text.strip().splitlines()[0]
        rule(f"{document}: {language}: {first}")(
            lambda language=language, text=text: check(language, text)
        )


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
