"""A run under a run: what is held above is joined, by what descends from it alone."""
import json
import os
import subprocess
import sys
import time

from harness import HOLDFAST, assert_nothing_left, below, equal, main, until

RUN = HOLDFAST + " run "


def holdfast(world, *args, env=None):
    done = subprocess.run([HOLDFAST, *args], env=env or world.env, cwd=world.dir, text=True,
                          capture_output=True, timeout=15, check=False)
    return done.returncode, done.stdout, done.stderr


def events(world, name):
    log = json.loads(holdfast(world, "log", "--json", name)[1])
    return [e["event"] for e in reversed(log["events"])]


def bare(world):
    """What `env -i` must be given, to use the same folders."""
    kept = ("HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "HOLDFAST_STORE", "PATH", "TSAN_OPTIONS",
            "ASAN_OPTIONS", "UBSAN_OPTIONS", "LD_LIBRARY_PATH")
    given = ["%s='%s'" % (n, world.env[n]) for n in kept if n in world.env]
    return "env -i " + " ".join(given) + " "


def at_once(world, code, *args, words=""):
    """The run comes to an end without waiting; what it said."""
    start = time.monotonic()
    got, out, err = world.run(*args)
    equal(got, code, err)
    assert words in err, err
    assert time.monotonic() - start < 8, "it has waited"
    assert_nothing_left()
    return out, err


def nested__goes_three_deep_with_one_token(world):
    show = "echo $HOLDFAST_TOKEN $HOLDFAST_ID; "
    out, err = at_once(world, 0, "x", "--", "sh", "-c", show + RUN + "x -- sh -c '" + show + RUN +
                       "x -- sh -c \"" + show.replace("$", "\\$") + HOLDFAST +
                       " list | wc -l\"'; " + HOLDFAST + " list | wc -l")
    equal(err, "")
    lines = out.split("\n")
    equal(lines[3:5], ["3", "1"], "holders inside, and after the inner ones")
    rows = [line.split() for line in lines[:3]]
    equal({token for token, _ in rows}, {"1"})
    equal(len({name for _, name in rows}), 3)
    equal(events(world, "x"), ["acquire", "reenter", "reenter", "release", "release", "release"])
    equal(world.run("-n", "x", "--", "true")[0], 0)


def nested__goes_through_other_locks_and_several_at_once(world):
    at_once(world, 0, "x", "y", "--", "sh", "-c", RUN + "z -- " + RUN + "-n y w x -- " + RUN +
            "-n z -- touch ran")
    assert os.path.exists(world.path("ran"))
    equal(events(world, "z"), ["acquire", "reenter", "release", "release"])
    equal(events(world, "w"), ["acquire", "release"])


def nested__goes_through_other_stores(world):
    subprocess.run(["git", "init", "-q", world.path("repo")], env=world.env, check=True)
    repo = "git:" + world.path("repo")
    at_once(world, 0, "x@" + repo, "x@file:other", "--", "sh", "-c",
            "cd /; " + RUN + "-n -S file:" + world.path("other") + " x -- " +
            RUN + "-n x@" + repo + "/.git -- touch " + world.path("ran"))
    assert os.path.exists(world.path("ran"))
    # The same name in another store is another lock.
    holder = world.start("x", "--", "cat", stdin=subprocess.PIPE)
    until(lambda: "cat" in below(holder.pid).values(), "the holder's command")
    equal(world.run("x@" + repo, "--", HOLDFAST, "run", "-n", "-S", world.env["HOLDFAST_STORE"],
                    "x", "--", "true")[0], 1)
    holder.stdin.close()
    holder.wait(10)


def nested__reaches_grandchildren_and_new_sessions(world):
    # A daemon: double fork, session of its own, its parents gone.
    script = ("(setsid sh -c '(sleep 0.2; " + RUN + "-n x -- sh -c \"echo >joined\") & exit' &)")
    out, err = at_once(world, 0, "-q", "x", "--", "sh", "-c", script)
    equal((out, err), ("", ""))
    assert os.path.exists(world.path("joined"))
    equal(events(world, "x"), ["acquire", "reenter", "release", "release"])


