import json
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps import rounds
from sweeps.reproduction.rows import (
    PROBES_PER_SIDE,
    QUICK_PAIRS,
    Job,
    cohort,
    error_shares,
    measure,
    quick,
    result_path,
    scaled,
    shown_spread,
    spread,
    stored,
)
from trainables.data.pairs import draw_pairs
from trainables.data.source import DiscSource, ImageSource
from trainables.presets.preset import Protocol
from trainables.stack.stack import FoldStack

MakeJob = Callable[..., Job]
Result = dict[str, Any]
Measured = Callable[[Job], Result]

NOT_REPEATED = {"time_s"}
"""What no two measurements share."""


@pytest.fixture
def measured(source: ImageSource, tmp_path: Path) -> Measured:
    return lambda job: measure(job, source, tmp_path, threads=1, device="cpu")


# Keys -------------------------------------------------------------------------------------------

CHANGES: list[dict[str, Any]] = [
    {"lr": 0.02},
    {"epochs": 3},
    {"hidden": (8, 8)},
    {"lr_decay": 0.9},
    {"variant": "mlp_ws"},
    {"seed": 1},
    {"dataset": "mnist"},
    {"protocol": {"kind": "folds"}},
    {"protocol": {"count": 3}},
    {"protocol": {"fresh_data": True}},
    {"protocol": {"train_pairs": 25}},
    {"protocol": {"test_pairs": 21}},
    {"protocol": {"held_back": 2}},
    {"protocol": {"test_from": 5}},
    {"protocol": {"curves": True}},
]


def test_a_key_changes_with_all_that_a_result_depends_on(make_job: MakeJob) -> None:
    keys = [make_job(**change).key for change in ({}, *CHANGES)]
    assert len(set(keys)) == len(keys)
    changed = {key for change in CHANGES for key in change.get("protocol", ())}
    assert changed == {field.name for field in fields(Protocol)}


def test_a_key_does_not_change_with_what_is_at_its_default(make_job: MakeJob) -> None:
    plain = make_job()
    assert make_job(lr_decay=1.0, weight_decay=0.0).key == plain.key
    assert make_job(protocol={"held_back": 0, "test_from": 0}).key == plain.key
    assert make_job(name="report/other").key == plain.key


# Protocols --------------------------------------------------------------------------------------


def test_a_protocol_is_scaled_to_a_smaller_dataset_in_its_proportions(source: ImageSource) -> None:
    protocol = Protocol(kind="rounds", count=10, held_back=200, test_from=500)
    small = scaled(protocol, source)
    assert small == Protocol(
        kind="rounds",
        count=10,
        fresh_data=False,
        train_pairs=598,
        test_pairs=300,
        held_back=119,
        test_from=150,
    )
    assert scaled(small, source) == small
    assert scaled(protocol, replace(source, dataset="mnist")) == protocol


def test_points_are_drawn_and_not_scaled() -> None:
    protocol = Protocol(kind="rounds", count=10)
    assert scaled(protocol, DiscSource()) == protocol


def test_a_quick_protocol_has_two_members_and_the_proportions(source: ImageSource) -> None:
    protocol = Protocol(kind="rounds", count=10, held_back=200, test_from=500)
    small = quick(protocol)
    assert (small.count, small.train_pairs, small.test_pairs) == (2, QUICK_PAIRS, QUICK_PAIRS)
    assert (small.held_back, small.test_from) == (12, 30)
    assert (small.kind, small.fresh_data) == ("rounds", True)
    on_digits = quick(scaled(protocol, source))
    assert (on_digits.held_back, on_digits.test_from) == (11, 30)


def test_members_are_rounds_or_folds_of_the_pairs_that_the_protocol_says(
    make_job: MakeJob, source: ImageSource
) -> None:
    data = draw_pairs(source, seed=0, train_pairs=24, test_pairs=20)
    same = cohort(make_job(), source)
    assert np.array_equal(same.pairs.images[:24], data.train.images)
    assert np.array_equal(same.pairs.images[24:], data.test.images)
    fresh = cohort(make_job(protocol={"fresh_data": True}), source)
    assert len(fresh.pairs) == 2 * 44
    assert not np.array_equal(fresh.pairs.images[:24], fresh.pairs.images[44:68])
    more = cohort(make_job(protocol={"fresh_data": True, "count": 3}), source)
    assert np.array_equal(more.pairs.images[:88], fresh.pairs.images)
    folds = cohort(make_job(protocol={"kind": "folds", "count": 3}), source)
    assert np.array_equal(folds.pairs.images, data.train.images)
    assert sorted(i for m in folds.members for i in m.held_out) == list(range(24))
    held_back = cohort(make_job(protocol={"held_back": 4}), source)
    assert [len(member.train) for member in held_back.members] == [20, 20]


