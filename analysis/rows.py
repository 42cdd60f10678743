"""Rows of a comparison: a sweep's best trial, its expected score, and the sweep's budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from analysis.results import Measured, Sweep, Trial
from analysis.significance import shrunken_best
from foldsweep import names
from foldsweep.numbers import plural
from foldsweep.texts import text


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """Expected score of a sweep's best trial on fresh data, see `sweeps.bootstrap`."""

    value: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    trials: int
    """Number of complete trials in the bootstrap."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A sweep and its best trial."""

    name: str
    """Variant, or the sweep's name if several sweeps of one variant are compared."""
    sweep: Sweep
    best: Trial
    """Best trial: by the finals if these decide, else by the cross-validated mean."""
    expected: float
    """Cross-validated mean minus the selection bias of the best of many trials: by the bootstrap
    if all rows have one, else by shrinkage."""
    test: Measured | None
    ensemble: Measured | None
    """Rounds of the best trial's ensemble of fold models on test rows."""
    finalists: tuple[Measured, ...]
    """The newest finals of the sweep's trials, one for each."""

    @property
    def bootstrap(self) -> Bootstrap | None:
        """The sweep's bootstrap; None if it has none for its complete trials and this metric."""
        return bootstrap_of(self.sweep)

    @property
    def expected_interval(self) -> tuple[float, float] | None:
        """95 % interval of `expected`; None if it does not come from the bootstrap."""
        found = self.bootstrap
        if found is None or found.value != self.expected:
            return None
        return found.low, found.high

    @property
    def is_outside_on_test_rows(self) -> bool:
        """Whether the score on test rows is outside the 95 % interval of `expected`."""
        if self.test is None or self.expected_interval is None:
            return False
        low, high = self.expected_interval
        return not low <= self.test.mean <= high

    @property
    def finals(self) -> Measured | None:
        """The finals of the best trial; None if it took part in none."""
        return next((m for m in self.finalists if m.trial == self.best.number), None)

    @property
    def finals_score(self) -> float:
        """Mean of the finals minus the selection bias of the best of several finalists."""
        assert self.finals is not None
        means = [measured.mean for measured in self.finalists]
        sign = self.sweep.measure.sign
        worth = shrunken_best(
            np.array([measured.scores for measured in self.finalists]),
            overlap=finals_overlap(self.finals, self.sweep),
            resolution=resolution(self.sweep),
            sign=sign,
        )
        return self.finals.mean - (sign * max(sign * mean for mean in means) - worth)


def make_row(sweep: Sweep, name: str, *, bootstrap: bool, finals: bool) -> Row:
    """The row of a sweep that has a complete trial.

    Args:
        sweep: The sweep.
        name: Name of the row.
        bootstrap: Whether the expected score comes from the bootstrap, if the sweep has one.
        finals: Whether the best trial is the best of the finals.
    """
    complete = sweep.complete
    best = best_trial(sweep) if finals else complete[0]
    found = bootstrap_of(sweep) if bootstrap else None
    if found is not None:
        worth = found.value
    else:
        scores = np.array([trial.folds for trial in complete])
        worth = shrunken_best(
            scores,
            overlap=sweep.overlap,
            resolution=resolution(sweep),
            sign=sweep.measure.sign,
        )
    test, ensemble = sweep.evaluation(best.number), sweep.ensemble(best.number)
    return Row(
        name=name,
        sweep=sweep,
        best=best,
        expected=best.score - (complete[0].score - worth),
        test=test if test is not None and test.scores else None,
        ensemble=ensemble if ensemble is not None and ensemble.scores else None,
        finalists=latest_finals(sweep),
    )


def bootstrap_of(sweep: Sweep) -> Bootstrap | None:
    """The bootstrap of a sweep; None if it has none, or one over a different number of trials."""
    key, values = sweep.measure.key, sweep.values
    of = (names.bootstrap_key(key), names.bootstrap_low_key(key), names.bootstrap_high_key(key))
    whole = all(name in values for name in of)
    if not whole or values.get(names.bootstrap_trials_key(key)) != len(sweep.complete):
        return None
    value, low, high = (values[name] for name in of)
    return Bootstrap(value=value, low=low, high=high, trials=len(sweep.complete))


def best_trial(sweep: Sweep) -> Trial:
    """The best trial by the finals if there are any, else by the cross-validated mean."""
    by_number = {trial.number: trial for trial in sweep.complete}
    finalists = [m for m in latest_finals(sweep) if m.trial in by_number]
    if not finalists:
        return sweep.complete[0]
    return by_number[max(finalists, key=lambda m: sweep.measure.sign * m.mean).trial]


def latest_finals(sweep: Sweep) -> tuple[Measured, ...]:
    """The finals of the newest protocol, the latest for each trial."""
    finals = [measured for measured in sweep.finals if measured.scores]
    latest: dict[int, Measured] = {}
    for measured in finals:
        if measured.protocol == finals[0].protocol:
            latest.setdefault(measured.trial, measured)
    return tuple(latest.values())


def unequal(a: Row, b: Row) -> str:
    """Differences between the budgets of two rows, in words; empty if the budgets are equal."""
    found = []
    if budgets_differ(a.sweep, b.sweep):
        found.append(text("analysis-rows.budgets", a=a.sweep.resource, b=b.sweep.resource))
    if a.sweep.asked != b.sweep.asked:
        found.append(text("analysis-rows.trials", a=a.sweep.asked, b=b.sweep.asked))
    return ", ".join(found)


def budgets_differ(a: Sweep, b: Sweep) -> bool:
    """Whether trials of one sweep may train longer; False if the units of the budgets differ."""
    unit = lambda sweep: sweep.resource.partition(" ")[2]
    return unit(a) == unit(b) and a.resource != b.resource


def budgets(rows: Sequence[Row]) -> list[str]:
    """Budget of each row in words, with only the parts that differ; empty if no part differs."""
    alike = not any(budgets_differ(a.sweep, b.sweep) for a, b in combinations(rows, 2))
    facets = [
        [""] * len(rows) if alike else [row.sweep.resource for row in rows],
        [plural(row.sweep.asked, "trial") for row in rows],
        [_folds(row.sweep) for row in rows],
        [f"{row.sweep.tags.get(names.TAG_TRAIN_ROWS, '?')} rows" for row in rows],
    ]
    differing = [values for values in facets if len(set(values)) > 1]
    return [", ".join(filter(None, of)) for of in zip(*differing, strict=True)]


def finals_overlap(finals: Measured, sweep: Sweep) -> float:
    """Ratio of test rows to training rows in finals, as it applies to the mean of all scores.

    Repeats with their own rows share no training rows with each other, so the ratio of one repeat
    is divided by the number of repeats.
    """
    num_folds = finals.num_folds or sweep.num_folds
    overlap = 1 / (num_folds - 1) if finals.overlap is None else finals.overlap
    return overlap * num_folds / len(finals.scores) if finals.fresh_rows else overlap


def resolution(sweep: Sweep) -> float:
    """Smallest step of a score: one row of a fold for a share of rows, else 0."""
    return 1 / sweep.fold_rows if sweep.measure.is_share and sweep.fold_rows else 0.0


def spread(measured: Measured | None) -> float | None:
    """Sample standard deviation over rounds or folds; None for fewer than two."""
    if measured is None or len(measured.scores) < 2:
        return None
    return float(np.std(measured.scores, ddof=1))


def _folds(sweep: Sweep) -> str:
    repeats = len(sweep.complete[0].folds) // sweep.num_folds
    times = f"{repeats} x " if repeats > 1 else ""
    return f"{times}{sweep.num_folds} folds"
