"""The tools: for each its title, the modules that it needs, and the command that runs a job."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from peer_tools.job import Job

BENCHMARKS = Path(__file__).parents[1]
OURS = "foldsweep"
FLOOR = "floor"


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool that can do a job."""

    title: str
    command: Callable[[Job], list[str]]
    needs: tuple[str, ...] = ()
    """Modules that benchmarks/requirements.txt installs."""
    prunes: bool = True
    """Whether the tool runs the workload in which trials may be pruned."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Modules that are not installed."""
        return tuple(name for name in self.needs if find_spec(name) is None)


def _module(name: str, *args: str) -> Callable[[Job], list[str]]:
    return lambda job: [sys.executable, "-m", f"peer_tools.{name}", *args]


def _foldsweep(job: Job, precision: str | None = None) -> list[str]:
    options = {
        "space": str(BENCHMARKS / "peer_tools" / "foldsweep_space.py"),
        "name": "peers",
        "storage": f"{job.folder}/runs",
        "tracking-uri": job.tracking_uri,
        "dataset": job.dataset,
        "data-dir": job.data_dir,
        "train-pairs": job.train_pairs,
        "folds": job.folds,
        "epochs": job.epochs,
        "precision": precision,
        "trials": job.trials,
        "seed": job.seed,
        "concurrency": job.processes,
        "scheduler": "asha" if job.ranges else "none",
    }
    given = [[f"--{key}", str(value)] for key, value in options.items() if value is not None]
    return [sys.executable, str(BENCHMARKS.parent / "sweeps" / "run.py"), *sum(given, [])]


TOOLS = {
    OURS: Tool(title="foldsweep", command=_foldsweep),
    "foldsweep_bfloat16": Tool(
        title="foldsweep, bfloat16", command=partial(_foldsweep, precision="bfloat16")
    ),
    "ray_tune": Tool(title="Ray Tune", command=_module("ray_tune")),
    "ray_tune_reuse": Tool(
        title="Ray Tune, actors reused", command=_module("ray_tune", "--reuse-actors")
    ),
    "optuna": Tool(
        title="Optuna, joblib",
        command=_module("optuna_joblib"),
        needs=("optuna_integration",),
    ),
    "sklearn": Tool(
        title="scikit-learn, skorch", command=_module("sklearn_skorch"), needs=("skorch",)
    ),
    "syne_tune": Tool(title="Syne Tune", command=_module("syne_tune_local"), needs=("syne_tune",)),
    FLOOR: Tool(title="floor: bare fold stacks", command=_module("bare_loop"), prunes=False),
}
