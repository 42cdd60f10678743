"""Ray Trainables in this process, called as Ray calls them in an actor."""

import math
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import ray.util
import torch
from ray import cloudpickle, tune
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import nn

from foldsweep import names
from foldsweep.errors import UserError
from tests.trainables.cases import is_tagged
from trainables.checkpoints import load_checkpoint
from trainables.config import TrialConfig
from trainables.models.estimators.config import EstimatorConfig
from trainables.refusals import signature_in
from trainables.stack.held_out import HeldOut
from trainables.tasks.task import Variant
from trainables.trainable import (
    BY_FOLD,
    DIVERGED,
    FAILED,
    HELD_OUT,
    HISTORY,
    LAST_ERROR,
    REPORTED_AT,
    TRIAL_NUMBER,
    UNSAVED,
    trainable_for,
)
from trainables.trial import CrossValidation, summary
from trainables.variants import VARIANTS

VOLATILE = {names.TRAIN_TIME}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Let Ray create its result folders in `tmp_path`; skip the lookup of its own address."""
    monkeypatch.setattr(
        "ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path), raising=False
    )
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "127.0.0.1")


@pytest.fixture
def make(small_config, make_context):
    """Function that creates a variant's Trainable as Ray does, with a small configuration."""

    def build(variant, context=None, **values):
        context = context or make_context(variant)
        bound = tune.with_parameters(trainable_for(variant), context=context)
        return bound(config=flat(variant, **values))

    def flat(variant, number=3, cut_off_at=None, **values):
        cut_off = {} if cut_off_at is None else {REPORTED_AT: cut_off_at}
        return {**small_config(variant, **values).to_dict(), TRIAL_NUMBER: number, **cut_off}

    build.config = flat
    return build


def comparable(result):
    """Result without measured times."""
    kept = {key: value for key, value in result.items() if key not in VOLATILE}
    history = [{k: v for k, v in row.items() if k != "time"} for row in result[HISTORY]]
    return {**kept, HISTORY: history}


def results_of(trainable):
    results = [trainable.step()]
    while not results[-1]["done"]:
        results.append(trainable.step())
    return [comparable(result) for result in results]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_has_a_trainable_of_its_own_name(name):
    trainable = trainable_for(VARIANTS[name])
    assert trainable.variant.full_name == VARIANTS[name].full_name
    assert trainable.__name__ == "".join(part.title() for part in name.split("_")) + "Trainable"


def test_a_result_is_complete_and_finite(variant, make):
    result = make(variant).step()
    measured = {"val_accuracy", "val_loss", "train_accuracy", "train_loss"}
    if is_tagged(variant, "auxiliary"):
        measured |= {"val_digit_accuracy", "train_main_loss", "train_aux_loss"}
    about = {BY_FOLD, HISTORY, DIVERGED, names.EPOCH, names.NUM_PARAMS, names.TRAIN_TIME}
    stds = {names.std_key(name) for name in measured}
    assert set(result) == measured | stds | about | {"done"}
    by_fold = dict(result[BY_FOLD])
    assert {name: len(values) for name, values in by_fold.items()} == dict.fromkeys(measured, 3)
    for key, value in summary(by_fold).items():
        assert math.isfinite(value)
        assert result[key] == value
    assert 0 < result["val_accuracy"] <= 1
    assert result[names.EPOCH] == len(result[HISTORY]) == 3
    assert result["done"]
    assert not result[DIVERGED]


def test_the_last_result_alone_has_the_held_out_rows(family, make, make_context):
    context = make_context(report_at=(1, 3), keep="val_accuracy")
    first, last = results_of(make(family, context))
    assert HELD_OUT not in first
    held = HeldOut.from_bytes(last[HELD_OUT])
    assert held.key == "val_accuracy"
    assert np.isfinite(held.values).all()
    scores = dict(last[BY_FOLD])["val_accuracy"]
    assert [held.values[held.fold == k].mean() for k in range(3)] == pytest.approx(scores)
    assert results_of(make(family, context))[-1][HELD_OUT] == last[HELD_OUT]


def test_a_trial_that_diverges_keeps_no_held_out_rows(family, make, make_context):
    (last,) = results_of(make(family, make_context(keep="val_accuracy"), lr=1e30))
    assert last[DIVERGED]
    assert HELD_OUT not in last


