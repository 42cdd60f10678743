import json
from dataclasses import replace

import numpy as np
import pytest

from analysis import words
from analysis.comparison import compare
from analysis.configurations import choice_sentences
from analysis.records import as_dict
from analysis.rows import budgets
from analysis.significance import difference, fold_noise
from foldsweep import names
from foldsweep.numbers import shown, signed
from tests.analysis import cases
from tests.analysis.cases import ACCURACY, RMSE, ROC_AUC, measured
from tests.refusals import said_as, text

RNG = np.random.default_rng(0)
SHARED = RNG.normal(0, 0.01, 5)
"""Effect of each fold on all trials: some folds are harder."""


def trial(sweep, number, mean, *, params=1000.0, noise=0.004, measure=ACCURACY, **options):
    scale = 100 if measure is RMSE else 1
    own = np.random.default_rng([number, len(sweep), ord(sweep[-1])]).normal(0, noise, 5)
    folds = tuple(float(mean + scale * value) for value in SHARED + own - own.mean())
    options = {"config": {"lr": 0.1}, "num_params": params, "train_time_s": 2.0, **options}
    return cases.trial(number, folds, name=sweep, measure=measure, **options)


def sweep(variant, *means, trials=None, objective=ACCURACY, name="s", **more):
    name = f"{name}/{variant}"
    if trials is None:
        trials = [trial(name, i, mean, measure=objective) for i, mean in enumerate(means)]
    return cases.sweep(name, *trials, objective=objective, **{"fold_rows": 200, **more})


def comparison(*sweeps, **options):
    return compare(sweeps, **options)


def expected_score(metric, score):
    return text("words.expected-score", metric=metric, score=score)


def test_rows_are_ordered_and_all_are_tested_against_each_other():
    found = comparison(sweep("a", 0.8, 0.7), sweep("c", 0.95, 0.9), sweep("b", 0.85, 0.8))
    assert [row.name for row in found.rows] == ["c", "b", "a"]
    assert [(p.a, p.b) for p in found.tests] == [("c", "b"), ("c", "a"), ("b", "a")]
    assert all(p.difference.mean > 0 for p in found.tests)


def test_the_noise_is_that_of_all_trials_on_the_same_folds():
    sweeps = sweep("a", 0.8, 0.7), sweep("c", 0.95, 0.9), sweep("b", 0.85, judged_on="others")
    found = comparison(*sweeps)
    by_name = {row.name: row for row in found.rows}
    scores = np.array([t.folds for s in sweeps[:2] for t in s.trials])
    noise = fold_noise(scores, overlap=1 / 4, resolution=1 / 200)
    order = [t.label for s in sweeps[:2] for t in s.trials]
    i, j = (order.index(by_name[name].best.label) for name in ("c", "a"))
    gap = by_name["c"].expected - by_name["a"].expected
    want = difference(gap, noise.error(i, j), df=noise.df, rows=3)
    (test,) = [t for t in found.tests if {t.a, t.b} == {"a", "c"}]
    assert (test.difference.low, test.difference.p) == pytest.approx((want.low, want.p))


def test_a_clear_winner_is_significantly_better():
    found = comparison(sweep("a", 0.8, 0.79), sweep("b", 0.95, 0.94))
    assert found.tests[0].verdict == "better"
    score = expected_score("accuracy", f"{found.rows[0].expected:.4f}")
    said = said_as("words.better", best="b", other="a", budgets="", score=score)
    assert said.fullmatch(words.headline(found))
    assert words.belief(found)[0] == "yes"
    assert words.advice(found) is None


def test_selection_bias_is_taken_off_before_two_bests_are_compared():
    """The best of forty equal configurations seems better than a single one of them."""
    rng = np.random.default_rng(7)
    many = [
        cases.trial(i, tuple(0.9 + SHARED + rng.normal(0, 0.02, 5)), name="s/many")
        for i in range(40)
    ]
    found = comparison(sweep("one", 0.9), sweep("many", trials=tuple(many)))
    row = next(row for row in found.rows if row.name == "many")
    assert row.best.score - row.expected > 0.01
    assert found.tests[0].verdict == "inconclusive"
    assert abs(found.tests[0].difference.mean) < 0.01


