from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps import rounds
from sweeps.rounds import Scores, fold_cohort, on_test, round_cohort
from tests.refusals import refused
from trainables.config import TrialConfig
from trainables.data.digits import digits_source
from trainables.data.folds import stratified_folds
from trainables.data.pairs import draw_pairs
from trainables.models.pairs.variants import CNN_TRANSFER, CNN_WS_AUX, MLP
from trainables.stack.stack import FoldStack
from trainables.tasks.samples import Data, Samples
from trainables.tasks.task import Variant
from trainables.trial import make_stack

draw = partial(draw_pairs, digits_source(), train_pairs=20, test_pairs=11)


@pytest.fixture(scope="module")
def fresh() -> list[Data]:
    return [draw(seed=seed) for seed in range(3)]


@pytest.fixture(scope="module")
def same(fresh: list[Data]) -> list[Data]:
    return [fresh[0]] * 3


def config_of(variant: Variant, **values: Any) -> TrialConfig:
    small: dict[str, Any] = {"batch_size": 8, "epochs": 2, "hidden": 8, "lr": 0.01}
    if variant is not MLP:
        small |= {"channels": (3, 4), "dropout": 0.3}
    if variant is CNN_WS_AUX:
        small |= {"digits": "path", "aux_alpha": 0.4}
    return variant.config.from_dict({**small, **values})


def run_rounds(
    variant: Variant, config: TrialConfig, data: list[Data], *, seed: int = 5, **options: Any
) -> Scores:
    return round_cohort(config, data, seed=seed).train(variant, **options)


def measured(scores: Scores) -> dict[str, np.ndarray]:
    """All measurements of members, by key."""
    train = {f"train_{name}": values for name, values in scores.train.items()}
    return {**scores.held_out, **train}


def close(one: Scores, other: Scores, *, of_one: slice = slice(None)) -> None:
    expected = measured(other)
    assert {"accuracy", "loss", "train_accuracy", "train_loss"} <= set(expected)
    assert set(measured(one)) == set(expected)
    for name, values in measured(one).items():
        np.testing.assert_allclose(values[of_one], expected[name], rtol=1e-4, atol=1e-5)


def equal(one: Scores, other: Scores) -> bool:
    """Whether everything except the time is equal, to the last bit."""
    same = measured(one).keys() == measured(other).keys() and one.num_params == other.num_params
    return same and all(
        a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
        for a, b in zip(
            (measured(one), *one.predictions), (measured(other), *other.predictions), strict=True
        )
    )


def same_rows(samples: Samples, rows: Any, part: Samples) -> bool:
    """Whether the selected rows equal the rows of another part."""
    of_part = part.arrays()
    taken = samples.take(rows).arrays()
    return [name for name, _ in taken] == [name for name, _ in of_part] and all(
        np.array_equal(a, b) for (_, a), (_, b) in zip(taken, of_part, strict=True)
    )


@pytest.mark.parametrize("variant", [MLP, CNN_WS_AUX], ids=lambda variant: variant.name)
@pytest.mark.parametrize("mode", ["fused", "looped"])
@pytest.mark.parametrize("pairs", ["fresh", "same"])
def test_rounds_together_are_rounds_alone(
    variant: Variant, mode: Any, pairs: str, request: pytest.FixtureRequest
) -> None:
    data = request.getfixturevalue(pairs)
    config = config_of(variant)
    cohort = round_cohort(config, data, seed=5)
    together = cohort.train(variant, mode=mode)
    for i, member in enumerate(cohort.members):
        stack = make_stack(variant, [member], cohort.data, mode=mode)
        assert isinstance(stack, FoldStack)
        for _ in range(config.epochs):
            train = stack.train()
        held_out = stack.evaluate()
        alone = replace(
            together,
            held_out={name: held_out[name] for name in together.held_out},
            train={name: train[name] for name in together.train},
        )
        close(together, alone, of_one=slice(i, i + 1))
        assert np.array_equal(together.predictions[i]["answer"], stack.predict()[0]["answer"])
        assert together.num_params == stack.num_params


