"""Runs one program for a process that may be killed: when that is gone, the program is ended. Standard library only.

The process holds the other end of our standard input and writes nothing: the kernel closes it when the process ends,
however it ends. SIGINT, SIGTERM and that end alike ask the program to stop (SIGINT), and after its patience kill it
with all it has started. If this guard itself is killed, the kernel asks the program to stop (Linux only).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

PATIENCE = 30.0  # seconds for the worker to end its flow runs; then it is killed, which loses nothing
POLL = 0.2
PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> int:
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: asked.append(number))
    program = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_prepare)
    while program.poll() is None:
        if asked or _is_closed(sys.stdin.fileno()):
            return stop(program)
    return program.returncode or 0


def _prepare() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a script's background job inherits a deaf one
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGINT))


def _is_closed(descriptor: int) -> bool:
    readable, _, _ = select.select([descriptor], [], [], POLL)
    return bool(readable) and not os.read(descriptor, 1)


def stop(program: subprocess.Popen[bytes]) -> int:
    program.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(PATIENCE)
    time.sleep(POLL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(program.pid, signal.SIGKILL)  # its session: what it started and did not end
    return program.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
