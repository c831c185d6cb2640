"""Several locks for one command: all or none, and the loss of any ends it."""
import json
import os
import random
import signal
import subprocess
import sys
import time

from harness import HOLDFAST, assert_nothing_left, below, equal, main, until

HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS = max(3, 12 * int(os.environ.get("HF_TEST_SCALE", "100")) // 100)
SEED = int(os.environ.get("HF_TEST_SEED", random.randrange(1 << 30)))


def holdfast(world, *args):
    done = subprocess.run([HOLDFAST, *args], env=world.env, cwd=world.dir, text=True,
                          capture_output=True, timeout=15, check=False)
    return done.returncode, done.stdout, done.stderr


def is_free(world, name, *options):
    return holdfast(world, "status", "-q", *options, name)[0] == 0


def hold(world, *args):
    """A run that holds until its input is closed."""
    process = world.start(*args, "--", "cat", stdin=subprocess.PIPE)
    until(lambda: "cat" in below(process.pid).values(), "the holder's command")
    return process


def let_go(process):
    process.stdin.close()
    equal(process.wait(10), 0)


def repository(world):
    path = world.path("repo")
    subprocess.run(["git", "init", "-q", path], env=world.env, check=True)
    return "git:" + path


def environment__tells_of_all_and_of_the_first(world):
    code, out, err = world.run("b", "a \"c\" d", "c", "--", "env", "-0")
    equal((code, err), (0, ""))
    env = dict(line.split("=", 1) for line in out.split("\0") if "=" in line)
    locks = json.loads(env["HOLDFAST_LOCKS"])
    equal([l["name"] for l in locks], ["b", "a \"c\" d", "c"])
    equal(sorted(locks[0]), ["id", "name", "store", "token"])
    equal(env["HOLDFAST_NAME"], "b")
    equal(env["HOLDFAST_ID"], locks[0]["id"])
    equal(int(env["HOLDFAST_TOKEN"]), locks[0]["token"])
    equal({env["HOLDFAST_STORE"]} | {l["store"] for l in locks}, {world.env["HOLDFAST_STORE"]})
    equal(len({l["id"] for l in locks}), 3)


def all_or_none__one_that_is_held_keeps_none(world):
    for held in ("a", "b", "c"):
        holder = hold(world, held)
        for options, code in ((("-n",), 1), (("-w", "0.2", "-E", "7"), 7),
                              (("--strategy", "fail_fast"), 1)):
            got, _, err = world.run(*options, "c", "a", "b", "--", "touch", "ran")
            equal(got, code, " ".join(options))
            assert "'%s' is held" % held in err, err
        equal([n for n in "abc" if not is_free(world, n)], [held])
        let_go(holder)
    assert not os.path.exists(world.path("ran"))
    equal(world.run("-n", "a", "b", "c", "--", "true")[0], 0)


def all_or_none__a_signal_while_waiting_leaves_none(world):
    holder = hold(world, "b")
    waiter = world.start("a", "b", "--", "touch", "ran")
    until(lambda: not is_free(world, "a"), "the waiter to have a")
    waiter.terminate()
    equal(waiter.wait(10), 128 + signal.SIGTERM)
    assert is_free(world, "a")
    let_go(holder)
    assert not os.path.exists(world.path("ran"))


def all_or_none__a_killed_waiter_leaves_none(world):
    holder = hold(world, "b")
    waiter = world.start("a", "b", "--", "touch", "ran")
    until(lambda: not is_free(world, "a"), "the waiter to have a")
    waiter.kill()
    waiter.wait(10)
    start = time.monotonic()
    equal(world.run("a", "--", "true")[0], 0)
    assert time.monotonic() - start < 5, "the lock of a dead waiter is free at once"
    let_go(holder)


def all_or_none__one_lost_while_waiting_is_had_again(world):
    holder = hold(world, "b")
    waiter = world.start("--ttl", "0.4s", "a", "b", "--", HOLDFAST, "status", "a")
    until(lambda: not is_free(world, "a"), "the waiter to have a")
    equal(holdfast(world, "force-release", "a")[0], 0)
    thief = hold(world, "a")
    time.sleep(0.5) # longer than it may believe in it
    let_go(holder)
    time.sleep(0.2)
    equal(waiter.poll(), None)
    let_go(thief)
    out, err = waiter.communicate(timeout=10)
    equal((waiter.returncode, err), (0, ""))
    assert out.startswith("a\theld\t"), out


def twice__is_refused(world):
    os.symlink(world.path("store"), world.path("alias"))
    equal(world.run("a", "--", "true")[0], 0)
    for second in ("a", "a@file:store", "a@file:" + world.path("alias")):
        code, _, err = world.run("a", "b", second, "--", "touch", "ran")
        equal(code, 64, second)
        assert "'a'" in err and "named twice" in err, err
    assert not os.path.exists(world.path("ran"))
    assert is_free(world, "a") and is_free(world, "b")


def contend(world, strike):
    """Contenders that want two or three of three locks, in any order."""
    path = world.path("met")
    draw = random.Random(SEED)
    running = []
    for _ in range(4 * ROUNDS):
        def place():
            running[:] = [p for p in running if p.poll() is None]
            return len(running) < 4
        until(place, "one of the contenders to get on (seed %d)" % SEED, 30)
        names = draw.sample(["a", "b", "c"], draw.randint(2, 3))
        running.append(world.start(*names, "--", sys.executable, "-S", "-E",
                                   os.path.join(HERE, "inside.py"), path,
                                   str(draw.uniform(0, 0.02)), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL))
        strike(draw, running)
    for process in running:
        process.wait(30)
    # A command that was ended by force is not waited for by its wrapper.
    assert_nothing_left()
    equal(os.path.exists(path), False, "two were in at once (seed %d)" % SEED)
    equal(world.run("-n", "a", "b", "c", "--", "true")[0], 0)


def contention__never_deadlocks_nor_meets(world):
    contend(world, lambda draw, running: None)
    equal([p.returncode for p in world.started if p.returncode], [])


def contention__with_kills_never_deadlocks_nor_meets(world):
    def strike(draw, running):
        if draw.random() < 0.5:
            time.sleep(draw.uniform(0, 0.03))
            draw.choice(running).kill()
    contend(world, strike)


def lost__the_second_of_three_ends_the_command(world):
    process = world.start("--ttl", "0.6s", "--kill-after", "0.1", "a", "b", "c", "--", "sh", "-c",
                          "trap '' TERM; echo >up; while :; do sleep 0.05; done")
    until(lambda: os.path.exists(world.path("up")), "the command")
    equal(holdfast(world, "force-release", "b", "--owner", "robber")[0], 0)
    _, err = process.communicate(timeout=10)
    equal(process.returncode, 80)
    assert "lock 'b' was lost" in err and "robber" in err, err
    assert "lock 'a'" not in err and "lock 'c'" not in err, err
    assert_nothing_left()
    equal([n for n in "abc" if not is_free(world, n)], [])


def stopped__ends_the_command_before_the_first_lease_is_over(world):
    repo = repository(world)
    process = world.start("--ttl", "1s", "a", "b@" + repo, "--", "sh", "-c",
                          "echo >up; exec sleep 20")
    until(lambda: os.path.exists(world.path("up")), "the command")
    os.kill(process.pid, signal.SIGSTOP)
    # Whoever gets one of them meets nobody.
    equal(world.run("-w", "10", "b@" + repo, "--", "true")[0], 0)
    equal([n for n in below(os.getpid()).values() if n == "sleep"], [])
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=10)
    equal(process.returncode, 80)
    assert "in time" in err or "was lost" in err, err


