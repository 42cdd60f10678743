"""Records in a sweep's run in MLflow."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search_spaces.loading import load_space
from search_spaces.space import SearchSpace
from sweeps import sweep as sweep_module
from tests.sweeps.sweep.dry import Noted
from trainables.tasks.samples import Data
from trainables.tasks.splits import Split
from trainables.tasks.task import DataRequest, Task


def test_a_sweep_records_what_it_may_spend(
    noted: Callable[..., Noted], make_space: Callable[..., SearchSpace], data: Data
) -> None:
    found = noted(make_space(), data, epochs=50)
    assert found.tags["foldsweep.trials"] == "30"
    assert found.tags["foldsweep.resource"] == "50 epochs"
    assert (found.tags["foldsweep.scheduler"], found.params["scheduler"]) == ("asha", "asha")
    assert found.params["epochs"] == 50


def test_a_whole_grid_records_its_size_and_longest_trial(
    noted: Callable[..., Noted], make_space: Callable[..., SearchSpace], data: Data
) -> None:
    space = make_space(domains={}, grid={"lr": (0.1, 0.2), "epochs": (3, 6)})
    tags = noted(space, data, sampler="grid").tags
    assert (tags["foldsweep.trials"], tags["foldsweep.resource"]) == ("5", "6 epochs")


@pytest.mark.parametrize(
    ("name", "resource", "scheduler"),
    [("random_forest", "300 n_estimators", "asha"), ("logistic", "", "none")],
)
def test_an_estimator_records_its_own_resource_if_it_has_one(
    noted: Callable[..., Noted], table: Task, name: str, resource: str, scheduler: str
) -> None:
    data = table.load(DataRequest(seed=0))
    tags = noted(load_space(name, table), data, epochs=2).tags
    assert tags["foldsweep.resource"] == resource
    assert tags["foldsweep.scheduler"] == scheduler


def test_a_small_sweep_records_that_nothing_is_stopped_until_it_is_extended(
    noted: Callable[..., Noted], make_space: Callable[..., SearchSpace], data: Data
) -> None:
    few = noted(make_space(), data, trials=4)
    assert (few.tags["foldsweep.scheduler"], few.params["scheduler"]) == ("none", "none")
    assert few.tags["foldsweep.trials"] == "4"
    more = noted(make_space(), data, trials=20, resume=True)
    assert more.tags["foldsweep.scheduler"] == "asha"
    assert more.tags["foldsweep.trials"] == "20"


def test_every_run_records_how_much_its_folds_overlap(
    noted: Callable[..., Noted], table: Task, data: Data, make_space: Callable[..., SearchSpace]
) -> None:
    found = noted(make_space(), data)
    assert found.tags["foldsweep.overlap"] == found.trial_tags["foldsweep.overlap"] == "0.25"


def test_folds_in_time_overlap_otherwise(
    noted: Callable[..., Noted], table: Task, tmp_path: Path
) -> None:
    in_time = replace(table, split=Split(kind="time"))
    data = table.load(DataRequest(seed=0))
    tags = noted(load_space("logistic", in_time), data, folds=3).trial_tags
    folds = in_time.split.folds(data.train, target=table.target, num_folds=3, seed=0)
    expected = np.mean([len(fold.val) / len(fold.train) for fold in folds])
    assert float(tags["foldsweep.overlap"]) == pytest.approx(expected)
    assert expected > 0.5


def test_the_overlap_is_no_part_of_what_a_sweep_is(
    noted: Callable[..., Noted],
    make_space: Callable[..., SearchSpace],
    data: Data,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted(make_space(), data)
    monkeypatch.setattr(sweep_module, "overlap", lambda folds: 0.5)
    assert noted(make_space(), data, resume=True).tags["foldsweep.overlap"] == "0.5"
