"""Every sentence that a comparison can produce, with the situation that yields it."""

from dataclasses import replace
from typing import get_args

import pytest

from analysis import words
from analysis.comparison import Choice, PairwiseTest, Verdict
from analysis.configurations import choice_sentences
from analysis.rows import Row
from foldsweep import names
from foldsweep.objective import Objective
from tests.analysis import cases
from tests.analysis.cases import ACCURACY, RMSE, ROC_AUC, measured
from tests.analysis.compared import (
    BASIS,
    LARGE,
    ONE,
    SMALL,
    choice,
    comparison,
    pair,
    row,
    trials,
)
from tests.refusals import said_as, text

FIRST = text("words.expected-score", metric="accuracy", score="0.9500")
SECOND = text("words.expected-score", metric="accuracy", score="0.9300")
"""Scores of the first two rows, as a sentence names them."""


def above(difference: str) -> str:
    return text("words.above", difference=difference, other="b")


def label(state: str, kind: str, **values: str) -> tuple[str, str]:
    return state, text(kind, **values)


DOUBTED = label("no", "words.belief-inconclusive", best="a", other="b")
"""Label of an inconclusive comparison."""


def ahead(gap: str) -> str:
    return text("words.ahead", best="a", budgets="", score=FIRST, gap=above(gap))


def better(kind: str, gap: str, *, p: str, budgets: str = "") -> str:
    return text(kind, best="a", other="b", budgets=budgets, score=FIRST, gap=above(gap), p=p)


@pytest.mark.parametrize(
    ("test", "headline", "label", "advice"),
    [
        pytest.param(
            pair("better"),
            better("words.better", "2.0 percentage points", p="< 0.001"),
            label("yes", "words.belief-better"),
            None,
            id="the interval excludes 0",
        ),
        pytest.param(
            pair("better", unequal="6 epochs against 4 epochs"),
            better(
                "words.better",
                "2.0 percentage points",
                p="< 0.001",
                budgets=" (6 epochs against 4 epochs)",
            ),
            label("yes", "words.belief-better"),
            None,
            id="and the budgets differ",
        ),
        pytest.param(
            pair("slightly better", 0.005),
            better("words.slightly-better", "0.5 percentage points", p="= 0.012"),
            label("plain", "words.belief-slightly-better"),
            None,
            id="the interval excludes 0 and lies within the region of practical equivalence",
        ),
        pytest.param(
            pair("equivalent", 0.002),
            text(
                "words.equivalent",
                best="a",
                other="b",
                budgets="",
                score=FIRST,
                other_score=SECOND,
                limit="1.0 percentage point",
            ),
            label("plain", "words.belief-equivalent"),
            None,
            id="within the region of practical equivalence",
        ),
        pytest.param(
            pair("inconclusive", repeats=4),
            text("words.nothing-decided", finding=ahead("2.0 percentage points")),
            DOUBTED,
            text("words.advice-finals", repeats="4 repeats"),
            id="inconclusive, and repeats would decide it",
        ),
        pytest.param(
            pair("inconclusive", 0.0001),
            text("words.nothing-decided", finding=ahead("0.01 percentage points")),
            DOUBTED,
            None,
            id="inconclusive, and no number of repeats would",
        ),
        pytest.param(
            pair("inconclusive", 0.0),
            text(
                "words.nothing-decided",
                finding=text(
                    "words.level",
                    best="a",
                    other="b",
                    budgets="",
                    score=FIRST,
                ),
            ),
            DOUBTED,
            None,
            id="no difference at all",
        ),
        pytest.param(
            pair("untested", basis=text("comparison.other-folds")),
            text(
                "words.untested",
                reason=text("comparison.other-folds"),
                best="a",
                score=FIRST,
                other="b",
                other_score=SECOND,
            ),
            label("no", "words.belief-untested"),
            text("words.advice-folds"),
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
    assert words.headline(found) == text(
        "words.inconclusive", finding=ahead("2.0 percentage points")
    )


def interval(low: str, high: str, *, models: int = 2) -> str:
    ends = {"low": low, "high": high, "unit": " percentage points"}
    adjusted = text("words.adjusted", models=models) if models > 2 else ""
    return text("words.interval", a="a", b="b", basis=BASIS, adjusted=adjusted, **ends)


OPEN = interval("-0.50", "+4.50")
"""Sentence about an inconclusive pair."""
SEEN = text("words.detectable", difference="3.0 percentage points")
"""Sentence about what an inconclusive first pair could see."""
UNSETTLED = text("words.repeats-too-few", most=64)
EQUAL = text("words.equal-cost")


FINDINGS = (
    text("words.against-better", others="d and e"),
    text("words.against-slightly-better", others="f"),
    text("words.against-equivalent", others="g"),
    text("words.against-inconclusive", others="b or c"),
    text("words.against-untested", others="h"),
)


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        pytest.param(
            (pair("better"),),
            [interval("+0.50", "+3.50")],
            id="a decided pair: its interval",
        ),
        pytest.param(
            (pair("inconclusive", repeats=2),), [OPEN, SEEN], id="an open pair: what it could see"
        ),
        pytest.param(
            (pair("better"), pair("inconclusive", b="c")),
            [
                interval("+0.50", "+3.50", models=3),
                SEEN,
                text(
                    "words.against-all",
                    best="a",
                    findings="; ".join(
                        (
                            text("words.against-better", others="b"),
                            text("words.against-inconclusive", others="c"),
                        )
                    ),
                ),
            ],
            id="an open pair after a decided one: what it could see",
        ),
        pytest.param(
            (pair("inconclusive"),),
            [OPEN, SEEN, f"{UNSETTLED} {EQUAL}"],
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
                interval("-0.50", "+4.50", models=8),
                SEEN,
                text("words.against-all", best="a", findings="; ".join(FINDINGS)),
            ],
            id="many rows: all verdicts against the first",
        ),
        pytest.param((pair("untested"),), [], id="not tested"),
    ],
)
def test_what_the_tests_say(tests: tuple[PairwiseTest, ...], said: list[str]) -> None:
    assert words.sentences(comparison(*tests)) == said
    assert choice_sentences(comparison(*tests)) == [ONE]


