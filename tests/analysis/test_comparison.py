import json
from dataclasses import replace

import numpy as np
import pytest

from analysis import words
from analysis.comparison import as_dict, compare
from analysis.results import Measured, Sweep, Trial
from analysis.significance import ROPE

RNG = np.random.default_rng(0)
SHARED = RNG.normal(0, 0.01, 5)
"""Some folds are harder for everybody."""


def trial(sweep, number, mean, *, params=1000, origin=None, noise=0.004):
    folds = tuple(mean + SHARED + np.random.default_rng(number).normal(0, noise, 5))
    values = {
        "val_accuracy": float(np.mean(folds)),
        "val_accuracy_std": float(np.std(folds, ddof=1)),
        "num_params": float(params),
        "train_time_s": 2.0,
    }
    return Trial(
        sweep=sweep,
        variant="",
        number=number,
        run_id=f"{sweep}-{number}",
        state="COMPLETE",
        origin=origin,
        config={"lr": 0.1},
        values=values,
        folds=folds,
        started=number,
    )


def sweep(variant, *means, judged_on="same", **more):
    name = f"s/{variant}"
    trials = tuple(trial(name, i, mean) for i, mean in enumerate(means))
    return Sweep(
        **{
            "name": name,
            "run_id": name,
            "variant": variant,
            "space": variant,
            "dataset": "digits",
            "num_folds": 5,
            "fold_pairs": 200,
            "judged_on": judged_on,
            "selected_on_test": False,
            "objective": "val_accuracy",
            "params": {},
            "tags": {},
            "reported": None,
            "started": 0,
            "trials": trials,
            **more,
        }
    )


def measured(sweep_name, number, *accuracy, protocol="3 x 5 folds"):
    return Measured(
        sweep=sweep_name,
        trial=number,
        run_id="m",
        accuracy=accuracy,
        protocol=protocol,
        started=0,
    )


def comparison(*sweeps, by_variant=True):
    return compare(sweeps, rope=ROPE, by_variant=by_variant)


def test_rows_are_ordered_and_all_pairs_are_tested():
    found = comparison(sweep("a", 0.8, 0.7), sweep("c", 0.95, 0.9), sweep("b", 0.85, 0.8))
    assert [row.name for row in found.rows] == ["c", "b", "a"]
    assert [(p.a, p.b) for p in found.pairs] == [("c", "b"), ("c", "a"), ("b", "a")]
    assert all(p.difference.mean > 0 and p.p_holm >= p.difference.p for p in found.pairs)


def test_a_clear_winner_is_called_better():
    found = comparison(sweep("a", 0.8, 0.79), sweep("b", 0.95, 0.94))
    assert found.pairs[0].verdict == "better"
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
    assert row.expected == pytest.approx(row.best.accuracy - row.luck)
    assert found.pairs[0].verdict in ("open", "equal")
    assert abs(found.pairs[0].difference.mean) < 0.01


def test_what_cannot_be_told_apart_is_not_called_better():
    wild = [trial("s/b", 0, 0.91, noise=0.03)]
    found = comparison(sweep("a", 0.9), sweep("b", trials=tuple(wild)))
    assert found.pairs[0].verdict == "open"
    assert "do not call it better yet" in words.headline(found)
    assert words.belief(found)[0] == "no"
    assert "fresh seeds" in words.advice(found)


def test_what_differs_by_next_to_nothing_is_called_equal():
    found = comparison(sweep("a", 0.9), sweep("b", 0.9003))
    assert found.pairs[0].verdict == "equal"
    assert "practically equal" in words.headline(found)


def test_other_folds_are_not_tested_against():
    found = comparison(sweep("a", 0.9), sweep("b", 0.8, judged_on="others"))
    assert found.pairs[0].verdict == "untested"
    assert found.pairs[0].p_holm is None
    assert "other pairs or folds" in words.headline(found)
    assert found.num_compared == 1


def test_what_was_selected_on_test_pairs_is_not_tested():
    found = comparison(sweep("a", 0.9), sweep("b", 0.8, selected_on_test=True))
    assert found.pairs[0].verdict == "untested"
    assert any("b was selected on test pairs" in said for said in words.sentences(found))


def test_finals_decide_where_all_rows_were_in_the_same():
    lucky = sweep("lucky", 0.95, 0.94, finals=(measured("s/lucky", 0, 0.80, 0.82, 0.81),))
    solid = sweep("solid", 0.90, 0.89, finals=(measured("s/solid", 1, 0.92, 0.93, 0.925),))
    found = comparison(lucky, solid)
    assert found.in_finals
    assert [row.name for row in found.rows] == ["solid", "lucky"]
    assert found.rows[0].best.number == 1  # the one that won there, not the sweep's own best
    assert "in the finals" in words.headline(found)
    assert found.pairs[0].basis == "finals: 3 x 5 folds"

    elsewhere = replace(lucky, finals=(measured("s/lucky", 0, 0.8, 0.8, protocol="other"),))
    assert not comparison(elsewhere, solid).in_finals
    assert [row.name for row in comparison(elsewhere, solid).rows] == ["lucky", "solid"]


def test_the_set_like_the_best_spans_all_sweeps_on_its_folds():
    close = replace(trial("s/a", 7, 0.949), values={"num_params": 10.0, "val_accuracy": 0.949})
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
    assert found.pairs == ()
    assert "The baseline, kong/w_net, has 0.80" in words.headline(found)


def test_everything_can_be_written_as_json():
    found = comparison(sweep("a", 0.8, 0.7), sweep("b", 0.85, judged_on="others"))
    again = json.loads(json.dumps(as_dict(found), allow_nan=False))
    assert [row["name"] for row in again["rows"]] == [row.name for row in found.rows]
    assert again["pairs"][0]["verdict"] == "untested"
