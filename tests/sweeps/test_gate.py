"""Number of parameters in constraints and limits."""

from typing import Any

import numpy as np
import pytest
from ray import tune
from torch import nn

from foldsweep.errors import UserError
from search_spaces.loading import ANY_TASK, TUNED
from search_spaces.space import Point, SearchSpace
from sweeps.gate import Gate, within
from sweeps.limits import Limit, parsed_limit
from sweeps.settings import SweepSettings
from trainables.models.pairs.variants import MLP
from trainables.stack.memory import parameters_of
from trainables.tasks.kinds import classification
from trainables.tasks.samples import Data
from trainables.tasks.task import DataRequest
from trainables.trial import Context, CrossValidation

LIMITS = [
    ("num_params <= 100000", Limit("<=", 1e5), "num_params <= 100,000"),
    ("num_params<1e5", Limit("<", 1e5), "num_params < 100,000"),
    (" num_params  >= 1_000 ", Limit(">=", 1e3), "num_params >= 1,000"),
    ("num_params > 2,500", Limit(">", 2500), "num_params > 2,500"),
]


@pytest.mark.parametrize(("text", "limit", "shown"), LIMITS)
def test_a_limit_is_read_and_shown(text: str, limit: Limit, shown: str) -> None:
    assert parsed_limit(text) == limit
    assert str(limit) == shown
    assert limit.holds(round(limit.bound)) == ("=" in text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "--limit '' is not a limit; give one such as 'num_params <= 100000'"),
        ("num_params = 3", "--limit 'num_params = 3' is not a limit; give one such as"),
        ("num_params <= many", "--limit 'num_params <= many' is not a limit; give one such as"),
        ("num_params <= 1.2.3", "--limit 'num_params <= 1.2.3': 1.2.3 is not a number"),
        (
            "val_accuracy >= 0.9",
            "--limit 'val_accuracy >= 0.9': val_accuracy is not known before a trial is trained;"
            " only num_params can be limited, other metrics are objectives",
        ),
    ],
)
def test_what_is_no_limit_is_refused(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        SweepSettings(space=("mlp",), limit=(text,)).validate()
    assert str(caught.value).startswith(said)


@pytest.fixture(scope="module")
def data() -> Data:
    settings = SweepSettings(dataset="digits", train_pairs=60, test_pairs=30)
    return MLP.task.load(DataRequest(seed=0, options=settings.options_of(MLP.task)))


@pytest.mark.parametrize("name", ["mlp", "cnn_ws_aux", "cnn"])
def test_parameters_are_counted_as_a_trial_records_them(name: str, data: Data) -> None:
    space = TUNED[name]()
    config = space.complete(space.points[0].config, epochs=1)
    task = space.variant.task
    folds = task.split.folds(data.train, target=task.target, num_folds=2, seed=0)
    trial = CrossValidation(space.variant, config, Context(data=data, folds=folds, seed=0), 0)
    number = trial.stack.num_params
    assert Gate(space, [Limit("<=", number)], data).passes(config)
    assert not Gate(space, [Limit("<", number)], data).passes(config)


def test_what_no_meta_device_can_build_is_built_to_be_counted() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, int(nn.Linear(2, 1).weight.abs().sum().item() < 9))
            self.frozen = nn.Linear(5, 5).requires_grad_(False)

    assert parameters_of(Odd) == 4
    assert parameters_of(lambda: nn.Linear(2, "3")) is None  # type: ignore[arg-type]


DOMAINS = {"hidden": tune.randint(4, 65), "hidden_layers": tune.randint(1, 3)}


def space(**values: Any) -> SearchSpace:
    return SearchSpace(**{"name": "mine", "variant": MLP, "domains": DOMAINS, **values})


def test_a_constraint_and_limits_must_all_hold(data: Data) -> None:
    mine = space(constraint=lambda config, num_params: num_params >= 5_000)
    gate = Gate(mine, [Limit("<=", 10_000)], data)
    passing = [h for h in range(4, 65) if gate.lets({"hidden": h, "hidden_layers": 1})]
    assert passing == list(range(13, 26))
    assert str(gate) == "its constraint and --limit num_params <= 10,000"
    assert Gate(space(), [], data).is_open


def test_a_constraint_sees_the_epochs_that_a_trial_has(data: Data) -> None:
    mine = space(constraint=lambda config: config.epochs <= 5)
    assert Gate(mine, [], data, epochs=3).config_of({}).epochs == 3
    assert within(mine, [], data, grid=False, epochs=5)[0].num_combinations == 1
    with pytest.raises(UserError, match="0 of 300 random configurations meet its constraint"):
        within(mine, [], data, grid=False, epochs=7)


def test_points_beyond_a_limit_are_left_out_and_the_rest_are_kept(data: Data) -> None:
    points = [Point(name="wide", config={"hidden": 64}), Point(name="slim", config={"hidden": 4})]
    smaller, said = within(space(points=points), [Limit("<=", 10_000)], data, grid=False)
    assert [point.name for point in smaller.points] == ["slim"]
    assert said == [
        "mine: initial point wide is left out: it does not meet --limit num_params <= 10,000"
    ]


HARDLY: list[tuple[dict[str, Any], float | None, bool, str]] = [
    (
        {"constraint": lambda c: c.hidden > 64},
        None,
        False,
        "space mine: 0 of 300 random configurations meet its constraint, too few to search;"
        " loosen it or narrow the domains",
    ),
    ({}, 10, False, "space mine: 0 of 300 random configurations meet --limit num_params <= 10,"),
    (
        {"constraint": lambda c, num_params: num_params < 10},
        None,
        False,
        "space mine: 0 of 300 random configurations meet its constr",
    ),
    (
        {"grid": {"hidden": [8, 16], "hidden_layers": [1]}},
        10,
        True,
        "space mine: no point of its grid meets --limit num_params <= 10; loosen it",
    ),
    (
        {"constraint": lambda c, num_params: num_params},
        None,
        False,
        "space mine: the constraint gives ",
    ),
    (
        {"constraint": lambda c, num_params: 1 / 0 > num_params},
        None,
        False,
        "space mine: the constraint fails with hidden=",
    ),
]


@pytest.mark.parametrize(("changes", "most", "grid", "said"), HARDLY)
def test_what_hardly_anything_meets_is_refused_before_anything_runs(
    changes: dict[str, Any], most: float | None, grid: bool, said: str, data: Data
) -> None:
    limits = [] if most is None else [Limit("<=", most)]
    with pytest.raises(UserError) as caught:
        within(space(**changes), limits, data, grid=grid)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_estimators_have_no_parameters_to_limit() -> None:
    rows = np.arange(120.0).reshape(60, 2)
    task = classification("rows", Data.of(rows, np.arange(60) % 2, holdout=0.2))
    assert isinstance(task.data, Data)
    with pytest.raises(UserError) as caught:
        Gate(ANY_TASK["logistic"](task), [Limit("<=", 10)], task.data)
    assert str(caught.value) == (
        "space logistic: --limit num_params <= 10, but its estimator has no parameters to count"
    )