def nested__keeps_the_lock_when_the_outer_has_ended(world):
    # -o gives the lock back with the command; what has joined holds it on.
    code, _, err = world.run("-o", "x", "--", "sh", "-c",
                             RUN + "x -- sh -c 'echo >up; sleep 0.7' >out 2>&1 & "
                             "while [ ! -e up ]; do sleep 0.01; done")
    equal((code, err), (0, ""))
    equal(world.run("-n", "x", "--", "true")[0], 1)
    equal(world.run("-w", "10", "x", "--", "true")[0], 0)
    equal(events(world, "x")[:4], ["acquire", "reenter", "release", "release"])


def nested__ends_when_the_outer_is_killed(world):
    process = world.start("--kill-after", "0.1", "x", "--", HOLDFAST, "run", "x", "--", "sh", "-c",
                          "echo >up; exec sleep 30")
    until(lambda: os.path.exists(world.path("up")), "the command")
    process.kill()
    process.wait(10)
    equal(world.run("-w", "10", "x", "--", "true")[0], 0)
    assert_nothing_left()


def copied__variables_do_not_join(world):
    process = world.start("x", "--", "sh", "-c", "env -0 >env; echo >up; exec cat",
                          stdin=subprocess.PIPE)
    until(lambda: os.path.exists(world.path("up")), "the command")
    copied = dict(e.split("=", 1) for e in world.read("env").split("\0") if "=" in e)
    code, _, err = world.run("-n", "x", "--", "touch", "ran", env=copied)
    equal(code, 1)
    assert "does not descend from" in err and str(process.pid) in err, err
    # It waits as anybody else does, and is no deadlock.
    waiter = world.start("-w", "10", "x", "--", "true", env=copied)
    time.sleep(0.3)
    equal(waiter.poll(), None)
    process.stdin.close()
    equal(process.wait(10), 0)
    equal(waiter.wait(10), 0)
    # A number that has been given away says nothing of later holds.
    equal(world.run("-n", "x", "--", "true", env=copied)[::2], (0, ""))
    assert not os.path.exists(world.path("ran"))
    assert "reenter" not in events(world, "x")


def forged__variables_are_left_out(world):
    for text in ("", "x", "[", "{}", "[1]", "[{}]", "null", '[{"name":"x"}]',
                 '[{"name":"x","id":"0","store":"","token":1}]',
                 '[{"name":7,"id":"%s","store":"s","token":1}]' % ("a" * 32),
                 '[{"name":"x","id":"%s","store":"s","token":1}]' % ("a" * 32),
                 "[" * 100000):
        env = dict(world.env, HOLDFAST_LOCKS=text)
        code, out, err = world.run("-n", "x", "--", "sh", "-c", "printf %s \"$HOLDFAST_LOCKS\"",
                                   env=env)
        equal((code, err), (0, ""), text[:60])
        equal(json.loads(out)[0]["name"], "x")
        equal(len(json.loads(out)), 2 if "aaa" in text and "7" not in text else 1)
    equal(events(world, "x").count("acquire"), 12)


def stripped__environment_is_a_deadlock_at_once(world):
    for inner in (RUN + "x -- touch ran", RUN + "-w 60 x -- touch ran", RUN + "-s x -- touch ran",
                  RUN + "a y x -- touch ran", RUN + "--ttl 0 x -- touch ran"):
        _, err = at_once(world, 81, "y", "x", "--", "sh", "-c", bare(world) + inner,
                         words="deadlock: lock '")
        assert "HOLDFAST_LOCKS" in err, err
        equal(holdfast(world, "status", "-q", "a")[0], 0)
    # Also by one that was orphaned, and one below another run.
    at_once(world, 0, "-q", "x", "--", "sh", "-c", "(setsid sh -c '" +
            bare(world).replace("'", "") + RUN + "x -- true; echo $? >code' &)")
    equal(world.read("code"), "81\n")
    at_once(world, 81, "x", "--", HOLDFAST, "run", "y", "--", "sh", "-c",
            bare(world) + RUN + "x -- touch ran")
    assert not os.path.exists(world.path("ran"))


def stripped__environment_and_no_waiting_is_held(world):
    for option in ("-n", "-w 0", "--strategy fail_fast"):
        at_once(world, 1, "x", "--", "sh", "-c", bare(world) + RUN + option + " x -- true",
                words="lock 'x' is held")


