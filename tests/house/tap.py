"""TAP for the house's rules: collect answers, print them with their plan.

A rule is a function decorated with @rule("what it promises") that returns the list of
its violations. Run with the top of the source tree and the build folder as arguments,
both of which every rule may use as TOP and BUILD.
"""

import os
import re
import subprocess
import sys
import traceback

TOP = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.getcwd()
BUILD = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else os.path.join(TOP, "build")

_rules = []


def rule(promise):
    def keep(function):
        _rules.append((promise, function))
        return function

    return keep


def tracked(*patterns):
    """Files of the project, relative to TOP: git's word, or a walk in a tarball."""
    if os.path.exists(os.path.join(TOP, ".git")):
        listed = subprocess.run(
            ["git", "-c", f"safe.directory={TOP}", "ls-files", "-z", "-co", "--exclude-standard"],
            cwd=TOP,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout.decode()
        names = [n for n in listed.split("\0") if n and os.path.isfile(os.path.join(TOP, n))]
    else:
        names = []
        for folder, folders, files in os.walk(TOP):
            folders[:] = [f for f in folders if not f.startswith("build") and f != ".git"]
            names += [os.path.relpath(os.path.join(folder, f), TOP) for f in files]
    return sorted(n for n in names if not patterns or n.endswith(patterns))


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8", errors="replace") as file:
        return file.read()


def public_api():
    """What users of the library include, without comments; not what is for authors of stores."""
    names = [n for n in tracked(".h") if n.startswith("include/") and not n.endswith("/store.h")]
    return re.sub(r"/\*.*?\*/", "", "\n".join(read(n) for n in names), flags=re.DOTALL)


def run(arguments, **more):
    """Run a tool; (exit code, what it said on both streams). 127: there is none."""
    more.setdefault("cwd", TOP)
    try:
        done = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            **more,
        )
    except FileNotFoundError as missing:
        return 127, f"{missing}: make deps installs it"
    return done.returncode, done.stdout.decode(errors="replace")


def main():
    print(f"1..{len(_rules)}")
    failed = 0
    for number, (promise, function) in enumerate(_rules, 1):
        try:
            violations = function()
        except Exception:  # the rule itself broke: that is an answer too
            violations = [traceback.format_exc()]
        print(f"{'not ok' if violations else 'ok'} {number} - {promise}")
        for violation in violations:
            for line in str(violation).splitlines():
                print(f"# {line}")
        failed += bool(violations)
        sys.stdout.flush()
    return 1 if failed else 0
