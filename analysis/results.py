"""Sweeps read from MLflow: their trials, fold scores, and later evaluations and finals."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Literal, cast, get_args

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from analysis.load import (
    PAGE,
    Store,
    called,
    config_of,
    objective_keys,
    objectives,
    readable,
    require_one,
    runs_of,
    sweep_runs,
)
from foldsweep import names
from foldsweep.errors import UserError
from foldsweep.numbers import shown_score
from foldsweep.objective import Objective
from foldsweep.programs import console
from foldsweep.texts import text
from foldsweep.tracking import shown


@dataclass(frozen=True, kw_only=True, repr=False)
class Trial:
    """One configuration, cross-validated."""

    sweep: str
    """`NAME/SPACE`."""
    variant: str
    """Name of the variant without its task."""
    number: int
    run_id: str
    state: str
    """COMPLETE, PRUNED, PAUSED, FAIL, or RUNNING if it has not ended."""
    origin: str | None
    """The setting that the trial repeats, such as a published one; None if the sampler chose."""
    config: dict[str, Any]
    values: dict[str, float]
    """Last value of every metric."""
    metric: str
    """Key of the metric that trials are compared by."""
    folds: tuple[float, ...]
    """Values of `metric` by fold; empty unless the trial is complete."""
    started: int
    """Milliseconds since 1970."""

    @property
    def stopped_early(self) -> bool:
        """Whether early stopping ended or paused the trial."""
        return self.state in ("PRUNED", names.PAUSED)

    @property
    def score(self) -> float:
        """Cross-validated mean of the metric after the last epoch."""
        return self.values.get(self.metric, float("nan"))

    @property
    def std(self) -> float:
        """Sample standard deviation over folds."""
        return self.values.get(names.std_key(self.metric), float("nan"))

    @property
    def num_params(self) -> int:
        """Number of trainable parameters; 0 for estimators."""
        return int(self.values.get(names.NUM_PARAMS, 0))

    @property
    def train_time_s(self) -> float:
        """Seconds of training, all folds together."""
        return self.values.get(names.TRAIN_TIME, float("nan"))

    @property
    def label(self) -> str:
        """Label of the trial, such as `NAME/SPACE trial 12`."""
        return f"{self.sweep} trial {self.number}"

    def __repr__(self) -> str:
        values = " ".join(f"{key}={_shown(value)}" for key, value in self.config.items())
        return f"<Trial {self.number} of {self.sweep}: {self._said}; {values}>"

    def _repr_html_(self) -> str:
        """Score of the trial, and its configuration as a table."""
        rows = "".join(
            f"<tr><td>{escape(key)}</td><td>{escape(_shown(value))}</td></tr>"
            for key, value in self.config.items()
        )
        said = f"<b>Trial {self.number}</b> of {escape(self.sweep)}: {self._said}"
        return f"<p>{said}</p><table>{rows}</table>"

    @property
    def _said(self) -> str:
        """Score of the trial in words, or its state if it has none."""
        if self.state != "COMPLETE":
            return self.state
        score = shown_score(self.metric, self.score, self.std)
        return f"{names.bare(self.metric)} {score} over {len(self.folds)} folds"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


Kind = Literal["evaluation", "ensemble", "finals"]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Scores of a trial's configuration that was trained again after the sweep.

    These are rounds on test rows, of one model or of an ensemble of fold models, or finals on
    fresh folds.
    """

    kind: Kind
    sweep: str
    trial: int
    run_id: str
    values: Mapping[str, float]
    """Every metric of the run."""
    scores: tuple[float, ...]
    """Values of the metric that sweeps are compared by, by round or by fold of every repeat; empty
    if the metric was not measured."""
    protocol: str
    """Rows and folds in words; equal protocols mean equal rows, folds and numbers of them."""
    num_folds: int | None
    """Number of folds in one repeat of finals; None if not recorded."""
    overlap: float | None
    """Overlap of the folds of finals, see `Sweep.overlap`; None if not recorded."""
    fresh_rows: bool
    """Whether each repeat of finals has its own rows."""
    started: int

    @property
    def mean(self) -> float:
        """Mean of `scores`."""
        return sum(self.scores) / len(self.scores)

    def by(self, objective: Objective) -> "Measured":
        """The same measurement with the scores of another metric."""
        if self.kind == "finals":
            return replace(self, scores=_parts(self.values, objective.key, names.fold_key))
        return replace(self, scores=_parts(self.values, objective.test_key, names.round_key))


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One sweep of one space."""

    name: str
    """`NAME/SPACE`, or `NAME@UUID/SPACE` if several sweeps have the name."""
    run_id: str
    task: str
    variant: str
    """Name of the variant without its task."""
    space: str
    dataset: str
    num_folds: int
    """Number of folds in one repeat of the cross-validation."""
    fold_rows: int
    """Number of held-out rows of one fold."""
    judged_on: str
    """Key of rows and folds; sweeps with equal keys can be compared fold by fold."""
    selected_on_test: bool
    objective: Objective
    """First objective of the sweep."""
    measure: Objective
    """Metric that trials are compared by: the objective, unless another is requested or the
    objective is not measured by fold."""
    metrics: Mapping[str, Objective]
    """All metrics that the sweep could optimise, by key."""
    params: dict[str, str]
    tags: dict[str, str]
    values: Mapping[str, float]
    """Metrics of the run of the sweep itself."""
    started: int
    trials: tuple[Trial, ...] = ()
    """Trials in the order of their numbers."""
    evaluations: tuple[Measured, ...] = ()
    """Rounds on test rows, newest first."""
    ensembles: tuple[Measured, ...] = ()
    """Rounds of ensembles on test rows, newest first."""
    finals: tuple[Measured, ...] = ()
    """Finals on fresh folds, newest first."""

    @property
    def overlap(self) -> float:
        """Ratio of test rows to training rows, mean over folds."""
        return float(self.tags.get(names.TAG_OVERLAP, 1 / (self.num_folds - 1)))

    @property
    def resource(self) -> str:
        """Largest training budget of a trial, such as `30 epochs`; empty if a trial is one fit."""
        if names.TAG_RESOURCE in self.tags:
            return self.tags[names.TAG_RESOURCE]
        networks = any("epochs" in trial.config for trial in self.trials)
        return f"{self.params.get('epochs', '?')} epochs" if networks else ""

    @property
    def asked(self) -> int:
        """Number of requested trials; of started trials if the request was not recorded."""
        recorded = self.tags.get(names.TAG_TRIALS, self.params.get("trials", ""))
        return int(recorded) if recorded.isdecimal() else len(self.trials)

    @property
    def group(self) -> str:
        """Name of the sweep without its space; sweeps of one command share it."""
        return self.name.rpartition("/")[0]

    @property
    def baseline(self) -> Trial | None:
        """The best complete trial with an `origin`, such as a published setting; None if none."""
        return next((trial for trial in self.complete if trial.origin is not None), None)

    @property
    def complete(self) -> list[Trial]:
        """Trials that trained all their epochs, best first."""
        done = [t for t in self.trials if t.state == "COMPLETE" and len(t.folds) > 1]
        return sorted(done, key=lambda t: (-self.measure.sign * t.score, t.number))

    @property
    def reported(self) -> tuple[str, float, float | None] | None:
        """Row of a report that the baseline repeats, its published mean and standard deviation.

        None if the report has no such metric; the deviation is None if it is not published.
        """
        key = f"{names.REPORTED}{self.measure.name}"
        if key not in self.values:
            return None
        row = self.tags.get(names.TAG_PRESET, "")
        return row, self.values[key], self.values.get(names.std_key(key))

    @property
    def constant(self) -> float | None:
        """Score of a constant prediction on the same folds; None if the sweep has none."""
        return self.values.get(names.constant_key(self.measure.key))

    def evaluation(self, trial: int) -> Measured | None:
        """The latest rounds of a trial on test rows; None if it was never evaluated."""
        return next((m for m in self.evaluations if m.trial == trial), None)

    def ensemble(self, trial: int) -> Measured | None:
        """The latest rounds of a trial's ensemble of fold models on test rows; None if none."""
        return next((m for m in self.ensembles if m.trial == trial), None)


