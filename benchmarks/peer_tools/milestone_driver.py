"""`sweeps/run.py` with a note at each milestone; `benchmarks/startup.py` starts it."""

from peer_tools.milestones import mark

mark("Python runs")

from collections.abc import Callable  # noqa: E402
from functools import wraps  # noqa: E402
from typing import Any  # noqa: E402

import torch  # noqa: E402, F401

mark("torch imported")

import ray  # noqa: E402
from ray import tune  # noqa: E402, F401

mark("Ray Tune imported")

import sweeps.run  # noqa: E402
import sweeps.sweep  # noqa: E402
from sweeps.tracker import Tracker  # noqa: E402

mark("sweeps.run imported")


def note(owner: Any, name: str, before: str | None, after: str) -> None:
    """Make a function note when it is entered and left."""
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


if __name__ == "__main__":
    note(sweeps.run, "draw_pairs", None, "pairs drawn")
    note(ray, "init", "Ray is started", "Ray runs")
    note(sweeps.sweep.tune, "run", "Tune is started", "Tune has ended")
    note(Tracker, "close", "spool is closed", "MLflow has all")
    note(ray, "shutdown", None, "Ray has stopped")
    code = sweeps.run.main()
    mark("main has returned")
    raise SystemExit(code)
