"""Sentences that describe a comparison, the same on the console and in the report.

Every sentence follows from an interval of `analysis.significance`, and claims no more.
"""

from analysis.comparison import Comparison, PairwiseTest
from analysis.results import Trial
from analysis.rows import Row, budgets_differ
from analysis.significance import MOST_REPEATS
from foldsweep.numbers import places_of, plural, shown
from foldsweep.numbers import signed as with_sign

_NOTHING = 1e-9
"""Differences below this count as 0."""
VERDICTS = {
    "better": "significantly better",
    "slightly better": "negligibly better",
    "equivalent": "equivalent",
    "inconclusive": "inconclusive",
    "untested": "not tested",
}


def verdict(test: PairwiseTest) -> str:
    """The verdict of a test in words, with differences between the rows' budgets."""
    return f"{VERDICTS[test.verdict]}{_given(test)}"


def headline(comparison: Comparison) -> str:
    """The main result and the best score; if the result is open, the sentence begins with that."""
    best = comparison.rows[0]
    if len(comparison.rows) == 1:
        return _alone(comparison)
    runner_up, test = comparison.rows[1], comparison.tests[0]
    if test.difference is None:
        return (
            f"Not tested ({test.basis.partition(': ')[2]}): {best.name} is first with"
            f" {score(best, comparison)}, before {runner_up.name} with"
            f" {score(runner_up, comparison)}."
        )
    both = f"{score(best, comparison)}, {_than(test, comparison)}"
    if test.verdict == "better":
        return (
            f"{best.name} is significantly better than {runner_up.name}{_given(test)}: {both}"
            f" (p {shown_p(test.difference.p)})."
        )
    if test.verdict == "slightly better":
        return (
            f"{best.name} is negligibly better than {runner_up.name}{_given(test)}: {both}"
            f" (p {shown_p(test.difference.p)})."
        )
    if test.verdict == "equivalent":
        return (
            f"{best.name} and {runner_up.name} are equivalent{_given(test)}:"
            f" {score(best, comparison)} and {score(runner_up, comparison)}; they differ by less"
            f" than {amount(comparison.rope, comparison)}."
        )
    what = "Nothing can be decided" if nothing_decided(comparison) else "Inconclusive"
    weak = (
        f"only true differences of at least {amount(test.difference.detectable, comparison)} are"
        " detected reliably (power 80 %)"
    )
    if abs(test.difference.mean) < _NOTHING:
        level = f"{best.name} and {runner_up.name} are level{_given(test)}"
        return f"{what}: {level} with {score(best, comparison)}; {weak}."
    return f"{what}: {best.name} is ahead{_given(test)} with {both}, but {weak}."


def nothing_decided(comparison: Comparison) -> bool:
    """Whether every test is inconclusive or untested."""
    return all(test.verdict in ("inconclusive", "untested") for test in comparison.tests)


def belief(comparison: Comparison) -> tuple[str, str]:
    """Whether the first row is significantly better: `yes`, `no` or `plain`, and the words."""
    if len(comparison.rows) < 2:
        return "plain", "One sweep: nothing to compare it with"
    return {
        "better": ("yes", "Significantly better than the runner-up"),
        "slightly better": ("plain", "Negligibly better"),
        "equivalent": ("plain", "Equivalent: take either"),
        "inconclusive": ("no", "Inconclusive: do not call it better"),
        "untested": ("no", "Not tested"),
    }[comparison.tests[0].verdict]


def sentences(comparison: Comparison) -> list[str]:
    """Further results of the comparison, one or two sentences each."""
    said = []
    if comparison.tests and comparison.tests[0].difference is not None:
        said.append(_interval(comparison.tests[0], comparison))
    ahead = [test for test in comparison.tests if test.a == comparison.rows[0].name]
    if len(ahead) > 1:
        said.append(_against_all(ahead, comparison))
    if any(test.verdict == "inconclusive" for test in comparison.tests):
        said.append(_power(comparison))
    if comparison.rows[0].sweep.constant is not None and not comparison.in_finals:
        said.append(_against_constant(comparison.rows[0], comparison))
    for row in comparison.rows:
        if row.sweep.selected_on_test:
            said.append(
                f"{row.name} was selected on test rows, so its scores are optimistically biased."
            )
    return said