def compared_by(sweep: Sweep, measure: Objective) -> Sweep:
    """The sweep with scores of this metric; without scores if the sweep did not measure it."""
    by_trial = [_parts(t.values, measure.key, names.fold_key) for t in sweep.trials]
    done = [
        len(folds)
        for t, folds in zip(sweep.trials, by_trial, strict=True)
        if t.state == "COMPLETE"
    ]
    number = max(done, default=0)
    trials = []
    for trial, folds in zip(sweep.trials, by_trial, strict=True):
        whole = trial.state == "COMPLETE" and len(folds) == number and measure.key in trial.values
        whole = whole and all(map(math.isfinite, folds))  # a user's own metric may be NaN
        trials.append(replace(trial, metric=measure.key, folds=folds if whole else ()))
    repeats = int(sweep.tags.get(names.TAG_REPEATS, 1))
    once = number // repeats if number % repeats == 0 else number
    num_folds = once if once > 1 else sweep.num_folds
    rows = [names.TAG_TASK, names.TAG_DATASET, names.TAG_DATA_DIGEST, names.TAG_SEED]
    return replace(
        sweep,
        judged_on=" ".join([*(sweep.tags.get(key, "") for key in rows), f"{number}/{num_folds}"]),
        measure=measure,
        num_folds=num_folds,
        fold_rows=int(sweep.tags.get(names.TAG_TRAIN_ROWS, 0)) // num_folds,
        trials=tuple(trials),
        evaluations=tuple(m.by(measure) for m in sweep.evaluations),
        ensembles=tuple(m.by(measure) for m in sweep.ensembles),
        finals=tuple(m.by(measure) for m in sweep.finals),
    )


