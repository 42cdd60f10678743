"""Clean-up after a local Ray, no matter how the process that started it ends.

A separate process, `python -I -S reaper.py FOLDER PARENT`, which needs only Python. It waits until
its parent ends or reports that it has finished with Ray. Then it kills every process that has the
mark of that Ray, and removes Ray's folder.
"""

import contextlib
import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path

MARK = "FOLDSWEEP_RAY"
"""Environment variable of every process that a local Ray starts; its value is Ray's folder."""

LOGS = ("gcs_server.out", "gcs_server.err", "raylet.out", "raylet.err")
LAST_BYTES = 20_000
WITHIN_S = 10.0


def marked(folder: str) -> list[int]:
    """Ids of the processes of the Ray that has its files in `folder`; empty without /proc."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # the process has ended, or is another user's
            if mark in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
    return found


def end_all(folder: str) -> None:
    """Kill the processes of a Ray, and remove its files."""
    deadline = time.monotonic() + WITHIN_S
    for _ in range(2):  # twice: a starting process has no environment for a moment
        while (left := marked(folder)) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)
    Path(f"{folder}.lock").unlink(missing_ok=True)


def keep_logs(folder: str, log: str) -> None:
    """Append the last `LAST_BYTES` bytes of each of Ray's own logs to a file."""
    with contextlib.suppress(OSError), open(log, "ab") as kept:
        for path in sorted(Path(folder).glob("ray/session_2*/logs/*")):
            if path.name in LOGS and path.stat().st_size:
                kept.write(f"---- {path.name}, its end ----\n".encode())
                kept.write(path.read_bytes()[-LAST_BYTES:])


def main(folder: str, parent: int) -> None:
    """Wait until the parent ends or finishes, then keep logs if told to, and clean up."""
    said = b""
    while os.getppid() == parent:
        if select.select([0], [], [], 1.0)[0]:
            got = os.read(0, 4096)
            if not got:
                break
            said += got
    lines = said.decode().splitlines()
    if lines and lines[-1] != "finished":
        keep_logs(folder, lines[-1])
    end_all(folder)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