def killed__the_tree_ends_and_all_are_free(world):
    repo = repository(world)
    names = ("a", "b@" + repo, "c@file:" + world.path("other"))
    process = world.start("--kill-after", "0.1", *names, "--", "sh", "-c",
                          "trap '' TERM; echo >up; while :; do sleep 0.05; done")
    until(lambda: os.path.exists(world.path("up")), "the command")
    process.kill()
    _, err = process.communicate(timeout=10)
    assert "that held lock 'a' and 2 more" in err, err
    equal(world.run(*names, "--", "true")[0], 0)
    assert_nothing_left()


def renewed__every_one_in_every_store(world):
    repo = repository(world)
    code, _, err = world.run("--ttl", "0.4s", "a", "b", "a@" + repo, "b@" + repo,
                             "c@file:" + world.path("other"), "--", "sleep", "1.5")
    equal((code, err), (0, ""))


def stores__of_file_and_git_go_together(world):
    repo = repository(world)
    code, out, err = world.run("a@" + repo, "a", "x@y@file:other", "--", "sh", "-c",
                               "printf '%s\\n' \"$HOLDFAST_LOCKS\" \"$HOLDFAST_STORE\";"
                               "for s in " + repo + " " + world.env["HOLDFAST_STORE"] + "; do "
                               + HOLDFAST + " list -S $s | cut -f 1,2; done;"
                               + HOLDFAST + " list -S file:other | cut -f 1,2")
    equal((code, err), (0, ""))
    lines = out.split("\n")
    equal([(l["name"], l["store"]) for l in json.loads(lines[0])],
          [("a", repo), ("a", world.env["HOLDFAST_STORE"]),
           ("x@y", "file:" + world.path("other"))])
    equal(lines[1], repo)
    equal(lines[2:5], ["a\theld", "a\theld", "x@y\theld"])
    for held in ("a", "a@" + repo, "x@y@file:other"):
        holder = hold(world, held)
        equal(world.run("-n", "x@y@file:other", "a", "a@" + repo, "--", "touch", "ran")[0], 1)
        let_go(holder)
    assert not os.path.exists(world.path("ran"))


