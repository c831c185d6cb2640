"""No process of a command runs on once the lock may be another's."""
import os
import signal
import subprocess
import sys
import time

from harness import (HOLDFAST, assert_nothing_left, below, equal, main, state_of, until, watchdog_of)

# A command with everything in it that does not want to be found or ended. Each
# writes a line to `up` when it is there; the command itself goes on for ever.
ALL_KINDS = r"""
up() { echo "$1" >>up; }
(up background; exec sleep 1000) &
setsid sh -c 'echo session >>up; exec sleep 1000' &
(setsid sh -c '(echo daemon >>up; exec sleep 1000) & exit' &) # double fork, new session
(trap '' TERM HUP INT; up deaf; while :; do sleep 1000; done) &
(up stopped; exec sh -c 'kill -STOP $$; sleep 1000') &
(while :; do (: & sleep 0.001); done) & # forks all the time
"""
KINDS = 5
COMMAND = ["bash", "-c", ALL_KINDS + "while :; do sleep 1000; done"]


def start_all_kinds(world, *options):
    process = world.start(*options, "x", "--", *COMMAND)
    world.wait_for_file("up", KINDS)
    return process


def finish(process, code, words=""):
    _, err = process.communicate(timeout=15)
    assert words in err, "%r is not in %r" % (words, err)
    equal(process.returncode, code)
    assert_nothing_left()
    return err


def test_lock_is_free(world):
    equal(world.run("-w", "5", "x", "--", "true")[0], 0)


# ---- what kills ----

def wrapper_killed__ends_the_tree(world):
    process = start_all_kinds(world, "--kill-after", "0.3")
    os.kill(process.pid, signal.SIGKILL)
    finish(process, -signal.SIGKILL, "was killed: ending the command")
    test_lock_is_free(world)


def wrapper_killed__asks_the_tree_first(world):
    process = world.start("x", "--", "bash", "-c",
                          "trap 'echo asked >told; exit' TERM; echo >up; while :; do sleep 0.01;"
                          " done")
    world.wait_for_file("up", 0)
    until(lambda: os.path.exists(world.path("up")), "the command")
    process.kill()
    finish(process, -signal.SIGKILL)
    equal(world.read("told"), "asked\n")


def watchdog_killed__ends_the_tree(world):
    process = start_all_kinds(world)
    os.kill(watchdog_of(process.pid), signal.SIGKILL)
    finish(process, 71, "watchdog of the command was killed")
    test_lock_is_free(world)


def group_killed__ends_the_tree(world):
    process = world.start("--kill-after", "0.3", "x", "--", *COMMAND, start_new_session=True)
    world.wait_for_file("up", KINDS)
    os.killpg(process.pid, signal.SIGKILL)
    finish(process, -signal.SIGKILL)
    test_lock_is_free(world)


def both_killed__ends_the_command_itself(world):
    process = world.start("x", "--", "sleep", "1000")
    watchdog = watchdog_of(process.pid)
    os.kill(process.pid, signal.SIGSTOP)
    os.kill(watchdog, signal.SIGSTOP)
    os.kill(watchdog, signal.SIGKILL)
    os.kill(process.pid, signal.SIGKILL)
    finish(process, -signal.SIGKILL)


def watchdog_stopped__is_continued(world):
    process = world.start("x", "--", "sh", "-c", "echo >up; read line; exit 5",
                          stdin=subprocess.PIPE)
    watchdog = watchdog_of(process.pid)
    os.kill(watchdog, signal.SIGSTOP)
    until(lambda: state_of(watchdog) == "S", "the watchdog going on")
    process.stdin.write("\n")
    process.stdin.flush()
    finish(process, 5)


# ---- what runs out ----

def wrapper_stopped__ends_the_tree_before_its_deadline(world):
    for ttl in (0.5, 1.0):
        open(world.path("up"), "w", encoding="utf-8").close()
        process = start_all_kinds(world, "--ttl", "%gs" % ttl)
        time.sleep(ttl / 2)
        os.kill(process.pid, signal.SIGSTOP)
        stopped = time.monotonic()
        until(lambda p=process: not below(p.pid), "the end of the tree")
        took = time.monotonic() - stopped
        # Stopped right after a renewal, a tenth is the holder's own margin.
        assert took < ttl * 0.95, "%.3f s" % took
        equal(state_of(process.pid), "T")
        process.send_signal(signal.SIGCONT)
        finish(process, 80, "was not renewed before its lease ran out")
        test_lock_is_free(world)


