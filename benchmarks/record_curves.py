r"""Export of a sweep's scores after each epoch to a file for `benchmarks/policies.py`; `--help`.

The sweep must have random configurations and no early stopping, such as

    python sweeps/run.py --name recorded --space mlp_ws_aux --trials 120 \
        --sampler random --scheduler none
    python benchmarks/record_curves.py recorded --write curves.jsonl.gz
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from analysis.load import Store, open_store
from analysis.results import Sweep, Trial, load_sweeps
from foldsweep.errors import UserError
from foldsweep.programs import console, parse, run_program
from foldsweep.tracking import default_experiment, tracking_uri
from peer_tools.report import here
from policy_tools.curves import Curve, Recording, write


@dataclass(frozen=True, kw_only=True)
class RecordSettings:
    """Write the score of each trial of a sweep after each epoch to a file.

    MLflow has the mean over folds after every epoch, and the scores by fold after the last one.
    For metrics over all rows at once, such as r2, it has the mean after every tenth of the epochs.
    """

    name: Annotated[str, tyro.conf.Positional]
    """Name of the sweep: NAME or NAME/SPACE."""
    write: Path
    """File to write, compressed JSON lines."""
    title: str | None = None
    """Name of the sweep in tables [its space]."""
    experiment: str = default_experiment()
    """MLflow experiment."""
    tracking_uri: str | None = None
    """MLflow server or store [MLFLOW_TRACKING_URI, else mlflow.db in this folder]."""


def main() -> int:
    """Read a sweep and write the file; returns the exit code."""
    settings = parse(RecordSettings, sys.argv[1:], prog="benchmarks/record_curves.py")
    store = open_store(tracking_uri(settings.tracking_uri), settings.experiment)
    sweeps = load_sweeps(store, sweeps=[settings.name])
    if len(sweeps) > 1:
        known = " or ".join(sweep.name for sweep in sweeps)
        raise UserError.of(
            "record-curves.several-spaces", sweep=settings.name, count=len(sweeps), known=known
        )
    recording = recorded(store, sweeps[0], settings.title)
    write(recording, settings.write)
    console.print(f"{len(recording.curves)} trials of {sweeps[0].name} in {settings.write}")
    return 0


def recorded(store: Store, sweep: Sweep, title: str | None = None) -> Recording:
    """Return the recording of a sweep: the curves of its complete and diverged trials.

    Raises:
        UserError: If trials were stopped early.
    """
    stopped = sum(trial.stopped_early for trial in sweep.trials)
    if stopped:
        raise UserError.of("record-curves.trials-stopped", sweep=sweep.name, stopped=stopped)
    sampled = [trial.config for trial in sweep.trials if trial.origin is None]
    varied = {k for c in sampled for k in c if len({str(c.get(k)) for c in sampled}) > 1}
    curves = [_curve(store, trial, varied) for trial in sweep.trials]
    epochs = max((len(curve.scores) for curve in curves), default=0)
    kept = (
        curve
        for curve in curves
        if len(curve.scores) == epochs or (curve.scores and not _is_finite(curve.scores[-1]))
    )
    sampler = sweep.params.get("sampler", "?")
    return Recording(
        name=sweep.space if title is None else title,
        about=f"{sweep.variant} on {sweep.dataset}, {sweep.num_folds} folds, {sampler}; {here()}",
        objective=sweep.objective.name,
        better=sweep.objective.better,
        epochs=epochs,
        curves=tuple(kept),
    )


def _curve(store: Store, trial: Trial, varied: set[str]) -> Curve:
    history = store.client.get_metric_history(trial.run_id, trial.metric)
    by_epoch = {metric.step: (metric.value,) for metric in history}
    if trial.folds and by_epoch:
        by_epoch[max(by_epoch)] = trial.folds
    return Curve(
        values={key: value for key, value in trial.config.items() if key in varied},
        origin=trial.origin,
        seconds=round(trial.train_time_s, 3),
        scores=tuple(
            tuple(round(value, 6) for value in by_epoch.get(epoch, ()))
            for epoch in range(1, max(by_epoch, default=0) + 1)
        ),
    )


def _is_finite(scores: tuple[float, ...]) -> bool:
    return all(map(math.isfinite, scores))


if __name__ == "__main__":
    run_program(main)