def stripped__environment_of_other_commands(world):
    for command in ("wait", "acquire"):
        at_once(world, 81, "x", "--", "sh", "-c", bare(world) + HOLDFAST + " " + command + " x",
                words="deadlock: lock 'x'")
        # They know nothing of joining.
        at_once(world, 81, "x", "--", HOLDFAST, command, "x", words="deadlock: lock 'x'")
        at_once(world, 1, "x", "--", HOLDFAST, command, "-n", "x")


def no_inherit__is_a_deadlock_at_once(world):
    at_once(world, 81, "x", "--", HOLDFAST, "run", "--no-inherit", "x", "--", "true",
            words="--no-inherit")
    at_once(world, 1, "x", "--", HOLDFAST, "run", "--no-inherit", "-n", "x", "--", "true")


def given_back_early__is_no_deadlock(world):
    # With -o the outer one does not wait for what its command leaves.
    code, _, err = world.run("-o", "x", "--", "sh", "-c", bare(world) + RUN +
                             "-w 20 x -- touch ran >out 2>&1 & sleep 0.5")
    equal((code, err), (0, ""))
    until(lambda: os.path.exists(world.path("ran")), "the one that waited")
    equal(world.read("out"), "")


def modes__go_inside_each_other_as_the_rules_say(world):
    at_once(world, 64, "-s", "x", "--", HOLDFAST, "run", "x", "--", "touch", "ran",
            words="upgrade")
    at_once(world, 0, "x", "--", HOLDFAST, "run", "-s", "x", "--", HOLDFAST, "run", "x", "--",
            "true")
    at_once(world, 0, "-s", "x", "--", HOLDFAST, "run", "-s", "x", "--", "true")
    # One place of one is shared by all that stand in it.
    at_once(world, 0, "--limit", "1", "x", "--", HOLDFAST, "run", "--limit", "1", "x", "--",
            "true")
    at_once(world, 81, "--limit", "1", "x", "--", "sh", "-c",
            bare(world) + RUN + "--limit 1 x -- touch ran", words="deadlock")
    # Without joining, sharers stand beside each other, and places are counted.
    at_once(world, 0, "-s", "x", "--", "sh", "-c", bare(world) + RUN + "-s x -- true")
    at_once(world, 0, "--limit", "2", "x", "--", "sh", "-c",
            bare(world) + RUN + "--limit 2 x -- true")
    at_once(world, 81, "-s", "x", "--", "sh", "-c", bare(world) + RUN + "x -- touch ran",
            words="deadlock")
    assert not os.path.exists(world.path("ran"))


def flock__cannot_be_joined_and_says_so(world):
    _, err = at_once(world, 81, "-S", "file:f?layout=flock", "x", "--", HOLDFAST, "run", "x", "--",
                     "true")
    assert "cannot be joined" in err, err
    at_once(world, 0, "-s", "-S", "file:f?layout=flock", "x", "--", HOLDFAST, "run", "-s", "x",
            "--", "true")


def lost__by_the_outer_ends_the_inner_too(world):
    process = world.start("--ttl", "0.6s", "--kill-after", "0.1", "x", "--", HOLDFAST, "run", "x",
                          "--", "sh", "-c", "echo >up; exec sleep 30")
    until(lambda: os.path.exists(world.path("up")), "the command")
    equal(holdfast(world, "force-release", "x")[0], 0)
    equal(process.wait(10), 80)
    assert_nothing_left()


if __name__ == "__main__":
    sys.exit(main([
        nested__goes_three_deep_with_one_token,
        nested__goes_through_other_locks_and_several_at_once,
        nested__goes_through_other_stores,
        nested__reaches_grandchildren_and_new_sessions,
        nested__keeps_the_lock_when_the_outer_has_ended,
        nested__ends_when_the_outer_is_killed,
        copied__variables_do_not_join,
        forged__variables_are_left_out,
        stripped__environment_is_a_deadlock_at_once,
        stripped__environment_and_no_waiting_is_held,
        stripped__environment_of_other_commands,
        no_inherit__is_a_deadlock_at_once,
        given_back_early__is_no_deadlock,
        modes__go_inside_each_other_as_the_rules_say,
        flock__cannot_be_joined_and_says_so,
        lost__by_the_outer_ends_the_inner_too,
    ]))