def test_reports_come_at_their_epochs_with_the_history_since(family, make, make_context):
    trainable = make(family, make_context(report_at=(1, 3, 4)), epochs=4)
    results = results_of(trainable)
    assert [result[names.EPOCH] for result in results] == [1, 3, 4]
    assert [[row["epoch"] for row in r[HISTORY]] for r in results] == [[1], [2, 3], [4]]
    assert [result["done"] for result in results] == [False, False, True]


def test_a_slow_trial_reports_in_between_too(family, make, make_context):
    results = results_of(make(family, make_context(report_at=(2, 3), report_every_s=0.0)))
    assert [result[names.EPOCH] for result in results] == [1, 2, 3]
    same = results_of(make(family, make_context(report_at=(2, 3))))
    assert results[-1][BY_FOLD] == same[-1][BY_FOLD]


def test_a_reused_actor_gives_what_a_fresh_one_gives(family, make, make_context):
    context = make_context(report_at=(1, 3))
    fresh = make(family, context, dropout=0.3, number=3)
    reused = make(family, context, lr=0.5, dropout=0.1, number=2)
    reused.step()
    torch.rand(3)
    assert reused.reset_config(make.config(family, dropout=0.3, number=3))
    assert results_of(reused) == results_of(fresh)


def test_a_configuration_is_left_as_it_came(family, make):
    config = make.config(family)
    trainable = make(family)
    before = dict(config)
    trainable.reset_config(config)
    assert config == before


def test_what_ray_saved_ray_can_restore(family, make, make_context, tmp_path):
    context = make_context(report_at=(1, 2, 3))
    through, restored = make(family, context, dropout=0.3), make(family, context, dropout=0.3)
    through.step()
    through.save_checkpoint(str(tmp_path))
    restored.load_checkpoint(str(tmp_path))
    later = results_of(restored)
    assert [row["epoch"] for row in later[0][HISTORY]] == [1, 2]
    assert later[-1] == results_of(through)[-1]


def test_a_trial_continues_from_its_checkpoint(family, make, make_context, tmp_path):
    folder = str(tmp_path / "checkpoints")
    context = make_context(report_at=(1, 2, 3), checkpoint_folder=folder, checkpoint_every_s=0.0)
    expected = results_of(make(family, make_context(report_at=(1, 2, 3)), dropout=0.3))
    stopped = make(family, context, dropout=0.3)
    stopped.step()
    stopped.step()
    assert load_checkpoint(folder, 3)["stack"]["epoch"] == 2
    continued = make(family, context, dropout=0.3, cut_off_at=2)
    last = comparable(continued.step())
    assert [row["epoch"] for row in last[HISTORY]] == [1, 2, 3]
    assert {**last, HISTORY: last[HISTORY][-1:]} == expected[-1]


def test_a_trial_with_a_damaged_checkpoint_starts_again(make, make_context, tmp_path, caplog):
    variant, folder = VARIANTS["mlp"], tmp_path / "checkpoints"
    values = {"report_at": (1, 2, 3), "checkpoint_every_s": 0.0}
    context = make_context(checkpoint_folder=str(folder), **values)
    stopped = make(variant, context)
    stopped.step()
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    again = make(variant, context, cut_off_at=0)
    assert results_of(again) == results_of(make(variant, make_context(**values)))
    assert [text for text in caplog.messages if "the trial starts again" in text]


@pytest.fixture
def broken_store(tmp_path):
    """Checkpoint folder that refuses writes: a file has its path. Remove the file to repair it."""
    (tmp_path / "store").write_text("in the way")
    return tmp_path / "store"