def bootstrapped(variant, *means, value, trials=None, **more):
    key = "val_accuracy"
    values = {
        names.bootstrap_key(key): value,
        names.bootstrap_low_key(key): value - 0.02,
        names.bootstrap_high_key(key): value + 0.02,
        names.bootstrap_trials_key(key): float(len(means) if trials is None else trials),
    }
    return sweep(variant, *means, values=values, **more)


def test_rows_are_worth_what_the_bootstrap_says_where_all_have_one():
    both = bootstrapped("a", 0.9, 0.89, value=0.88), bootstrapped("b", 0.89, 0.88, value=0.885)
    found = comparison(*both)
    assert [(row.name, row.expected) for row in found.rows] == [("b", 0.885), ("a", 0.88)]
    assert found.tests[0].difference.mean == pytest.approx(0.005)
    alone = comparison(both[0], sweep("c", 0.7))  # a single trial has no selection bias
    assert [row.expected for row in alone.rows] == pytest.approx([0.88, 0.7], abs=1e-3)


def test_estimates_of_two_kinds_are_not_compared():
    kept = bootstrapped("a", 0.9, 0.89, value=0.5)
    found = comparison(kept, sweep("b", 0.8, 0.7))
    assert found.rows[0].name == "a"
    assert found.rows[0].expected > 0.8
    filtered = bootstrapped("a", 0.9, 0.89, value=0.5, trials=12)  # of other trials than these
    assert comparison(filtered).rows[0].bootstrap is None
    assert comparison(filtered).rows[0].expected > 0.8


def test_p_value_and_interval_are_of_one_test():
    """No pair has, for example, p = 0.067 beside an interval far from zero."""
    means = 0.80, 0.805, 0.81, 0.83, 0.86
    found = comparison(*(sweep(name, mean) for name, mean in zip("abcde", means, strict=True)))
    assert {test.verdict for test in found.tests} == {"better", "inconclusive"}
    for test in found.tests:
        assert (test.difference.low > 0) == (test.difference.p < 0.05)
        assert (test.verdict == "better") == (test.difference.low > 0)


def test_a_loss_of_seventeen_points_is_never_called_equal_to_the_best():
    """Few folds of few rows are inconclusive, which is no reason to choose the smaller model."""
    rng = np.random.default_rng(0)
    wild = [(0.94, 44758.0), (0.90, 30000.0), (0.88, 20000.0), (0.80, 9000.0), (0.769, 4380.0)]
    noise = [own - own.mean() for own in rng.normal(0, 0.12, (5, 3))]
    trials = tuple(
        cases.trial(i, tuple(mean + noise[i]), name="s/a", num_params=size)
        for i, (mean, size) in enumerate(wild)
    )
    found = comparison(sweep("a", trials=trials))
    poor = found.choice.trials[-1]
    assert poor in found.choice.undistinguished
    assert found.choice.equivalent == found.choice.trials[:1]
    (open_,) = choice_sentences(found)
    all_ = "5 complete configurations"
    pattern = said_as("words.none-distinguished", configurations=all_)
    assert pattern.fullmatch(open_)


def test_the_sets_are_of_the_best_rows_sweep_so_that_no_verdict_contradicts_them():
    """Trials of a significantly worse row are in neither set."""
    found = comparison(sweep("a", 0.90, 0.80), sweep("b", 0.95, 0.949))
    assert found.tests[0].verdict == "better"
    assert {t.sweep for t in found.choice.trials} == {"s/b"}
    twice = tuple(measured("s/b", i, 0.95, 0.95, 0.951) for i in (0, 1))
    solid = sweep("b", 0.95, 0.949, finals=twice)
    lucky = sweep("a", 0.955, finals=(measured("s/a", 0, 0.80, 0.80, 0.801),))
    found = comparison(solid, lucky)
    assert found.tests[0].verdict == "better"
    assert {t.sweep for t in found.choice.undistinguished} == {"s/b"}
    assert found.choice.in_finals
    assert found.choice.basis == text("comparison.in-finals")