# Results ----------------------------------------------------------------------------------------


def test_a_stored_result_is_found_as_long_as_its_job_is_the_same(
    make_job: MakeJob, measured: Measured, tmp_path: Path
) -> None:
    job = make_job()
    assert stored(tmp_path, job) is None
    result = measured(job)
    assert stored(tmp_path, job) == json.loads(json.dumps(result))
    assert (result["num_params"], len(result["accuracy"])) == (392 * 8 + 8 + 8 * 2 + 2, 2)
    assert result["config"]["lr"] == 0.01
    for changed in (make_job(lr=0.02), make_job(seed=1)):
        assert result_path(tmp_path, changed) == result_path(tmp_path, job)
        assert stored(tmp_path, changed) is None
    assert stored(tmp_path, make_job(name="report/other")) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"key": "0123"}'])
def test_what_is_no_result_is_not_found(make_job: MakeJob, tmp_path: Path, text: str) -> None:
    job = make_job()
    result_path(tmp_path, job).parent.mkdir(parents=True)
    result_path(tmp_path, job).write_text(text)
    assert stored(tmp_path, job) is None


def test_a_cut_off_result_is_not_found(
    make_job: MakeJob, measured: Measured, tmp_path: Path
) -> None:
    job = make_job()
    measured(job)
    path = result_path(tmp_path, job)
    path.write_bytes(path.read_bytes()[:-10])
    assert stored(tmp_path, job) is None