ALONE = text("words.alone", name="a", score=FIRST)


@pytest.mark.parametrize(
    ("of", "baseline", "said"),
    [
        (choice(trials(LARGE, SMALL), 1, 1), None, ALONE),
        (
            choice(trials(LARGE, SMALL), 2, 1),
            None,
            text("words.no-configuration-decided", finding=ALONE),
        ),
        (
            choice(trials(LARGE, SMALL), 1, 1),
            0.9,
            f"{ALONE} {text('words.baseline', origin='kong/w_net', score='0.9000')}",
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
    assert words.belief(found) == label("plain", "words.belief-alone")
    assert words.advice(found) is None


def test_what_was_selected_on_test_rows_is_said_to_be_too_good() -> None:
    rows = row("a", 0.95), row("b", 0.93, selected_on_test=True)
    (said,) = words.sentences(comparison(pair("untested"), rows=rows))
    assert said == text("words.selected-on-test-rows", name="b")


def bootstrapped(state: str = "FAIL") -> Row:
    """Return a row of two trials whose expected score comes from the bootstrap."""
    first = row("a", 0.95)
    values = {
        names.bootstrap_key("val_accuracy"): 0.9412,
        names.bootstrap_low_key("val_accuracy"): 0.92,
        names.bootstrap_high_key("val_accuracy"): 0.963,
        names.bootstrap_trials_key("val_accuracy"): 1.0,
    }
    both = (first.best, cases.trial(1, state, name="s/a"))
    swept = replace(first.sweep, values=values, trials=both)
    return replace(first, sweep=swept, expected=0.9412)


@pytest.mark.parametrize(
    ("state", "caveat"),
    [("FAIL", ""), ("PRUNED", text("words.early-stopping-uncorrected", of=""))],
)
def test_expected_scores_are_explained(state: str, caveat: str) -> None:
    compared = comparison(rows=(bootstrapped(state),))
    assert words.expected(compared) == text("words.expected-with-interval", caveat=caveat)
    assert words.expected(comparison(rows=(row("a", 0.95),))) == text("words.expected")


def test_models_with_early_stopping_are_named_if_others_had_none() -> None:
    both = comparison(rows=(bootstrapped("PRUNED"), replace(bootstrapped(), name="b")))
    caveat = text("words.early-stopping-uncorrected", of=" (a)")
    assert words.expected(both) == text("words.expected-with-interval", caveat=caveat)


def test_only_an_expected_score_from_the_bootstrap_has_its_interval() -> None:
    first = bootstrapped()
    assert first.expected_interval == (0.92, 0.963)
    assert replace(first, expected=0.94).expected_interval is None
    by_loss = replace(first, sweep=replace(first.sweep, measure=cases.LOSS))
    assert by_loss.bootstrap is None
    assert by_loss.expected_interval is None


@pytest.mark.parametrize(("score", "outside"), [(0.93, False), (0.91, True), (0.97, True)])
def test_a_score_on_test_rows_outside_the_expected_interval_is_said(
    score: float, outside: bool
) -> None:
    first = replace(bootstrapped(), test=measured("s/a", 0, score, score))
    first.sweep.tags[names.TAG_TEST_ROWS] = "89"
    said = text("words.outside-on-test-rows", rows=89, name="a", score=f"{score:.4f}")
    assert (said in words.sentences(comparison(rows=(first,)))) == outside


def beside_constant(row: Row, constant: float) -> Row:
    """Return a row with this score of a constant prediction, and an interval from its score."""
    values = {
        names.constant_key("val_accuracy"): constant,
        names.bootstrap_key("val_accuracy"): row.expected,
        names.bootstrap_low_key("val_accuracy"): row.expected - 0.03,
        names.bootstrap_high_key("val_accuracy"): row.expected + 0.03,
        names.bootstrap_trials_key("val_accuracy"): 1.0,
    }
    return replace(row, sweep=replace(row.sweep, values=values))


def test_a_best_that_is_better_than_a_constant_prediction_says_so_last() -> None:
    rows = beside_constant(row("a", 0.95), 0.9), beside_constant(row("b", 0.9), 0.9)
    found = words.sentences(comparison(pair("better"), rows=rows))
    better = text("words.better-than-constant", best="a", metric="accuracy", score="0.9000")
    assert found[-1] == better
    finals = replace(comparison(rows=rows[:1]), in_finals=True)
    assert words.sentences(finals) == []


def test_if_no_model_is_better_than_a_constant_prediction_that_is_the_headline() -> None:
    rows = beside_constant(row("a", 0.95), 0.93), beside_constant(row("b", 0.93), 0.93)
    both = comparison(pair("inconclusive"), rows=rows)
    of = {"metric": "accuracy", "score": "0.9300"}
    assert words.headline(both) == text("words.nothing-learned", **of)
    assert words.belief(both) == label("no", "words.belief-nothing-learned")
    first, second, *_ = words.sentences(both)
    assert first == text("words.nothing-decided", finding=ahead("2.0 percentage points"))
    assert second == text("words.other-objective")
    assert not said_as("words.repeats-too-few").search(" ".join(words.sentences(both)))
    alone = comparison(rows=rows[:1])
    assert words.headline(alone) == text("words.not-better-than-constant", best="a", **of)


def test_if_only_the_best_may_be_no_better_than_a_constant_prediction_that_is_said_first() -> None:
    rows = beside_constant(row("a", 0.95), 0.93), row("b", 0.93)
    both = comparison(pair("better"), rows=rows)
    assert words.headline(both) == better("words.better", "2.0 percentage points", p="< 0.001")
    assert words.sentences(both)[0] == text(
        "words.not-better-than-constant", best="a", metric="accuracy", score="0.9300"
    )


def test_a_row_in_the_finals_is_said_by_them() -> None:
    first = row("a", 0.95)
    finals = measured("s/a", first.best.number, 0.97, 0.98)
    found = comparison(rows=(replace(first, finalists=(finals,)),))
    assert words.score(found.rows[0], replace(found, in_finals=True)) == text(
        "words.finals-score", metric="accuracy", score="0.9750"
    )


@pytest.mark.parametrize(
    ("objective", "least"),
    [(ACCURACY, "1.0 percentage point"), (ROC_AUC, "0.0100"), (RMSE, "0.5000")],
)
def test_how_the_table_is_to_be_read(objective: Objective, least: str) -> None:
    both = comparison(pair("inconclusive"), pair("better", b="c"), objective=objective)
    assert words.level(both) == " ".join(
        (
            text("words.intervals"),
            text("words.meaning-better"),
            text("words.meaning-inconclusive", limit=least),
        )
    )
    others = comparison(pair("slightly better"), pair("equivalent", b="c"), objective=objective)
    assert words.level(others) == " ".join(
        (
            text("words.intervals"),
            text("words.meaning-slightly-better", limit=least),
            text("words.meaning-equivalent", limit=least),
        )
    )


@pytest.mark.parametrize(
    ("sizes", "seconds", "said"),
    [
        (
            (LARGE, SMALL),
            (1.0, 2.0),
            text(
                "words.fewer-parameters",
                cheaper="b",
                parameters=f"{SMALL:,}",
                other="a",
                others=f"{LARGE:,}",
            ),
        ),
        ((SMALL, SMALL), (1.0, 2.0), EQUAL),
        ((0, 0), (1.05, 1.0), EQUAL),
        (
            (SMALL, 0),
            (5.0, 2.5),
            text("words.less-time", cheaper="b", seconds="2.5", other="a", others="5.0"),
        ),
    ],
)
def test_the_cheaper_of_two_undecided_rows_is_named(
    sizes: tuple[int, int], seconds: tuple[float, float], said: str
) -> None:
    rows = tuple(
        replace(
            one,
            best=replace(
                one.best, values=one.best.values | {"num_params": size, "train_time_s": time}
            ),
        )
        for one, size, time in zip((row("a", 0.95), row("b", 0.93)), sizes, seconds, strict=True)
    )
    found = words.sentences(comparison(pair("inconclusive"), rows=rows))
    assert found[-1] == f"{UNSETTLED} {said}"


def test_where_lower_is_better_that_is_said() -> None:
    found = comparison(pair("better", -2.0), objective=RMSE)
    assert text("words.below", difference="2.0000", other="b") in words.headline(found)
    assert words.direction(found) == text("words.direction", metric="rmse", better="lower")


def test_no_two_sentences_of_one_page_contradict_each_other() -> None:
    """For every verdict, only the interval can show equivalence, never low power."""
    for verdict in get_args(Verdict):
        found = comparison(pair(verdict), of=choice(trials(LARGE, SMALL), 2, 1))
        said = [*words.sentences(found), *choice_sentences(found)]
        page = " ".join([words.headline(found), *said])
        for kind in ("equivalent", "better"):
            assert bool(said_as(f"words.{kind}").search(page)) == (verdict == kind)
        assert str(SMALL) not in page.replace(",", "")  # no sentence recommends the small one


def test_tags_of_a_budget_name_it() -> None:
    given = row("a", 0.95, tags={names.TAG_RESOURCE: "50 epochs", names.TAG_TRIALS: "30"})
    assert (given.sweep.resource, given.sweep.asked) == ("50 epochs", 30)
