from dataclasses import astuple, replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from sweeps.rounds import RoundScores, _members, run_rounds
from trainables.config import TrialConfig
from trainables.data.digits import digits_source
from trainables.data.pairs import PairData, draw_pairs
from trainables.errors import UserError
from trainables.stack.stack import FoldStack
from trainables.variants import CNN_AUX, MLP, Variant

draw = partial(draw_pairs, digits_source(), train_pairs=20, test_pairs=11)


@pytest.fixture(scope="module")
def fresh() -> list[PairData]:
    return [draw(seed=seed) for seed in range(3)]


@pytest.fixture(scope="module")
def same(fresh: list[PairData]) -> list[PairData]:
    return [fresh[0]] * 3


def config_of(variant: Variant, **values: Any) -> TrialConfig:
    small: dict[str, Any] = {"batch_size": 8, "epochs": 2, "hidden": 8, "lr": 0.01}
    if variant is CNN_AUX:
        small |= {"channels": (3, 4), "digits": "path", "aux_alpha": 0.4, "dropout": 0.3}
    return variant.config.from_dict({**small, **values})


def close(one: RoundScores, other: RoundScores) -> None:
    for a, b in zip(astuple(one), astuple(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", [MLP, CNN_AUX], ids=lambda variant: variant.name)
@pytest.mark.parametrize("mode", ["fused", "looped"])
@pytest.mark.parametrize("pairs", ["fresh", "same"])
def test_rounds_together_are_rounds_alone(
    variant: Variant, mode: Any, pairs: str, request: pytest.FixtureRequest
) -> None:
    data = request.getfixturevalue(pairs)
    config = config_of(variant)
    together = run_rounds(variant, config, data, seed=5, mode=mode)
    members, all_pairs = _members(config, data, 5)
    for i, member in enumerate(members):
        stack = FoldStack(variant.model, [member], all_pairs, mode=mode)
        for _ in range(config.epochs):
            train_loss, train_accuracy = stack.train()
        loss, accuracy, digit_accuracy = stack.evaluate()
        alone = RoundScores(
            test_accuracy=accuracy,
            test_loss=loss,
            test_digit_accuracy=digit_accuracy,
            train_accuracy=train_accuracy,
            train_loss=train_loss,
        )
        close(RoundScores(**{k: v[i : i + 1] for k, v in vars(together).items()}), alone)


@pytest.mark.parametrize("pairs", ["fresh", "same"])
def test_more_rounds_change_none_of_the_first(pairs: str, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue(pairs)
    three = run_rounds(MLP, config_of(MLP), data, seed=5)
    two = run_rounds(MLP, config_of(MLP), data[:2], seed=5)
    close(RoundScores(**{k: v[:2] for k, v in vars(three).items()}), two)


def test_rounds_differ_and_repeat(same: list[PairData]) -> None:
    scores = run_rounds(MLP, config_of(MLP), same, seed=5)
    assert len(set(scores.test_loss)) == 3
    again = run_rounds(MLP, config_of(MLP), same, seed=5)
    assert all(np.array_equal(a, b) for a, b in zip(astuple(scores), astuple(again), strict=True))
    other = run_rounds(MLP, config_of(MLP), same, seed=6)
    assert not set(scores.test_loss) & set(other.test_loss)


@pytest.mark.parametrize("pairs", ["fresh", "same"])
def test_a_round_trains_on_its_training_pairs_and_is_measured_on_its_test_pairs(
    pairs: str, request: pytest.FixtureRequest
) -> None:
    data = request.getfixturevalue(pairs)
    members, all_pairs = _members(config_of(MLP), data, 5)
    assert len(all_pairs) == (31 if pairs == "same" else 3 * 31)
    for member, d in zip(members, data, strict=True):
        assert not set(member.train) & set(member.held_out)
        for index, part in ((member.train, d.train), (member.held_out, d.test)):
            for name in ("images", "classes", "target"):
                assert np.array_equal(getattr(all_pairs, name)[index], getattr(part, name))
    assert len({member.seed for member in members}) == 3
    tests = np.concatenate([member.held_out for member in members])
    assert not set(tests) & set(np.concatenate([member.train for member in members]))


def test_test_pairs_do_not_touch_training(fresh: list[PairData]) -> None:
    data = fresh[0]
    other = replace(data, test=draw(seed=9).test)
    one, two = (run_rounds(MLP, config_of(MLP), [d], seed=5) for d in (data, other))
    assert np.array_equal(one.train_loss, two.train_loss)
    assert not np.array_equal(one.test_loss, two.test_loss)


@pytest.mark.parametrize("mode", ["fused", "looped"])
def test_rounds_are_trained_in_the_mode_that_is_asked_for(
    same: list[PairData], mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def stack(*args: Any, **kwargs: Any) -> FoldStack:
        asked.append(FoldStack(*args, **kwargs))
        return asked[-1]

    monkeypatch.setattr("sweeps.rounds.FoldStack", stack)
    run_rounds(MLP, config_of(MLP, epochs=1), same, seed=5, mode=mode)
    assert [one.mode for one in asked] == [mode]


def test_each_epoch_is_announced(same: list[PairData]) -> None:
    epochs: list[int] = []
    run_rounds(MLP, config_of(MLP, epochs=3), same, seed=5, after_epoch=epochs.append)
    assert epochs == [1, 2, 3]


def test_divergence_is_a_user_error(same: list[PairData]) -> None:
    config = config_of(MLP, lr=1e30, epochs=4, batch_norm=False)
    with pytest.raises(UserError, match=r"infinite or NaN in epoch \d; nothing to report"):
        run_rounds(MLP, config, same, seed=5)