def load_sweeps(
    store: Store,
    *,
    sweeps: Sequence[str] = (),
    spaces: Sequence[str] = (),
    variants: Sequence[str] = (),
    task: str | None = None,
    dataset: str | None = None,
    matching: str = "",
    notice: Callable[[str], None] = console.print,
) -> list[Sweep]:
    """Load the sweeps that match all given filters, with their trials; newest first.

    Args:
        store: Store of the sweeps.
        sweeps: Names of sweeps, `NAME` or `NAME/SPACE`.
        spaces: Names of spaces.
        variants: Names of variants, `VARIANT` or `TASK/VARIANT`.
        task: Name of a task.
        dataset: Name of the data.
        matching: An MLflow filter that trials must pass, such as `params.lr_schedule = 'cosine'`.
        notice: Called with one line for each sweep that is left out, with the reason.

    Raises:
        UserError: If no sweep matches, or MLflow does not understand `matching`.
    """
    parents = sweep_runs(store)
    asked = (sweeps, spaces, variants, [task] if task else [], [dataset] if dataset else [])
    for i, wanted in enumerate(asked):
        known = {word for name, run in parents.items() for word in _words(name, run)[i]}
        for word in wanted:
            if word not in known:
                raise UserError.of(
                    "analysis-results.name-unknown",
                    experiment=store.experiment,
                    name=word,
                    known=", ".join(sorted(known)[:20]) or "nothing",
                )
    for word in sweeps:
        require_one(word, parents)
    chosen = {
        name: run
        for name, run in parents.items()
        if all(
            not wanted or has & set(wanted)
            for wanted, has in zip(asked, _words(name, run), strict=True)
        )
    }
    known_sweeps, last = [], ""
    for name, run in chosen.items():
        try:
            known_sweeps.append((name, run, objectives(run)))
        except UserError as error:
            last = str(error)
            notice(text("analysis-results.left-out", sweep=name, why=error))
    if not known_sweeps:
        what = " and ".join(word for wanted in asked for word in wanted)
        uri, which = shown(store.tracking_uri), f" that matches {what}" if what else ""
        if last:
            which += " and" if what else " that"
            raise UserError.of("analysis-results.none-readable", uri=uri, which=which, reason=last)
        raise UserError.of("analysis-results.no-sweep", uri=uri, which=which)
    passed = _run_ids(store, matching) if matching else None
    loaded = []
    for name, run, metrics in known_sweeps:
        with readable(run):
            loaded.append(_sweep(store, name, run, metrics, passed))
    if not loaded:
        raise UserError.of("analysis-results.all-damaged", uri=shown(store.tracking_uri))
    return loaded


