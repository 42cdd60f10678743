import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from sweeps.rounds import round_cohort
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.models.pairs.variants import CNN_DIGIT, MLP, MLP_WS_AUX
from trainables.tasks.larger_digit_mistakes import MOST_PAIRS, by_digits, details, wrong_pairs
from trainables.tasks.samples import Samples
from trainables.tasks.task import Variant

SMALL = {"batch_size": 8, "epochs": 1, "lr": 0.01}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Test rows of two rounds and a network's predictions for them."""

    rounds: list[Samples]
    predictions: tuple[dict[str, np.ndarray], ...]
    accuracy: np.ndarray


def trained(variant: Variant, **values: Any) -> Measured:
    data = [
        draw_pairs(digits_source(), seed=seed, train_pairs=20, test_pairs=120) for seed in (0, 1)
    ]
    cohort = round_cohort(variant.config.from_dict({**SMALL, **values}), data, seed=5)
    scores = cohort.train(variant)
    return Measured(
        rounds=cohort.held_out(),
        predictions=scores.predictions,
        accuracy=scores.held_out["accuracy"],
    )


@pytest.fixture(scope="module")
def plain() -> Measured:
    return trained(MLP)


@pytest.fixture(scope="module")
def auxiliary() -> Measured:
    return trained(MLP_WS_AUX, digits="side", aux_weight=1.0)


@pytest.fixture(scope="module")
def digit_names() -> Measured:
    return trained(CNN_DIGIT, channels=(3, 4))


def test_every_pair_of_every_round_is_counted_by_its_digits(plain: Measured) -> None:
    wrong, count = by_digits(plain.rounds, plain.predictions)
    assert count.sum() == 240
    assert (wrong <= count).all()
    assert wrong.sum() == pytest.approx(240 * (1 - plain.accuracy.mean()))
    expected = np.zeros((10, 10), dtype=int)
    for samples in plain.rounds:
        for left, right in samples.targets["classes"]:
            expected[left, right] += 1
    np.testing.assert_array_equal(count, expected)


def test_wrong_pairs_are_those_that_were_missed_the_surest_first(plain: Measured) -> None:
    samples, said = plain.rounds[0], plain.predictions[0]
    pairs = wrong_pairs(samples, said)
    missed = np.flatnonzero(said["answer"] != samples.targets["target"])
    assert len(pairs) == min(len(missed), MOST_PAIRS)
    sure = [abs(pair["probability"] - 0.5) for pair in pairs]
    assert sure == sorted(sure, reverse=True)
    images = {samples.inputs["images"][i].round().astype(np.uint8).tobytes(): i for i in missed}
    for pair in pairs:
        i = images[np.array(pair["images"], dtype=np.uint8).tobytes()]
        assert pair["digits"] == samples.targets["classes"][i].tolist()
        assert pair["target"] == int(pair["digits"][0] <= pair["digits"][1])
        assert (pair["probability"] > 0.5) == (pair["target"] == 0)
        assert "read" not in pair


@pytest.mark.parametrize("fixture", ["auxiliary", "digit_names"])
def test_where_digits_are_named_it_is_kept_as_what_they_were_read(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    found: Measured = request.getfixturevalue(fixture)
    pairs = wrong_pairs(found.rounds[0], found.predictions[0])
    assert pairs
    for pair in pairs:
        assert len(pair["read"]) == 2
        for digit, probability in pair["read"]:
            assert 0 <= digit <= 9
            assert 0.1 <= probability <= 1


def test_details_are_plain_values(auxiliary: Measured) -> None:
    kept = json.loads(json.dumps(details(auxiliary.rounds, auxiliary.predictions)))
    assert np.sum(kept["count"]) == 240
    assert kept["first_round"]["pairs"] == 120
    assert kept["first_round"]["wrong"] == round(120 * (1 - auxiliary.accuracy[0]))


def test_a_network_without_mistakes_has_none_to_show(plain: Measured) -> None:
    flawless = [
        {**said, "answer": samples.targets["target"]}
        for samples, said in zip(plain.rounds, plain.predictions, strict=True)
    ]
    assert wrong_pairs(plain.rounds[0], flawless[0]) == []
    assert by_digits(plain.rounds, flawless)[0].sum() == 0
