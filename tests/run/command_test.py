"""What the command gets, and what its end makes of ours."""
import os
import select
import signal
import subprocess
import sys

from harness import HOLDFAST, below, equal, main, until


def status__passes_through(world):
    for code in (0, 1, 7, 64, 80, 255):
        equal(world.run("x", "--", "sh", "-c", "exit %d" % code)[0], code)


def status__of_a_signal_is_128_and_its_number(world):
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGUSR1):
        equal(world.run("x", "--", "sh", "-c", "kill -%d $$" % number)[0], 128 + number)


def status__of_what_cannot_run_is_that_of_env(world):
    code, _, err = world.run("x", "--", "no-such-command")
    equal(code, 127)
    assert "no-such-command" in err and "No such file" in err, err
    with open(world.path("data"), "w", encoding="utf-8") as file:
        file.write("data\n")
    code, _, err = world.run("x", "--", world.path("data"))
    equal(code, 126)
    assert "Permission denied" in err, err
    # Neither keeps the lock.
    equal(world.run("-n", "x", "--", "true")[0], 0)


def conflict__has_its_own_exit_code(world):
    holder = world.start("x", "--", "cat", stdin=subprocess.PIPE)
    until(lambda: "cat" in below(holder.pid).values(), "the holder's command")
    equal(world.run("-n", "x", "--", "true")[0], 1)
    equal(world.run("-n", "-E", "9", "x", "--", "true")[0], 9)
    equal(world.run("-w", "0.1", "-E", "0", "x", "--", "false")[0], 0)
    holder.stdin.close()
    equal(holder.wait(10), 0)
    equal(world.run("-n", "x", "--", "true")[0], 0)


def environment__tells_the_command_of_its_lock(world):
    token = 0
    for _ in range(2):
        out = world.run("a lock", "--", "env")[1]
        env = dict(line.split("=", 1) for line in out.split("\n") if "=" in line)
        equal(env["HOLDFAST_NAME"], "a lock")
        equal(env["HOLDFAST_STORE"], world.env["HOLDFAST_STORE"])
        equal(len(env["HOLDFAST_ID"]), 32)
        assert int(env["HOLDFAST_TOKEN"]) > token
        token = int(env["HOLDFAST_TOKEN"])
    given = "file:" + world.path("other")
    equal(world.run("-S", given, "x", "--", "sh", "-c", "echo $HOLDFAST_STORE")[1], given + "\n")


SHOW_SIGNALS = "grep -E '^(SigBlk|SigIgn|SigCgt|SigPnd|ShdPnd):' /proc/self/status"


def signals__are_as_they_were_before_us(world):
    def block():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for prepare in (None, block):
        command = ["grep", "-E", "^(SigBlk|SigIgn|SigCgt|SigPnd|ShdPnd):", "/proc/self/status"]
        direct = subprocess.run(command, stdout=subprocess.PIPE, text=True, preexec_fn=prepare,
                                check=True).stdout
        code, out, _ = world.run("x", "--", *command, preexec_fn=prepare)
        equal(code, 0)
        equal(out, direct, "signals of the command")


def descriptors__of_ours_do_not_leak(world):
    show = [sys.executable, "-c",
            "import os\n"
            "for f in sorted(map(int, os.listdir('/proc/self/fd'))):\n"
            "    try: print(f, os.readlink('/proc/self/fd/%d' % f))\n"
            "    except OSError: pass"]
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    def look(*options):
        out = world.run(*options, "x", "--", *show, close_fds=False)[1]
        rows = [line.split(" ", 1) for line in out.split("\n") if line]
        return {int(number): name for number, name in rows}
    direct = subprocess.run(show, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            stderr=subprocess.PIPE, close_fds=False, check=True).stdout
    direct = {int(line.split(" ", 1)[0]) for line in direct.split("\n") if line}
    under = look()
    extra = {fd: name for fd, name in under.items() if fd not in direct}
    equal(len(extra), 1, "descriptors besides: %r" % extra)
    (number, name), = extra.items()
    assert number >= 48 and "/live-" in name, extra
    assert writing in under
    # Let go without the lock: not even that one.
    equal(set(look("-o")) - direct, set())
    os.close(reading)
    os.close(writing)


def pipes__end_when_the_command_ends_them(world):
    # Standard output: closed by the command, nobody else keeps it open.
    process = world.start("x", "--", "sh", "-c", "exec >&- 2>&-; exec sleep 5", stderr=None)
    until(lambda: "sleep" in below(process.pid).values(), "the command")
    output = process.stdout.fileno()
    until(lambda: select.select([output], [], [], 0)[0] and os.read(output, 1) == b"",
          "the end of the command's output", 3)
    process.terminate()
    equal(process.wait(10), 143)
    # Standard input: no reader is left once the command has closed it.
    reading, writing = os.pipe()
    process = world.start("x", "--", "sh", "-c", "exec <&-; exec sleep 5", stdin=reading)
    os.close(reading)
    until(lambda: "sleep" in below(process.pid).values(), "the command")
    def broken():
        try:
            os.write(writing, b"x")
            return False
        except BrokenPipeError:
            return True
    until(broken, "EPIPE", 3)
    process.terminate()
    equal(process.wait(10), 143)
    os.close(writing)


def input_and_output__pass_through(world):
    process = world.start("x", "--", "tr", "a-z", "A-Z", stdin=subprocess.PIPE)
    equal(process.communicate("hello\n", timeout=10)[0], "HELLO\n")
    equal(process.returncode, 0)


def lock__is_free_when_run_returns(world):
    for i in range(50):
        code, out, err = world.run("-n", "x", "--", "sh", "-c", "echo $HOLDFAST_TOKEN")
        equal((code, out, err), (0, "%d\n" % (i + 1), ""))
    # Nothing of ours stays behind.
    left = [f for _, _, files in os.walk(world.path("runtime")) for f in files]
    equal(left, [])


def bad_use__says_so(world):
    equal(world.run("x")[0], 64)
    equal(world.run("--", "true")[0], 64)
    equal(world.run("x", "--")[0], 64)
    assert HOLDFAST


if __name__ == "__main__":
    sys.exit(main([
        status__passes_through,
        status__of_a_signal_is_128_and_its_number,
        status__of_what_cannot_run_is_that_of_env,
        conflict__has_its_own_exit_code,
        environment__tells_the_command_of_its_lock,
        signals__are_as_they_were_before_us,
        descriptors__of_ours_do_not_leak,
        pipes__end_when_the_command_ends_them,
        input_and_output__pass_through,
        lock__is_free_when_run_returns,
        bad_use__says_so,
    ]))