def _words(name: str, run: Run) -> tuple[set[str], ...]:
    """Words that select a sweep: sets of its names, space, variant, task and data."""
    tags = run.data.tags
    variant = tags.get(names.TAG_VARIANT, "")
    return (
        called(name, run),
        {tags.get(names.TAG_SPACE, "")} - {""},
        {variant, variant.rpartition("/")[2]} - {""},
        {tags.get(names.TAG_TASK, "")} - {""},
        {tags.get(names.TAG_DATASET, "")} - {""},
    )


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
            raise UserError.of(
                "analysis-results.filter-invalid", filter=matching, reason=reason
            ) from None
        ids |= {run.info.run_id for run in page}
        token = page.token
        if not token:
            return ids


def _sweep(
    store: Store, name: str, parent: Run, metrics: Mapping[str, Objective], passed: set[str] | None
) -> Sweep:
    tags = parent.data.tags
    optimised = [metrics[key] for key in objective_keys(parent)]
    # if the objective is not measured by fold, such as a number of parameters, take another metric
    measure = next(o for o in [*optimised, *metrics.values()] if o.by_fold)
    trials = []
    again: dict[str, list[Measured]] = {kind: [] for kind in get_args(Kind)}
    for run in runs_of(store, parent):
        kind = run.data.tags.get(names.TAG_KIND)
        with readable(run):
            if kind == "trial" and (passed is None or run.info.run_id in passed):
                trials.append(_trial(name, run))
            elif kind in again and run.info.status == "FINISHED":
                again[kind].append(_measured(name, run))
    sweep = Sweep(
        name=name,
        run_id=parent.info.run_id,
        task=tags[names.TAG_TASK],
        variant=_short(tags),
        space=tags[names.TAG_SPACE],
        dataset=tags[names.TAG_DATASET],
        num_folds=int(tags[names.TAG_FOLDS]),
        fold_rows=0,
        judged_on="",
        selected_on_test=names.TAG_SELECTED_ON in tags,
        objective=optimised[0],
        measure=measure,
        metrics=metrics,
        params=dict(parent.data.params),
        tags=dict(tags),
        values=dict(parent.data.metrics),
        started=parent.info.start_time,
        trials=tuple(sorted(trials, key=lambda t: t.number)),
        evaluations=tuple(again["evaluation"]),
        ensembles=tuple(again["ensemble"]),
        finals=tuple(again["finals"]),
    )
    if not sweep.overlap >= 0:  # read here, so that a damaged tag leaves out the sweep
        raise ValueError(f"its {names.TAG_OVERLAP} is {sweep.overlap}")
    return compared_by(sweep, measure)


def _short(tags: Mapping[str, str]) -> str:
    return tags[names.TAG_VARIANT].rpartition("/")[2]


def _trial(sweep: str, run: Run) -> Trial:
    """A trial without scores, which `compared_by` sets."""
    tags = run.data.tags
    origin = tags.get(names.TAG_ORIGIN)
    return Trial(
        sweep=sweep,
        variant=_short(tags),
        number=int(tags[names.TAG_TRIAL]),
        run_id=run.info.run_id,
        state=tags.get(names.TAG_STATE, "RUNNING"),
        origin=None if origin == names.GRID_ORIGIN else origin,
        config=config_of(run),
        values=dict(run.data.metrics),
        metric="",
        folds=(),
        started=run.info.start_time,
    )


def _measured(sweep: str, run: Run) -> Measured:
    """A measurement without scores, which `compared_by` sets."""
    tags = run.data.tags
    return Measured(
        kind=cast(Kind, tags[names.TAG_KIND]),
        sweep=sweep,
        trial=int(tags[names.TAG_TRIAL]),
        run_id=run.info.run_id,
        values=dict(run.data.metrics),
        scores=(),
        protocol=tags.get(names.TAG_PROTOCOL, ""),
        num_folds=int(tags[names.TAG_FOLDS]) if names.TAG_FOLDS in tags else None,
        overlap=float(tags[names.TAG_OVERLAP]) if names.TAG_OVERLAP in tags else None,
        fresh_rows=tags.get(names.TAG_FRESH_ROWS) == "true",
        started=run.info.start_time,
    )


def _parts(
    values: Mapping[str, float], metric: str, key: Callable[[int, str], str]
) -> tuple[float, ...]:
    """Values of a metric by fold or round, up to the first that is missing."""
    found: list[float] = []
    while key(len(found), metric) in values:
        found.append(values[key(len(found), metric)])
    return tuple(found)