def test_what_differs_by_next_to_nothing_is_equivalent():
    found = comparison(sweep("a", 0.9), sweep("b", 0.9003), rope=0.05)
    assert found.tests[0].verdict == "equivalent"
    found = comparison(sweep("a", 0.9), sweep("b", 0.92), rope=0.05)
    assert found.tests[0].verdict == "slightly better"
    assert comparison(sweep("a", 0.9), sweep("b", 0.92), rope=0.0).tests[0].verdict == "better"


def test_other_folds_are_not_tested_against():
    found = comparison(sweep("a", 0.9), sweep("b", 0.8, judged_on="others"))
    assert found.tests[0].verdict == "untested"
    assert found.tests[0].difference is None
    reason = text("comparison.other-folds")
    said = said_as("words.untested", reason=reason, best="a", other="b")
    assert said.fullmatch(words.headline(found))


def test_what_was_selected_on_test_rows_is_not_tested():
    found = comparison(sweep("a", 0.9), sweep("b", 0.8, selected_on_test=True))
    assert found.tests[0].verdict == "untested"
    assert text("words.selected-on-test-rows", name="b") in words.sentences(found)


def test_time_ordered_folds_bring_their_own_overlap():
    plain = comparison(sweep("a", 0.9), sweep("b", 0.93)).tests[0].difference
    tags = {names.TAG_OVERLAP: "0.5"}
    wide = comparison(sweep("a", 0.9, tags=tags), sweep("b", 0.93, tags=tags)).tests[0].difference
    grown = np.sqrt((1 / 5 + 0.5) / (1 / 5 + 1 / 4))
    assert (wide.high - wide.mean) == pytest.approx((plain.high - plain.mean) * grown)


# Equal footing ----------------------------------------------------------------------------------


def budget(variant, *means, epochs=30, trials=30, name="s", rows="1000"):
    tags = {
        names.TAG_TRAIN_ROWS: rows,
        names.TAG_RESOURCE: f"{epochs} epochs" if isinstance(epochs, int) else epochs,
        names.TAG_TRIALS: str(trials),
    }
    return sweep(variant, *means, name=name, tags=tags)


def test_sweeps_of_six_and_four_epochs_are_not_tested_as_if_budgets_were_equal():
    found = comparison(
        budget("a", 0.80, epochs=4, name="one"), budget("a", 0.95, epochs=6, name="other")
    )
    (test,) = found.tests
    assert (test.verdict, test.difference) == ("untested", None)
    reason = text("analysis-rows.budgets", a="6 epochs", b="4 epochs")
    assert words.basis(test) == text("words.test-left-out", reason=reason)
    said = said_as("words.untested", reason=reason, best="other/a")
    assert said.fullmatch(words.headline(found))
    assert budgets(found.rows) == ["6 epochs", "4 epochs"]


def test_spaces_of_one_command_are_tested_on_the_epochs_that_suit_each_and_the_verdict_says_so():
    found = comparison(budget("mlp", 0.80, epochs=50), budget("cnn", 0.95, epochs=30))
    (test,) = found.tests
    assert test.verdict == "better"
    budgets = f" ({text('analysis-rows.budgets', a='30 epochs', b='50 epochs')})"
    said = said_as("words.better", best="cnn", other="mlp", budgets=budgets)
    assert said.fullmatch(words.headline(found))
    assert words.verdict(test) == text("words.verdict-better") + budgets


def test_a_smoke_run_is_named_in_row_and_verdict():
    found = comparison(budget("a", 0.95, trials=30), budget("b", 0.80, trials=1, name="smoke"))
    better = text("words.verdict-better")
    trials = text("analysis-rows.trials", a=30, b=1)
    assert words.verdict(found.tests[0]) == f"{better} ({trials})"
    assert budgets(found.rows) == ["30 trials", "1 trial"]


