"""The next holder never meets a process of the one before.

Holders follow each other on one lock. The tree of each writes its number to one
file for as long as anything of it runs (writer.py); the next holder is already
waiting when the one before is struck. So the numbers in the file never go back.
"""
import os
import random
import signal
import subprocess
import sys
import time

from harness import assert_nothing_left, below, equal, main, until, watchdog_of

HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS = max(4, 40 * int(os.environ.get("HF_TEST_SCALE", "100")) // 100)
SEED = int(os.environ.get("HF_TEST_SEED", random.randrange(1 << 30)))


def size(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


class Race:
    """Holders in a row; strike() is what happens to each."""

    def __init__(self, world, *options):
        self.world = world
        self.options = options
        self.path = world.path("writes")
        self.number = 0
        self.random = random.Random(SEED)

    def start(self):
        self.number += 1
        return self.world.start(*self.options, "x", "--", sys.executable, "-S", "-E",
                                os.path.join(HERE, "writer.py"), "%06d" % self.number, self.path,
                                stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                start_new_session=True)

    def last(self):
        """The number that was written last."""
        try:
            with open(self.path, "rb") as file:
                file.seek(-7, os.SEEK_END)
                return int(file.read(6))
        except (FileNotFoundError, OSError):
            return 0

    def go(self, strike, rounds, reap):
        holder = self.start()
        until(lambda: self.last() == 1, "the first holder")
        for _ in range(rounds):
            number = self.number + 1
            waiter = self.start()
            time.sleep(self.random.uniform(0.03, 0.08))
            strike(holder)
            until(lambda n=number: self.last() == n, "holder %d" % number)
            # A while of both at once would be seen now.
            time.sleep(self.random.uniform(0.0, 0.02))
            reap(holder)
            holder = waiter
        holder.kill()
        holder.wait(10)
        assert_nothing_left()
        with open(self.path, encoding="ascii") as file:
            numbers = [int(line) for line in file]
        back = [(a, b) for a, b in zip(numbers, numbers[1:]) if b < a]
        equal(back, [], "writes of an old tree after the next holder came (seed %d)" % SEED)
        equal(sorted(set(numbers)), list(range(1, rounds + 2)))
        print("# %d writes of %d holders" % (len(numbers), rounds + 1))


def holder_killed__is_gone_before_the_next_comes(world):
    Race(world, "--kill-after", "0.05").go(lambda h: h.kill(), ROUNDS, lambda h: h.wait(10))


def group_killed__is_gone_before_the_next_comes(world):
    def strike(holder):
        os.killpg(holder.pid, signal.SIGKILL)
    Race(world, "--kill-after", "0.05").go(strike, ROUNDS, lambda h: h.wait(10))


def watchdog_killed__is_gone_before_the_next_comes(world):
    def strike(holder):
        os.kill(watchdog_of(holder.pid), signal.SIGKILL)
    Race(world).go(strike, ROUNDS, lambda h: equal(h.wait(10), 71))


def holder_stopped__is_gone_before_the_next_comes(world):
    def strike(holder):
        os.kill(holder.pid, signal.SIGSTOP)
    def reap(holder):
        holder.send_signal(signal.SIGCONT)
        equal(holder.wait(10), 80)
    Race(world, "--ttl", "1s").go(strike, max(3, ROUNDS // 8), reap)


def holder_and_tree_stopped__is_gone_before_the_next_comes(world):
    def strike(holder):
        watchdog = watchdog_of(holder.pid)
        for pid in [holder.pid] + [p for p in below(holder.pid) if p != watchdog]:
            os.kill(pid, signal.SIGSTOP)
    def reap(holder):
        holder.send_signal(signal.SIGCONT)
        equal(holder.wait(10), 80)
    Race(world, "--ttl", "0.5s").go(strike, max(3, ROUNDS // 8), reap)


def holder_told_to_end__is_gone_before_the_next_comes(world):
    """Not a blow at all: the rest is ended, then the lock given back."""
    def strike(holder):
        # The command ignores it; so nothing happens until it is killed.
        holder.terminate()
        pid = [p for p, n in below(holder.pid).items() if n.startswith("python")]
        os.kill(min(pid), signal.SIGKILL)
    Race(world, "--kill-rest", "--kill-after", "0.05").go(strike, ROUNDS, lambda h: h.wait(10))


# ---- what takes the lock away ----

def loser_ends(world, robber, words):
    """The loser notices at its next renewal, and ends its tree."""
    path = world.path("writes")
    loser = world.start("--ttl", "0.9s", "--kill-after", "0.1", "x", "--", sys.executable, "-S",
                        "-E", os.path.join(HERE, "writer.py"), "000001", path)
    until(lambda: size(path), "the loser")
    start = time.monotonic()
    equal(robber()[0], 0)
    _, err = loser.communicate(timeout=10)
    took = time.monotonic() - start
    equal(loser.returncode, 80, err)
    assert took < 0.9, "%.3f s" % took
    assert "was lost while the command ran" in err and words in err, err
    before = size(path)
    time.sleep(0.05)
    equal(size(path), before, "writes after the loser's end")
    assert_nothing_left()


def forced__ends_the_loser(world):
    loser_ends(world, lambda: world.run("--strategy", "force_acquire", "x", "--", "true"),
               "ended by")


def stolen__ends_the_loser(world):
    # Stale for a contender that allows less than the holder's renewal takes.
    loser_ends(world, lambda: world.run("--strategy", "steal_stale", "--stale-after", "0.01s",
                                        "x", "--", "true"), "ended by")


def force_released__ends_the_loser(world):
    def robber():
        from harness import HOLDFAST
        done = subprocess.run([HOLDFAST, "force-release", "x"], env=world.env, cwd=world.dir,
                              stdout=subprocess.DEVNULL, check=False)
        return (done.returncode,)
    loser_ends(world, robber, "force-release")


def store_gone__ends_the_command_in_time(world):
    """Nobody can renew: the command is ended before the lease runs out."""
    process = world.start("--ttl", "1s", "x", "--", "sh", "-c", "trap 'echo asked >told; exit' "
                          "TERM; echo >up; while :; do sleep 0.01; done")
    until(lambda: os.path.exists(world.path("up")), "the command")
    os.rename(world.path("store"), world.path("moved"))
    with open(world.path("store"), "w", encoding="ascii"):
        pass
    start = time.monotonic()
    _, err = process.communicate(timeout=20)
    equal(process.returncode, 80, err)
    equal(world.read("told"), "asked\n")
    assert time.monotonic() - start < 10
    assert_nothing_left()


if __name__ == "__main__":
    sys.exit(main([
        holder_killed__is_gone_before_the_next_comes,
        group_killed__is_gone_before_the_next_comes,
        watchdog_killed__is_gone_before_the_next_comes,
        holder_stopped__is_gone_before_the_next_comes,
        holder_and_tree_stopped__is_gone_before_the_next_comes,
        holder_told_to_end__is_gone_before_the_next_comes,
        forced__ends_the_loser,
        stolen__ends_the_loser,
        force_released__ends_the_loser,
        store_gone__ends_the_command_in_time,
    ]))