def wrapper_stopped__costs_a_caller_without_job_control_nothing(world):
    """A session of its own, as under cron: nobody controls its group."""
    script = "'%s' run --ttl 0.4s x -- sleep 1000; echo code $?" % HOLDFAST
    caller = subprocess.Popen(["bash", "-c", script], env=world.env, cwd=world.dir, text=True,
                              start_new_session=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    world.started.append(caller)
    wrapper = until(lambda: [p for p, n in below(caller.pid).items() if n == "holdfast"], "us")[0]
    until(lambda: "sleep" in below(wrapper).values(), "the command")
    os.kill(wrapper, signal.SIGSTOP)
    until(lambda: "sleep" not in below(caller.pid).values(), "the end of the command")
    time.sleep(0.05)
    os.kill(wrapper, signal.SIGCONT)
    out, _ = caller.communicate(timeout=10)
    equal((caller.returncode, out), (0, "code 80\n"))


def wrapper_stopped__does_not_matter_without_a_ttl(world):
    process = world.start("--ttl", "0", "x", "--", "sleep", "0.5")
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.7)
    process.send_signal(signal.SIGCONT)
    finish(process, 0)


# ---- what is left ----

def rest__keeps_the_lock_until_it_ends(world):
    start = time.monotonic()
    process = world.start("x", "--", "sh", "-c", "setsid sleep 1 & exit 3")
    equal(process.stderr.readline(),
          "holdfast: the command has ended and left processes running: lock 'x' is kept until "
          "they end\n")
    if not world.env["HOLDFAST_STORE"].startswith("memory"):
        equal(world.run("-n", "x", "--", "true")[0], 1)
    equal(finish(process, 3), "")
    assert time.monotonic() - start > 0.9


def rest__is_not_spoken_of_with_q_or_when_short(world):
    equal(finish(world.start("-q", "x", "--", "sh", "-c", "sleep 0.3 & exit 3"), 3), "")
    equal(finish(world.start("x", "--", "sh", "-c", "sleep 0.02 & exit 3"), 3), "")


def rest__is_let_go_with_o(world):
    process = world.start("-o", "x", "--", "sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & exit 3")
    _, err = process.communicate(timeout=5)
    equal((process.returncode, err), (3, ""))
    equal(world.run("-n", "x", "--", "true")[0], 0)
    left = below(os.getpid())
    equal(list(left.values()), ["sleep"])


def rest__is_ended_with_kill_rest(world):
    command = "(trap '' TERM; echo up >>up; while :; do sleep 1000; done) & " \
        "setsid sh -c 'echo up >>up; exec sleep 1000' & while [ $(cat up | wc -l) -lt 2 ]; do " \
        "sleep 0.01; done; exit 3"
    open(world.path("up"), "w", encoding="utf-8").close()
    start = time.monotonic()
    process = world.start("--kill-rest", "--kill-after", "0.5", "x", "--", "sh", "-c", command)
    equal(finish(process, 3), "")
    took = time.monotonic() - start
    assert 0.5 <= took < 5, took


def rest__is_ended_by_a_signal(world):
    for number in (signal.SIGTERM, signal.SIGINT):
        process = world.start("x", "--", "sh", "-c", "sleep 1000 & exit 3")
        assert "left processes" in process.stderr.readline()
        process.send_signal(number)
        finish(process, 128 + number)


# ---- what is fought ----

def fork_loops__lose(world):
    bomb = "spin() { while :; do ( sleep 0.0$RANDOM & : ) ; done; }; trap '' TERM;" \
        "for i in 1 2 3 4 5 6; do spin & done; setsid bash -c 'while :; do (:) & (:); wait; done' &" \
        "echo >up; wait"
    for kill in (lambda p: p.kill(), lambda p: os.kill(watchdog_of(p.pid), signal.SIGKILL)):
        process = world.start("--kill-after", "0.1", "x", "--", "bash", "-c", bomb)
        until(lambda: os.path.exists(world.path("up")), "the bomb")
        time.sleep(0.2)
        start = time.monotonic()
        kill(process)
        process.wait(20)
        assert_nothing_left()
        took = time.monotonic() - start
        print("# fork loops ended in %.3f s" % took)
        assert took < 5, took
        os.unlink(world.path("up"))


if __name__ == "__main__":
    sys.exit(main([
        wrapper_killed__ends_the_tree,
        wrapper_killed__asks_the_tree_first,
        watchdog_killed__ends_the_tree,
        group_killed__ends_the_tree,
        both_killed__ends_the_command_itself,
        watchdog_stopped__is_continued,
        wrapper_stopped__ends_the_tree_before_its_deadline,
        wrapper_stopped__costs_a_caller_without_job_control_nothing,
        wrapper_stopped__does_not_matter_without_a_ttl,
        rest__keeps_the_lock_until_it_ends,
        rest__is_not_spoken_of_with_q_or_when_short,
        rest__is_let_go_with_o,
        rest__is_ended_with_kill_rest,
        rest__is_ended_by_a_signal,
        fork_loops__lose,
    ]))