def test_other_rows_and_folds_are_named_in_the_row():
    found = comparison(
        budget("a", 0.95, rows="2000"),
        replace(budget("b", 0.80), judged_on="others", num_folds=2),
    )
    assert budgets(found.rows) == ["5 folds, 2000 rows", "2 x 2 folds, 1000 rows"]
    assert budgets(comparison(budget("a", 0.9), budget("b", 0.8)).rows) == []


@pytest.mark.parametrize("resource", ["", "300 max_iter"])
def test_epochs_are_not_compared_with_one_fit_or_other_units(resource):
    found = comparison(budget("mlp", 0.8), budget("svm", 0.9, epochs=resource, name="other"))
    assert found.tests[0].difference is not None
    assert found.tests[0].unequal == ""
    assert budgets(found.rows) == []


def test_sweeps_without_the_record_have_the_epochs_of_their_networks():
    params = {"epochs": "30", "trials": "30"}
    network = trial("s/a", 0, 0.9, config={"epochs": 30, "lr": 0.1})
    assert sweep("a", trials=[network], params=params).resource == "30 epochs"
    assert sweep("svm", 0.9, params=params).resource == ""
    assert sweep("svm", 0.9, params=params).asked == 30


# Finals -----------------------------------------------------------------------------------------


def test_finals_decide_where_all_rows_were_in_the_same():
    lucky = sweep("lucky", 0.95, 0.94, finals=(measured("s/lucky", 0, 0.80, 0.82, 0.81),))
    solid = sweep("solid", 0.90, 0.89, finals=(measured("s/solid", 1, 0.92, 0.93, 0.925),))
    found = comparison(lucky, solid)
    assert found.in_finals
    assert [row.name for row in found.rows] == ["solid", "lucky"]
    assert (
        found.rows[0].best.number == 1
    )  # the winner of the finals, not the best trial of the sweep
    score = text("words.finals-score", metric="accuracy", score="0.9250")
    assert said_as("words.better", score=score).fullmatch(words.headline(found))
    assert found.tests[0].basis == text("comparison.of-finals", protocol="3 x 5 folds")
    assert not comparison(lucky, solid, finals=False).in_finals

    elsewhere = replace(lucky, finals=(measured("s/lucky", 0, 0.8, 0.8, protocol="other"),))
    assert not comparison(elsewhere, solid).in_finals
    assert [row.name for row in comparison(elsewhere, solid).rows] == ["lucky", "solid"]


def test_the_best_of_several_finalists_pays_for_its_selection_too():
    rng = np.random.default_rng(3)
    many = [measured("s/many", i, *(0.9 + rng.normal(0, 0.03, 15)), num_folds=5) for i in range(5)]
    one = measured("s/one", 0, *(0.9 + rng.normal(0, 0.03, 15)), num_folds=5)
    found = comparison(
        sweep("many", *[0.9] * 5, finals=tuple(many)), sweep("one", 0.9, finals=(one,))
    )
    rows = {row.name: row for row in found.rows}
    assert rows["many"].finals_score < rows["many"].finals.mean
    assert rows["one"].finals_score == pytest.approx(rows["one"].finals.mean)
    gap = rows["many"].finals_score - rows["one"].finals_score
    assert abs(found.tests[0].difference.mean) == pytest.approx(abs(gap))


def test_repeats_of_finals_with_fresh_rows_are_independent():
    def both(fresh):
        rng = np.random.default_rng(5)
        made = [
            measured(
                f"s/{name}", 0, *(0.9 + rng.normal(0, 0.01, 15)), num_folds=5, fresh_rows=fresh
            )
            for name in "ab"
        ]
        sweeps = [sweep(m.sweep[-1], 0.9, finals=(m,)) for m in made]
        return comparison(*sweeps).tests[0].difference

    same, fresh = both(False), both(True)
    narrower = np.sqrt((1 / 15 + 1 / 12) / (1 / 15 + 1 / 4))
    assert (fresh.high - fresh.mean) == pytest.approx((same.high - same.mean) * narrower)


