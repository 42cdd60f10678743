"""`sweeps/run.py` in one process, with records of milestones, for `benchmarks/startup.py`."""

import importlib
from collections.abc import Callable
from functools import wraps
from typing import Any
from unittest.mock import patch

from peer_tools.milestones import PYTHON_RUNS, mark
from sweeps import driver, run
from sweeps.cluster import Cluster


def note(owner: Any, name: str, before: str | None, after: str) -> None:
    """Replace a function by one that records when it is entered and left.

    Args:
        owner: Object that has the function as an attribute.
        name: Name of the attribute.
        before: Milestone of its start; None to record the end only.
        after: Milestone of its end.
    """
    function: Callable[..., Any] = getattr(owner, name)

    @wraps(function)
    def noting(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            mark(before)
        try:
            return function(*args, **kwargs)
        finally:
            mark(after)

    setattr(owner, name, noting)


start = Cluster.start


def call_here(call: str, *arguments: Any) -> int:
    """Run the sweep in this process instead of a driver process."""
    assert call == "sweeps.driver.sweep"
    return driver.sweep(*arguments)


def start_and_import(cluster: Cluster) -> None:
    """Start Ray and import what the sweep needs, with records of milestones."""
    mark("Ray is started")
    start(cluster)
    importlib.import_module("torch")

    mark("torch imported")
    import sweeps.fitting
    import sweeps.prepare
    from sweeps.tracking.tracker import Tracker

    mark("all imported")
    note(sweeps.prepare, "load_data", None, "data loaded")
    note(sweeps.prepare, "check_model", None, "first point checked")
    note(sweeps.fitting.tune, "run", "Tune is started", "Tune has ended")
    note(Tracker, "close", "spool is closed", "MLflow has all")


if __name__ == "__main__":
    mark("Python runs", *PYTHON_RUNS)
    note(Cluster, "_init", None, "Ray runs")
    note(Cluster, "stop", None, "Ray has stopped")
    with (
        patch.object(Cluster, "start", start_and_import),
        patch.object(run, "apart", call_here),
    ):
        code = run.main()
    mark("main has returned")
    raise SystemExit(code)
