import json
from dataclasses import replace

import numpy as np
import pytest

from analysis import words
from analysis.comparison import as_dict, compare
from tests.analysis import cases
from tests.analysis.cases import ACCURACY, RMSE, ROC_AUC, measured

RNG = np.random.default_rng(0)
SHARED = RNG.normal(0, 0.01, 5)
"""Some folds are harder for everybody."""


def trial(sweep, number, mean, *, params=1000.0, noise=0.004, measure=ACCURACY, **options):
    scale = 100 if measure is RMSE else 1
    own = np.random.default_rng(number).normal(0, noise, 5)
    folds = tuple(float(mean + scale * value) for value in SHARED + own)
    options = {"config": {"lr": 0.1}, "num_params": params, "train_time_s": 2.0, **options}
    return cases.trial(number, folds, name=sweep, measure=measure, **options)


def sweep(variant, *means, trials=None, objective=ACCURACY, **more):
    name = f"s/{variant}"
    if trials is None:
        trials = [trial(name, i, mean, measure=objective) for i, mean in enumerate(means)]
    return cases.sweep(name, *trials, objective=objective, **{"fold_rows": 200, **more})


def comparison(*sweeps, by_variant=True):
    return compare(sweeps, by_variant=by_variant)


def test_rows_are_ordered_and_all_are_tested_against_each_other():
    found = comparison(sweep("a", 0.8, 0.7), sweep("c", 0.95, 0.9), sweep("b", 0.85, 0.8))
    assert [row.name for row in found.rows] == ["c", "b", "a"]
    assert [(p.a, p.b) for p in found.tests] == [("c", "b"), ("c", "a"), ("b", "a")]
    assert all(p.difference.mean > 0 and p.p_holm >= p.difference.p for p in found.tests)


def test_a_clear_winner_is_called_better():
    found = comparison(sweep("a", 0.8, 0.79), sweep("b", 0.95, 0.94))
    assert found.tests[0].verdict == "better"
    said = words.headline(found)
    assert said.startswith("b is best: an expected accuracy of 0.9")
    assert "the difference is real" in said
    assert words.belief(found)[0] == "yes"
    assert words.advice(found) is None


def test_luck_is_taken_off_before_two_bests_are_compared():
    """The best of forty equal configurations seems better than a single one of them."""
    many = [trial("s/many", i, 0.9, noise=0.02) for i in range(40)]
    found = comparison(sweep("one", 0.9), sweep("many", trials=tuple(many)))
    row = next(row for row in found.rows if row.name == "many")
    assert row.luck > 0.01
    assert row.expected == pytest.approx(row.best.score - row.luck)
    assert found.tests[0].verdict in ("open", "equal")
    assert abs(found.tests[0].difference.mean) < 0.01


def test_what_cannot_be_told_apart_is_not_called_better():
    wild = [trial("s/b", 0, 0.91, noise=0.03)]
    found = comparison(sweep("a", 0.9), sweep("b", trials=tuple(wild)))
    assert found.tests[0].verdict == "open"
    assert "do not call it better yet" in words.headline(found)
    assert words.belief(found)[0] == "no"
    assert "fresh seeds" in words.advice(found)


def test_what_differs_by_next_to_nothing_is_called_equal():
    found = comparison(sweep("a", 0.9), sweep("b", 0.9003))
    assert found.tests[0].verdict == "equal"
    assert "practically equal" in words.headline(found)


def test_other_folds_are_not_tested_against():
    found = comparison(sweep("a", 0.9), sweep("b", 0.8, judged_on="others"))
    assert found.tests[0].verdict == "untested"
    assert found.tests[0].p_holm is None
    assert "other rows or folds" in words.headline(found)
    assert found.num_compared == 1


def test_what_was_selected_on_test_rows_is_not_tested():
    found = comparison(sweep("a", 0.9), sweep("b", 0.8, selected_on_test=True))
    assert found.tests[0].verdict == "untested"
    assert any("b was selected on test rows" in said for said in words.sentences(found))


def test_finals_decide_where_all_rows_were_in_the_same():
    lucky = sweep("lucky", 0.95, 0.94, finals=(measured("s/lucky", 0, 0.80, 0.82, 0.81),))
    solid = sweep("solid", 0.90, 0.89, finals=(measured("s/solid", 1, 0.92, 0.93, 0.925),))
    found = comparison(lucky, solid)
    assert found.in_finals
    assert [row.name for row in found.rows] == ["solid", "lucky"]
    assert found.rows[0].best.number == 1  # the one that won there, not the sweep's own best
    assert "in the finals" in words.headline(found)
    assert found.tests[0].basis == "finals: 3 x 5 folds"

    elsewhere = replace(lucky, finals=(measured("s/lucky", 0, 0.8, 0.8, protocol="other"),))
    assert not comparison(elsewhere, solid).in_finals
    assert [row.name for row in comparison(elsewhere, solid).rows] == ["lucky", "solid"]


def test_the_set_like_the_best_spans_all_sweeps_on_its_folds():
    close = trial("s/a", 7, 0.949, params=10.0)
    found = comparison(
        sweep("a", trials=(trial("s/a", 0, 0.8), close)),
        sweep("b", 0.95, 0.6),
        sweep("c", 0.7, judged_on="others"),
    )
    assert found.num_compared == 4
    assert {t.label for t in found.like_best} == {"s/a trial 7", "s/b trial 0"}
    assert any("s/a trial 7, has 10 parameters" in said for said in words.sentences(found))


