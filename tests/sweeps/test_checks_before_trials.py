"""Checks of folds, of objects for the workers, and of paths, before any trial."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search_spaces.loading import ANY_TASK
from sweeps.preflight import check_folds, check_sent
from sweeps.run import _absolute
from sweeps.settings import SweepSettings, check_resumable
from tests.refusals import refused
from trainables.data.folds import Fold
from trainables.tasks.kinds import classification
from trainables.tasks.samples import Data, Samples
from trainables.trainable import trainable_for

ROWS = 40


def data(target: np.ndarray) -> Data:
    samples = Samples(inputs={"numeric": np.eye(ROWS)}, targets={"target": target})
    return Data(name="some", train=samples, test=None)


def halves() -> tuple[Fold, Fold]:
    first, second = np.arange(0, ROWS // 2), np.arange(ROWS // 2, ROWS)
    return Fold(train=first, val=second), Fold(train=second, val=first)


def test_a_fold_that_trains_on_one_class_is_named() -> None:
    early = data(np.repeat([0, 1], ROWS // 2))
    with refused("preflight.fold-of-one-class", fold=0):
        check_folds(classification("some", early), early, halves())


def test_a_fold_on_which_a_metric_is_not_defined_is_named() -> None:
    late = data(np.r_[np.arange(ROWS // 2) % 2, np.zeros(ROWS // 2, dtype=int)])
    (fold, _) = halves()
    check_folds(classification("some", late), late, (fold,))
    with refused("preflight.fold-not-scored", fold=0) as caught:
        check_folds(classification("some", late, objective="roc_auc"), late, (fold,))
    assert "roc_auc" in str(caught.value.values["error"])


def test_what_cannot_be_sent_to_workers_is_named() -> None:
    lock = threading.Lock()

    def loss(output, target):
        with lock:
            return output[..., 0]

    some = data(np.arange(ROWS) % 2)
    space = ANY_TASK["mlp"](classification("some", some, loss=loss))
    with refused("preflight.not-sent", space="mlp", file="mine.py") as caught:
        check_sent(replace(space, file="mine.py"))
    assert "lock" in str(caught.value.values["error"])


def test_the_class_that_workers_get_does_not_hold_the_data() -> None:
    from ray import cloudpickle

    some = data(np.arange(ROWS) % 2)
    big = replace(
        some,
        train=Samples(inputs={"numeric": np.zeros((ROWS, 25_000))}, targets=some.train.targets),
    )
    space = ANY_TASK["logistic"](classification("some", big))
    assert len(cloudpickle.dumps(trainable_for(space.variant))) < 1_000_000


def test_an_embedded_name_stays_one_beside_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wine").mkdir()
    assert _absolute(SweepSettings(data="wine")).data == "wine"
    assert _absolute(SweepSettings(data="table.csv")).data == str(tmp_path / "table.csv")


def test_a_sweep_resumes_with_its_data_in_another_folder() -> None:
    stored = SweepSettings(space=("mlp",), data="/a/table.csv", target="y")
    check_resumable(stored, replace(stored, data="/b/table.csv"))
    with refused("settings.changed-on-resume", changed="--target y -> z"):
        check_resumable(stored, replace(stored, target="z"))
