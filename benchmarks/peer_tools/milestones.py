"""Notes in a file when a milestone is reached, in whatever process."""

import json
import os
import time

FILE_VARIABLE = "FOLDSWEEP_MILESTONES"
PYTHON_RUNS = time.time(), time.process_time()
"""When this module was imported, before anything slow, if that is the first import."""


def mark(name: str, when: float | None = None, cpu_s: float | None = None) -> None:
    """Note a milestone: process, time, and CPU time that the process has had."""
    note = {
        "name": name,
        "pid": os.getpid(),
        "time": time.time() if when is None else when,
        "cpu_s": time.process_time() if cpu_s is None else cpu_s,
    }
    with open(os.environ[FILE_VARIABLE], "a") as file:
        file.write(json.dumps(note) + "\n")
