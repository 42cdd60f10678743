"""Number of parameters in constraints and limits."""

from collections.abc import Callable
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
from tests.refusals import refused, text
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
    ("text", "kind", "values"),
    [
        ("", "limits.not-a-limit", {}),
        ("num_params = 3", "limits.not-a-limit", {}),
        ("num_params <= many", "limits.not-a-limit", {}),
        ("num_params <= 1.2.3", "limits.not-a-number", {"number": "1.2.3"}),
        ("val_accuracy >= 0.9", "limits.metric-not-limited", {"metric": "val_accuracy"}),
    ],
)
def test_what_is_no_limit_is_refused(text: str, kind: str, values: dict[str, object]) -> None:
    with refused(kind, limit=text, **values):
        SweepSettings(space=("mlp",), limit=(text,)).validate()


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


CONSTRAINT = text("gate.its-constraint")
DOMAINS = {"hidden": tune.randint(4, 65), "hidden_layers": tune.randint(1, 3)}


def space(**values: Any) -> SearchSpace:
    return SearchSpace(**{"name": "mine", "variant": MLP, "domains": DOMAINS, **values})


def test_a_constraint_and_limits_must_all_hold(data: Data) -> None:
    mine = space(constraint=lambda config, num_params: num_params >= 5_000)
    gate = Gate(mine, [Limit("<=", 10_000)], data)
    passing = [h for h in range(4, 65) if gate.lets({"hidden": h, "hidden_layers": 1})]
    assert passing == list(range(13, 26))
    assert str(gate) == f"{CONSTRAINT} and --limit num_params <= 10,000"
    assert Gate(space(), [], data).is_open


def test_a_constraint_sees_the_epochs_that_a_trial_has(data: Data) -> None:
    mine = space(constraint=lambda config: config.epochs <= 5)
    assert Gate(mine, [], data, epochs=3).config_of({}).epochs == 3
    assert within(mine, [], data, grid=False, epochs=5)[0].num_combinations == 1
    with refused("gate.too-few-met", met=0, tried=300, conditions=CONSTRAINT):
        within(mine, [], data, grid=False, epochs=7)


def test_points_beyond_a_limit_are_left_out_and_the_rest_are_kept(data: Data) -> None:
    points = [Point(name="wide", config={"hidden": 64}), Point(name="slim", config={"hidden": 4})]
    smaller, said = within(space(points=points), [Limit("<=", 10_000)], data, grid=False)
    assert [point.name for point in smaller.points] == ["slim"]
    limit = "--limit num_params <= 10,000"
    assert said == [text("gate.point-left-out", space="mine", point="wide", conditions=limit)]


LIMIT = "--limit num_params <= 10"
HARDLY: list[tuple[dict[str, Any], float | None, bool, str, str]] = [
    ({"constraint": lambda c: c.hidden > 64}, None, False, "gate.too-few-met", CONSTRAINT),
    ({}, 10, False, "gate.too-few-met", LIMIT),
    (
        {"constraint": lambda c, num_params: num_params < 10},
        None,
        False,
        "gate.too-few-met",
        CONSTRAINT,
    ),
    (
        {"grid": {"hidden": [8, 16], "hidden_layers": [1]}},
        10,
        True,
        "gate.no-grid-point",
        LIMIT,
    ),
]


@pytest.mark.parametrize(("changes", "most", "grid", "kind", "conditions"), HARDLY)
def test_what_hardly_anything_meets_is_refused_before_anything_runs(
    changes: dict[str, Any], most: float | None, grid: bool, kind: str, conditions: str, data: Data
) -> None:
    limits = [] if most is None else [Limit("<=", most)]
    with refused(kind, space="mine", conditions=conditions) as caught:
        within(space(**changes), limits, data, grid=grid)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("constraint", "kind"),
    [
        (lambda c, num_params: num_params, "constraints.not-true-or-false"),
        (lambda c, num_params: 1 / 0 > num_params, "constraints.constraint-fails"),
    ],
)
def test_a_constraint_that_fails_is_refused_with_its_space(
    constraint: Callable[..., Any], kind: str, data: Data
) -> None:
    with refused("gate.constraint-fails", space="mine") as caught:
        within(space(constraint=constraint), [], data, grid=False)
    cause = caught.value.__cause__
    assert isinstance(cause, UserError)
    assert cause.kind == kind
    assert "hidden=" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_estimators_have_no_parameters_to_limit() -> None:
    rows = np.arange(120.0).reshape(60, 2)
    task = classification("rows", Data.of(rows, np.arange(60) % 2, holdout=0.2))
    assert isinstance(task.data, Data)
    with refused("gate.limit-on-estimator", space="logistic", limit="num_params <= 10"):
        Gate(ANY_TASK["logistic"](task), [Limit("<=", 10)], task.data)
