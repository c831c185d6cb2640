#!/usr/bin/env python3
"""Every test, plain and under the sanitizers, and one line at the end.

    scripts/check.py [--jobs N] [--variant plain|asan|tsan]...

Each variant is a build folder of its own. The tests read HF_TEST_SCALE, a percentage
of their rounds: instrumented code is slower, and what it looks for does not need as
many. What is counted are single TAP tests; a test program that crashes, runs out of
time, or prints fewer tests than its plan is one failure more. Ends with

    N passed, N failed[, N skipped]

alone on its line, and exit code 1 if any failed.
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

Variant = collections.namedtuple("Variant", "folder setup scale timeout test_args env")

# gcc warns of what its own instrumentation adds.
NO_WERROR = ["-Dwerror=false"]

VARIANTS = {
    "plain": Variant("build", [], 100, 1, [], {}),
    # What a static look at the tree answers once, the variants need not ask again.
    "asan": Variant(
        "build-asan",
        ["-Db_sanitize=address,undefined", "-Db_lundef=false"] + NO_WERROR,
        20,
        4,
        ["--no-suite", "house"],
        {
            "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99",
            "LSAN_OPTIONS": f"suppressions={TOP}/tests/lsan.supp:print_suppressions=0",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
        },
    ),
    "tsan": Variant(
        "build-tsan",
        ["-Db_sanitize=thread", "-Db_lundef=false"] + NO_WERROR,
        10,
        6,
        ["--no-suite", "house"],
        {"TSAN_OPTIONS": f"suppressions={TOP}/tests/tsan.supp:exitcode=99:halt_on_error=0"},
    ),
}

PLAN = re.compile(r"^1\.\.(\d+)")
RESULT = re.compile(r"^(not )?ok\b(.*)$")
SKIPPED = re.compile(r"#\s*skip", re.IGNORECASE)
SHOWN = 60  # lines of a failed program, from its beginning and from its end
EXPECTED = re.compile(r"#\s*todo", re.IGNORECASE)

Count = collections.namedtuple("Count", "passed failed skipped names")


def run(arguments, **more):
    return subprocess.run(arguments, cwd=TOP, stdin=subprocess.DEVNULL, **more)


def count_tap(output):
    """Single results of one TAP output; names of the failed ones."""
    passed = failed = skipped = 0
    plan = None
    names = []
    for line in output.splitlines():
        match = PLAN.match(line)
        if match:
            plan = int(match.group(1))
            continue
        match = RESULT.match(line)
        if not match:
            continue
        if SKIPPED.search(match.group(2)):
            skipped += 1
        elif match.group(1) and not EXPECTED.search(match.group(2)):
            failed += 1
            names.append(match.group(2).strip(" -"))
        else:
            passed += 1
    answered = passed + failed + skipped
    if plan != answered:
        failed += 1
        promised = "printed no plan" if plan is None else f"planned {plan} tests"
        names.append(f"{promised}, answered {answered}")
    return Count(passed, failed, skipped, names)


def count_program(entry, protocol):
    """One line of meson's testlog.json."""
    result = entry["result"]
    if protocol != "tap":
        if result in ("OK", "EXPECTEDFAIL"):
            return Count(1, 0, 0, [])
        if result == "SKIP":
            return Count(0, 0, 1, [])
        return Count(0, 1, 0, [result.lower()])
    count = count_tap(entry.get("stdout", ""))
    code = entry.get("returncode", "?")
    # cmocka says "not ok # SKIP" of what it skips, which meson takes for a failure.
    skipping = result == "FAIL" and code == 0 and count.skipped
    if result not in ("OK", "SKIP", "EXPECTEDFAIL") and not count.failed and not skipping:
        return count._replace(failed=1, names=[f"{result.lower()}, exit code {code}"])
    return count


def build(variant, jobs):
    setup = ["-Dtests=enabled"] + variant.setup
    path = os.path.join(TOP, variant.folder)
    if os.path.exists(os.path.join(path, "build.ninja")):
        first = ["meson", "configure", variant.folder] + setup
    else:
        first = ["meson", "setup", variant.folder] + setup
    for command in (first, ["ninja", "-C", variant.folder, "-j", str(jobs)]):
        done = run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            print(done.stdout)
            print(f"failed: {' '.join(command)}")
            return False
    return True


def show(test_name, entry):
    """What a failed program said, without what went well."""
    said = [line for line in entry.get("stdout", "").splitlines() if not line.startswith("ok ")]
    said += entry.get("stderr", "").splitlines()
    print(f"---- {test_name}")
    if len(said) > 2 * SHOWN:
        said = said[:SHOWN] + [f"... {len(said) - 2 * SHOWN} lines ..."] + said[-SHOWN:]
    print("\n".join(said), flush=True)


def test(name, variant, jobs):
    """Run one variant; its Count, each failure said with how to run it again."""
    log = os.path.join(TOP, variant.folder, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.unlink(log)
    env = dict(os.environ, **variant.env)
    env.setdefault("HF_TEST_SCALE", str(variant.scale))
    run(
        ["meson", "test", "-C", variant.folder, "--no-rebuild"]
        + ["--num-processes", str(jobs), "--timeout-multiplier", str(variant.timeout)]
        + variant.test_args,
        env=env,
    )
    listing = run(
        ["meson", "introspect", "--tests", variant.folder], stdout=subprocess.PIPE, text=True
    )
    known = {t["name"]: t["protocol"] for t in json.loads(listing.stdout or "[]")}
    passed = failed = skipped = 0
    names = []
    entries = []
    if os.path.exists(log):
        with open(log, encoding="utf-8") as lines:
            entries = [json.loads(line) for line in lines]
    for entry in entries:
        # With several suites meson says "project:suite / name".
        test_name = entry["name"].split(" / ")[-1]
        count = count_program(entry, known.get(test_name, "exitcode"))
        passed += count.passed
        failed += count.failed
        skipped += count.skipped
        if count.failed:
            show(test_name, entry)
        for what in count.names:
            again = f"HF_TEST_SCALE={env['HF_TEST_SCALE']} meson test -C {variant.folder} -v"
            names.append(f"{test_name}: {what}\n    again: {again} '{test_name}'")
    if not entries:
        failed += 1
        names.append(f"{name}: no test was run")
    return Count(passed, failed, skipped, names)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--variant", action="append", choices=list(VARIANTS))
    args = parser.parse_args()
    rows = []
    for name in args.variant or VARIANTS:
        variant = VARIANTS[name]
        start = time.monotonic()
        print(f"== {name}: building in {variant.folder}", flush=True)
        if build(variant, args.jobs):
            print(f"== {name}: testing, HF_TEST_SCALE={variant.scale}", flush=True)
            count = test(name, variant, args.jobs)
        else:
            count = Count(0, 1, 0, [f"{name}: it does not build"])
        rows.append((name, count, time.monotonic() - start))

    print()
    for name, count, _ in rows:
        for text in count.names:
            print(f"failed: {name}: {text}")
    print(f"{'variant':<10}{'passed':>8}{'failed':>8}{'skipped':>8}{'seconds':>9}")
    for name, count, seconds in rows:
        line = f"{name:<10}{count.passed:>8}{count.failed:>8}{count.skipped:>8}"
        print(f"{line}{seconds:>9.0f}")
    passed, failed, skipped = (sum(r[1][i] for r in rows) for i in range(3))
    print()
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
