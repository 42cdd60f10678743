"""Sweeps as `load_sweeps` returns them, built without a store."""

from statistics import fmean, stdev
from typing import Any

from analysis.results import Measured, Sweep, Trial
from foldsweep.objective import Objective

ACCURACY = Objective(key="val_accuracy", better="higher", equal=0.01)
LOSS = Objective(key="val_loss", better="lower", equal=0.0)
RMSE = Objective(key="val_rmse", better="lower", equal=0.5)
ROC_AUC = Objective(key="val_roc_auc", better="higher", equal=0.01)


def trial(
    number: int,
    folds: tuple[float, ...] | str,
    *,
    name: str,
    measure: Objective = ACCURACY,
    **values: Any,
) -> Trial:
    """Trial with the given fold scores, or in the state that `folds` names."""
    state = folds if isinstance(folds, str) else "COMPLETE"
    scores = (0.5, 0.5) if isinstance(folds, str) else folds
    origin, config = values.pop("origin", None), values.pop("config", {})
    known = {} if state in ("FAIL", "RUNNING") else {measure.key: fmean(scores)}
    known |= {"val_loss": 1 - fmean(scores)} if known and measure is not LOSS else {}
    if state == "COMPLETE":
        known |= {f"{measure.key}_std": stdev(scores), "num_params": 100.0, "train_time_s": 1.0}
        known |= {f"fold_{i}/{measure.key}": score for i, score in enumerate(scores)}
    return Trial(
        sweep=name,
        variant=name.rpartition("/")[2],
        number=number,
        run_id=f"run-{number}",
        state=state,
        origin=origin,
        config=config,
        values=known | values,
        metric=measure.key,
        folds=scores if state == "COMPLETE" else (),
        started=0,
    )


def sweep(
    name: str,
    *trials: Trial,
    objective: Objective = ACCURACY,
    measure: Objective | None = None,
    rounds: dict[int, tuple[float, ...]] | None = None,
    **more: Any,
) -> Sweep:
    """Sweep of the given trials; `rounds` maps the numbers of evaluated trials to test scores."""
    variant = name.rpartition("/")[2]
    measure = measure or objective
    values: dict[str, Any] = {
        "name": name,
        "run_id": "run",
        "task": "task",
        "variant": variant,
        "space": variant,
        "dataset": "data",
        "num_folds": max((len(t.folds) for t in trials), default=2) or 2,
        "fold_rows": 10,
        "judged_on": "same",
        "selected_on_test": False,
        "objective": objective,
        "measure": measure,
        "metrics": {objective.key: objective, measure.key: measure},
        "params": {},
        "tags": {},
        "values": {},
        "started": 0,
        "trials": trials,
        "evaluations": tuple(
            measured(name, number, *scores, kind="evaluation")
            for number, scores in (rounds or {}).items()
        ),
    }
    return Sweep(**{**values, **more})


def measured(
    name: str,
    number: int,
    *scores: float,
    kind: Any = "finals",
    protocol: str = "3 x 5 folds",
    num_folds: int | None = None,
    overlap: float | None = None,
    fresh_rows: bool = False,
) -> Measured:
    """Evaluation or finals of a trial."""
    return Measured(
        kind=kind,
        sweep=name,
        trial=number,
        run_id=f"{kind}-{number}",
        values={},
        scores=scores,
        protocol=protocol,
        num_folds=num_folds,
        overlap=overlap,
        fresh_rows=fresh_rows,
        started=0,
    )
