"""Values of a space are checked when the space is created."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from ray import tune

from foldsweep.errors import UserError
from search_spaces.space import SearchSpace
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
IMPOSSIBLE: list[tuple[str, Any, str]] = [
    ("hidden", tune.uniform(8, 64), "hidden must be int or tuple[int, ...], but is "),
    ("hidden", tune.quniform(8, 64, 0.5), "hidden must be int or tuple[int, ...], but is "),
    ("batch_size", tune.loguniform(8, 64), "batch_size must be int, but is "),
    ("batch_size", tune.randint(0, 9), "batch_size must be at least 1, but is 0"),
    ("dropout", tune.uniform(0, 1.5), "dropout must be at least 0 and below 1, but is 1."),
    ("dropout", tune.choice([0.1, "a"]), "dropout must be float, but is 'a'"),
    ("lr", tune.choice([10**400]), "lr must be float, below 2**64, but is a whole number of"),
    ("lr", tune.choice([float("nan")]), "lr must be finite and at least 0, but is nan"),
    ("hidden", tune.choice([-3, 4]), "hidden must be at least 1, but is -3"),
    ("batch_norm", tune.choice([True, 1]), "batch_norm must be bool, but is 1"),
    ("activation", tune.choice(["relu", "gelu"]), "activation must be relu or leaky_relu, but"),
    ("hidden_layers", tune.choice([2, 10**9]), "1000000000 layers are too many"),
]


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


@pytest.mark.parametrize(("key", "domain", "said"), IMPOSSIBLE)
def test_a_domain_with_an_impossible_value_is_refused(key: str, domain: Any, said: str) -> None:
    with pytest.raises(UserError) as no:
        space(domains={key: domain, "weight_decay": tune.uniform(0, 1)})
    assert str(no.value).startswith(f"space mine: domain of {key}: ")
    assert said in str(no.value)
    assert len(str(no.value)) < 300


def test_a_fixed_value_that_is_impossible_is_no_matter_of_a_domain() -> None:
    for value in (0, 10**400, "wide"):
        with pytest.raises(UserError, match="^space mine: hidden must be ") as no:
            space(domains={"lr": tune.uniform(0, 1), "hidden": value})
        assert len(str(no.value)) < 200


def test_so_is_an_impossible_value_of_a_grid() -> None:
    with pytest.raises(UserError, match="domain of hidden: hidden must be at least 1, but is 0"):
        space(grid={"hidden": [0, 4], "lr": [0.1]})


def test_what_is_impossible_in_some_combinations_only_is_left_to_trials() -> None:
    domains = {"hidden": tune.choice([6, 35]), "heads": tune.choice([2, 7])}
    assert set(space(domains=domains).searched) == {"hidden", "heads"}
    with pytest.raises(UserError, match="cannot be built from .*: heads must divide"):
        space(domains={**domains, "heads": tune.choice([2, 4])})