def stores__hand_down_a_proof_of_life_each(world):
    show = [sys.executable, "-c",
            "import os\n"
            "for f in sorted(map(int, os.listdir('/proc/self/fd'))):\n"
            "    try: print(f, os.readlink('/proc/self/fd/%d' % f))\n"
            "    except OSError: pass"]
    out = world.run("a", "b", "c@file:other", "d@file:flocks?layout=flock", "--", *show)[1]
    kept = [line.split(" ", 1) for line in out.split("\n") if line and int(line.split()[0]) > 2]
    kept = [name for number, name in kept if int(number) >= 48]
    equal(len([n for n in kept if "/live-" in n]), 2, kept)
    equal(len([n for n in kept if n.endswith("/flocks/d")]), 1, kept)


def names__have_a_url_only_where_it_is_one(world):
    def name_of(*args):
        code, out, err = world.run(*args, "--", "sh", "-c",
                                   "printf %s \"$HOLDFAST_NAME $HOLDFAST_STORE\"")
        return out if code == 0 else "%d %s" % (code, err)
    here = world.env["HOLDFAST_STORE"]
    other = "file:" + world.path("other")
    for argument, name, store in (
            ("me@example.com", "me@example.com", here),
            ("git@example.com:repo", "git@example.com:repo", here),
            ("a@", "a@", here),
            ("@file", "@file", here),
            ("a@FILE:other", "a@FILE:other", here),
            ("a@file:other", "a", other),
            ("a@b@file:other", "a@b", other),
            ("a@file:other?sync=full", "a", other + "?sync=full"),
            ("a@file:oth@er", "a", "file:" + world.path("oth@er"))):
        equal(name_of(argument), name + " " + store, argument)
    equal(name_of("--literal", "a@file:other"), "a@file:other " + here)
    for argument, words in (("a@redys://host/1", "no store 'redys'"), ("@file:other", "name"),
                            ("a@file:", ""), ("a@file:other?no=1", "no")):
        code, _, err = world.run(argument, "--", "true")
        equal(code, 64, argument)
        assert words in err, err
    # What stands before the host in a URL may be a secret.
    err = world.run("a@redys://me:hunter2@host/1", "--", "true")[2]
    assert "hunter2" not in err, err


if __name__ == "__main__":
    sys.exit(main([
        environment__tells_of_all_and_of_the_first,
        all_or_none__one_that_is_held_keeps_none,
        all_or_none__a_signal_while_waiting_leaves_none,
        all_or_none__a_killed_waiter_leaves_none,
        all_or_none__one_lost_while_waiting_is_had_again,
        twice__is_refused,
        contention__never_deadlocks_nor_meets,
        contention__with_kills_never_deadlocks_nor_meets,
        lost__the_second_of_three_ends_the_command,
        stopped__ends_the_command_before_the_first_lease_is_over,
        killed__the_tree_ends_and_all_are_free,
        renewed__every_one_in_every_store,
        stores__of_file_and_git_go_together,
        stores__hand_down_a_proof_of_life_each,
        names__have_a_url_only_where_it_is_one,
    ]))