def test_the_headline_in_the_finals_is_of_the_figures_that_are_compared():
    rng = np.random.default_rng(4)
    many = [measured("s/many", i, *(0.9 + rng.normal(0, 0.03, 15)), num_folds=5) for i in range(6)]
    one = measured("s/one", 0, *(0.9 + rng.normal(0, 0.001, 15)), num_folds=5)
    found = comparison(
        sweep("many", *[0.9] * 6, finals=tuple(many)), sweep("one", 0.9, finals=(one,))
    )
    first, second = (row.finals_score for row in found.rows)
    assert found.tests[0].difference.mean == pytest.approx(first - second)
    score = text("words.finals-score", metric="accuracy", score=f"{first:.4f}")
    assert said_as("words.ahead", score=score).search(words.headline(found))
    assert words.score(found.rows[1], found) == text(
        "words.finals-score-corrected", metric="accuracy", score=f"{second:.4f}"
    )
    assert said_as("comparison.corrected").fullmatch(found.tests[0].basis)


def test_finals_of_one_row_alone_choose_nothing():
    """Table, sentences and figures of a row show the same trial."""
    only = sweep("a", 0.95, 0.90, finals=(measured("s/a", 1, 0.99, 0.99, 0.99),))
    found = comparison(only, sweep("b", 0.8))
    assert not found.in_finals
    assert found.rows[0].best.number == found.choice.trials[0].number == 0


def test_equal_scores_and_a_rope_of_nothing_are_level():
    same = (0.9, 0.91, 0.92)
    both = [
        cases.sweep(f"s/{name}", cases.trial(0, same, name=f"s/{name}"), num_folds=3, fold_rows=0)
        for name in "ab"
    ]
    found = compare(both, rope=0.0)
    assert (found.tests[0].verdict, found.tests[0].repeats) == ("inconclusive", None)
    said = words.headline(found)
    assert said_as("words.nothing-decided").fullmatch(said)
    assert said_as("words.level", best="a", other="b", budgets="").search(said)
    assert not said_as("words.repeats-too-few").search(" ".join(words.sentences(found)))


def test_an_open_gap_says_how_many_repeats_of_the_finals_decide_it():
    def finals(name, mean):
        noise = np.random.default_rng(ord(name[-1])).normal(0, 0.01, 5)
        return (measured(name, 0, *(mean + noise - noise.mean()), num_folds=5),)

    def both(gap):
        a, b = finals("s/a", 0.9), finals("s/b", 0.9 + gap)
        return comparison(sweep("a", 0.9, finals=a), sweep("b", 0.9, finals=b))

    wide = both(0.7 * both(0.0).tests[0].difference.detectable)
    assert wide.tests[0].verdict == "inconclusive"
    assert wide.tests[0].repeats > 1
    repeats = f"{wide.tests[0].repeats} repeats"
    assert words.advice(wide) == text("words.advice-finals", repeats=repeats)
    close = comparison(sweep("a", 0.9), sweep("b", 0.9001))
    assert (close.tests[0].verdict, close.tests[0].repeats) == ("inconclusive", None)
    assert words.advice(close) is None
    assert said_as("words.repeats-too-few").search(" ".join(words.sentences(close)))


# Records ----------------------------------------------------------------------------------------


def test_everything_can_be_written_as_json():
    found = comparison(sweep("a", 0.8, 0.7), sweep("b", 0.85, judged_on="others"))
    again = json.loads(json.dumps(as_dict(found), allow_nan=False))
    assert [row["name"] for row in again["rows"]] == [row.name for row in found.rows]
    assert again["tests"][0]["verdict"] == "untested"
    assert (again["task"], again["objective"], again["better"]) == ("task", "accuracy", "higher")
    assert again["rows"][0]["score"] == found.rows[0].best.score
    assert again["choice"]["compared"] == len(found.choice.trials)


# Other objectives -------------------------------------------------------------------------------


def errors(variant, *means, **more):
    return sweep(variant, *means, objective=RMSE, **more)


