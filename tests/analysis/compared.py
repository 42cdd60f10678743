"""Rows, pairwise tests and comparisons, made by hand."""

from typing import Any

from analysis.comparison import Choice, Comparison, PairwiseTest
from analysis.rows import Row
from analysis.significance import Difference
from foldsweep.objective import Objective
from tests.analysis import cases
from tests.analysis.cases import ACCURACY
from tests.refusals import text

SMALL, LARGE = 4_380, 44_758
FOLDS = text("comparison.own-folds", folds=5, repeated="")
OWN = text("comparison.on-folds", folds=FOLDS)
BASIS = text("comparison.corrected", scores=FOLDS)


def row(name: str, score: float, *, measure: Objective = ACCURACY, **sweep: Any) -> Row:
    folds = (score - 0.01, score + 0.01)
    trial = cases.trial(0, folds, name=f"s/{name}", measure=measure)
    made = cases.sweep(f"s/{name}", trial, objective=measure, **sweep)
    return Row(
        name=name, sweep=made, best=trial, expected=score, test=None, ensemble=None, finalists=()
    )


def trials(*sizes: float, seconds: float = 2.0) -> tuple[Any, ...]:
    return tuple(
        cases.trial(
            i,
            (0.94 - i / 100, 0.96 - i / 100),
            name="s/a",
            num_params=float(size),
            train_time_s=seconds / (i + 1),
        )
        for i, size in enumerate(sizes)
    )


def choice(
    of: tuple[Any, ...], undistinguished: int, equivalent: int, *, in_finals: bool = False
) -> Choice:
    return Choice(
        trials=of,
        undistinguished=of[:undistinguished],
        equivalent=of[:equivalent],
        detectable=0.05,
        basis=text("comparison.in-finals") if in_finals else OWN,
        in_finals=in_finals,
    )


def pair(
    verdict: Any, mean: float = 0.02, *, b: str = "b", detectable: float = 0.03, **more: Any
) -> PairwiseTest:
    low, high = {"better": (0.005, 0.035), "slightly better": (0.001, 0.009)}.get(
        verdict, (-0.005, 0.045) if verdict == "inconclusive" else (-0.004, 0.008)
    )
    p = 0.2 if low < 0 else 0.0004 if verdict == "better" else 0.012
    found = Difference(mean=mean, low=low, high=high, p=p, detectable=detectable)
    given = {"basis": BASIS, "unequal": "", **more}
    return PairwiseTest(
        a="a", b=b, verdict=verdict, difference=None if verdict == "untested" else found, **given
    )


def comparison(
    *tests: PairwiseTest,
    of: Choice | None = None,
    rows: tuple[Row, ...] | None = None,
    objective: Objective = ACCURACY,
) -> Comparison:
    named = dict.fromkeys(["a", *(test.b for test in tests if test.a == "a")])
    made = tuple(row(name, 0.95 - 0.02 * i, measure=objective) for i, name in enumerate(named))
    return Comparison(
        rows=rows or made,
        tests=tests,
        in_finals=False,
        choice=of or choice(trials(LARGE), 1, 1),
        objective=objective,
        rope=objective.equal,
    )


ONE = text("words.one-complete", sweep="s/a")
"""Sentence about a sweep with one complete trial."""
