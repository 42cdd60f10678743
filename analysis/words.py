"""Sentences that describe a comparison, the same on the console and in the report.

Every sentence follows from an interval of `analysis.significance`, and claims no more.
"""

from typing import get_args

from analysis.comparison import Comparison, PairwiseTest, Verdict
from analysis.rows import Row, budgets_differ
from analysis.significance import MOST_REPEATS
from foldsweep import names
from foldsweep.numbers import plural, shown, shown_seconds, signed
from foldsweep.texts import text

_NOTHING = 1e-9
"""Differences below this count as 0."""
_ALIKE = 1.1
"""Costs whose ratio is at most this count as the same: times of training vary."""


def verdict(test: PairwiseTest) -> str:
    """The verdict of a test in words, with differences between the rows' budgets."""
    said = {
        "better": text("words.verdict-better"),
        "slightly better": text("words.verdict-slightly-better"),
        "equivalent": text("words.verdict-equivalent"),
        "inconclusive": text("words.verdict-inconclusive"),
        "untested": text("words.verdict-untested"),
    }
    return f"{said[test.verdict]}{_budgets(test)}"


def basis(test: PairwiseTest) -> str:
    """What a test is based on: the scores that are compared, or why there is no test."""
    if test.verdict == "untested":
        return text("words.test-left-out", reason=test.basis)
    return test.basis


def headline(comparison: Comparison) -> str:
    """The main result: that no model has learned anything, or how the first two rows compare."""
    if not _nothing_learned(comparison):
        return _finding(comparison)
    if len(comparison.rows) == 1:
        return _against_constant(comparison.rows[0], comparison)[1]
    constant, metric = comparison.rows[0].sweep.constant, comparison.objective.name
    assert constant is not None
    score = shown(constant, places=comparison.places)
    return text("words.nothing-learned", metric=metric, score=score)


def _finding(comparison: Comparison) -> str:
    """The first two rows and the best score; if the result is open, it begins with that."""
    if len(comparison.rows) == 1:
        return _alone(comparison)
    best, other = (row.name for row in comparison.rows[:2])
    best_score, other_score = (score(row, comparison) for row in comparison.rows[:2])
    test = comparison.tests[0]
    found, budgets = test.difference, _budgets(test)
    if found is None:
        return text(
            "words.untested",
            reason=test.basis,
            best=best,
            score=best_score,
            other=other,
            other_score=other_score,
        )
    if test.verdict == "equivalent":
        return text(
            "words.equivalent",
            best=best,
            other=other,
            budgets=budgets,
            score=best_score,
            other_score=other_score,
            limit=amount(comparison.rope, comparison),
        )
    gap = text(
        "words.above" if found.mean >= 0 else "words.below",
        difference=amount(found.mean, comparison),
        other=other,
    )
    if test.verdict in ("better", "slightly better"):
        return text(
            "words.better" if test.verdict == "better" else "words.slightly-better",
            best=best,
            other=other,
            budgets=budgets,
            score=best_score,
            gap=gap,
            p=shown_p(found.p),
        )
    if abs(found.mean) < _NOTHING:
        finding = text("words.level", best=best, other=other, budgets=budgets, score=best_score)
    else:
        finding = text("words.ahead", best=best, budgets=budgets, score=best_score, gap=gap)
    return text(
        "words.nothing-decided" if nothing_decided(comparison) else "words.inconclusive",
        finding=finding,
    )


def nothing_decided(comparison: Comparison) -> bool:
    """Whether every test is inconclusive or untested."""
    return all(test.verdict in ("inconclusive", "untested") for test in comparison.tests)


def belief(comparison: Comparison) -> tuple[str, str]:
    """Whether the first row is significantly better: `yes`, `no` or `plain`, and the words."""
    if _nothing_learned(comparison):
        return "no", text("words.belief-nothing-learned")
    if len(comparison.rows) < 2:
        return "plain", text("words.belief-alone")
    best, other = (row.name for row in comparison.rows[:2])
    return {
        "better": ("yes", text("words.belief-better")),
        "slightly better": ("plain", text("words.belief-slightly-better")),
        "equivalent": ("plain", text("words.belief-equivalent")),
        "inconclusive": ("no", text("words.belief-inconclusive", best=best, other=other)),
        "untested": ("no", text("words.belief-untested")),
    }[comparison.tests[0].verdict]