def test_the_lowest_error_is_best_and_all_says_so():
    found = comparison(errors("a", 60.0, 64.0), errors("c", 45.0, 49.0), errors("b", 53.0, 55.0))
    assert [row.name for row in found.rows] == ["c", "b", "a"]
    first, *_ = found.rows
    assert first.best.score == min(t.score for t in first.sweep.trials)
    assert all(
        row.expected >= row.best.score for row in found.rows
    )  # selection makes errors too low
    assert all(t.difference.mean < 0 and t.verdict == "better" for t in found.tests)
    assert all(t.difference.low <= t.difference.mean <= t.difference.high for t in found.tests)
    score = expected_score("rmse", shown(first.expected, places=found.places))
    mean = found.tests[0].difference.mean
    gap = text("words.below", difference=shown(-mean, places=found.places), other="b")
    said = said_as("words.better", best="c", other="b", budgets="", score=score, gap=gap)
    assert said.fullmatch(words.headline(found))
    low = signed(found.tests[0].difference.low, places=found.places)
    said = said_as("words.interval", a="c", b="b", low=low, unit="")
    assert said.fullmatch(words.sentences(found)[0])
    assert words.direction(found) == text("words.direction", metric="rmse", better="lower")


def test_selection_bias_is_added_to_the_lowest_of_many_errors():
    rng = np.random.default_rng(8)
    trials = [
        cases.trial(i, tuple(50 + rng.normal(0, 2, 5)), name="s/many", measure=RMSE)
        for i in range(40)
    ]
    found = comparison(errors("one", 50.0), errors("many", trials=trials))
    row = next(row for row in found.rows if row.name == "many")
    assert row.expected - row.best.score > 1
    assert found.tests[0].verdict == "inconclusive"


def test_finals_of_errors_are_won_by_the_lowest():
    lucky = errors("lucky", 45.0, 46.0, finals=(measured("s/lucky", 0, 60.0, 61.0, 62.0),))
    finals = (measured("s/solid", 0, 58.0, 57.0, 57.0), measured("s/solid", 1, 50.0, 51.0, 52.0))
    found = comparison(lucky, errors("solid", 47.0, 48.0, finals=finals))
    assert [row.name for row in found.rows] == ["solid", "lucky"]
    assert found.rows[0].best.number == 1
    score = shown(found.rows[0].finals_score, places=found.places)
    assert score.startswith("51.")
    assert words.score(found.rows[0], found) == text(
        "words.finals-score-corrected", metric="rmse", score=score
    )


def test_the_region_of_practical_equivalence_is_the_tasks_own():
    sweeps = errors("a", 50.0), errors("b", 50.1)
    assert comparison(*sweeps).rope == RMSE.equal == 0.5
    assert compare(sweeps, rope=2.0).tests[0].verdict == "equivalent"
    said = words.headline(compare(sweeps, rope=2.0))
    assert said_as("words.equivalent", limit="2.000").fullmatch(said)


def test_only_shares_of_rows_come_in_steps():
    """Equal differences in all folds are certain, unless rounding to 1 / rows may explain them."""
    folds = (0.9, 0.91, 0.92, 0.93, 0.94)
    less = tuple(value - 0.02 for value in folds)
    p = {}
    for measure in (ACCURACY, ROC_AUC):
        both = [
            cases.sweep(
                f"s/{name}",
                cases.trial(0, f, name=f"s/{name}", measure=measure),
                objective=measure,
                fold_rows=20,
            )
            for name, f in (("a", folds), ("b", less))
        ]
        p[measure.name] = comparison(*both).tests[0].difference.p
    assert p["roc_auc"] < 1e-6 < 0.01 < p["accuracy"]


def test_repeats_are_said():
    found = comparison(sweep("a", 0.9, num_folds=5), sweep("b", 0.8, num_folds=5))
    own = text("comparison.own-folds", folds=5, repeated="")
    assert found.tests[0].basis == text("comparison.corrected", scores=own)
    twice = [
        cases.sweep(f"s/{v}", cases.trial(0, f * 2, name=f"s/{v}"), num_folds=3)
        for v, f in (("a", (0.9, 0.91, 0.92)), ("b", (0.7, 0.73, 0.75)))
    ]
    own = text("comparison.own-folds", folds=3, repeated=text("comparison.repeated", times=2))
    assert comparison(*twice).tests[0].basis == text("comparison.corrected", scores=own)