def test_a_checkpoint_that_cannot_be_saved_costs_a_warning(
    make, make_context, broken_store, caplog
):
    context = make_context(
        report_at=(1, 2, 3),
        checkpoint_folder=str(broken_store / "checkpoints"),
        checkpoint_every_s=0.0,
    )
    expected = results_of(make(VARIANTS["mlp"], make_context(report_at=(1, 2, 3))))
    trainable = make(VARIANTS["mlp"], make_context(report_at=(1, 2, 3)))
    trainable.context = context
    results = [trainable.step()]
    seconds, reason = results[0][UNSAVED]
    assert seconds >= 0
    assert "Not a directory" in reason
    assert [text for text in caplog.messages if text.startswith("trial 3 could not be saved: ")]
    broken_store.unlink()
    results += [trainable.step(), trainable.step()]
    assert [UNSAVED in result for result in results] == [True, False, False]
    del results[0][UNSAVED]
    assert [comparable(result) for result in results] == expected
    assert load_checkpoint(context.checkpoint_folder, 3)["stack"]["epoch"] == 2


def test_a_checkpoint_is_loaded_as_soon_as_the_store_is_there(
    make, make_context, tmp_path, monkeypatch
):
    folder = str(tmp_path / "checkpoints")
    context = make_context(report_at=(1, 2, 3), checkpoint_folder=folder, checkpoint_every_s=0.0)
    stopped = make(VARIANTS["mlp"], context)
    stopped.step()
    stopped.step()
    tries = []

    def away_at_first(*args):
        tries.append(args)
        if len(tries) < 3:
            raise OSError("503 Slow Down")
        return load_checkpoint(*args)

    monkeypatch.setattr("trainables.trainable.load_checkpoint", away_at_first)
    continued = make(VARIANTS["mlp"], context, cut_off_at=2)
    assert [row["epoch"] for row in continued.step()[HISTORY]] == [1, 2, 3]
    assert continued.trial.stack.epoch == 3
    assert len(tries) == 3


def test_a_store_that_stays_away_costs_a_trial_its_epochs_and_not_its_result(
    make, make_context, broken_store, monkeypatch, caplog
):
    def away(*args):
        raise OSError("refused")

    monkeypatch.setattr("trainables.trainable.load_checkpoint", away)
    values = {"report_at": (1, 2, 3)}
    context = make_context(checkpoint_folder=str(broken_store), patience_s=0.0, **values)
    again = results_of(make(VARIANTS["mlp"], context, cut_off_at=1))
    assert again == results_of(make(VARIANTS["mlp"], make_context(**values)))
    assert (
        "checkpoint of trial 3 cannot be read, the trial starts again: refused" in caplog.messages
    )


def test_a_short_trial_does_not_save(make, make_context, tmp_path):
    folder = tmp_path / "checkpoints"
    trainable = make(VARIANTS["mlp"], make_context(checkpoint_folder=str(folder)))
    assert trainable.step()["done"]
    assert not folder.exists()


def test_a_trial_that_diverges_is_done_and_says_so(family, make, make_context):
    result = make(family, make_context(report_at=(1, 2, 3)), lr=1e30).step()
    assert result[DIVERGED]
    assert result["done"]
    assert result[names.EPOCH] == 1


def test_a_trainable_only_wraps_a_trial(family, make, make_context, small_config):
    plain = CrossValidation(family, small_config(family), make_context(), 3)
    plain.advance(3)
    result = make(family).step()
    assert dict(result[BY_FOLD]) == plain.by_fold