@pytest.mark.parametrize("pairs", ["fresh", "same"])
def test_more_rounds_change_none_of_the_first(pairs: str, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue(pairs)
    three = run_rounds(MLP, config_of(MLP), data)
    two = run_rounds(MLP, config_of(MLP), data[:2])
    close(three, two, of_one=slice(2))


@pytest.mark.parametrize(
    ("mode", "device", "sizes"),
    [("fused", "cpu", [12]), ("looped", "cpu", [1] * 12), ("fused", "cuda", [12])],
)
def test_stacks_depend_on_what_is_trained_alone(
    mode: Any, device: str, sizes: list[int], fresh: list[Data]
) -> None:
    cohort = round_cohort(config_of(MLP), fresh[:1] * 12, seed=5)
    stacks = cohort.stacks(MLP, mode=mode, device=device)
    assert [len(stack.members) for stack in stacks] == sizes
    assert [m.seed for stack in stacks for m in stack.members] == [m.seed for m in cohort.members]
    assert all(stack.data is cohort.data for stack in stacks)


def test_rounds_that_are_trained_one_after_another_are_the_same_apart(fresh: list[Data]) -> None:
    config = config_of(CNN_WS_AUX)
    cohort = round_cohort(config, fresh, seed=5)
    stacks = cohort.stacks(CNN_WS_AUX, mode="looped")
    apart = Scores.of_all([stack.train(CNN_WS_AUX, mode="looped") for stack in stacks])
    assert equal(apart, cohort.train(CNN_WS_AUX, mode="looped"))


def test_rounds_differ_and_repeat(same: list[Data]) -> None:
    scores = run_rounds(MLP, config_of(MLP), same)
    assert len(set(scores.held_out["loss"])) == 3
    assert equal(scores, run_rounds(MLP, config_of(MLP), same))
    other = run_rounds(MLP, config_of(MLP), same, seed=6)
    assert not set(scores.held_out["loss"]) & set(other.held_out["loss"])


@pytest.mark.parametrize("pairs", ["fresh", "same"])
def test_a_round_trains_on_its_training_pairs_and_is_measured_on_its_test_pairs(
    pairs: str, request: pytest.FixtureRequest
) -> None:
    data = request.getfixturevalue(pairs)
    cohort = round_cohort(config_of(MLP), data, seed=5)
    assert len(cohort.samples) == (31 if pairs == "same" else 3 * 31)
    for member, d in zip(cohort.members, data, strict=True):
        assert not set(member.train) & set(member.held_out)
        for index, part in ((member.train, d.train), (member.held_out, d.test)):
            assert same_rows(cohort.samples, index, part)
    assert len({member.seed for member in cohort.members}) == 3
    tests = np.concatenate([member.held_out for member in cohort.members])
    assert not set(tests) & set(np.concatenate([member.train for member in cohort.members]))


@pytest.mark.parametrize("pairs", ["fresh", "same"])
def test_each_round_holds_back_as_many_training_pairs_and_others(
    pairs: str, request: pytest.FixtureRequest
) -> None:
    data = request.getfixturevalue(pairs)
    config = config_of(MLP)
    whole = round_cohort(config, data, seed=5)
    parts = round_cohort(config, data, seed=5, held_back=6)
    left_out = []
    for all_pairs, part in zip(whole.members, parts.members, strict=True):
        assert len(part.train) == 14
        assert set(part.train) < set(all_pairs.train)
        assert np.array_equal(part.held_out, all_pairs.held_out)
        assert part.seed == all_pairs.seed
        start = all_pairs.train[0]
        left_out.append(frozenset(all_pairs.train - start) - set(part.train - start))
    assert [len(left) for left in left_out] == [6, 6, 6]
    assert len(set(left_out)) == 3
    again = round_cohort(config, data, seed=5, held_back=6)
    other = round_cohort(config, data, seed=6, held_back=6)
    trains = [[m.train.tolist() for m in cohort.members] for cohort in (parts, again, other)]
    assert trains[0] == trains[1] != trains[2]


def test_a_fold_s_member_trains_on_its_part_and_is_measured_on_the_rest(
    fresh: list[Data],
) -> None:
    folds = stratified_folds(fresh[0].train.targets["target"], num_folds=4, seed=5)
    cohort = fold_cohort(config_of(MLP), fresh[0], folds, seed=5)
    assert cohort.samples is fresh[0].train
    assert [m.train.tolist() for m in cohort.members] == [f.train.tolist() for f in folds]
    assert [m.held_out.tolist() for m in cohort.members] == [f.val.tolist() for f in folds]
    assert len({member.seed for member in cohort.members}) == 4


def test_a_selection_on_test_trains_on_all_training_pairs_and_scores_on_all_test_pairs(
    fresh: list[Data],
) -> None:
    data = fresh[0]
    scored, folds = on_test(data, 3)
    assert len(folds) == 3
    for fold in folds:
        for index, part in ((fold.train, data.train), (fold.val, data.test)):
            assert same_rows(scored.train, index, part)


def test_test_pairs_do_not_touch_training(fresh: list[Data]) -> None:
    data = fresh[0]
    other = replace(data, test=draw(seed=9).test)
    one, two = (run_rounds(MLP, config_of(MLP), [d]) for d in (data, other))
    assert np.array_equal(one.train["loss"], two.train["loss"])
    assert not np.array_equal(one.held_out["loss"], two.held_out["loss"])


def test_answers_are_those_that_the_accuracy_counts(fresh: list[Data]) -> None:
    scores = run_rounds(MLP, config_of(MLP, epochs=1), fresh)
    right = [
        float((said["answer"] == data.test_rows.targets["target"]).mean())
        for said, data in zip(scores.predictions, fresh, strict=True)
    ]
    assert scores.held_out["accuracy"].tolist() == pytest.approx(right)
    assert 0 < np.mean(right) < 1


@pytest.mark.parametrize("variant", [MLP, CNN_WS_AUX], ids=lambda variant: variant.name)
def test_curves_end_in_the_scores_which_do_not_depend_on_them(
    fresh: list[Data], variant: Variant
) -> None:
    config = config_of(variant, epochs=3)
    with_curves = run_rounds(variant, config, fresh, curves=True)
    without = run_rounds(variant, config, fresh)
    assert equal(with_curves, without)
    assert without.curves == {}
    for name in ("train_loss", "train_accuracy", "loss", "accuracy"):
        assert len(with_curves.curves[name]) == 3
        assert with_curves.curves[name][-1] == measured(without)[name].tolist()
    assert len(set(map(tuple, with_curves.curves["loss"]))) == 3
    auxiliary = variant.tags.get("auxiliary") == "true"
    assert ("train_aux_loss" in with_curves.curves) is auxiliary
    if auxiliary:
        of_digits, whole = (with_curves.curves[n] for n in ("train_aux_loss", "train_loss"))
        assert (0 < np.array(of_digits)).all()
        assert (np.array(of_digits) < np.array(whole)).all()


def test_probes_are_answered_and_not_measured(fresh: list[Data]) -> None:
    cohort = round_cohort(config_of(MLP), fresh[:2], seed=5)
    probes = np.arange(20, 31)  # the test pairs of the first round
    probed = replace(cohort, probes=probes).train(MLP)
    plain = cohort.train(MLP)
    assert equal(probed, plain)
    assert plain.probe_predictions == ()
    answers = [said["answer"] for said in probed.probe_predictions]
    assert [len(answer) for answer in answers] == [11, 11]
    assert np.array_equal(answers[0], probed.predictions[0]["answer"])


@pytest.mark.parametrize("mode", ["fused", "looped"])
def test_rounds_are_trained_in_the_mode_that_is_asked_for(
    same: list[Data], mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def stack(*args: Any, **kwargs: Any) -> FoldStack:
        asked.append(FoldStack(*args, **kwargs))
        return asked[-1]

    monkeypatch.setattr("trainables.trial.FoldStack", stack)
    run_rounds(MLP, config_of(MLP, epochs=1), same, mode=mode)
    assert [one.mode for one in asked] == [mode]


def test_each_epoch_is_announced(same: list[Data]) -> None:
    epochs: list[int] = []
    run_rounds(MLP, config_of(MLP, epochs=3), same, after_epoch=epochs.append)
    assert epochs == [1, 2, 3]


def test_divergence_is_a_user_error(same: list[Data]) -> None:
    config = config_of(MLP, lr=1e30, epochs=4, batch_norm=False)
    with refused("averages.loss-not-finite"):
        run_rounds(MLP, config, same)


# Cut off ----------------------------------------------------------------------------------------


class Killed(Exception):
    pass


def killed_after(last: int) -> Callable[[int], None]:
    def after_epoch(epoch: int) -> None:
        if epoch == last:
            raise Killed

    return after_epoch


@pytest.mark.parametrize(
    ("variant", "mode", "last"),
    [
        (MLP, "fused", 2),
        (MLP, "looped", 4),
        (CNN_TRANSFER, "fused", 1),
        (CNN_TRANSFER, "fused", 2),
        (CNN_TRANSFER, "looped", 2),
        (CNN_TRANSFER, "looped", 3),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_rounds_that_were_cut_off_go_on_as_if_they_had_not_been(
    fresh: list[Data],
    variant: Variant,
    mode: Any,
    last: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut off before, at and after the phase change of a two-phase variant, and at the end."""
    config = config_of(variant, epochs=4)
    cohort = round_cohort(config, fresh[:2], seed=5)
    train = partial(cohort.train, variant, mode=mode, curves=True)
    whole = train()
    monkeypatch.setattr(rounds, "CHECKPOINT_EVERY_S", 0.0)
    with pytest.raises(Killed):
        train(checkpoint_folder=tmp_path, after_epoch=killed_after(last))
    epochs: list[int] = []
    again = train(checkpoint_folder=tmp_path, after_epoch=epochs.append)
    assert epochs == list(range(last + 1, 5))
    assert equal(again, whole)
    assert again.curves == whole.curves
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_more_often_than_it_need_be(same: list[Data], tmp_path: Path) -> None:
    written: list[list[Path]] = []
    run_rounds(
        MLP,
        config_of(MLP),
        same,
        checkpoint_folder=tmp_path,
        after_epoch=lambda epoch: written.append(list(tmp_path.iterdir())),
    )
    assert written == [[], []]
