"""Commands that wait for each other; and who is in whose way, told by `why`."""
import json
import os
import subprocess
import sys
import time

from harness import HOLDFAST, assert_nothing_left, below, equal, main, until

RUN = HOLDFAST + " run "


def holdfast(world, *args):
    done = subprocess.run([HOLDFAST, *args], env=world.env, cwd=world.dir, text=True,
                          capture_output=True, timeout=15, check=False)
    return done.returncode, done.stdout, done.stderr


def waiters(world, name):
    return json.loads(holdfast(world, "status", "--json", name)[1])["waiters"]


def appears(world, name):
    until(lambda: os.path.exists(world.path(name)), name)


def nested(world, outer, inner, ready, go, after=""):
    """Holds outer, says so, waits for `go`, then wants inner."""
    script = ("touch %s; while ! [ -e %s ]; do sleep 0.01; done; %s%s -- touch had-%s%s"
              % (world.path(ready), world.path(go), RUN, inner, inner, after))
    return world.start(outer, "--", "sh", "-c", script)


def circle(world, count):
    runs = [nested(world, "l%d" % i, "l%d" % ((i + 1) % count), "ready%d" % i, "go")
            for i in range(count)]
    for i in range(count):
        appears(world, "ready%d" % i)
    start = time.monotonic()
    open(world.path("go"), "w").close()
    ends = [(run.communicate(timeout=30), run.returncode) for run in runs]
    took = time.monotonic() - start
    codes = sorted(code for _, code in ends)
    equal(codes, [0] * (count - 1) + [81], [e for e, _ in ends])
    words = [out[1] for out, code in ends if code == 81][0]
    for i in range(count):
        assert "'l%d'" % i in words, words
    assert took < 10, took
    for i in range(count):
        equal(waiters(world, "l%d" % i), [])
    assert_nothing_left()


def deadlock__of_two_runs_has_one_victim(world):
    circle(world, 2)


def deadlock__of_four_runs_has_one_victim(world):
    circle(world, 4)


def deadlock__is_not_seen_where_the_variables_are_only_copied(world):
    """The second says that it stands under a lock which a stranger holds."""
    stranger = world.start("a", "--", "cat", stdin=subprocess.PIPE)
    until(lambda: "cat" in below(stranger.pid).values(), "the stranger's command")
    holder = json.loads(holdfast(world, "status", "--json", "a")[1])["holders"][0]
    other = world.start("b", "--", "sh", "-c", "touch held-b; cat", stdin=subprocess.PIPE)
    appears(world, "held-b")
    env = dict(world.env)
    env["HOLDFAST_LOCKS"] = json.dumps([{"name": "a", "token": 1, "id": holder["id"],
                                         "store": env["HOLDFAST_STORE"]}])
    waiting = world.start("b", "--", "true", env=env)
    until(lambda: waiters(world, "b"), "one who waits")
    equal(waiters(world, "b")[0].get("under"), [])
    for process in (other, stranger):
        process.stdin.close()
        equal(process.wait(10), 0)
    equal(waiting.wait(10), 0)


def why__tells_the_chain_and_the_line(world):
    equal(holdfast(world, "why", "a")[:2], (0, "'a' is free\n"))
    first = nested(world, "a", "b", "ready", "go")
    second = world.start("b", "--", "sh", "-c", "touch held-b; cat", stdin=subprocess.PIPE)
    appears(world, "ready")
    appears(world, "held-b")
    open(world.path("go"), "w").close()
    until(lambda: waiters(world, "b"), "one who waits for b")
    third = world.start("--owner", "carol", "a", "--", "true")
    until(lambda: waiters(world, "a"), "one who waits for a")
    code, out, err = holdfast(world, "why", "a")
    equal((code, err), (0, ""))
    lines = out.split("\n")
    assert lines[0].startswith("'a' is held by "), out
    assert "pid %d" % first.pid in lines[0] and "token 1" in lines[0], out
    assert lines[1].startswith("    and waits for 'b'"), out
    assert lines[2].startswith("    'b' is held by ") and "pid %d" % second.pid in lines[2], out
    assert "1 waits in line for 'b'" in lines[3], out
    assert "1 waits in line for 'a'" in out and "1. carol (pid " in out, out
    chain = json.loads(holdfast(world, "why", "--json", "a")[1])["chain"]
    equal([(e["lock"], e["waits_for"]) for e in chain], [("a", "b")])
    second.stdin.close()
    equal([p.wait(10) for p in (second, first, third)], [0, 0, 0])


if __name__ == "__main__":
    sys.exit(main([deadlock__of_two_runs_has_one_victim, deadlock__of_four_runs_has_one_victim,
                   deadlock__is_not_seen_where_the_variables_are_only_copied,
                   why__tells_the_chain_and_the_line]))