def advice(comparison: Comparison) -> str | None:
    """What would decide the first test; None if it is decided, or if nothing would decide it."""
    if not comparison.tests:
        return None
    test = comparison.tests[0]
    if any(row.sweep.selected_on_test for row in comparison.rows[:2]):
        return None  # such sweeps cannot be exported
    if test.verdict == "untested" and budgets_differ(*(row.sweep for row in comparison.rows[:2])):
        return (
            "To decide it, sweep one of them again with the budget of the other (--epochs), or"
            " cross-validate the best of each again on the same fresh folds"
        )
    if test.verdict == "untested":
        return "To decide it, cross-validate the best of each again on the same fresh folds"
    if test.verdict == "inconclusive" and test.repeats is not None:
        return (
            f"If the gap is as large as it looks, finals of {plural(test.repeats, 'repeat')}"
            " decide it with a chance of 80 %"
        )
    return None


def choice_sentences(comparison: Comparison) -> list[str]:
    """Results for the configurations of the best row's sweep, as sentences."""
    choice = comparison.choice
    of = comparison.rows[0].sweep.name
    number, open_ = len(choice.trials), len(choice.undistinguished)
    if number == 1:
        where = "was in the finals" if choice.basis == "in the finals" else "is complete"
        return [f"One configuration of {of} {where}: nothing to choose from."]
    said = []
    best = choice.trials[0].label
    near = len(choice.equivalent) > 1
    kind = "finalists" if choice.basis == "in the finals" else "complete configurations"
    if open_ == 1:
        said.append(
            f"Of {number} {kind} of {of}, {best} is significantly better than every other"
            f" {choice.basis}{', only negligibly than some' if near else ''}."
        )
    else:
        one = kind.removesuffix("s")
        others = plural(number - 1, one) if number > 2 else one
        which = f"{open_ - 1} of the other {others}" if open_ < number else f"The other {others}"
        said.append(
            f"{which} of {of} {'is' if open_ == 2 else 'are'} not yet distinguished from the best,"
            f" {best}, {choice.basis}: only true differences of at least"
            f" {amount(choice.detectable, comparison)} are detected reliably (power 80 %). That"
            " does not mean equal."
        )
    said.append(equivalence(comparison))
    return said


def fresh_data(row: Row) -> str:
    """Expected score of a row's best trial on fresh data, with its interval."""
    found = row.bootstrap
    assert found is not None
    value, low, high = (
        shown(number, places=places_of(found.value))
        for number in (found.value, found.low, found.high)
    )
    said = (
        f"On fresh data the best of {row.sweep.name} is expected to have"
        f" {row.sweep.measure.name} {value}, 95 % interval {low} to {high}: bootstrap over"
        f" {found.trials} complete of {plural(len(row.sweep.trials), 'trial')}"
    )
    if any(trial.stopped_early for trial in row.sweep.trials):
        said += "; selection by early stopping is not corrected"
    return f"{said}."


def equivalence(comparison: Comparison) -> str:
    """Which configurations are equivalent to the best, and the smallest of them."""
    limit, equivalent = amount(comparison.rope, comparison), comparison.choice.equivalent
    if len(equivalent) == 1:
        return f"No other is shown to be equivalent to it, within {limit}."
    others = plural(len(equivalent) - 1, "other")
    are = "is" if len(equivalent) == 2 else "are"
    least = size(cheapest(equivalent), equivalent[0])
    return f"{others} {are} shown to be equivalent to it, within {limit}; {least}."


def size(trial: Trial, best: Trial) -> str:
    """Size of a trial, or its training time, compared with the best."""
    kind = "smallest" if trial.num_params else "fastest"
    if trial is best:
        return f"the best is also the {kind}"
    if trial.num_params:
        than = f"has {trial.num_params:,} parameters instead of {best.num_params:,}"
    else:
        than = f"trains in {trial.train_time_s:.3g} s instead of {best.train_time_s:.3g} s"
    return f"the {kind}, {trial.label}, {than}"


def cheapest(trials: tuple[Trial, ...]) -> Trial:
    """The smallest trial; the fastest if there are estimators, which have no parameters."""
    if all(trial.num_params for trial in trials):
        return min(trials, key=lambda trial: trial.num_params)
    return min(trials, key=lambda trial: trial.train_time_s)


def _alone(comparison: Comparison) -> str:
    row, choice = comparison.rows[0], comparison.choice
    gain = "" if comparison.in_finals else _gain(row)
    reached = f"{row.name} reaches {score(row, comparison)}.{gain}"
    if 1 < len(choice.trials) == len(choice.undistinguished) and len(choice.equivalent) == 1:
        return f"Nothing can be decided between its configurations: {reached}"
    return reached


def _than(test: PairwiseTest, comparison: Comparison) -> str:
    assert test.difference is not None
    return f"{gap(test.difference.mean, comparison)} {test.b}"


def _given(test: PairwiseTest) -> str:
    return f" ({test.unequal})" if test.unequal else ""


