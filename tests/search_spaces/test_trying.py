"""Values of a space are checked when the space is created."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from ray import tune

from search_spaces.space import SearchSpace
from tests.refusals import text
from tests.search_spaces.refusals import space_refused
from trainables.models.pairs.variants import MLP
from trainables.models.perceptron import PerceptronClassifierConfig

SOUND: list[tuple[str, Any]] = [
    ("hidden", tune.quniform(8, 64, 8)),
    ("epochs", tune.quniform(2, 9, 1)),
    ("hidden", tune.choice(list(np.array([16, 32])))),
    ("hidden", tune.choice([16.0, 32])),
    ("hidden", tune.choice([np.float32(16)])),
    ("batch_size", tune.qrandint(16, 64, 16)),
    ("batch_size", tune.lograndint(1, 65)),
    ("batch_norm", tune.choice([np.True_, np.False_])),
    ("dropout", tune.uniform(0, 1)),  # the upper end is never drawn
    ("lr_decay", tune.uniform(0, 1)),
    ("dropout", tune.quniform(0, 0.5, 0.05)),
    ("dropout", tune.choice([np.float32(0.5), 0])),
]
IMPOSSIBLE: list[tuple[str, Any, str, str]] = [
    ("hidden", tune.uniform(8, 64), "int or tuple[int, ...]", ""),
    ("hidden", tune.quniform(8, 64, 0.5), "int or tuple[int, ...]", ""),
    ("batch_size", tune.loguniform(8, 64), "int", ""),
    ("batch_size", tune.randint(0, 9), text("rules.at-least", least=1), "0"),
    ("dropout", tune.uniform(0, 1.5), text("rules.part"), "1."),
    ("dropout", tune.choice([0.1, "a"]), "float", "'a'"),
    (
        "lr",
        tune.choice([10**400]),
        text("config.not-huge", type="float"),
        text("checks.huge-number", figures=401),
    ),
    ("lr", tune.choice([float("nan")]), text("rules.amount"), "nan"),
    ("hidden", tune.choice([-3, 4]), text("rules.at-least", least=1), "-3"),
    ("batch_norm", tune.choice([True, 1]), "bool", "1"),
    ("activation", tune.choice(["relu", "gelu"]), "relu or leaky_relu", "'gelu'"),
]
"""Keys and domains, with the rule that a value breaks and the beginning of that value."""


@dataclass(frozen=True, kw_only=True)
class OwnConfig(PerceptronClassifierConfig):
    """Configuration without the tests' type checker, which would refuse a wrong type first."""

    heads: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.hidden, int) and self.hidden % self.heads:
            raise ValueError("heads must divide hidden")


VARIANT = replace(MLP, config=OwnConfig)


def space(**values: Any) -> SearchSpace:
    given: dict[str, Any] = {"name": "mine", "variant": VARIANT, "domains": {}}
    return SearchSpace(**{**given, **values})


@pytest.mark.parametrize(("key", "domain"), SOUND)
def test_a_domain_of_possible_values_is_taken(key: str, domain: Any) -> None:
    mine = space(domains={key: domain})
    for seed in range(20):
        value = getattr(mine.complete(mine.draw(seed)), key)
        assert type(value) in (int, float, bool)


@pytest.mark.parametrize(("key", "domain", "rule", "value"), IMPOSSIBLE)
def test_a_domain_with_an_impossible_value_is_refused(
    key: str, domain: Any, rule: str, value: str
) -> None:
    with space_refused("config.value-refused", domain=key, field=key, rule=rule) as no:
        space(domains={key: domain, "weight_decay": tune.uniform(0, 1)})
    assert reason_of(no.value).values["value"].startswith(value)
    assert len(str(no.value)) < 300


def reason_of(error: BaseException) -> Any:
    return error if error.__cause__ is None else reason_of(error.__cause__)


def test_a_domain_with_too_many_layers_is_refused() -> None:
    with space_refused("layers.too-many", domain="hidden_layers", layers=str(10**9)):
        space(domains={"hidden_layers": tune.choice([2, 10**9])})


def test_a_fixed_value_that_is_impossible_is_no_matter_of_a_domain() -> None:
    for value in (0, 10**400, "wide"):
        with space_refused("config.value-refused", field="hidden") as no:
            space(domains={"lr": tune.uniform(0, 1), "hidden": value})
        assert len(str(no.value)) < 200


def test_so_is_an_impossible_value_of_a_grid() -> None:
    wrong = {"field": "hidden", "rule": text("rules.at-least", least=1), "value": "0"}
    with space_refused("config.value-refused", domain="hidden", **wrong):
        space(grid={"hidden": [0, 4], "lr": [0.1]})


def test_what_is_impossible_in_some_combinations_only_is_left_to_trials() -> None:
    domains = {"hidden": tune.choice([6, 35]), "heads": tune.choice([2, 7])}
    assert set(space(domains=domains).searched) == {"hidden", "heads"}
    problem = "ValueError: heads must divide hidden"
    with space_refused("config.not-built", domain="hidden", config="OwnConfig", problem=problem):
        space(domains={**domains, "heads": tune.choice([2, 4])})
