"""What the tests of `holdfast run` share: TAP, a world of its own, and looking
at processes.

This process is a child subreaper: whatever a test starts stays below it, so it
can be found, and is ended when the test ends. Nothing else is ever signalled.
"""
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 15.0

HOLDFAST = os.path.abspath(sys.argv[1])


class World:
    """A folder with everything a command of ours may look at or write."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="holdfast-run-")
        self.started = []
        self.env = dict(os.environ)
        for name in list(self.env):
            if name.startswith(("HOLDFAST_", "GIT_")):
                del self.env[name]
        # It lingers a second at exit otherwise.
        self.env["TSAN_OPTIONS"] = self.env.get("TSAN_OPTIONS", "") + " atexit_sleep_ms=0"
        for name, folder in (("HOME", "home"), ("XDG_RUNTIME_DIR", "runtime"),
                             ("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "config")):
            os.mkdir(self.path(folder), 0o700)
            self.env[name] = self.path(folder)
        store = os.environ.get("RUN_TEST_STORE") or "file:" + self.path("store")
        if store == "git":  # a repository of its own
            subprocess.run(["git", "init", "-q", self.path("repo")], env=self.env, check=True)
            store = "git:" + self.path("repo")
        self.env["HOLDFAST_STORE"] = store

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def start(self, *args, **options):
        """`holdfast run ARGS`, as a Popen with text pipes."""
        settings = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, text=True, env=self.env, cwd=self.dir)
        settings.update(options)
        process = subprocess.Popen([HOLDFAST, "run", *args], **settings)
        self.started.append(process)
        return process

    def run(self, *args, **options):
        """The same, waited for: (exit code, stdout, stderr)."""
        process = self.start(*args, **options)
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def wait_for_file(self, name, least=1):
        """Until the file is there with at least so many lines; they."""
        def lines():
            try:
                return [l for l in self.read(name).split("\n") if l]
            except FileNotFoundError:
                return []
        until(lambda: len(lines()) >= least, "%d lines in %s" % (least, name))
        return lines()

    def close(self):
        end_all()
        for process in self.started:
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def until(condition, what, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("it did not come to: " + what)
        time.sleep(0.005)


# ---- processes ----

def stat_of(pid):
    """(name, state, parent, group) or None."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    name = text[text.index("(") + 1:text.rindex(")")]
    rest = text[text.rindex(")") + 2:].split()
    return name, rest[0], int(rest[1]), int(rest[2])


def below(root):
    """Living descendants of a process: {pid: name}."""
    all_of = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = stat_of(int(entry))
            if stat and stat[1] not in "ZX":
                all_of[int(entry)] = stat
    found = {}
    more = [root]
    while more:
        parent = more.pop()
        for pid, stat in all_of.items():
            if stat[2] == parent and pid not in found:
                found[pid] = stat[0]
                more.append(pid)
    return found


def state_of(pid):
    stat = stat_of(pid)
    return stat[1] if stat else None


def watchdog_of(wrapper):
    """The watchdog's pid, once it has settled."""
    def look():
        return [p for p, name in below(wrapper).items() if name == "holdfast-watch"]
    return until(look, "a watchdog")[0]


def end_all():
    """End whatever is left below us."""
    for _ in range(200):
        left = below(os.getpid())
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        if not left:
            time.sleep(0.005)


def assert_nothing_left():
    """Nothing of ours runs any more, nor a moment later."""
    until(lambda: not below(os.getpid()), "no process left: %s" % below(os.getpid()))


# ---- TAP ----

class Skip(Exception):
    """Raised by a test that has nothing to say here, with why."""


def equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError("%s: got %r, wanted %r" % (what or "value", got, wanted))


def main(tests):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        print("Bail out! no child subreaper")
        return 1
    # What whoever runs the tests ignores (nohup), the command would ignore too.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM,
                   signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    if len(sys.argv) > 2:
        tests = [t for t in tests if sys.argv[2] in t.__name__]
    print("1..%d" % len(tests), flush=True)
    failed = 0
    for number, test in enumerate(tests, 1):
        world = World()
        try:
            test(world)
            print("ok %d - %s" % (number, test.__name__), flush=True)
        except Skip as why:
            print("ok %d - %s # SKIP %s" % (number, test.__name__, why), flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print("not ok %d - %s" % (number, test.__name__))
            for line in traceback.format_exc().split("\n"):
                print("# " + line)
            print("# again: python3 %s %s %s" % (sys.argv[0], sys.argv[1], test.__name__),
                  flush=True)
        finally:
            world.close()
    return 1 if failed else 0