def _interval(test: PairwiseTest, comparison: Comparison) -> str:
    assert test.difference is not None
    d, signed = test.difference, lambda value: with_sign(value, places=comparison.places)
    return (
        f"{test.a} minus {test.b}: {signed(d.mean)}, 95 % interval {signed(d.low)} to"
        f" {signed(d.high)}, from {test.basis}."
    )


def _against_all(ahead: list[PairwiseTest], comparison: Comparison) -> str:
    by_verdict = {
        words: [test.b for test in ahead if test.verdict == verdict]
        for verdict, words in VERDICTS.items()
    }
    name = comparison.rows[0].name
    told = {
        "significantly better": "significantly better than {}",
        "negligibly better": "negligibly better than {}",
        "equivalent": "equivalent to {}",
        "inconclusive": "not yet distinguished from {}",
        "not tested": "not tested against {}",
    }
    parts = [told[words].format(_listed(of)) for words, of in by_verdict.items() if of]
    return f"{name} is {'; '.join(parts)}."


def _against_constant(best: Row, comparison: Comparison) -> str:
    """The score of a constant prediction, and whether the best is shown to exceed it."""
    constant, found, sign = best.sweep.constant, best.bootstrap, best.sweep.measure.sign
    assert constant is not None
    said = (
        "A constant prediction, the most frequent class or the mean, has"
        f" {comparison.objective.name} {shown(constant, places=comparison.places)} on these folds"
    )
    if found is None:
        return f"{said}."
    if sign * ((found.low if sign > 0 else found.high) - constant) > 0:
        return f"{said}; {best.name} is better, by its 95 % interval."
    return f"{said}; {best.name} is not shown to be better."


def _power(comparison: Comparison) -> str:
    open_ = [test for test in comparison.tests if test.verdict == "inconclusive"]
    found = [test.difference.detectable for test in open_ if test.difference is not None]
    low, high = amount(min(found), comparison), amount(max(found), comparison)
    low = low if low == high else low.partition(" ")[0]
    size = low if low == high else f"{low} to {high}, depending on the test,"
    said = (
        f"With these folds and trials a true difference of {size} would have been detected with a"
        " chance of 80 %."
    )
    first = comparison.tests[0]
    gap = 0.0 if first.difference is None else abs(first.difference.mean)
    if first.verdict == "inconclusive" and first.repeats is None and gap >= _NOTHING:
        said += (
            f" Even {MOST_REPEATS} repeats of these folds are too few for a gap as small as that"
            f" between {first.a} and {first.b}: use more rows, or choose by"
            " simplicity or cost."
        )
    return said


def score(row: Row, comparison: Comparison) -> str:
    """The score that decides, with its name."""
    name, places = comparison.objective.name, comparison.places
    if comparison.in_finals and row.finals:
        chosen = " (corrected for selection)" if len(row.finalists) > 1 else ""
        return f"{name} {shown(row.finals_score, places=places)} in the finals{chosen}"
    return f"an expected {name} of {shown(row.expected, places=places)}"


def _gain(row: Row) -> str:
    base = row.sweep.baseline
    if base is None or base is row.best:
        return ""
    return f" The baseline, {base.origin}, has {shown(base.score)} on the same folds."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def amount(difference: float, comparison: Comparison) -> str:
    """Size of a difference, in percentage points for metrics that are shares, such as accuracy."""
    if not comparison.objective.is_share:
        return shown(abs(difference), places=comparison.places)
    value = f"{100 * abs(difference):.1f}"
    if value == "0.0" and abs(difference) >= _NOTHING:
        value = f"{100 * abs(difference):.1g}"
    return f"{value} point{'' if value == '1.0' else 's'}"


def gap(difference: float, comparison: Comparison) -> str:
    """A difference and its direction, such as `1.5 points above`."""
    return f"{amount(difference, comparison)} {'above' if difference >= 0 else 'below'}"


def direction(comparison: Comparison) -> str:
    """The metric that rows are compared by, and which direction is better."""
    return f"{comparison.objective.name}, {comparison.objective.better} is better"


def shown_p(p: float) -> str:
    """A p-value with its sign of relation, to follow `p`."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def level(comparison: Comparison) -> str:
    """Explanation of the table of tests."""
    limit = amount(comparison.rope, comparison)
    return (
        "Intervals are simultaneous 95 % confidence intervals of all differences (Tukey's"
        " studentised range, corrected for overlapping training parts); p is adjusted in the same"
        f" way. Significantly better: the interval excludes 0. Equivalent: it lies within {limit}."
        " Negligibly better: both."
    )
