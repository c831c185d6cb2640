"""Signals sent to run reach the command, each once."""
import os
import signal
import subprocess
import sys
import time

from harness import assert_nothing_left, below, equal, main, stat_of, state_of, until

# Writes each signal that it gets to `got`; ends on SIGTERM with 9.
LISTENER = """
import os, signal, sys
def note(number, frame):
    with open('got', 'a') as file:
        file.write('%d\\n' % number)
    if number == signal.SIGTERM:
        os._exit(9)
for number in (1, 2, 3, 10, 12, 14, 15, 18, 28):
    signal.signal(number, note)
open('got', 'a').close()
while True:
    signal.pause()
"""


def listener(world, **settings):
    process = world.start("x", "--", sys.executable, "-c", LISTENER, **settings)
    until(lambda: os.path.exists(world.path("got")), "the listener")
    return process


def child_named(pid, name):
    return until(lambda: [p for p, n in below(pid).items() if n == name], name)[0]


def signals__are_passed_on_once(world):
    process = listener(world)
    wanted = []
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
                   signal.SIGALRM, signal.SIGWINCH):
        process.send_signal(number)
        wanted.append(str(int(number)))
        equal(world.wait_for_file("got", len(wanted)), wanted)
    process.terminate()
    equal(process.wait(10), 9)
    time.sleep(0.05)
    equal(world.read("got").split(), wanted + ["15"])
    assert_nothing_left()


def signals__ignored_before_us_stay_so(world):
    process = world.start("x", "--", "sh", "-c", "echo >up; exec sleep 0.4",
                          preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    until(lambda: os.path.exists(world.path("up")), "the command")
    process.send_signal(signal.SIGHUP)
    equal(process.wait(10), 0)


def signals__end_the_waiting_and_leave_nothing(world):
    holder = world.start("x", "--", "cat", stdin=subprocess.PIPE)
    child_named(holder.pid, "cat")
    def residue():
        return sorted(os.path.join(where, f) for where, _, files in os.walk(world.dir)
                      for f in files if f != "metrics-1")
    before = residue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        waiter = world.start("x", "--", "touch", "ran")
        time.sleep(0.15)
        waiter.send_signal(number)
        start = time.monotonic()
        equal(waiter.wait(10), 128 + number)
        assert time.monotonic() - start < 1
        equal(residue(), before)
    holder.stdin.close()
    equal(holder.wait(10), 0)
    assert not os.path.exists(world.path("ran"))
    equal(world.run("-n", "x", "--", "true")[0], 0)


def stop__stops_us_as_well(world):
    # A group that somebody controls: else the kernel drops SIGTSTP.
    process = listener(world, process_group=0)
    command = child_named(process.pid, "python3")
    for number in (signal.SIGTSTP, signal.SIGSTOP):
        # SIGTSTP goes through us; a stop of the command alone stops us too.
        if number == signal.SIGTSTP:
            process.send_signal(number)
        else:
            os.kill(command, number)
        until(lambda: state_of(command) == "T", "the command stopped")
        pid, status = os.waitpid(process.pid, os.WUNTRACED)
        equal((pid, os.WIFSTOPPED(status)), (process.pid, True))
        equal(os.WSTOPSIG(status), number)
        process.send_signal(signal.SIGCONT)
        until(lambda: state_of(command) == "S", "the command continued")
        until(lambda: state_of(process.pid) == "S", "us continued")
    process.terminate()
    equal(process.wait(10), 9)


def stop__of_the_command_ends_for_us_when_it_goes_on(world):
    process = world.start("x", "--", "sh", "-c", "echo >up; kill -STOP $$; exec sleep 0.3")
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    # Not through us: whoever does that does not know of us.
    os.kill(child_named(process.pid, "sh"), signal.SIGCONT)
    equal(process.wait(10), 0)


def stop__of_both_by_another_does_not_stop_us_twice(world):
    process = listener(world)
    command = child_named(process.pid, "python3")
    for _ in range(20):
        for pid in (process.pid, command):
            os.kill(pid, signal.SIGSTOP)
        until(lambda: state_of(command) == "T" == state_of(process.pid), "both stopped")
        process.send_signal(signal.SIGCONT)
        until(lambda: state_of(command) == "S" == state_of(process.pid), "both continued")
        time.sleep(0.02) # this one is over
    process.terminate()
    equal(process.wait(10), 9)


def stop__past_the_ttl_ends_the_command(world):
    process = world.start("--ttl", "0.5s", "x", "--", "sh", "-c", "echo >up; kill -STOP $$")
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    # Nobody has to continue us.
    _, err = process.communicate(timeout=5)
    equal(process.returncode, 80)
    assert "was not renewed before its lease ran out" in err, err
    assert_nothing_left()


def slow_path(world, seconds):
    """A PATH that takes execvp so long to look through, and has all commands at its end."""
    for i in range(39): # more links in a row the kernel does not follow
        os.symlink("./" * 2000 + "link%d" % (i + 1), world.path("link%d" % i))
    start = time.monotonic()
    for _ in range(20):
        assert not os.path.exists(world.path("link0"))
    each = (time.monotonic() - start) / 20
    folders = [world.path("link0")] * (int(seconds / each) + 1)
    path = ":".join(folders + ["/usr/bin", "/bin"])
    assert len(path) < 131072, "a lookup takes but %g s" % each
    return path


def stop__before_the_command_is_one_does_not_stop_its_watchdog(world):
    env = dict(world.env, PATH=slow_path(world, 0.4))
    for number, goes_on in ((signal.SIGTSTP, True), (signal.SIGTTIN, True),
                            (signal.SIGTSTP, False)):
        # A group that somebody controls: else the kernel drops SIGTSTP.
        process = world.start("--ttl", "1s", "x", "--", "sh", "-c", "sleep 0.3; exit 7", env=env,
                              process_group=0)
        # Below us the watchdog, below that the process that is to become the command.
        until(lambda: len(below(process.pid)) == 2, "the process of the command")
        young = [p for p in below(process.pid) if stat_of(p)[2] != process.pid][0]
        os.kill(young, number)
        equal(stat_of(young)[0], "holdfast", "what it runs while PATH is looked through")
        # It becomes the command, and is stopped then; and so are we.
        until(lambda: state_of(process.pid) == "T", "us stopped", 5)
        equal(stat_of(young)[:2], ("sh", "T"))
        if goes_on:
            process.send_signal(signal.SIGCONT)
            equal(process.wait(10), 7)
        else:
            _, err = process.communicate(timeout=5)
            equal(process.returncode, 80)
            assert "was not renewed before its lease ran out" in err, err
        assert_nothing_left()


if __name__ == "__main__":
    sys.exit(main([
        signals__are_passed_on_once,
        signals__ignored_before_us_stay_so,
        signals__end_the_waiting_and_leave_nothing,
        stop__stops_us_as_well,
        stop__of_the_command_ends_for_us_when_it_goes_on,
        stop__of_both_by_another_does_not_stop_us_twice,
        stop__past_the_ttl_ends_the_command,
        stop__before_the_command_is_one_does_not_stop_its_watchdog,
    ]))
