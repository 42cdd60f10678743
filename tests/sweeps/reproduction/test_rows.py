import json
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.bits import machine_key
from sweeps import rounds
from sweeps.reproduction.data import POINTS, dataset_of, draw, scaled
from sweeps.reproduction.rows import (
    PROBES_PER_SIDE,
    QUICK_PAIRS,
    Job,
    cohort,
    error_shares,
    measure,
    quick,
    result_path,
    spread,
    stored,
)
from tests.refusals import text
from trainables.data.pairs import draw_pairs
from trainables.data.source import ImageSource
from trainables.presets.preset import Protocol
from trainables.presets.registry import PRESETS
from trainables.stack.stack import FoldStack
from trainables.tasks import disc
from trainables.tasks.samples import Samples
from trainables.variants import VARIANTS

MakeJob = Callable[..., Job]
Result = dict[str, Any]
Measured = Callable[[Job], Result]

NOT_REPEATED = {"time_s"}
"""Keys that differ between two measurements."""
KEPT = json.loads((Path(__file__).parents[2] / "fixtures" / "reproduced.json").read_text())


def images(samples: Samples) -> np.ndarray:
    return samples.inputs["images"]


def target(samples: Samples) -> np.ndarray:
    return samples.targets["target"]


def answering(*answers: np.ndarray) -> Callable[..., list[dict[str, np.ndarray]]]:
    """Return a stand-in for `FoldStack.predict` whose members give these answers."""
    return lambda stack, rows=None: [{"answer": answer} for answer in answers]


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


@pytest.mark.parametrize(
    ("preset", "dataset", "key"),
    [
        ("kong/a_w_net", "mnist", "97af126671ef590e"),
        ("aguet2019/fc", "mnist", "bc3e3b07db30fb13"),
        ("gervaise2020/disc_relu", "disc", "b3739c55861f69a7"),
    ],
)
def test_rows_keep_their_keys(preset: str, dataset: str, key: str) -> None:
    """Stored results of earlier runs are found by their keys."""
    row = PRESETS[preset]
    job = Job(
        preset=row,
        protocol=row.measurements[-1].protocol,
        config=VARIANTS[row.variant].config.from_dict(row.config),  # type: ignore[arg-type]
        dataset=dataset,
        seed=0,
    )
    assert job.key == key


# Protocols --------------------------------------------------------------------------------------


def test_a_protocol_is_scaled_to_a_smaller_dataset_in_its_proportions(source: ImageSource) -> None:
    protocol = Protocol(kind="rounds", count=10, held_back=200, test_from=500)
    small = scaled(protocol, "digits", source)
    assert small == Protocol(
        kind="rounds",
        count=10,
        fresh_data=False,
        train_pairs=598,
        test_pairs=300,
        held_back=119,
        test_from=150,
    )
    assert scaled(small, "digits", source) == small
    assert scaled(protocol, "mnist", replace(source, dataset="mnist")) == protocol


def test_points_are_drawn_and_not_scaled(source: ImageSource) -> None:
    protocol = Protocol(kind="rounds", count=10)
    assert scaled(protocol, POINTS, source) == protocol
    points = draw(POINTS, source, seed=3, train_pairs=700, test_pairs=5)
    assert points.digest == disc.draw(3, 700, 5).digest


def test_a_row_is_of_points_or_of_the_images_at_hand() -> None:
    found = {p.name: dataset_of(p, "digits") for p in PRESETS.values()}
    assert found["kong/a_w_net"] == "digits"
    points = {name for name, dataset in found.items() if dataset == POINTS}
    assert points == {p.name for p in PRESETS.values() if p.variant.startswith("disc_")}


def test_a_quick_protocol_has_two_members_and_the_proportions(source: ImageSource) -> None:
    protocol = Protocol(kind="rounds", count=10, held_back=200, test_from=500)
    small = quick(protocol)
    assert (small.count, small.train_pairs, small.test_pairs) == (2, QUICK_PAIRS, QUICK_PAIRS)
    assert (small.held_back, small.test_from) == (12, 30)
    assert (small.kind, small.fresh_data) == ("rounds", True)
    on_digits = quick(scaled(protocol, "digits", source))
    assert (on_digits.held_back, on_digits.test_from) == (11, 30)


def test_members_are_rounds_or_folds_of_the_pairs_that_the_protocol_says(
    make_job: MakeJob, source: ImageSource
) -> None:
    data = draw_pairs(source, seed=0, train_pairs=24, test_pairs=20)
    same = cohort(make_job(), source)
    assert np.array_equal(images(same.samples)[:24], images(data.train))
    assert np.array_equal(images(same.samples)[24:], images(data.test_rows))
    fresh = cohort(make_job(protocol={"fresh_data": True}), source)
    assert len(fresh.samples) == 2 * 44
    assert not np.array_equal(images(fresh.samples)[:24], images(fresh.samples)[44:68])
    more = cohort(make_job(protocol={"fresh_data": True, "count": 3}), source)
    assert np.array_equal(images(more.samples)[:88], images(fresh.samples))
    folds = cohort(make_job(protocol={"kind": "folds", "count": 3}), source)
    assert np.array_equal(images(folds.samples), images(data.train))
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
    test = target(draw_pairs(source, seed=0, train_pairs=24, test_pairs=20).test_rows)
    right = np.ones(20, dtype=bool)
    right[[0, 1, 2, 17]] = False
    answers = np.where(right, test, 1 - test)
    monkeypatch.setattr(FoldStack, "predict", answering(answers, test))
    job = make_job(protocol={"test_from": 12}, epochs=1)
    assert measured(job)["accuracy"] == [7 / 8, 1.0]
    assert measured(make_job(epochs=1))["accuracy"] == [16 / 20, 1.0]


