"""A command that proves that it is alone: INSIDE FILE SECONDS.

For each lock that HOLDFAST_LOCKS names it binds an abstract socket, which the
kernel gives to one process and takes back when that ends, however it ends. If
another has one, a line is added to FILE.
"""
import json
import os
import socket
import sys
import time


def main():
    path, seconds = sys.argv[1:]
    kept = []
    for lock in json.loads(os.environ["HOLDFAST_LOCKS"]):
        kept.append(socket.socket(socket.AF_UNIX))
        try:
            kept[-1].bind("\0" + path + "/" + lock["name"])
        except OSError:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(fd, ("met in %s\n" % lock["name"]).encode())
    time.sleep(float(seconds))


main()
