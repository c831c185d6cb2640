"""Run a command on a terminal of its own and print what it wrote there, \\r\\n as \\n."""

import os
import pty
import sys

pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
chunks = []
while True:
    try:
        chunk = os.read(fd, 65536)
    except OSError:  # EIO: the last writer is gone
        break
    if not chunk:
        break
    chunks.append(chunk)
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(b"".join(chunks).replace(b"\r\n", b"\n"))
sys.exit(os.waitstatus_to_exitcode(status))