@pytest.mark.slow
def test_a_trainable_bound_to_its_context_reaches_another_process(make_context, tmp_path, make):
    """Pickled as Ray does it; the other process has neither this module nor this context."""
    variant = VARIANTS["mlp"]
    expected = make(variant).step()[names.VAL_LOSS]
    parcel = tmp_path / "parcel.pkl"
    contents = (trainable_for(variant), make_context(), make.config(variant))
    parcel.write_bytes(cloudpickle.dumps(contents))
    code = """
import sys, pickle
cls, context, config = pickle.load(open(sys.argv[1], "rb"))
trainable = cls.__new__(cls)
trainable.setup(config, context)
print(repr(trainable.step()["val_loss"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(parcel)],
        check=True,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert float(done.stdout.split()[-1]) == pytest.approx(expected, rel=1e-6)


def test_a_new_trial_asks_no_store_for_a_checkpoint(make, make_context, broken_store, monkeypatch):
    """A new trial has no checkpoint, and would only wait for a store that is unreachable."""
    monkeypatch.setattr("trainables.trainable.load_checkpoint", lambda *args: pytest.fail("asked"))
    context = make_context(checkpoint_folder=str(broken_store))
    assert make(VARIANTS["mlp"], context).step()["epoch"] == 3


@pytest.mark.parametrize(("reported_at", "epochs"), [(1, [1, 2]), (2, [1, 2, 3])])
def test_a_checkpoint_whose_report_was_lost_is_reported_before_it_trains_on(
    make, make_context, tmp_path, reported_at, epochs
):
    """The scheduler has not yet decided whether the trial continues after that epoch."""
    variant = VARIANTS["mlp"]
    folder = str(tmp_path / "checkpoints")
    context = make_context(report_at=(1, 2, 3), checkpoint_folder=folder, checkpoint_every_s=0.0)
    stopped = make(variant, context)
    first, second = stopped.step(), comparable(stopped.step())
    again = make(variant, context, cut_off_at=reported_at)
    now = comparable(again.step())
    assert [row["epoch"] for row in now[HISTORY]] == epochs
    if reported_at == 1:
        assert {**now, HISTORY: []} == {**second, HISTORY: []}
        assert first["epoch"] == 1


class Sick(nn.Module):
    """Network that fails in the way that its configuration names."""

    def __init__(self, config, shapes):
        super().__init__()
        self.how = config.how
        if self.how == "refuses":
            raise UserError("the kernel is larger than the image")
        self.layers = nn.Linear(5 if self.how == "shape" else 392, shapes.outputs)

    def forward(self, images):
        if self.training and self.how == "crashes":
            raise RuntimeError("boom")
        return self.layers(images.flatten(1))


@dataclass(frozen=True, kw_only=True)
class SickConfig(TrialConfig):
    how: str = ""


@pytest.fixture
def sick(make_context):
    variant = Variant(name="sick", task=VARIANTS["mlp"].task, model=Sick, config=SickConfig)
    trainable = tune.with_parameters(trainable_for(variant), context=make_context(VARIANTS["mlp"]))
    return trainable, {**SickConfig(epochs=1, batch_size=8).to_dict(), TRIAL_NUMBER: 0}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("refuses", "the kernel is larger than the image"),
        ("shape", "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x392 and 5x2)"),
    ],
)
def test_what_cannot_be_built_is_a_result_and_its_process_serves_another(sick, how, said):
    trainable, config = sick
    actor = trainable(config={**config, "how": how})
    kind, line, text = actor.step()[FAILED]
    assert (kind, line) == (names.REFUSED, said)
    assert ("Traceback" in text) == (how == "shape")
    actor.reset_config(config)
    assert FAILED not in actor.step()


def test_a_crash_is_tried_again_unless_it_is_the_same_again(sick):
    trainable, config = sick
    with pytest.raises(RuntimeError, match="boom") as first:
        trainable(config={**config, "how": "crashes"}).step()
    last = signature_in("\n".join(first.value.__notes__))
    again = trainable(config={**config, "how": "crashes", LAST_ERROR: last})
    kind, line, text = again.step()[FAILED]
    assert (kind, line) == (names.CRASHED, "RuntimeError: boom")
    assert "in forward" in text
    with pytest.raises(RuntimeError, match="boom"):
        trainable(config={**config, "how": "crashes", LAST_ERROR: "another"}).step()


class Picky(ClassifierMixin, BaseEstimator):
    """Estimator that checks its parameters in `fit`, as scikit-learn's do."""

    def fit(self, x, y):
        raise ValueError("Solver lbfgs supports only 'l2' or None penalties, got l1 penalty.")


@dataclass(frozen=True, kw_only=True)
class PickyConfig(EstimatorConfig):
    penalty: str = "l1"


def test_an_estimator_whose_parameters_do_not_go_together_is_refused(make_context):
    task = VARIANTS["mlp"].task
    variant = Variant(name="own", task=task, model=lambda *_: Picky(), config=PickyConfig)
    trainable = tune.with_parameters(trainable_for(variant), context=make_context(VARIANTS["mlp"]))
    kind, line, _ = trainable(config={"penalty": "l1", TRIAL_NUMBER: 0}).step()[FAILED]
    assert kind == names.REFUSED
    assert line.startswith("ValueError: Solver lbfgs supports only")
