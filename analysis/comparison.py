"""Which is better, and is it really? The comparison behind `compare.py` and the report."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np

from analysis.results import Measured, Sweep, Trial
from analysis.significance import (
    ALPHA,
    Difference,
    difference,
    holm,
    like_the_best,
    shrunken_best,
)
from foldsweep.numbers import places_of
from foldsweep.objective import Objective

Verdict = Literal["better", "equal", "open", "untested"]
SURE = 0.95
"""Posterior probability from which on two are called practically equal."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A sweep and its best configuration."""

    name: str
    """Variant, or the sweep's own name where several sweeps of one variant are compared."""
    sweep: Sweep
    best: Trial
    """By the finals where there are any, else by the cross-validated mean."""
    expected: float
    """Cross-validated mean less the luck of being the best of many."""
    test: Measured | None
    finals: Measured | None

    @property
    def luck(self) -> float:
        """What the cross-validated mean owes to having been chosen; below 0 if lower is better."""
        return self.best.score - self.expected


@dataclass(frozen=True, kw_only=True)
class PairwiseTest:
    """Two rows compared; `a` is expected to be better."""

    a: str
    b: str
    basis: str
    """The scores compared, in words; why there are none where it was not tested."""
    difference: Difference | None
    """Of the metric, `a - b`: negative where lower is better."""
    p_holm: float | None
    """P-value corrected for all tests."""
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Rows, best first, and what the tests say."""

    rows: tuple[Row, ...]
    tests: tuple[PairwiseTest, ...]
    """The first is the best row against the runner-up, if there are two rows."""
    in_finals: bool
    """Whether the finals decide, because all rows have been in the same."""
    like_best: tuple[Trial, ...]
    """Configurations that cannot be told from the best one, that one first."""
    num_compared: int
    """Configurations that `like_best` is chosen from."""
    objective: Objective
    """The metric that everything is compared by."""
    rope: float
    """Scores closer than this are practically equal."""

    @property
    def places(self) -> int:
        """Decimal places that suit scores and their differences."""
        return places_of(max(abs(row.expected) for row in self.rows))


def compare(
    sweeps: Sequence[Sweep], *, rope: float | None = None, by_variant: bool = True
) -> Comparison:
    """Compare sweeps that each have a complete trial.

    Args:
        sweeps: At least one, all of one task on one data, compared by one metric.
        rope: Scores closer than this are practically equal [as the task says of the metric].
        by_variant: Name rows by variant, of which there is one sweep each.
    """
    objective = sweeps[0].measure
    sign = objective.sign
    rope = objective.equal if rope is None else rope
    rows = [_row(s, s.variant if by_variant else s.name) for s in sweeps]
    in_finals = len({row.finals.protocol if row.finals else row.name for row in rows}) == 1
    in_finals = in_finals and rows[0].finals is not None
    score = lambda row: row.finals.mean if in_finals and row.finals else row.expected
    rows.sort(key=lambda row: -sign * score(row))
    tested = [(a, b, *_test(a, b, rope, in_finals)) for a, b in combinations(rows, 2)]
    adjusted = iter(holm([d.p for *_, d in tested if d is not None]))
    tests = []
    for a, b, basis, found in tested:
        p_holm = None if found is None else next(adjusted)
        tests.append(
            PairwiseTest(
                a=a.name,
                b=b.name,
                basis=basis,
                difference=found,
                p_holm=p_holm,
                verdict=_verdict(found, p_holm),
            )
        )
    like, number = _like_best(rows)
    return Comparison(
        rows=tuple(rows),
        tests=tuple(tests),
        in_finals=in_finals,
        like_best=like,
        num_compared=number,
        objective=objective,
        rope=rope,
    )


def _row(sweep: Sweep, name: str) -> Row:
    complete = sweep.complete
    finals = _latest_finals(sweep)
    best = best_trial(sweep)
    scores = np.array([t.folds for t in complete])
    luck = complete[0].score - shrunken_best(
        scores, num_folds=sweep.num_folds, sign=sweep.measure.sign
    )
    test = sweep.evaluation(best.number)
    return Row(
        name=name,
        sweep=sweep,
        best=best,
        expected=best.score - luck,
        test=test if test is not None and test.scores else None,
        finals=next((m for m in finals if m.trial == best.number), None),
    )


def best_trial(sweep: Sweep) -> Trial:
    """The best by the finals where there are any, else by the cross-validated mean."""
    complete = sweep.complete
    finals = _latest_finals(sweep)
    if finals:
        chosen = max(finals, key=lambda measured: sweep.measure.sign * measured.mean).trial
        return next((t for t in complete if t.number == chosen), complete[0])
    return complete[0]


def _latest_finals(sweep: Sweep) -> list[Measured]:
    """The finals of the newest protocol, one for each trial."""
    finals = [measured for measured in sweep.finals if measured.scores]
    latest: dict[int, Measured] = {}
    for measured in finals:
        if measured.protocol == finals[0].protocol:
            latest.setdefault(measured.trial, measured)
    return list(latest.values())


def _test(a: Row, b: Row, rope: float, in_finals: bool) -> tuple[str, Difference | None]:
    sweep = a.sweep
    if in_finals and a.finals and b.finals:
        scores = [np.array(a.finals.scores), np.array(b.finals.scores)]
        basis = f"finals: {a.finals.protocol}"
    elif a.sweep.selected_on_test or b.sweep.selected_on_test:
        return "not tested: selected on test rows", None
    elif a.sweep.judged_on == b.sweep.judged_on:
        # either sweep's luck is taken off, or the one with more trials would seem better
        scores = [np.array(row.best.folds) - row.luck for row in (a, b)]
        repeats = len(a.best.folds) // sweep.num_folds
        times = f"{repeats} x " if repeats > 1 else ""
        basis = f"the sweeps' own {times}{sweep.num_folds} folds, less the luck of the best"
    else:
        return "not tested: other rows or folds", None
    found = difference(
        scores[0],
        scores[1],
        num_folds=sweep.num_folds,
        rope=rope,
        resolution=_resolution(sweep),
        sign=sweep.measure.sign,
    )
    return basis, found


def _resolution(sweep: Sweep) -> float:
    """Smallest step of a score: that of a share of rows, else none."""
    return 1 / sweep.fold_rows if sweep.measure.is_share and sweep.fold_rows else 0.0


def _verdict(found: Difference | None, p_holm: float | None) -> Verdict:
    if found is None or p_holm is None:
        return "untested"
    if found.p_equal >= SURE:
        return "equal"
    return "better" if p_holm < ALPHA else "open"


def _like_best(rows: Sequence[Row]) -> tuple[tuple[Trial, ...], int]:
    """Trials of all sweeps on the best one's folds that cannot be told from its best."""
    first = rows[0].sweep
    trials = [
        t for row in rows if row.sweep.judged_on == first.judged_on for t in row.sweep.complete
    ]
    scores = np.array([t.folds for t in trials])
    kept = like_the_best(
        scores,
        num_folds=first.num_folds,
        resolution=_resolution(first),
        sign=first.measure.sign,
    )
    return tuple(trials[i] for i in kept), len(trials)


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """All of a comparison as plain values, for JSON."""
    first, objective = comparison.rows[0].sweep, comparison.objective
    return {
        "task": first.task,
        "dataset": first.dataset,
        "objective": objective.name,
        "better": objective.better,
        "rope": comparison.rope,
        "alpha": ALPHA,
        "rows": [row_dict(row) for row in comparison.rows],
        "tests": [asdict(test) for test in comparison.tests],
        "like_best": {
            "compared": comparison.num_compared,
            "trials": [
                {
                    "sweep": t.sweep,
                    "trial": t.number,
                    "run_id": t.run_id,
                    "score": t.score,
                    "num_params": t.num_params,
                }
                for t in comparison.like_best
            ],
        },
    }


