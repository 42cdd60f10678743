"""Comparisons of sweeps by their scores, which `compare.py` and the report show."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from analysis import significance
from analysis.results import Sweep, Trial
from analysis.rows import (
    Row,
    bootstrap_of,
    budgets_differ,
    finals_overlap,
    latest_finals,
    make_row,
    resolution,
    unequal,
)
from analysis.significance import Difference, FoldNoise, fold_noise, rank, repeats_to_decide
from foldsweep.numbers import places_of
from foldsweep.objective import Objective
from foldsweep.texts import text

Verdict = Literal[significance.Verdict, "untested"]


@dataclass(frozen=True, kw_only=True)
class PairwiseTest:
    """A test of two rows, of which `a` is expected to be better."""

    a: str
    b: str
    basis: str
    """The scores compared, in words; the reason if the rows were not tested."""
    unequal: str
    """Differences between the budgets of the two rows, in words; empty if there are none."""
    difference: Difference | None
    """Difference of the metric, `a - b`, negative if lower is better; None if not tested."""
    verdict: Verdict
    repeats: int | None = None
    """Repeats of the folds that would decide an inconclusive test; None if no number would, or if
    the test is not inconclusive."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Configurations of the best row's sweep, compared with the best of them."""

    trials: tuple[Trial, ...]
    """All compared trials, best first."""
    undistinguished: tuple[Trial, ...]
    """Trials that are statistically indistinguishable from the best, with the best itself."""
    equivalent: tuple[Trial, ...]
    """Trials that are equivalent to the best, including it: worse by less than the rope, if at
    all."""
    detectable: float
    """Smallest distance from the best that would have been detected with a power of 80 %."""
    basis: str
    """The scores compared, in words."""
    in_finals: bool = False
    """Whether these are scores of the finals."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Rows, best first, with pairwise tests and the choice within the best row's sweep."""

    rows: tuple[Row, ...]
    tests: tuple[PairwiseTest, ...]
    """Tests of each row against each other; the first is the best row against the runner-up."""
    in_finals: bool
    """Whether finals decide, because all rows took part in the same finals."""
    choice: Choice
    objective: Objective
    """The metric that rows are compared by."""
    rope: float
    """Scores closer than this are equivalent."""

    @property
    def places(self) -> int:
        """Decimal places for scores and their differences."""
        return places_of(max(abs(row.expected) for row in self.rows))


def compare(
    sweeps: Sequence[Sweep], *, rope: float | None = None, finals: bool = True
) -> Comparison:
    """Compare sweeps that each have a complete trial.

    Args:
        sweeps: At least one sweep; all have the same task, data and metric.
        rope: Scores closer than this are equivalent [the task's value for the metric].
        finals: Whether finals decide if all rows took part in the same finals.
    """
    objective = sweeps[0].measure
    rope = objective.equal if rope is None else rope
    variants = Counter(sweep.variant for sweep in sweeps)
    once = max(variants.values()) == 1
    # one kind of estimate for all rows, or their differences would mix two kinds; the only trial
    # of a sweep has no selection bias and needs no estimate
    bootstrap = all(bootstrap_of(s) is not None or len(s.complete) == 1 for s in sweeps)
    in_finals = finals and _same_finals(sweeps)
    rows = [
        make_row(s, s.variant if once else s.name, bootstrap=bootstrap, finals=in_finals)
        for s in sweeps
    ]
    worth = lambda row: row.finals_score if in_finals else row.expected
    rows.sort(key=lambda row: -objective.sign * worth(row))
    scores = _FinalsScores(rows) if in_finals else _SweepScores(rows)
    return Comparison(
        rows=tuple(rows),
        tests=tuple(
            _test(a, b, scores, rows=len(rows), rope=rope) for a, b in combinations(rows, 2)
        ),
        in_finals=in_finals,
        choice=_choice(rows[0], in_finals=in_finals, rope=rope),
        objective=objective,
        rope=rope,
    )


def _same_finals(sweeps: Sequence[Sweep]) -> bool:
    """Whether all sweeps took part in the same finals, with a trial that is loaded here."""
    protocols = set()
    for sweep in sweeps:
        here = {trial.number for trial in sweep.complete}
        protocols.add(next((m.protocol for m in latest_finals(sweep) if m.trial in here), None))
    return len(protocols) == 1 and None not in protocols


