"""Functions that drivers run in the tests of their supervisor."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from sweeps import channel
from sweeps.channel import keep_dumps_in, tell


def returns(code: int) -> int:
    print("said", os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"])
    return code


def shows() -> int:
    print("before", flush=True)
    for i in range(100):
        tell(shown=[0, i])
    assert channel._place is not None
    os.write(channel._place, b'{"shown": [0')  # as if cut off by a signal
    tell(shown=[1, "last"])
    print("after")
    return 0


def is_killed(number: int) -> int:
    tell(resume="again")
    os.kill(os.getpid(), number)
    return 0


def is_ended_below_python(log: str | None) -> int:
    tell(resume="again")
    if log is not None:
        keep_dumps_in(Path(log))
    os.write(2, b"pages\n")
    os._exit(1)


def loses_ray(number: int) -> int:
    """Simulate a driver that hangs in a call while its raylet is killed or stopped."""
    raylet = subprocess.Popen(["sleep", "600"])
    tell(resume="again", ray={"raylet": raylet.pid})
    raylet.send_signal(number)
    time.sleep(600)
    return 0


def loses_its_head_node() -> int:
    tell(resume="again", gone="its head node has gone")
    time.sleep(600)
    return 0


def counts() -> int:
    """Report each Ctrl-C, and end at SIGUSR1.

    It writes with `os.write`, since a signal handler cannot call print while print is running.
    """
    heard: list[int] = []

    def hear(*_: object) -> None:
        heard.append(1)
        os.write(1, b"heard\n")

    signal.signal(signal.SIGINT, hear)
    signal.signal(signal.SIGUSR1, lambda *_: sys.exit(10 + len(heard)))
    print(os.getpid(), flush=True)
    while True:
        time.sleep(600)


def outlives() -> int:
    """Report an interrupt, then return."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print(os.getpid(), flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        print("asked to end", flush=True)
    return 0


def has_a_thread_of_ray() -> int:
    for name, text in (("ray_listen_error_messages", "pages"), ("own", "progress")):
        # flushed, as the programs' console does
        thread = threading.Thread(target=print, args=(text,), kwargs={"flush": True}, name=name)
        thread.start()
        thread.join()
    return is_ended_below_python("ray.log")


def writes_and_tells() -> int:
    """Write text that takes several writes, and send a fact that is larger than a pipe."""
    print("é" * 100_000)
    print("wrong", file=sys.stderr)
    tell(error="x" * 200_000)
    return 0
