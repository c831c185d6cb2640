"""An interactive command keeps its terminal and its job control."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

from harness import HOLDFAST, assert_nothing_left, below, equal, main, state_of, until


class Terminal:
    """An interactive bash on a terminal of its own."""

    def __init__(self, world):
        env = dict(world.env, PS1="ready> ", TERM="vt100", H=HOLDFAST, HISTFILE="")
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(world.dir)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], env)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.text = ""
        self.expect("ready> ")

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def expect(self, pattern, seconds=30):
        """Read until the pattern has come; what stood before it is gone."""
        end = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.text)
            if match:
                self.text = self.text[match.end():]
                return match
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError("%r did not come, but %r" % (pattern, self.text))
            try:
                self.text += os.read(self.fd, 4096).decode(errors="replace")
            except OSError as error:
                raise AssertionError("the terminal ended: %r" % self.text) from error

    def line(self, text):
        self.type(text + "\n")
        # Its echo, so that what follows is an answer.
        self.expect(re.escape(text) + r"\r\n")

    def settings(self):
        return termios.tcgetattr(self.fd)

    def close(self):
        self.line("exit")
        until(lambda: state_of(self.pid) in (None, "Z"), "the shell's end")
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def child_named(pid, name):
    return until(lambda: [p for p, n in below(pid).items() if n == name], name)[0]


def keys__interrupt_the_command_once(world):
    t = Terminal(world)
    t.line("$H run x -- sleep 1000")
    child_named(t.pid, "sleep")
    t.type("\x03")
    t.expect("ready> ")
    t.line("echo code $?")
    t.expect(r"code 130\r\n")
    t.line("$H run x -- bash -c 'n=0; trap \"n=\\$((n+1))\" INT; echo up; "
           "while [ $n = 0 ]; do sleep 0.05; done; sleep 0.2; echo got $n; exit 4'")
    t.expect(r"up\r\n")
    t.type("\x03")
    t.expect(r"got 1\r\n")
    t.expect("ready> ")
    t.line("echo code $?")
    t.expect(r"code 4\r\n")
    t.expect("ready> ")
    t.close()
    assert_nothing_left()


def keys__interrupt_a_script_that_calls_us(world):
    t = Terminal(world)
    t.line("bash -c 'while :; do $H run x -- sleep 1000; echo again; done'")
    child_named(t.pid, "sleep")
    t.type("\x03")
    t.expect("ready> ")
    t.line("echo code $?")
    t.expect(r"code 130\r\n")
    t.expect("ready> ")
    t.close()
    assert_nothing_left()


def keys__interrupt_the_waiting(world):
    if world.env["HOLDFAST_STORE"].startswith("memory"):
        return
    holder = world.start("x", "--", "sleep", "1000")
    child_named(holder.pid, "sleep")
    t = Terminal(world)
    t.line("$H run x -- echo never")
    time.sleep(0.3)
    t.type("\x03")
    t.expect("ready> ")
    t.line("echo code $?")
    t.expect(r"code 130\r\n")
    t.expect("ready> ")
    t.close()
    holder.terminate()
    equal(holder.wait(10), 143)


def keys__stop_and_fg_goes_on(world):
    t = Terminal(world)
    t.line("$H run x -- sh -c 'echo up; read line; echo got $line; exit 6'")
    t.expect(r"up\r\n")
    wrapper = child_named(t.pid, "holdfast")
    for _ in range(20):
        t.type("\x1a")
        t.expect(r"Stopped")
        t.expect("ready> ")
        equal(state_of(wrapper), "T")
        equal(state_of(child_named(wrapper, "sh")), "T")
        t.line("fg")
        until(lambda: state_of(child_named(wrapper, "sh")) == "S", "the command going on")
    t.type("hello\n")
    t.expect(r"got hello\r\n")
    t.expect("ready> ")
    t.line("echo code $?")
    t.expect(r"code 6\r\n")
    t.expect("ready> ")
    t.close()
    assert_nothing_left()


def keys__stopped_past_the_ttl_is_told(world):
    t = Terminal(world)
    t.line("$H run --ttl 0.5s x -- sh -c 'echo up; read line; echo got $line; exit 6'")
    t.expect(r"up\r\n")
    wrapper = child_named(t.pid, "holdfast")
    t.type("\x1a")
    t.expect("ready> ")
    # Nobody has to bring it back: it says so by itself.
    t.expect("was not renewed before its lease ran out")
    until(lambda: not below(t.pid), "our end")
    t.line("wait %1; echo code $?")
    t.expect(r"code 80\r\n")
    t.expect("ready> ")
    t.close()
    assert_nothing_left()


def shell__under_us_has_jobs(world):
    t = Terminal(world)
    t.line("PS1='inner> ' $H run x -- bash --norc --noprofile --noediting -i")
    t.expect("inner> ")
    t.line("sleep 1000")
    child_named(t.pid, "sleep")
    t.type("\x1a")
    t.expect(r"Stopped")
    t.expect("inner> ")
    t.line("jobs")
    t.expect(r"Stopped +sleep 1000")
    t.expect("inner> ")
    t.line("fg")
    until(lambda: state_of(child_named(t.pid, "sleep")) == "S", "sleep going on")
    t.type("\x03")
    t.expect("inner> ")
    t.line("sleep 1000 &")
    t.expect("inner> ")
    # The inner shell stops itself, and us with it; fg brings both back.
    t.line("suspend -f")
    t.expect(r"Stopped")
    t.expect("ready> ")
    t.line("fg")
    t.expect("inner> ")
    t.line("kill %1; wait; exit 5")
    t.expect("ready> ")
    t.line("echo code $?")
    t.expect(r"code 5\r\n")
    t.expect("ready> ")
    t.close()
    assert_nothing_left()


def background__reading_the_terminal_stops(world):
    t = Terminal(world)
    t.line("$H run x -- sh -c 'read line; echo got $line' &")
    t.expect("ready> ")
    wrapper = child_named(t.pid, "holdfast")
    until(lambda: state_of(wrapper) == "T", "a stop for input")
    t.line("fg")
    t.expect("sh -c")
    t.type("hello\n")
    t.expect(r"got hello\r\n")
    t.expect("ready> ")
    t.close()


def editor__works(world):
    t = Terminal(world)
    t.line("$H run x -- vi -u NONE -N text")
    t.expect("text")
    t.type("ihello\x1b")
    t.type("\x1a")
    t.expect(r"Stopped")
    t.expect("ready> ")
    t.line("fg")
    t.type(":wq\n")
    t.expect("ready> ")
    t.line("echo code $?")
    t.expect(r"code 0\r\n")
    t.expect("ready> ")
    t.close()
    equal(world.read("text"), "hello\n")


def terminal__is_put_right_after_an_ending_by_force(world):
    t = Terminal(world)
    t.line("stty -a | md5sum > before")
    t.expect("ready> ")
    # A script: no job control that would put it right for us.
    t.line("bash -c '$H run --ttl 0.5s --kill-after 0 x -- "
           "bash -ic \"stty raw -echo; echo up; exec sleep 1000\"; stty -a | md5sum > after'")
    t.expect("up")
    wrapper = child_named(t.pid, "holdfast")
    child_named(t.pid, "sleep")
    os.kill(wrapper, signal.SIGSTOP)
    until(lambda: "sleep" not in below(t.pid).values(), "the end of the command", 3)
    os.kill(wrapper, signal.SIGCONT)
    t.expect("ready> ")
    t.close()
    equal(world.read("after"), world.read("before"))


def size__reaches_the_command_once(world):
    t = Terminal(world)
    t.line("$H run x -- bash -c 'n=0; trap \"n=\\$((n+1))\" WINCH; echo up; "
           "for i in 1 2 3 4 5 6 7 8; do sleep 0.05; done; echo got $n; stty size'")
    t.expect(r"up\r\n")
    fcntl.ioctl(t.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    t.expect(r"got 1\r\n30 100\r\n")
    t.expect("ready> ")
    t.close()


def hangup__ends_the_command(world):
    t = Terminal(world)
    t.line("exec $H run x -- sh -c 'echo up; sleep 1000; echo over'")
    t.expect(r"up\r\n")
    os.close(t.fd)
    until(lambda: os.waitpid(t.pid, os.WNOHANG)[0], "the end of run")
    assert_nothing_left()


if __name__ == "__main__":
    sys.exit(main([
        keys__interrupt_the_command_once,
        keys__interrupt_a_script_that_calls_us,
        keys__interrupt_the_waiting,
        keys__stop_and_fg_goes_on,
        keys__stopped_past_the_ttl_is_told,
        shell__under_us_has_jobs,
        background__reading_the_terminal_stops,
        editor__works,
        terminal__is_put_right_after_an_ending_by_force,
        size__reaches_the_command_once,
        hangup__ends_the_command,
    ]))