class _SweepScores:
    """Scores of the sweeps' own folds, with the noise estimated from all trials on these folds."""

    def __init__(self, rows: Sequence[Row]):
        self.trials: dict[str, list[Trial]] = {}
        for row in rows:
            if not row.sweep.selected_on_test:
                self.trials.setdefault(row.sweep.judged_on, []).extend(row.sweep.complete)

    def worth(self, row: Row) -> float:
        return row.expected

    def reason_against(self, a: Row, b: Row) -> str | None:
        if a.sweep.selected_on_test or b.sweep.selected_on_test:
            return text("comparison.selected-on-test-rows")
        if a.sweep.judged_on != b.sweep.judged_on:
            return text("comparison.other-folds")
        # spaces of one command may differ in epochs by design; two commands are two budgets
        if budgets_differ(a.sweep, b.sweep) and a.sweep.group != b.sweep.group:
            return text("analysis-rows.budgets", a=a.sweep.resource, b=b.sweep.resource)
        return None

    def basis(self, row: Row) -> str:
        return text("comparison.corrected", scores=folds_in_words(row))

    def noise(self, a: Row, b: Row) -> tuple[FoldNoise, int, int]:
        trials = self.trials[a.sweep.judged_on]
        noise = fold_noise(
            np.array([t.folds for t in trials]),
            overlap=a.sweep.overlap,
            resolution=resolution(a.sweep),
        )
        labels = [trial.label for trial in trials]
        return noise, labels.index(a.best.label), labels.index(b.best.label)

    def num_folds(self, row: Row) -> int:
        return row.sweep.num_folds

    def fresh_rows(self, row: Row) -> bool:
        return False


class _FinalsScores:
    """Scores of the finals that all rows took part in."""

    def __init__(self, rows: Sequence[Row]):
        self.finalists = [measured for row in rows for measured in row.finalists]
        self.num_rows = len(rows)

    def worth(self, row: Row) -> float:
        return row.finals_score

    def reason_against(self, a: Row, b: Row) -> str | None:
        return None

    def basis(self, row: Row) -> str:
        assert row.finals is not None
        finals = text("comparison.of-finals", protocol=row.finals.protocol)
        several = len(self.finalists) > self.num_rows
        return text("comparison.corrected", scores=finals) if several else finals

    def noise(self, a: Row, b: Row) -> tuple[FoldNoise, int, int]:
        assert a.finals is not None
        assert b.finals is not None
        noise = fold_noise(
            np.array([m.scores for m in self.finalists]),
            overlap=finals_overlap(a.finals, a.sweep),
            resolution=resolution(a.sweep),
        )
        return noise, self.finalists.index(a.finals), self.finalists.index(b.finals)

    def num_folds(self, row: Row) -> int:
        assert row.finals is not None
        return row.finals.num_folds or row.sweep.num_folds

    def fresh_rows(self, row: Row) -> bool:
        return row.finals is not None and row.finals.fresh_rows


def _test(
    a: Row, b: Row, scores: _SweepScores | _FinalsScores, *, rows: int, rope: float
) -> PairwiseTest:
    differing = unequal(a, b)
    reason = scores.reason_against(a, b)
    if reason is not None:
        return PairwiseTest(
            a=a.name,
            b=b.name,
            basis=reason,
            unequal=differing,
            difference=None,
            verdict="untested",
        )
    noise, i, j = scores.noise(a, b)
    found = significance.difference(
        scores.worth(a) - scores.worth(b), noise.error(i, j), df=noise.df, rows=rows
    )
    verdict = found.verdict(rope=rope, sign=a.sweep.measure.sign)
    repeats = None
    if verdict == "inconclusive":
        repeats = repeats_to_decide(
            noise,
            i,
            j,
            gap=abs(found.mean),
            rows=rows,
            num_folds=scores.num_folds(a),
            fresh_rows=scores.fresh_rows(a),
        )
    return PairwiseTest(
        a=a.name,
        b=b.name,
        basis=scores.basis(a),
        unequal=differing,
        difference=found,
        verdict=verdict,
        repeats=repeats,
    )


def _choice(row: Row, *, in_finals: bool, rope: float) -> Choice:
    """Compare the configurations of a row's sweep, by the scores that decide the row."""
    sweep = row.sweep
    by_number = {trial.number: trial for trial in sweep.complete}
    finalists = [m for m in row.finalists if m.trial in by_number]
    in_finals = in_finals and row.finals in finalists
    if in_finals:
        assert row.finals is not None
        trials = [by_number[measured.trial] for measured in finalists]
        scores = np.array([measured.scores for measured in finalists])
        overlap = finals_overlap(row.finals, sweep)
        basis = text("comparison.in-finals")
    else:
        trials = sweep.complete
        scores = np.array([trial.folds for trial in trials])
        overlap = sweep.overlap
        basis = text("comparison.on-folds", folds=folds_in_words(row))
    ranked = rank(
        scores,
        overlap=overlap,
        resolution=resolution(sweep),
        rope=rope,
        sign=sweep.measure.sign,
    )
    in_order = tuple(trials[i] for i in ranked.order)
    return Choice(
        trials=in_order,
        undistinguished=in_order[: ranked.undistinguished],
        equivalent=in_order[: ranked.equivalent],
        detectable=ranked.detectable,
        basis=basis,
        in_finals=in_finals,
    )


def folds_in_words(row: Row) -> str:
    """The folds that a sweep was scored on, in words."""
    times = len(row.best.folds) // row.sweep.num_folds
    repeated = text("comparison.repeated", times=times) if times > 1 else ""
    return text("comparison.own-folds", folds=row.sweep.num_folds, repeated=repeated)
