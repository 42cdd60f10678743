"""The four workloads, in full size and in small."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.distributions import FloatDistribution, IntDistribution

from peer_tools.job import Job, Range
from search_spaces.loading import load_space
from sweeps.distributions import to_distributions
from trainables.presets.registry import PRESETS

FNN = PRESETS["gervaise2020/fnn"]
DECAYS = (0.0, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
SPACE = str(Path(__file__).parent / "w4_space.py")


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A job without seed, data and folder; `small` has the changes for a quick run."""

    job: Job
    title: str
    small: dict[str, Any]

    def made(self, *, quick: bool, trials: int | None, **settings: Any) -> Job:
        """Return the job of a run, with its settings and at most `trials` trials."""
        job = replace(self.job, **settings, **(self.small if quick else {}))
        return job if trials is None else replace(job, trials=min(trials, job.trials))


def _w1() -> Workload:
    fixed = {k: v for k, v in FNN.config.items() if k not in ("lr", "weight_decay", "epochs")}
    return Workload(
        title="W1, perceptrons",
        job=Job(
            workload="w1",
            variant=FNN.variant,
            fixed=fixed,
            axes={
                "lr": [round(0.001 * i, 3) for i in range(1, 21)],
                "weight_decay": list(DECAYS),
            },
            trials=200,
            folds=3,
            epochs=10,
            dataset="mnist",
        ),
        small={"trials": 6, "epochs": 2},
    )


def _w2() -> Workload:
    return Workload(
        title="W2, Siamese convolutional nets",
        job=Job(
            workload="w2",
            variant="cnn_ws_aux",
            fixed={
                "batch_size": 64,
                "batch_norm": "before",
                "channels": 32,
                "kernel": 5,
                "padding": 1,
                "hidden": 128,
                "head_hidden": [64],
                "digits": "path",
            },
            axes={
                "lr": [0.001, 0.002, 0.004, 0.008],
                "aux_alpha": [0.3, 0.5, 0.7],
                "dropout": [0.1, 0.3],
            },
            trials=24,
            folds=5,
            epochs=10,
            dataset="mnist",
        ),
        small={"trials": 2, "folds": 3, "epochs": 1},
    )


def _w3() -> Workload:
    return Workload(
        title="W3, tiny trials",
        job=Job(
            workload="w3",
            variant="mlp",
            fixed={"batch_size": 64, "hidden": 32},
            axes={
                "lr": [round(0.0005 * i, 4) for i in range(1, 31)],
                "weight_decay": list(DECAYS),
            },
            trials=300,
            folds=3,
            epochs=1,
            dataset="mnist",
        ),
        small={"trials": 10},
    )


def _w4() -> Workload:
    space = load_space(SPACE)
    return Workload(
        title="W4, time to a target",
        job=Job(
            workload="w4",
            variant=space.variant.name,
            fixed={key: value for key, value in space.fixed.items() if key != "epochs"},
            ranges={
                key: _range(distribution)
                for key, distribution in to_distributions(space.searched).items()
            },
            space=SPACE,
            trials=1000,
            folds=5,
            epochs=27,  # a power of 3, for halving by 3 with rungs at 3 and 9
            dataset="mnist",
        ),
        small={"folds": 3, "epochs": 3},
    )


def _range(distribution: Any) -> Range:
    match distribution:
        case FloatDistribution(low=low, high=high, log=log, step=None):
            return Range(low=low, high=high, log=log)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return Range(low=low, high=high, log=log, step=step)
    raise AssertionError(distribution)


def workloads() -> dict[str, Workload]:
    """Return all workloads by name."""
    return {workload.job.workload: workload for workload in (_w1(), _w2(), _w3(), _w4())}
