"""Sweeps as MLflow has them: their trials, fold scores, and what was measured afterwards."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from analysis.load import PAGE, Store, find_runs
from foldsweep import names as metrics
from foldsweep.errors import UserError
from foldsweep.tracking import shown


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One configuration, cross-validated."""

    sweep: str
    """`NAME/SPACE`."""
    variant: str
    number: int
    run_id: str
    state: str
    """COMPLETE, PRUNED, FAIL, or RUNNING where it has not ended."""
    origin: str | None
    """The setting it repeats, such as a report's own; None if the sampler chose."""
    config: dict[str, Any]
    values: dict[str, float]
    """Last value of every metric."""
    folds: tuple[float, ...]
    """Validation accuracy by fold; empty unless complete."""
    started: int
    """Milliseconds since 1970."""

    @property
    def accuracy(self) -> float:
        """Cross-validated mean after the last epoch trained."""
        return self.values.get(metrics.VAL_ACCURACY, float("nan"))

    @property
    def std(self) -> float:
        """Sample standard deviation over folds."""
        return self.values.get(metrics.std_key(metrics.VAL_ACCURACY), float("nan"))

    @property
    def num_params(self) -> int:
        """Learnable numbers."""
        return int(self.values.get(metrics.NUM_PARAMS, 0))

    @property
    def train_time_s(self) -> float:
        """Seconds of training, all folds."""
        return self.values.get(metrics.TRAIN_TIME, float("nan"))

    @property
    def label(self) -> str:
        """`NAME/SPACE trial 12`."""
        return f"{self.sweep} trial {self.number}"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A trial's configuration, trained again: rounds on test pairs, or finals on fresh folds."""

    sweep: str
    trial: int
    run_id: str
    accuracy: tuple[float, ...]
    """By round, or by fold of every repeat."""
    protocol: str
    """What it was measured on; equal words mean the same pairs, folds and number of them."""
    started: int

    @property
    def mean(self) -> float:
        """Mean accuracy."""
        return sum(self.accuracy) / len(self.accuracy)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One sweep of one space."""

    name: str
    """`NAME/SPACE`."""
    run_id: str
    variant: str
    space: str
    dataset: str
    num_folds: int
    fold_pairs: int
    """Pairs that one fold is measured on."""
    judged_on: str
    """Pairs and folds; trials of sweeps where it is equal can be compared fold by fold."""
    selected_on_test: bool
    objective: str
    params: dict[str, str]
    tags: dict[str, str]
    reported: tuple[str, float, float | None] | None
    """Row of a report that the baseline repeats, its accuracy and standard deviation."""
    started: int
    trials: tuple[Trial, ...] = ()
    """In the order of their numbers."""
    evaluations: tuple[Measured, ...] = field(default=())
    """Rounds on test pairs, newest first."""
    finals: tuple[Measured, ...] = field(default=())
    """On fresh folds, newest first."""

    @property
    def complete(self) -> list[Trial]:
        """Trials that trained all their epochs, best first by the sweep's first objective."""
        sign = -1 if metrics.DIRECTIONS[self.objective] == "maximize" else 1
        done = [t for t in self.trials if t.state == "COMPLETE" and len(t.folds) > 1]
        return sorted(done, key=lambda t: (sign * t.values[self.objective], t.number))

    def evaluation(self, trial: int) -> Measured | None:
        """The latest measurement of a trial on test pairs."""
        return next((m for m in self.evaluations if m.trial == trial), None)


def load_sweeps(
    store: Store,
    *,
    sweeps: Sequence[str] = (),
    spaces: Sequence[str] = (),
    variants: Sequence[str] = (),
    dataset: str | None = None,
    matching: str = "",
) -> list[Sweep]:
    """Sweeps that fit all that is given, with their trials; newest first.

    Args:
        store: Where to look.
        sweeps: Names of sweeps, `NAME` or `NAME/SPACE`.
        spaces: Names of spaces.
        variants: Names of variants.
        dataset: Name of a dataset.
        matching: An MLflow filter that trials must pass, such as `params.lr_schedule = 'cosine'`.

    Raises:
        UserError: If there is none, or MLflow does not understand `matching`.
    """
    parents = list(find_runs(store, foldsweep__kind="sweep"))
    names = [_name(run) for run in parents]
    for asked, known in (
        (sweeps, {*names, *(name.rpartition("/")[0] for name in names)}),
        (spaces, {run.data.tags[metrics.TAG_SPACE] for run in parents}),
        (variants, {run.data.tags[metrics.TAG_VARIANT] for run in parents}),
        ([dataset] if dataset else [], {run.data.tags[metrics.TAG_DATASET] for run in parents}),
    ):
        for word in asked:
            if word not in known:
                there = ", ".join(sorted(known)[:20]) or "nothing"
                raise UserError(
                    f"experiment {store.experiment!r} has no sweeps of {word!r}; it has {there}"
                )
    chosen = [
        run
        for run in parents
        if (not sweeps or {_name(run), _name(run).rpartition("/")[0]} & set(sweeps))
        and (not spaces or run.data.tags[metrics.TAG_SPACE] in spaces)
        and (not variants or run.data.tags[metrics.TAG_VARIANT] in variants)
        and dataset in (None, run.data.tags[metrics.TAG_DATASET])
    ]
    if not chosen:
        what = ", ".join([*sweeps, *spaces, *variants, *([dataset] if dataset else [])])
        raise UserError(
            f"MLflow at {shown(store.tracking_uri)} has no sweep"
            f"{f' that is all of {what}' if what else ''}; run sweeps/run.py first"
        )
    passed = _run_ids(store, matching) if matching else None
    return [_sweep(store, run, passed) for run in chosen]