def sentences(comparison: Comparison) -> list[str]:
    """Further results of the comparison, one or two sentences each."""
    said = []
    if _nothing_learned(comparison):
        said.append(_finding(comparison))
        if comparison.objective.name == "accuracy":
            said.append(text("words.other-objective"))
    if comparison.tests and comparison.tests[0].difference is not None:
        said.append(_interval(comparison.tests[0], comparison))
    ahead = [test for test in comparison.tests if test.a == comparison.rows[0].name]
    if any(test.verdict == "inconclusive" for test in comparison.tests):
        said += _undecided(comparison)
    if len(ahead) > 1:
        said.append(_against_all(ahead, comparison))
    best = comparison.rows[0]
    knows_constant = best.sweep.constant is not None and not comparison.in_finals
    if knows_constant and not _nothing_learned(comparison):
        better, sentence = _against_constant(best, comparison)
        said.insert(len(said) if better else 0, sentence)
    for row in comparison.rows:
        if row.test is not None and row.is_outside_on_test_rows:
            rows = row.sweep.tags.get(names.TAG_TEST_ROWS, "the")
            score = shown(row.test.mean, places=comparison.places)
            said.append(text("words.outside-on-test-rows", rows=rows, name=row.name, score=score))
        if row.sweep.selected_on_test:
            said.append(text("words.selected-on-test-rows", name=row.name))
    return said


def advice(comparison: Comparison) -> str | None:
    """What would decide the first test; None if it is decided, or if nothing would decide it."""
    if not comparison.tests:
        return None
    test = comparison.tests[0]
    if any(row.sweep.selected_on_test for row in comparison.rows[:2]):
        return None  # such sweeps cannot be exported
    if test.verdict == "untested" and budgets_differ(*(row.sweep for row in comparison.rows[:2])):
        return text("words.advice-budget-or-folds")
    if test.verdict == "untested":
        return text("words.advice-folds")
    if test.verdict == "inconclusive" and test.repeats is not None:
        return text("words.advice-finals", repeats=plural(test.repeats, "repeat"))
    return None


def expected(comparison: Comparison) -> str:
    """Meaning of the expected scores."""
    rows = comparison.rows
    if not any(row.expected_interval for row in rows):
        return text("words.expected")
    early = [row.name for row in rows if any(t.stopped_early for t in row.sweep.trials)]
    of = f" ({', '.join(early)})" if len(early) < len(rows) else ""
    caveat = text("words.early-stopping-uncorrected", of=of) if early else ""
    return text("words.expected-with-interval", caveat=caveat)


def _alone(comparison: Comparison) -> str:
    row, choice = comparison.rows[0], comparison.choice
    reached = text("words.alone", name=row.name, score=score(row, comparison))
    base = row.sweep.baseline
    if not comparison.in_finals and base is not None and base is not row.best:
        reached += " " + text("words.baseline", origin=base.origin, score=shown(base.score))
    if 1 < len(choice.trials) == len(choice.undistinguished) and len(choice.equivalent) == 1:
        return text("words.no-configuration-decided", finding=reached)
    return reached


def _budgets(test: PairwiseTest) -> str:
    return f" ({test.unequal})" if test.unequal else ""


def _interval(test: PairwiseTest, comparison: Comparison) -> str:
    assert test.difference is not None
    share, places = comparison.objective.is_share, comparison.places
    times, places = (100, places - 2) if share else (1, places)  # as many as in the table
    low, high = (
        signed(times * end, places=places) for end in (test.difference.low, test.difference.high)
    )
    models = len(comparison.rows)
    return text(
        "words.interval",
        a=test.a,
        b=test.b,
        low=low,
        high=high,
        unit=" percentage points" if share else "",
        basis=test.basis,
        adjusted=text("words.adjusted", models=models) if models > 2 else "",
    )


def _against_all(ahead: list[PairwiseTest], comparison: Comparison) -> str:
    by_verdict = {
        verdict: [test.b for test in ahead if test.verdict == verdict]
        for verdict in get_args(Verdict)
    }
    findings = [_against(verdict, of) for verdict, of in by_verdict.items() if of]
    return text("words.against-all", best=comparison.rows[0].name, findings="; ".join(findings))


def _against(verdict: Verdict, of: list[str]) -> str:
    others = _listed(of, "or" if verdict == "inconclusive" else "and")
    return {
        "better": text("words.against-better", others=others),
        "slightly better": text("words.against-slightly-better", others=others),
        "equivalent": text("words.against-equivalent", others=others),
        "inconclusive": text("words.against-inconclusive", others=others),
        "untested": text("words.against-untested", others=others),
    }[verdict]


