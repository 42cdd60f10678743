import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sweeps.mistakes import MOST_PAIRS, by_digits, evaluation, wrong_pairs
from sweeps.rounds import Cohort, Scores, round_cohort
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.variants import CNN_DIGIT, MLP, MLP_WS_AUX, Variant

SMALL = {"batch_size": 8, "epochs": 1, "lr": 0.01}


def trained(variant: Variant, **values: Any) -> tuple[Cohort, Scores]:
    data = [
        draw_pairs(digits_source(), seed=seed, train_pairs=20, test_pairs=120) for seed in (0, 1)
    ]
    cohort = round_cohort(variant.config.from_dict({**SMALL, **values}), data, seed=5)
    return cohort, cohort.train(variant, keep_first=True)


@pytest.fixture(scope="module")
def plain() -> tuple[Cohort, Scores]:
    return trained(MLP)


@pytest.fixture(scope="module")
def auxiliary() -> tuple[Cohort, Scores]:
    return trained(MLP_WS_AUX, digits="side", aux_weight=1.0)


def test_every_pair_of_every_round_is_counted_by_its_digits(plain: tuple[Cohort, Scores]) -> None:
    cohort, scores = plain
    wrong, count = by_digits(cohort, scores)
    assert count.sum() == 240
    assert (wrong <= count).all()
    assert wrong.sum() == pytest.approx(240 * (1 - scores.accuracy.mean()))
    expected = np.zeros((10, 10), dtype=int)
    for member in cohort.members:
        for left, right in cohort.pairs.classes[member.held_out]:
            expected[left, right] += 1
    np.testing.assert_array_equal(count, expected)


def test_wrong_pairs_are_those_of_the_first_round_the_surest_first(
    plain: tuple[Cohort, Scores],
) -> None:
    cohort, scores = plain
    pairs = wrong_pairs(cohort, scores)
    held_out = cohort.members[0].held_out
    missed = held_out[scores.answers[0] != cohort.pairs.target[held_out]]
    assert len(pairs) == min(len(missed), MOST_PAIRS)
    sure = [abs(pair["probability"] - 0.5) for pair in pairs]
    assert sure == sorted(sure, reverse=True)
    images = {cohort.pairs.images[i].round().astype(np.uint8).tobytes(): i for i in missed}
    for pair in pairs:
        i = images[np.array(pair["images"], dtype=np.uint8).tobytes()]
        assert pair["digits"] == cohort.pairs.classes[i].tolist()
        assert pair["target"] == int(pair["digits"][0] <= pair["digits"][1])
        assert (pair["probability"] > 0.5) == (pair["target"] == 0)
        assert "read" not in pair


@pytest.mark.parametrize("fixture", ["auxiliary", "digit_names"])
def test_where_digits_are_named_it_is_kept_as_what_they_were_read(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    cohort, scores = request.getfixturevalue(fixture)
    for pair in wrong_pairs(cohort, scores):
        assert len(pair["read"]) == 2
        for digit, probability in pair["read"]:
            assert 0 <= digit <= 9
            assert 0.1 <= probability <= 1


@pytest.fixture(scope="module")
def digit_names() -> tuple[Cohort, Scores]:
    return trained(CNN_DIGIT, channels=(3, 4))


def test_an_evaluation_is_plain_values(auxiliary: tuple[Cohort, Scores]) -> None:
    cohort, scores = auxiliary
    kept = json.loads(json.dumps(evaluation(cohort, scores)))
    assert kept["rounds"] == 2
    assert np.sum(kept["count"]) == 240
    assert kept["first_round"]["pairs"] == 120
    assert kept["first_round"]["wrong"] == round(120 * (1 - scores.accuracy[0]))


def test_a_network_without_mistakes_has_none_to_show(plain: tuple[Cohort, Scores]) -> None:
    cohort, scores = plain
    targets = [cohort.pairs.target[member.held_out] for member in cohort.members]
    flawless = replace(scores, answers=tuple(targets))
    assert wrong_pairs(cohort, flawless) == []
    assert by_digits(cohort, flawless)[0].sum() == 0
