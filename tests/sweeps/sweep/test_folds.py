"""Training and validation rows of trials."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ray import tune

from search_spaces.space import SearchSpace
from sweeps.records import run_tags
from sweeps.settings import SweepSettings
from tests.sweeps.sweep.dry import ALLOTMENT
from trainables.tasks.samples import Data
from trainables.trial import Context, CrossValidation


def test_trials_are_cross_validated_and_never_see_a_test_pair(
    context_of: Callable[..., Context], data: Data
) -> None:
    context = context_of()
    assert context.data is data
    validated = np.concatenate([fold.val for fold in context.folds])
    assert sorted(validated) == list(range(len(data.train)))


def test_a_selection_on_test_trains_on_all_training_pairs_and_scores_all_test_pairs(
    context_of: Callable[..., Context], data: Data, make_space: Callable[..., SearchSpace]
) -> None:
    context = context_of(select_on_test=True)
    assert len(context.folds) == 3
    images = context.data.train.inputs["images"]
    for fold in context.folds:
        assert np.array_equal(images[fold.train], data.train.inputs["images"])
        assert np.array_equal(images[fold.val], data.test_rows.inputs["images"])
    space = make_space()
    config = space.complete({"lr": 0.01, "batch_size": 8, "hidden": 8}, epochs=1)
    trial = CrossValidation(space.variant, config, context, 0)
    assert len({member.seed for member in trial.stack.members}) == 3


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, "val_accuracy"),
        ({"objective": ("val_loss", "num_params")}, "val_loss"),
        ({"select_on_test": True}, None),
    ],
)
def test_trials_keep_held_out_rows_of_the_first_objective_unless_these_are_test_rows(
    context_of: Callable[..., Context], settings: dict[str, Any], kept: str | None
) -> None:
    assert context_of(**settings).keep == kept


@pytest.mark.parametrize("on_test", [False, True])
def test_every_run_of_a_selection_on_test_says_so(
    make_space: Callable[..., SearchSpace], data: Data, on_test: bool
) -> None:
    settings = SweepSettings(space=("small",), select_on_test=on_test)
    tags = run_tags(settings, make_space(), data, "first/small", ALLOTMENT)
    assert tags.get("foldsweep.selected_on") == ("test" if on_test else None)


@pytest.mark.parametrize(
    ("settings", "last"),
    [
        ({}, 9),
        ({"epochs": 4}, 4),
        ({"space": {"domains": {"lr": 0.1}, "grid": {"epochs": (2, 5)}}, "sampler": "grid"}, 5),
        ({"space": {"domains": {"epochs": tune.choice([2, 7])}}}, 7),
        ({"space": {"domains": {"epochs": tune.choice([2, 7])}}, "epochs": 4}, 4),
        ({"space": {"domains": {"epochs": tune.choice([2, 7])}}, "epochs": 50}, 7),
        ({"space": {"domains": {"epochs": tune.randint(2, 7)}}}, 6),
        ({"space": {"domains": {"epochs": tune.qrandint(2, 8, 2)}}}, 8),
    ],
)
def test_the_last_report_is_at_the_epochs_of_the_longest_trial(
    context_of: Callable[..., Context], settings: dict[str, Any], last: int
) -> None:
    assert context_of(**settings).report_at[-1] == last