def latest_of_each(sweeps: Sequence[Sweep]) -> list[Sweep]:
    """The newest sweep of each variant that has something to compare, from newest first."""
    latest: dict[str, Sweep] = {}
    for sweep in sweeps:
        if sweep.complete:
            latest.setdefault(sweep.variant, sweep)
    return list(latest.values())


def _name(run: Run) -> str:
    return str(run.data.tags[metrics.TAG_SWEEP])


def _run_ids(store: Store, matching: str) -> set[str]:
    ids: set[str] = set()
    token = None
    while True:
        try:
            page = store.client.search_runs(
                [store.experiment_id], matching, max_results=PAGE, page_token=token
            )
        except MlflowException as error:
            reason = " ".join(str(error).split())
            raise UserError(f"--filter {matching!r} is no filter of MLflow: {reason}") from None
        ids |= {run.info.run_id for run in page}
        token = page.token
        if not token:
            return ids


def _sweep(store: Store, parent: Run, passed: set[str] | None) -> Sweep:
    tags, name = parent.data.tags, _name(parent)
    num_folds = int(tags[metrics.TAG_FOLDS])
    trials, evaluations, finals = [], [], []
    for run in find_runs(store, foldsweep__sweep=name):
        kind = run.data.tags[metrics.TAG_KIND]
        if kind == "trial" and (passed is None or run.info.run_id in passed):
            trials.append(_trial(run, num_folds))
        elif kind == "evaluation" and run.info.status == "FINISHED":
            evaluations.append(_measured(run, metrics.TEST_ACCURACY, metrics.round_key))
        elif kind == "finals" and run.info.status == "FINISHED":
            finals.append(_measured(run, metrics.VAL_ACCURACY, metrics.fold_key))
    values = parent.data.metrics
    reported = values.get(metrics.REPORTED_ACCURACY)
    preset = tags.get(metrics.TAG_PRESET, "")
    return Sweep(
        name=name,
        run_id=parent.info.run_id,
        variant=tags[metrics.TAG_VARIANT],
        space=tags[metrics.TAG_SPACE],
        dataset=tags[metrics.TAG_DATASET],
        num_folds=num_folds,
        fold_pairs=int(tags[metrics.TAG_TRAIN_PAIRS]) // num_folds,
        judged_on=" ".join(
            [
                tags[metrics.TAG_DATASET],
                tags[metrics.TAG_DATA_DIGEST],
                f"{num_folds} folds of seed {tags[metrics.TAG_SEED]}",
            ]
        ),
        selected_on_test=metrics.TAG_SELECTED_ON in tags,
        objective=parent.data.params["objective"].split()[0],
        params=dict(parent.data.params),
        tags=dict(tags),
        reported=(
            None
            if reported is None
            else (preset, reported, values.get(metrics.std_key(metrics.REPORTED_ACCURACY)))
        ),
        started=parent.info.start_time,
        trials=tuple(sorted(trials, key=lambda t: t.number)),
        evaluations=tuple(evaluations),
        finals=tuple(finals),
    )


def _trial(run: Run, num_folds: int) -> Trial:
    tags, values = run.data.tags, run.data.metrics
    state, origin = tags.get(metrics.TAG_STATE, "RUNNING"), tags.get(metrics.TAG_ORIGIN)
    keys = [metrics.fold_key(fold, metrics.VAL_ACCURACY) for fold in range(num_folds)]
    whole = state == "COMPLETE" and all(key in values for key in keys)
    return Trial(
        sweep=tags[metrics.TAG_SWEEP],
        variant=tags[metrics.TAG_VARIANT],
        number=int(tags[metrics.TAG_TRIAL]),
        run_id=run.info.run_id,
        state=state,
        origin=None if origin == metrics.GRID_ORIGIN else origin,
        config=json.loads(tags.get(metrics.TAG_CONFIG, "{}")),
        values=dict(values),
        folds=tuple(values[key] for key in keys) if whole else (),
        started=run.info.start_time,
    )


def _measured(run: Run, metric: str, key: Any) -> Measured:
    values: list[float] = []
    while key(len(values), metric) in run.data.metrics:
        values.append(run.data.metrics[key(len(values), metric)])
    return Measured(
        sweep=run.data.tags[metrics.TAG_SWEEP],
        trial=int(run.data.tags[metrics.TAG_TRIAL]),
        run_id=run.info.run_id,
        accuracy=tuple(values),
        protocol=run.data.tags.get(metrics.TAG_PROTOCOL, ""),
        started=run.info.start_time,
    )
