"""Records of milestones in one file, from any process."""

import json
import os
import time

FILE_VARIABLE = "FOLDSWEEP_MILESTONES"
PYTHON_RUNS = time.time(), time.process_time()
"""Time and CPU seconds at the import of this module, which must come before all slow imports."""


def mark(name: str, when: float | None = None, cpu_s: float | None = None) -> None:
    """Record a milestone: process, time, and CPU time of the process.

    Args:
        name: Name of the milestone.
        when: Seconds since 1970 [now].
        cpu_s: CPU seconds of the process [those so far].
    """
    note = {
        "name": name,
        "pid": os.getpid(),
        "time": time.time() if when is None else when,
        "cpu_s": time.process_time() if cpu_s is None else cpu_s,
    }
    with open(os.environ[FILE_VARIABLE], "a") as file:
        file.write(json.dumps(note) + "\n")
