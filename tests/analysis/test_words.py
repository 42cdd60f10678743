"""Every sentence that a comparison can produce, with the situation that yields it."""

from dataclasses import replace
from typing import Any

import pytest

from analysis import words
from analysis.comparison import Choice, Comparison, PairwiseTest
from analysis.rows import Row
from analysis.significance import Difference
from foldsweep import names
from foldsweep.objective import Objective
from tests.analysis import cases
from tests.analysis.cases import ACCURACY, RMSE, ROC_AUC, measured

SMALL, LARGE = 4_380, 44_758
OWN = "on the sweep's own 5 folds"
BASIS = "the sweep's own 5 folds, corrected for selection"


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


def choice(of: tuple[Any, ...], undistinguished: int, equivalent: int, basis: str = OWN) -> Choice:
    return Choice(
        trials=of,
        undistinguished=of[:undistinguished],
        equivalent=of[:equivalent],
        detectable=0.05,
        basis=basis,
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


ONE = "One configuration of s/a is complete: nothing to choose from."
"""Sentence about a sweep with one complete trial."""


@pytest.mark.parametrize(
    ("test", "headline", "label", "advice"),
    [
        pytest.param(
            pair("better"),
            "a is significantly better than b: an expected accuracy of 0.9500, 2.0 points above b"
            " (p < 0.001).",
            ("yes", "Significantly better than the runner-up"),
            None,
            id="the interval excludes 0",
        ),
        pytest.param(
            pair("better", unequal="6 epochs against 4 epochs"),
            "a is significantly better than b (6 epochs against 4 epochs): an expected accuracy"
            " of 0.9500, 2.0 points above b (p < 0.001).",
            ("yes", "Significantly better than the runner-up"),
            None,
            id="and the budgets differ",
        ),
        pytest.param(
            pair("slightly better", 0.005),
            "a is negligibly better than b: an expected accuracy of 0.9500, 0.5 points"
            " above b (p = 0.012).",
            ("plain", "Negligibly better"),
            None,
            id="the interval excludes 0 and lies within the region of practical equivalence",
        ),
        pytest.param(
            pair("equivalent", 0.002),
            "a and b are equivalent: an expected accuracy of 0.9500 and an expected accuracy of"
            " 0.9300; they differ by less than 1.0 point.",
            ("plain", "Equivalent: take either"),
            None,
            id="within the region of practical equivalence",
        ),
        pytest.param(
            pair("inconclusive", repeats=4),
            "Nothing can be decided: a is ahead with an expected accuracy of 0.9500, 2.0 points"
            " above b, but only true differences of at least 3.0 points are detected reliably"
            " (power 80 %).",
            ("no", "Inconclusive: do not call it better"),
            "If the gap is as large as it looks, finals of 4 repeats decide it with a chance of"
            " 80 %",
            id="inconclusive, and repeats would decide it",
        ),
        pytest.param(
            pair("inconclusive", 0.0001),
            "Nothing can be decided: a is ahead with an expected accuracy of 0.9500, 0.01 points"
            " above b, but only true differences of at least 3.0 points are detected reliably"
            " (power 80 %).",
            ("no", "Inconclusive: do not call it better"),
            None,
            id="inconclusive, and no number of repeats would",
        ),
        pytest.param(
            pair("inconclusive", 0.0),
            "Nothing can be decided: a and b are level with an expected accuracy of 0.9500;"
            " only true differences of at least 3.0 points are detected reliably (power 80 %).",
            ("no", "Inconclusive: do not call it better"),
            None,
            id="no difference at all",
        ),
        pytest.param(
            pair("untested", basis="not tested: other rows or folds"),
            "Not tested (other rows or folds): a is first with an expected accuracy of 0.9500,"
            " before b with an expected accuracy of 0.9300.",
            ("no", "Not tested"),
            "To decide it, cross-validate the best of each again on the same fresh folds",
            id="nothing to test on",
        ),
    ],
)
def test_the_first_two_rows_are_said_first(
    test: PairwiseTest, headline: str, label: tuple[str, str], advice: str | None
) -> None:
    found = comparison(test)
    assert words.headline(found) == headline
    assert words.belief(found) == label
    assert words.advice(found) == advice


def test_of_an_open_pair_beside_a_decided_one_it_is_not_said_that_nothing_is_decided() -> None:
    found = comparison(pair("inconclusive"), pair("better", b="c"))
    assert words.headline(found).startswith("Inconclusive: a is ahead with an expected accuracy")


INTERVAL = (
    f"a minus b: +0.0200, 95 % interval -0.0050 to +0.0450, from {BASIS}.",
    "With these folds and trials a true difference of 3.0 points would have been detected with a"
    " chance of 80 %.",
)


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        pytest.param(
            (pair("better"),),
            [f"a minus b: +0.0200, 95 % interval +0.0050 to +0.0350, from {BASIS}."],
            id="a decided pair: its interval",
        ),
        pytest.param(
            (pair("inconclusive", repeats=2),), [*INTERVAL], id="an open pair: what it could see"
        ),
        pytest.param(
            (pair("inconclusive"),),
            [
                INTERVAL[0],
                f"{INTERVAL[1]} Even 64 repeats of these folds are too few for a gap as small as"
                " that between a and b: use more rows, or choose by simplicity or cost.",
            ],
            id="an open pair that repeats do not decide",
        ),
        pytest.param(
            (
                pair("inconclusive", repeats=2),
                pair("inconclusive", b="c", detectable=0.041),
                pair("better", b="d"),
                pair("better", b="e"),
                pair("slightly better", b="f"),
                pair("equivalent", b="g"),
                pair("untested", b="h"),
            ),
            [
                INTERVAL[0],
                "a is significantly better than d and e; negligibly better than f;"
                " equivalent to g; not yet distinguished from b and c; not tested against h.",
                "With these folds and trials a true difference of 3.0 to 4.1 points,"
                " depending on the test,"
                " would have been detected with a chance of 80 %.",
            ],
            id="many rows: all verdicts against the first",
        ),
        pytest.param((pair("untested"),), [], id="not tested"),
    ],
)
def test_what_the_tests_say(tests: tuple[PairwiseTest, ...], said: list[str]) -> None:
    assert words.sentences(comparison(*tests)) == said
    assert words.choice_sentences(comparison(*tests)) == [ONE]