def test_wrong_answers_are_counted_by_pair_of_digits(
    make_job: MakeJob, measured: Measured, source: ImageSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = draw_pairs(source, seed=0, train_pairs=24, test_pairs=20).test_rows
    wrong_at = [[3, 11], [3]]
    answers = [target(test).copy() for _ in wrong_at]
    for answer, indices in zip(answers, wrong_at, strict=True):
        answer[indices] = 1 - answer[indices]
    monkeypatch.setattr(FoldStack, "predict", answering(*answers))
    result = measured(make_job(epochs=1))
    count, wrong = np.array(result["count"]), np.array(result["wrong"])
    assert (count.sum(), wrong.sum()) == (40, 3)
    classes = test.targets["classes"]
    assert wrong[tuple(classes[3])] == 2
    assert wrong[tuple(classes[11])] == 1
    for pair in np.unique(classes, axis=0):
        assert count[tuple(pair)] == 2 * (classes == pair).all(axis=1).sum()


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
    make_job: MakeJob, measured: Measured, source: ImageSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the two rounds predicts that points in the upper half are inside."""
    job = make_job("disc_relu", dataset="disc", epochs=1)
    members = cohort(job, source)
    drawn = disc.draw(0, 24, 20)
    assert [len(member.held_out) for member in members.members] == [20, 20]

    def predict(stack: FoldStack, rows: Any = None) -> list[dict[str, np.ndarray]]:
        if rows is None:
            return [{"answer": target(drawn.test_rows)}] * 2
        upper = (members.samples.inputs["points"][rows, 1] > 0.5).astype(int)
        return [{"answer": upper}, {"answer": np.zeros_like(upper)}]

    monkeypatch.setattr(FoldStack, "predict", predict)
    result = measured(job)
    assert result["accuracy"] == [1.0, 1.0]
    assert "wrong" not in result
    regions = np.array(result["regions"])
    assert regions.shape == (PROBES_PER_SIDE, PROBES_PER_SIDE)
    half = PROBES_PER_SIDE // 2
    assert (regions[:half] == 0.0).all()
    assert (regions[half:] == 0.5).all()
    xy_target = np.array(result["points"])
    np.testing.assert_allclose(xy_target[:, :2], drawn.train.inputs["points"], atol=1e-4)
    assert np.array_equal(xy_target[:, 2], target(drawn.train))


@pytest.mark.skipif(
    machine_key() != KEPT["machine"],
    reason=f"numbers were recorded with {KEPT['machine']}, and here is {machine_key()}",
)
@pytest.mark.parametrize("name", KEPT["rows"])
def test_rows_keep_their_numbers_to_the_last_bit(name: str, measured: Measured) -> None:
    row = PRESETS[name]
    job = Job(
        preset=row,
        protocol=quick(row.measurements[0].protocol),
        config=VARIANTS[row.variant].config.from_dict({**row.config, "epochs": 2}),  # type: ignore[arg-type]
        dataset=dataset_of(row, "digits"),
        seed=0,
    )
    found, kept = json.loads(json.dumps(measured(job))), KEPT["rows"][name]
    assert {key: found[key] for key in kept} == kept


class Killed(Exception):
    pass


def kill_after(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    """Make training fail after a number of epochs."""
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
    checkpoint.with_name(f"{checkpoint.name}.part").touch()  # left by a kill during writing

    with monkeypatch.context() as patch:
        kill_after(patch, 2)  # the remaining epochs
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
    job = make_job(lr=1e30, epochs=4, batch_norm=False, batch_size=24)  # one step per epoch
    result = measured(job)
    assert result["error"] == text("averages.loss-not-finite", epoch=2)
    assert "accuracy" not in result
    assert stored(tmp_path, job) == json.loads(json.dumps(result))
    assert files_in(tmp_path) == ["report", "report/row-rounds.json"]


# Statistics -------------------------------------------------------------------------------------


def test_a_spread_is_that_of_a_sample_and_a_single_value_has_none() -> None:
    assert spread([0.5, 0.7]) == pytest.approx((0.6, 0.02**0.5))
    assert spread([0.5]) == (0.5, None)


def test_errors_are_shared_out_by_how_far_apart_the_digits_are() -> None:
    count, wrong = np.zeros((2, 10, 10), dtype=int)
    count[3, 3], wrong[3, 3] = 4, 1
    count[3, 4], wrong[3, 4] = 5, 2
    count[4, 3], wrong[4, 3] = 5, 3
    count[9, 0], wrong[9, 0] = 10, 1
    result = {"count": count.tolist(), "wrong": wrong.tolist()}
    assert error_shares(result) == (0.25, 0.5, 0.1)
    assert error_shares({"count": count * 0, "wrong": wrong * 0}) == (0.0, 0.0, 0.0)