def test_only_the_later_test_pairs_count_where_the_protocol_says_so(
    make_job: MakeJob, measured: Measured, source: ImageSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = draw_pairs(source, seed=0, train_pairs=24, test_pairs=20).test
    right = np.ones(20, dtype=bool)
    right[[0, 1, 2, 17]] = False
    answers = np.where(right, test.target, 1 - test.target)
    monkeypatch.setattr(FoldStack, "predict", lambda stack: [answers, test.target])
    job = make_job(protocol={"test_from": 12}, epochs=1)
    assert measured(job)["accuracy"] == [7 / 8, 1.0]
    assert measured(make_job(epochs=1))["accuracy"] == [16 / 20, 1.0]


def test_wrong_answers_are_counted_by_pair_of_digits(
    make_job: MakeJob, measured: Measured, source: ImageSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = draw_pairs(source, seed=0, train_pairs=24, test_pairs=20).test
    wrong_at = [[3, 11], [3]]
    answers = [test.target.copy() for _ in wrong_at]
    for answer, indices in zip(answers, wrong_at, strict=True):
        answer[indices] = 1 - answer[indices]
    monkeypatch.setattr(FoldStack, "predict", lambda stack: answers)
    result = measured(make_job(epochs=1))
    count, wrong = np.array(result["count"]), np.array(result["wrong"])
    assert (count.sum(), wrong.sum()) == (40, 3)
    assert wrong[tuple(test.classes[3])] == 2
    assert wrong[tuple(test.classes[11])] == 1
    for pair in np.unique(test.classes, axis=0):
        assert count[tuple(pair)] == 2 * (test.classes == pair).all(axis=1).sum()


def test_digits_are_measured_where_they_are_trained(make_job: MakeJob, measured: Measured) -> None:
    assert measured(make_job())["digit_accuracy"] == []
    result = measured(make_job("mlp_ws_aux", digits="side", aux_weight=1.0, epochs=1))
    assert len(result["digit_accuracy"]) == 2


def test_curves_are_kept_where_the_protocol_asks_for_them(
    make_job: MakeJob, measured: Measured
) -> None:
    result = measured(make_job(protocol={"curves": True}))
    assert [len(values) for values in result["curves"]["accuracy"]] == [2, 2]
    assert result["curves"]["accuracy"][-1] == result["accuracy"]
    assert "curves" not in measured(make_job())


def test_a_row_of_points_keeps_them_and_the_share_of_rounds_that_say_inside(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two rounds says that a point is inside where it lies in the upper half."""
    job = make_job("disc_relu", dataset="disc", epochs=1)
    points = cohort(job, DiscSource())
    drawn = draw_pairs(DiscSource(), seed=0, train_pairs=24, test_pairs=20)
    assert [len(member.held_out) for member in points.members] == [20, 20]

    def predict(stack: FoldStack, index: Any = None) -> list[np.ndarray]:
        if index is None:
            return [drawn.test.target, drawn.test.target]
        upper = (points.pairs.images[index].reshape(-1, 2)[:, 1] > 0.5).astype(int)
        return [upper, np.zeros_like(upper)]

    monkeypatch.setattr(FoldStack, "predict", predict)
    result = measure(job, DiscSource(), tmp_path, threads=1, device="cpu")
    assert result["accuracy"] == [1.0, 1.0]
    regions = np.array(result["regions"])
    assert regions.shape == (PROBES_PER_SIDE, PROBES_PER_SIDE)
    half = PROBES_PER_SIDE // 2
    assert (regions[:half] == 0.0).all()
    assert (regions[half:] == 0.5).all()
    xy_target = np.array(result["points"])
    np.testing.assert_allclose(xy_target[:, :2], drawn.train.images.reshape(-1, 2), atol=1e-4)
    assert np.array_equal(xy_target[:, 2], drawn.train.target)


class Killed(Exception):
    pass


def kill_after(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    """Let training die."""
    train, left = FoldStack.train, epochs

    def killed(stack: FoldStack) -> Any:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        return train(stack)

    monkeypatch.setattr(FoldStack, "train", killed)


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("variant", "values"),
    [
        ("mlp", {"protocol": {"held_back": 3, "fresh_data": True}}),
        ("cnn_transfer", {"protocol": {"kind": "folds"}, "shift": 1.0}),
    ],
)
def test_a_row_that_was_cut_off_comes_to_what_an_undisturbed_one_does(
    make_job: MakeJob,
    measured: Measured,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variant: str,
    values: dict[str, Any],
) -> None:
    job = make_job(variant, epochs=4, **values)
    whole = measured(job)
    shutil.rmtree(tmp_path / "report")
    with monkeypatch.context() as patch:
        patch.setattr(rounds, "CHECKPOINT_EVERY_S", 0.0)
        kill_after(patch, 2)
        with pytest.raises(Killed):
            measured(job)
    assert stored(tmp_path, job) is None
    (checkpoint,) = tmp_path.rglob("*.pt")
    checkpoint.with_name(f"{checkpoint.name}.part").touch()  # killed while it was written

    with monkeypatch.context() as patch:
        kill_after(patch, 2)  # that is what is left
        again = measured(job)
    assert {k: v for k, v in again.items() if k not in NOT_REPEATED} == {
        k: v for k, v in whole.items() if k not in NOT_REPEATED
    }
    assert again["time_s"] > 0
    assert files_in(tmp_path) == ["report", f"report/row-{job.protocol.kind}.json"]


def test_a_changed_row_does_not_go_on_from_the_checkpoint_of_the_old_one(
    make_job: MakeJob, measured: Measured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rounds, "CHECKPOINT_EVERY_S", 0.0)
        kill_after(patch, 1)
        with pytest.raises(Killed):
            measured(make_job())
    changed = make_job(lr=0.02)
    result = measured(changed)
    shutil.rmtree(tmp_path / "report")
    assert measured(changed)["train_loss"] == result["train_loss"]


def test_a_diverged_row_is_stored_with_its_error(
    make_job: MakeJob, measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "CHECKPOINT_EVERY_S", 0.0)
    job = make_job(lr=1e30, epochs=4, batch_norm=False, batch_size=24)  # a step in each epoch
    result = measured(job)
    assert result["error"].startswith("a loss became infinite or NaN in epoch 2;")
    assert "accuracy" not in result
    assert stored(tmp_path, job) == json.loads(json.dumps(result))
    assert files_in(tmp_path) == ["report", "report/row-rounds.json"]


# Statistics -------------------------------------------------------------------------------------


def test_a_spread_is_that_of_a_sample_and_a_single_value_has_none() -> None:
    assert spread([0.5, 0.7]) == pytest.approx((0.6, 0.02**0.5))
    assert spread([0.5]) == (0.5, None)
    assert shown_spread([0.5, 0.7]) == "0.6000 ± 0.1414"
    assert shown_spread([0.5]) == "0.5000"


def test_errors_are_shared_out_by_how_far_apart_the_digits_are() -> None:
    count, wrong = np.zeros((2, 10, 10), dtype=int)
    count[3, 3], wrong[3, 3] = 4, 1
    count[3, 4], wrong[3, 4] = 5, 2
    count[4, 3], wrong[4, 3] = 5, 3
    count[9, 0], wrong[9, 0] = 10, 1
    result = {"count": count.tolist(), "wrong": wrong.tolist()}
    assert error_shares(result) == (0.25, 0.5, 0.1)
    assert error_shares({"count": count * 0, "wrong": wrong * 0}) == (0.0, 0.0, 0.0)