@pytest.mark.parametrize(
    ("of", "said"),
    [
        pytest.param(choice(trials(LARGE), 1, 1), [ONE], id="one complete trial"),
        pytest.param(
            choice(trials(LARGE), 1, 1, "in the finals"),
            ["One configuration of s/a was in the finals: nothing to choose from."],
            id="one finalist",
        ),
        pytest.param(
            choice(trials(LARGE, SMALL), 1, 1),
            [
                "Of 2 complete configurations of s/a, s/a trial 0 is significantly better than"
                " every other on the sweep's own 5 folds.",
                "No other is shown to be equivalent to it, within 1.0 point.",
            ],
            id="the best is better than every other",
        ),
        pytest.param(
            choice(trials(LARGE, 9000, SMALL), 3, 1),
            [
                "The other 2 complete configurations of s/a are not yet distinguished from"
                " the best, s/a trial 0, on the sweep's own 5 folds: only true differences of at"
                " least 5.0 points are detected reliably (power 80 %). That does not mean equal.",
                "No other is shown to be equivalent to it, within 1.0 point.",
            ],
            id="lack of power: nothing is distinguished and nothing is equivalent",
        ),
        pytest.param(
            choice(trials(LARGE, SMALL), 2, 1),
            [
                "The other complete configuration of s/a is not yet distinguished from"
                " the best, s/a trial 0, on the sweep's own 5 folds: only true differences of at"
                " least 5.0 points are detected reliably (power 80 %). That does not mean equal.",
                "No other is shown to be equivalent to it, within 1.0 point.",
            ],
            id="two trials",
        ),
        pytest.param(
            choice(trials(LARGE, 9000, SMALL, 100), 3, 3),
            [
                "2 of the other 3 complete configurations of s/a are not yet distinguished from"
                " the best, s/a trial 0, on the sweep's own 5 folds: only true differences of at"
                " least 5.0 points are detected reliably (power 80 %). That does not mean equal.",
                "2 others are shown to be equivalent to it, within 1.0 point; the smallest, s/a"
                " trial 2, has 4,380 parameters instead of 44,758.",
            ],
            id="a smaller one is equivalent",
        ),
        pytest.param(
            choice(trials(SMALL, LARGE), 1, 2),
            [
                "Of 2 complete configurations of s/a, s/a trial 0 is significantly better than"
                " every other on the sweep's own 5 folds, only negligibly than some.",
                "1 other is shown to be equivalent to it, within 1.0 point; the best is also the"
                " smallest.",
            ],
            id="negligibly better, and the smallest itself",
        ),
        pytest.param(
            choice(trials(0, 0, seconds=20.0), 1, 2),
            [
                "Of 2 complete configurations of s/a, s/a trial 0 is significantly better than"
                " every other on the sweep's own 5 folds, only negligibly than some.",
                "1 other is shown to be equivalent to it, within 1.0 point; the fastest, s/a"
                " trial 1, trains in 10 s instead of 20 s.",
            ],
            id="estimators have no parameters: the fastest",
        ),
    ],
)
def test_what_is_said_of_the_configurations(of: Choice, said: list[str]) -> None:
    assert words.choice_sentences(comparison(of=of)) == said


@pytest.mark.parametrize(
    ("of", "baseline", "said"),
    [
        (choice(trials(LARGE, SMALL), 1, 1), None, "a reaches an expected accuracy of 0.9500."),
        (
            choice(trials(LARGE, SMALL), 2, 1),
            None,
            "Nothing can be decided between its configurations: a reaches an expected accuracy of"
            " 0.9500.",
        ),
        (
            choice(trials(LARGE, SMALL), 1, 1),
            0.9,
            "a reaches an expected accuracy of 0.9500. The baseline, kong/w_net, has 0.9000 on the"
            " same folds.",
        ),
    ],
)
def test_one_sweep_alone(of: Choice, baseline: float | None, said: str) -> None:
    alone = row("a", 0.95)
    if baseline is not None:
        folds = (baseline - 0.01, baseline + 0.01)
        base = cases.trial(7, folds, name="s/a", origin="kong/w_net")
        alone = replace(alone, sweep=replace(alone.sweep, trials=(alone.best, base)))
    found = comparison(of=of, rows=(alone,))
    assert words.headline(found) == said
    assert words.belief(found) == ("plain", "One sweep: nothing to compare it with")
    assert words.advice(found) is None