def test_one_sweep_alone_is_set_against_its_baseline():
    trials = (trial("s/a", 0, 0.8, origin="kong/w_net"), trial("s/a", 1, 0.9))
    found = comparison(sweep("a", trials=trials))
    assert found.tests == ()
    assert "The baseline, kong/w_net, has 0.80" in words.headline(found)


def test_everything_can_be_written_as_json():
    found = comparison(sweep("a", 0.8, 0.7), sweep("b", 0.85, judged_on="others"))
    again = json.loads(json.dumps(as_dict(found), allow_nan=False))
    assert [row["name"] for row in again["rows"]] == [row.name for row in found.rows]
    assert again["tests"][0]["verdict"] == "untested"
    assert (again["task"], again["objective"], again["better"]) == ("task", "accuracy", "higher")
    assert again["rows"][0]["score"] == found.rows[0].best.score


# Other objectives -------------------------------------------------------------------------------


def errors(variant, *means, **more):
    return sweep(variant, *means, objective=RMSE, **more)


def test_the_lowest_error_is_best_and_all_says_so():
    found = comparison(errors("a", 60.0, 64.0), errors("c", 45.0, 49.0), errors("b", 53.0, 55.0))
    assert [row.name for row in found.rows] == ["c", "b", "a"]
    first, *_ = found.rows
    assert first.best.score == min(t.score for t in first.sweep.trials)
    assert all(row.expected >= row.best.score for row in found.rows)  # luck makes errors too low
    assert all(t.difference.mean < 0 and t.difference.p_better > 0.9 for t in found.tests)
    assert all(t.difference.low <= t.difference.mean <= t.difference.high for t in found.tests)
    said = words.headline(found)
    assert said.startswith("c is best: an expected rmse of 4")
    assert " below b, and the difference is real" in said
    assert "point" not in said
    assert "c minus b: -" in words.sentences(found)[0]
    assert words.direction(found) == "rmse, lower is better"


def test_luck_is_added_to_the_lowest_of_many_errors():
    trials = [trial("s/many", i, 50.0, noise=0.02, measure=RMSE) for i in range(40)]
    found = comparison(errors("one", 50.0), errors("many", trials=trials))
    row = next(row for row in found.rows if row.name == "many")
    assert row.luck < -1
    assert row.expected > row.best.score
    assert found.tests[0].verdict in ("open", "equal")


def test_finals_of_errors_are_won_by_the_lowest():
    lucky = errors("lucky", 45.0, 46.0, finals=(measured("s/lucky", 0, 60.0, 61.0, 62.0),))
    finals = (measured("s/solid", 0, 58.0, 57.0), measured("s/solid", 1, 50.0, 51.0, 52.0))
    found = comparison(lucky, errors("solid", 47.0, 48.0, finals=finals))
    assert [row.name for row in found.rows] == ["solid", "lucky"]
    assert found.rows[0].best.number == 1
    assert words.score(found.rows[0], found) == "rmse 51.000 in the finals"


def test_the_region_of_practical_equivalence_is_the_tasks_own():
    sweeps = errors("a", 50.0), errors("b", 50.1)
    assert comparison(*sweeps).rope == RMSE.equal == 0.5
    assert comparison(*sweeps).tests[0].verdict == "equal"
    assert compare(sweeps, rope=0.0).tests[0].difference.p_equal == 0.0
    assert "they differ by less than 0.500 with a probability" in words.headline(
        comparison(*sweeps)
    )


def test_only_shares_of_rows_come_in_steps():
    """Differences that are equal in every fold are certain, unless rounding may have made them."""
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


def test_the_wording_is_of_the_metric():
    found = comparison(sweep("a", 0.9, objective=ROC_AUC), sweep("b", 0.8, objective=ROC_AUC))
    said = words.headline(found)
    assert said.startswith("a is best: an expected roc_auc of 0.9")
    assert "0.1" in said
    assert "points" not in said
    apart = sweep("b", 0.8, objective=ROC_AUC, judged_on="others")
    said = words.headline(comparison(sweep("a", 0.9, objective=ROC_AUC), apart))
    assert said.startswith("a has the highest roc_auc, an expected roc_auc of")
    said = words.headline(comparison(errors("a", 50.0), errors("b", 60.0, judged_on="others")))
    assert said.startswith("a has the lowest rmse, an expected rmse of 50.")


def test_among_estimators_the_fastest_is_named_instead_of_the_smallest():
    slow = trial("s/a", 0, 0.9, params=0.0, train_time_s=20.0)
    fast = trial("s/a", 1, 0.899, params=0.0, train_time_s=0.5)
    (said,) = words.sentences(comparison(sweep("a", trials=[slow, fast])))
    assert said.endswith("the fastest, s/a trial 1, trains in 0.5 s instead of 20 s.")
    assert "parameters" not in said


def test_repeats_are_said():
    found = comparison(sweep("a", 0.9, num_folds=5), sweep("b", 0.8, num_folds=5))
    assert found.tests[0].basis.startswith("the sweeps' own 5 folds")
    twice = [
        cases.sweep(f"s/{v}", cases.trial(0, f * 2, name=f"s/{v}"), num_folds=3)
        for v, f in (("a", (0.9, 0.91, 0.92)), ("b", (0.7, 0.73, 0.75)))
    ]
    assert comparison(*twice).tests[0].basis.startswith("the sweeps' own 2 x 3 folds")