def _nothing_learned(comparison: Comparison) -> bool:
    """Whether no model is shown to be better than a constant prediction."""
    return not comparison.in_finals and all(_is_better(row) is False for row in comparison.rows)


def _is_better(row: Row) -> bool | None:
    """Whether a row is shown to be better than a constant prediction; None if that is unknown."""
    constant, found, sign = row.sweep.constant, row.bootstrap, row.sweep.measure.sign
    if constant is None or found is None:
        return None
    return sign * ((found.low if sign > 0 else found.high) - constant) > 0


def _against_constant(best: Row, comparison: Comparison) -> tuple[bool, str]:
    """A sentence on the score of a constant prediction; False if the best may be no better."""
    assert best.sweep.constant is not None
    metric = comparison.objective.name
    score = shown(best.sweep.constant, places=comparison.places)
    better = _is_better(best)
    if better is None:
        return True, text("words.constant", metric=metric, score=score)
    if better:
        return True, text("words.better-than-constant", best=best.name, metric=metric, score=score)
    return False, text(
        "words.not-better-than-constant", best=best.name, metric=metric, score=score
    )


def _undecided(comparison: Comparison) -> list[str]:
    """What this comparison can detect, and what to do if repeats cannot decide the first test."""
    first = comparison.tests[0]
    if first.verdict != "inconclusive" or first.difference is None:
        open_ = [test for test in comparison.tests if test.verdict == "inconclusive"]
        most = max(test.difference.detectable for test in open_ if test.difference is not None)
        return [text("words.detectable", difference=amount(most, comparison))]
    said = [text("words.detectable", difference=amount(first.difference.detectable, comparison))]
    level = abs(first.difference.mean) < _NOTHING
    if first.repeats is None and not level and not _nothing_learned(comparison):
        settled = text("words.repeats-too-few", most=MOST_REPEATS)
        said.append(f"{settled} {_cheaper(*comparison.rows[:2])}")
    return said


def _cheaper(*rows: Row) -> str:
    """Which of two rows costs less: it has fewer parameters, or trains faster."""
    by_size = all(row.best.num_params for row in rows)
    of = {row.name: row.best.num_params if by_size else row.best.train_time_s for row in rows}
    cheaper, other = sorted(of, key=lambda name: of[name])
    if of[other] <= _ALIKE * of[cheaper]:
        return text("words.equal-cost")
    cost, others = (
        f"{of[name]:,}" if by_size else shown_seconds(of[name]) for name in (cheaper, other)
    )
    if by_size:
        return text(
            "words.fewer-parameters",
            cheaper=cheaper,
            parameters=cost,
            other=other,
            others=others,
        )
    return text("words.less-time", cheaper=cheaper, seconds=cost, other=other, others=others)


def score(row: Row, comparison: Comparison) -> str:
    """The score that decides, with its name."""
    name, places = comparison.objective.name, comparison.places
    if comparison.in_finals and row.finals:
        selected = len(row.finalists) > 1
        return text(
            "words.finals-score-corrected" if selected else "words.finals-score",
            metric=name,
            score=shown(row.finals_score, places=places),
        )
    return text("words.expected-score", metric=name, score=shown(row.expected, places=places))


def _listed(names: list[str], last: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def amount(difference: float, comparison: Comparison) -> str:
    """Size of a difference, in percentage points for metrics that are shares, such as accuracy."""
    if not comparison.objective.is_share:
        return shown(abs(difference), places=comparison.places)
    value = f"{100 * abs(difference):.1f}"
    if value == "0.0" and abs(difference) >= _NOTHING:
        value = f"{100 * abs(difference):.1g}"
    return f"{value} percentage point{'' if value == '1.0' else 's'}"


def direction(comparison: Comparison) -> str:
    """The metric that rows are compared by, and which direction is better."""
    objective = comparison.objective
    return text("words.direction", metric=objective.name, better=objective.better)


def shown_p(p: float) -> str:
    """A p-value with its sign of relation, to follow `p`."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def level(comparison: Comparison) -> str:
    """Explanation of the table of tests, with the meaning of the verdicts in it."""
    limit = amount(comparison.rope, comparison)
    meanings = {
        "better": text("words.meaning-better"),
        "slightly better": text("words.meaning-slightly-better", limit=limit),
        "equivalent": text("words.meaning-equivalent", limit=limit),
        "inconclusive": text("words.meaning-inconclusive", limit=limit),
    }
    found = {test.verdict for test in comparison.tests}
    said = [meaning for verdict, meaning in meanings.items() if verdict in found]
    return " ".join([text("words.intervals"), *said])