def test_what_was_selected_on_test_rows_is_said_to_be_too_good() -> None:
    rows = row("a", 0.95), row("b", 0.93, selected_on_test=True)
    assert words.sentences(comparison(pair("untested"), rows=rows))[-1] == (
        "b was selected on test rows, so its scores are optimistically biased."
    )


@pytest.mark.parametrize(
    ("state", "end"),
    [("FAIL", "."), ("PRUNED", "; selection by early stopping is not corrected.")],
)
def test_what_the_best_is_expected_to_be_on_fresh_data(state: str, end: str) -> None:
    first = row("a", 0.95)
    values = {
        names.bootstrap_key("val_accuracy"): 0.9412,
        names.bootstrap_low_key("val_accuracy"): 0.92,
        names.bootstrap_high_key("val_accuracy"): 0.963,
        names.bootstrap_trials_key("val_accuracy"): 1.0,
    }
    both = (first.best, cases.trial(1, state, name="s/a"))
    first = replace(first, sweep=replace(first.sweep, values=values, trials=both))
    assert words.fresh_data(first) == (
        "On fresh data the best of s/a is expected to have accuracy 0.9412, 95 % interval 0.9200"
        f" to 0.9630: bootstrap over 1 complete of 2 trials{end}"
    )
    by_loss = replace(first, sweep=replace(first.sweep, measure=cases.LOSS))
    assert by_loss.bootstrap is None


@pytest.mark.parametrize(("constant", "shown"), [(0.9, True), (0.93, False), (0.97, False)])
def test_the_best_is_compared_with_a_constant_prediction(constant: float, shown: bool) -> None:
    first = row("a", 0.95)
    values = {
        names.constant_key("val_accuracy"): constant,
        names.bootstrap_key("val_accuracy"): 0.9412,
        names.bootstrap_low_key("val_accuracy"): 0.92,
        names.bootstrap_high_key("val_accuracy"): 0.963,
        names.bootstrap_trials_key("val_accuracy"): 1.0,
    }
    first = replace(first, sweep=replace(first.sweep, values=values))
    (said,) = words.sentences(comparison(rows=(first,)))
    assert f" has accuracy {constant:.4f} on these folds; a is " in said
    assert ("not shown to be better" in said) != shown
    finals = replace(comparison(rows=(first,)), in_finals=True)
    assert words.sentences(finals) == []


def test_a_row_in_the_finals_is_said_by_them() -> None:
    first = row("a", 0.95)
    finals = measured("s/a", first.best.number, 0.97, 0.98)
    found = comparison(rows=(replace(first, finalists=(finals,)),))
    assert words.score(found.rows[0], replace(found, in_finals=True)) == (
        "accuracy 0.9750 in the finals"
    )


@pytest.mark.parametrize(
    ("objective", "least"), [(ACCURACY, "1.0 point"), (ROC_AUC, "0.0100"), (RMSE, "0.5000")]
)
def test_how_the_table_is_to_be_read(objective: Objective, least: str) -> None:
    said = words.level(comparison(objective=objective))
    assert said == (
        "Intervals are simultaneous 95 % confidence intervals of all differences (Tukey's"
        " studentised range, corrected for overlapping training parts); p is adjusted in the same"
        f" way. Significantly better: the interval excludes 0. Equivalent: it lies within {least}."
        " Negligibly better: both."
    )


def test_where_lower_is_better_that_is_said() -> None:
    found = comparison(pair("better", -2.0), objective=RMSE)
    assert "2.0000 below b" in words.headline(found)
    assert words.direction(found) == "rmse, lower is better"


def test_no_two_sentences_of_one_page_contradict_each_other() -> None:
    """For every verdict, only the interval can show equivalence, never low power."""
    for verdict in words.VERDICTS:
        found = comparison(pair(verdict), of=choice(trials(LARGE, SMALL), 2, 1))
        said = [*words.sentences(found), *words.choice_sentences(found)]
        page = " ".join([words.headline(found), *said])
        assert ("equivalent: an" in page) == (verdict == "equivalent")
        assert ("significantly better than b" in page) == (verdict == "better")
        assert str(SMALL) not in page.replace(",", "")  # no sentence recommends the small one
        for old in ("really", "cannot be told", "luck", "Believe"):
            assert old not in page


def test_tags_of_a_budget_name_it() -> None:
    given = row("a", 0.95, tags={names.TAG_RESOURCE: "50 epochs", names.TAG_TRIALS: "30"})
    assert (given.sweep.resource, given.sweep.asked) == ("50 epochs", 30)
