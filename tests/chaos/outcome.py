"""Outcome of a sweep in the study, in MLflow and in files, and differences of two outcomes."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from mlflow import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from foldsweep import names
from foldsweep.tracking import sqlite_uri
from sweeps.outcomes import RESULT_ATTR

WHAT = ("lost", "doubled", "state", "score")
UNREPEATABLE = (names.TRAIN_TIME,)
SWEEP = -1
"""Number that stands for the sweep's own run among the numbers of trials."""
COMPARED_TAGS = (names.TAG_STATE, names.TAG_ORIGIN, names.TAG_CONFIG)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One difference from the undisturbed sweep."""

    trial: int
    what: str
    """One of `WHAT`."""
    text: str


@dataclass(kw_only=True)
class Run:
    """Run in MLflow."""

    status: str
    tags: dict[str, str]
    params: dict[str, str]
    times: Counter[tuple[str, int]]
    """Number of points of each metric at each step."""
    points: dict[tuple[str, int], float]


@dataclass(kw_only=True)
class Outcome:
    """Outcome of a finished sweep of one space."""

    trials: dict[int, FrozenTrial] = field(default_factory=dict)
    runs: dict[int, list[Run]] = field(default_factory=dict)
    held_out: dict[int, bytes] = field(default_factory=dict)


def study_of(folder: Path) -> list[FrozenTrial]:
    """Return the trials of the one study in the folder of a sweep's space; empty before it
    exists."""
    journal = folder / "study.journal"
    if not journal.exists():
        return []
    storage = JournalStorage(JournalFileBackend(str(journal)))
    found = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=found[0], storage=storage).trials if found else []


def outcome_of(folder: Path, database: Path, sweep: str) -> Outcome:
    """Read the outcome of a sweep.

    Args:
        folder: Folder of the sweep's space.
        database: MLflow's SQLite file.
        sweep: `NAME/SPACE`.
    """
    files = sorted((folder / names.HELD_OUT).glob("trial_*.npz"))
    return Outcome(
        trials={trial.number: trial for trial in study_of(folder)},
        runs=_runs(database, sweep),
        held_out={int(path.stem[-5:]): path.read_bytes() for path in files},
    )


def _runs(database: Path, sweep: str) -> dict[int, list[Run]]:
    found: dict[int, list[Run]] = {}
    client = MlflowClient(tracking_uri=sqlite_uri(database))
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in client.search_runs(experiments, f"tags.`{names.TAG_SWEEP}` = '{sweep}'"):
        points = [
            (key, point.step, point.value)
            for key in run.data.metrics
            for point in client.get_metric_history(run.info.run_id, key)
        ]
        kept = Run(
            status=run.info.status,
            tags=run.data.tags,
            params=run.data.params,
            times=Counter((key, step) for key, step, _ in points),
            points={(key, step): value for key, step, value in points if key not in UNREPEATABLE},
        )
        found.setdefault(int(run.data.tags.get(names.TAG_TRIAL, SWEEP)), []).append(kept)
    return found


def differences(wanted: Outcome, got: Outcome) -> list[Difference]:
    """List what a sweep has lost, has twice, or has different from an undisturbed sweep.

    Args:
        wanted: The undisturbed sweep.
        got: The sweep to check.
    """
    found = [*_of_studies(wanted, got), *_of_runs(wanted, got), *_of_files(wanted, got)]
    return sorted(found, key=lambda d: (d.trial, WHAT.index(d.what)))


def _of_studies(wanted: Outcome, got: Outcome) -> Iterator[Difference]:
    for number in sorted(wanted.trials.keys() | got.trials.keys()):
        if number not in got.trials:
            yield Difference(trial=number, what="lost", text="not in the study")
            continue
        if number not in wanted.trials:
            yield Difference(trial=number, what="doubled", text="in the study beyond --trials")
            continue
        one, other = wanted.trials[number], got.trials[number]
        if one.state.is_finished() and not other.state.is_finished():
            yield Difference(trial=number, what="lost", text=f"still {other.state.name}")
        elif one.state != other.state:
            text = f"{other.state.name} in the study, not {one.state.name}"
            yield Difference(trial=number, what="state", text=text)
        one_scores, other_scores = _scores(one), _scores(other)
        for key in sorted(one_scores.keys() | other_scores.keys()):
            mine, theirs = other_scores.get(key), one_scores.get(key)
            if mine != theirs:
                text = f"{key} in the study is {mine}, not {theirs}"
                yield Difference(trial=number, what="score", text=text)


def _scores(trial: FrozenTrial) -> dict[str, Any]:
    """Values of a trial that must not depend on when it ran, by description."""
    found: dict[str, Any] = {f"parameter {k}": v for k, v in trial.params.items()}
    found |= {f"report {k}": v for k, v in trial.intermediate_values.items()}
    result = trial.user_attrs.get(RESULT_ATTR)
    if trial.state == TrialState.COMPLETE:
        found["value"] = trial.values
    if result is not None:
        epoch = result[names.EPOCH]
        found |= {f"{key} after {epoch}": v for key, v in result["by_fold"].items()}
    return found


def _of_runs(wanted: Outcome, got: Outcome) -> Iterator[Difference]:
    for number in sorted(wanted.runs.keys() | got.runs.keys()):
        mine, theirs = got.runs.get(number, []), wanted.runs.get(number, [])
        if not mine:
            yield Difference(trial=number, what="lost", text="no run in MLflow")
        if len(mine) > max(1, len(theirs)) or not theirs:
            yield Difference(trial=number, what="doubled", text=f"{len(mine)} runs in MLflow")
        for run in mine:
            twice = [f"{key} at {step}" for (key, step), n in run.times.items() if n > 1]
            if twice:
                text = f"{len(twice)} points more than once, such as {twice[0]}"
                yield Difference(trial=number, what="doubled", text=text)
        if mine and theirs:
            yield from _of_one_run(number, mine[0], theirs[0])


def _of_one_run(number: int, mine: Run, theirs: Run) -> Iterator[Difference]:
    if number == SWEEP:
        if mine.status != theirs.status:
            text = f"the sweep's run is {mine.status}, not {theirs.status}"
            yield Difference(trial=number, what="state", text=text)
        return
    for what, a, b in (
        ("status", mine.status, theirs.status),
        *((tag, mine.tags.get(tag), theirs.tags.get(tag)) for tag in COMPARED_TAGS),
        ("params", mine.params, theirs.params),
    ):
        if a != b:
            text = f"{what} in MLflow is {_short(a)}, not {_short(b)}"
            yield Difference(trial=number, what="state", text=text)
    # only trials in the same state have trained for the same number of epochs
    same = mine.tags.get(names.TAG_STATE) == theirs.tags.get(names.TAG_STATE)
    missing = theirs.points.keys() - mine.points.keys() if same else set()
    more = mine.points.keys() - theirs.points.keys() if same else set()
    if missing:
        text = f"{len(missing)} points are not in MLflow, such as {min(missing)}"
        yield Difference(trial=number, what="lost", text=text)
    if more:
        text = f"{len(more)} points too many in MLflow, such as {min(more)}"
        yield Difference(trial=number, what="doubled", text=text)
    common = {k for k in mine.points.keys() & theirs.points.keys() if same or _of_an_epoch(k[0])}
    other = [key for key in sorted(common) if mine.points[key] != theirs.points[key]]
    if other:
        text = f"{len(other)} points in MLflow are others, such as {other[0]}"
        yield Difference(trial=number, what="score", text=text)


def _of_an_epoch(metric: str) -> bool:
    """Whether a metric is logged at each epoch, not only at the last one."""
    return not metric.startswith(("best_", "fold_"))


def _of_files(wanted: Outcome, got: Outcome) -> Iterator[Difference]:
    def complete(outcome: Outcome) -> set[int]:
        trials: Mapping[int, FrozenTrial] = outcome.trials
        return {n for n, trial in trials.items() if trial.state == TrialState.COMPLETE}

    for number in sorted(complete(wanted) & complete(got)):
        if number not in got.held_out:
            yield Difference(trial=number, what="lost", text="no file of its held-out rows")
        elif got.held_out[number] != wanted.held_out.get(number):
            text = "another file of its held-out rows"
            yield Difference(trial=number, what="score", text=text)


def _short(value: Any) -> str:
    return json.dumps(value)[:80]