def row_dict(row: Row) -> dict[str, Any]:
    """One row as plain values, a column each."""
    states = [t.state for t in row.sweep.trials]
    test, finals, reported = row.test, row.finals, row.sweep.reported
    return {
        "name": row.name,
        "task": row.sweep.task,
        "variant": row.sweep.variant,
        "sweep": row.sweep.name,
        "dataset": row.sweep.dataset,
        "trials": len(states),
        "complete": states.count("COMPLETE"),
        "pruned": states.count("PRUNED"),
        "failed": states.count("FAIL"),
        "best_trial": row.best.number,
        "run_id": row.best.run_id,
        "objective": row.sweep.measure.name,
        "score": row.best.score,
        "score_std": row.best.std,
        "expected_score": row.expected,
        "finals_score": finals.mean if finals else None,
        "finals_score_std": spread(finals),
        "finals_scores": len(finals.scores) if finals else None,
        "test_score": test.mean if test else None,
        "test_score_std": spread(test),
        "test_rounds": len(test.scores) if test else None,
        "num_params": row.best.num_params,
        "train_time_s": row.best.train_time_s,
        "sweep_time_s": sum(t.train_time_s for t in row.sweep.trials if t.train_time_s > 0),
        "reported": reported[0] if reported else None,
        "reported_score": reported[1] if reported else None,
        "reported_score_std": reported[2] if reported else None,
    }


def spread(measured: Measured | None) -> float | None:
    """Sample standard deviation over rounds or folds; None for fewer than two."""
    if measured is None or len(measured.scores) < 2:
        return None
    return float(np.std(measured.scores, ddof=1))
