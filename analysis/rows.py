"""A sweep as one row of a comparison: its best trial, what that is worth, and on what budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from analysis.results import Measured, Sweep, Trial
from analysis.significance import shrunken_best
from foldsweep import names
from foldsweep.numbers import plural


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """What the best of a sweep is expected to be on fresh data, see `sweeps.bootstrap`."""

    value: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    trials: int
    """Complete trials that it is of."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A sweep and its best trial."""

    name: str
    """Variant, or the sweep's own name where several sweeps of one variant are compared."""
    sweep: Sweep
    best: Trial
    """By the finals where these decide, else by the cross-validated mean."""
    expected: float
    """Cross-validated mean less the selection bias of the best of many: by the bootstrap where all
    rows have one, else shrunken."""
    test: Measured | None
    ensemble: Measured | None
    """The fold models of the best trial together, on test rows."""
    finalists: tuple[Measured, ...]
    """The newest finals of its trials, one of each."""

    @property
    def bootstrap(self) -> Bootstrap | None:
        """The sweep's bootstrap; None where it has none, or is compared by another metric."""
        return bootstrap_of(self.sweep)

    @property
    def finals(self) -> Measured | None:
        """The finals of the best trial."""
        return next((m for m in self.finalists if m.trial == self.best.number), None)

    @property
    def finals_score(self) -> float:
        """Mean of the finals less the selection bias of the best of several finalists."""
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
        bootstrap: Whether what its best is worth is by the bootstrap, if it has one.
        finals: Whether the best is the best of the finals.
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
    """The bootstrap of a sweep's complete trials; None where it has none of just these."""
    key, values = sweep.measure.key, sweep.values
    of = (names.bootstrap_key(key), names.bootstrap_low_key(key), names.bootstrap_high_key(key))
    whole = all(name in values for name in of)
    if not whole or values.get(names.bootstrap_trials_key(key)) != len(sweep.complete):
        return None
    value, low, high = (values[name] for name in of)
    return Bootstrap(value=value, low=low, high=high, trials=len(sweep.complete))


def best_trial(sweep: Sweep) -> Trial:
    """The best by the finals where there are any, else by the cross-validated mean."""
    by_number = {trial.number: trial for trial in sweep.complete}
    finalists = [m for m in latest_finals(sweep) if m.trial in by_number]
    if not finalists:
        return sweep.complete[0]
    return by_number[max(finalists, key=lambda m: sweep.measure.sign * m.mean).trial]


def latest_finals(sweep: Sweep) -> tuple[Measured, ...]:
    """The finals of the newest protocol, one for each trial."""
    finals = [measured for measured in sweep.finals if measured.scores]
    latest: dict[int, Measured] = {}
    for measured in finals:
        if measured.protocol == finals[0].protocol:
            latest.setdefault(measured.trial, measured)
    return tuple(latest.values())


def unequal(a: Row, b: Row) -> str:
    """What two rows were not given alike, in words; empty where all of it is equal."""
    found = []
    if budgets_differ(a.sweep, b.sweep):
        found.append(f"{a.sweep.resource} against {b.sweep.resource}")
    if a.sweep.asked != b.sweep.asked:
        found.append(f"{a.sweep.asked:,} against {b.sweep.asked:,} trials")
    return ", ".join(found)


def budgets_differ(a: Sweep, b: Sweep) -> bool:
    """Whether the trials of one may train longer, in the same unit; others cannot be compared."""
    unit = lambda sweep: sweep.resource.partition(" ")[2]
    return unit(a) == unit(b) and a.resource != b.resource


def budgets(rows: Sequence[Row]) -> list[str]:
    """What each row was given, where that is not the same for all; else nothing."""
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
    """Test rows per training row in finals, as far as the mean of all scores is concerned.

    Repeats with rows of their own share no training rows, so each brings what one brings.
    """
    num_folds = finals.num_folds or sweep.num_folds
    overlap = 1 / (num_folds - 1) if finals.overlap is None else finals.overlap
    return overlap * num_folds / len(finals.scores) if finals.fresh_rows else overlap


def resolution(sweep: Sweep) -> float:
    """Smallest step of a score: that of a share of rows, else none."""
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
