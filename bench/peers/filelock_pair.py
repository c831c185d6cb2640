#!/usr/bin/python3
"""python3-filelock's side: acquire and release of one FileLock.

    filelock_pair.py FILE COUNT

It keeps no metadata, no lease, no token and no history.
"""

import sys
import time

import filelock


def pairs(lock, count):
    for _ in range(count):
        lock.acquire()
        lock.release()


def main():
    path, count = sys.argv[1], int(sys.argv[2])
    lock = filelock.FileLock(path)
    with lock:
        try:
            filelock.FileLock(path, timeout=0).acquire()
        except filelock.Timeout:
            pass
        else:
            sys.exit("filelock: a held lock is refused")
    pairs(lock, count // 10 + 1)
    start = time.monotonic_ns()
    pairs(lock, count)
    spent = time.monotonic_ns() - start
    assert not lock.is_locked
    print(f"pair_ns={spent / count:.1f}")


main()
