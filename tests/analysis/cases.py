"""Sweeps as `load_sweeps` gives them, without a store."""

from statistics import fmean, stdev
from typing import Any

from analysis.results import Measured, Sweep, Trial


def trial(number: int, folds: tuple[float, ...] | str, *, name: str, **values: Any) -> Trial:
    """A complete trial by its accuracy in each fold, or one that ended in another state."""
    state = folds if isinstance(folds, str) else "COMPLETE"
    scores = (0.5, 0.5) if isinstance(folds, str) else folds
    origin, config = values.pop("origin", None), values.pop("config", {})
    known = {} if state in ("FAIL", "RUNNING") else {"val_accuracy": fmean(scores)}
    known |= {"val_loss": 1 - fmean(scores)} if known else {}
    if state == "COMPLETE":
        known |= {"val_accuracy_std": stdev(scores), "num_params": 100.0, "train_time_s": 1.0}
    return Trial(
        sweep=name,
        variant=name.rpartition("/")[2],
        number=number,
        run_id=f"run-{number}",
        state=state,
        origin=origin,
        config=config,
        values=known | values,
        folds=scores if state == "COMPLETE" else (),
        started=0,
    )


def sweep(
    name: str,
    *trials: Trial,
    objective: str = "val_accuracy",
    rounds: dict[int, tuple[float, ...]] | None = None,
) -> Sweep:
    """A sweep; `rounds` are test accuracies by the number of the trial evaluated."""
    return Sweep(
        name=name,
        run_id="run",
        variant=name.rpartition("/")[2],
        space=name.rpartition("/")[2],
        dataset="digits",
        num_folds=2,
        fold_pairs=10,
        judged_on="digits",
        selected_on_test=False,
        objective=objective,
        params={},
        tags={},
        reported=None,
        started=0,
        trials=trials,
        evaluations=tuple(
            Measured(
                sweep=name,
                trial=number,
                run_id=f"evaluation-{number}",
                accuracy=accuracy,
                protocol="",
                started=0,
            )
            for number, accuracy in (rounds or {}).items()
        ),
    )
