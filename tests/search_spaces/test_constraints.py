from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ray import cloudpickle, tune

from search_spaces.constraints import holds, source_of, takes_count
from search_spaces.space import SearchSpace
from tests.search_spaces.refusals import space_refused
from trainables.models.pairs.variants import MLP

DOMAINS = {"hidden": tune.randint(1, 129), "hidden_layers": tune.randint(1, 9)}

SHOWN = "hidden=45 hidden_layers=8"
"""First draw from `DOMAINS`, as messages show it."""
ABSENT = f"AttributeError: '{MLP.config.__name__}' object has no attribute 'hiden'"


def space(constraint: Any, **values: Any) -> SearchSpace:
    given = {"name": "mine", "variant": MLP, "domains": DOMAINS, "constraint": constraint}
    return SearchSpace(**{**given, **values})


def fails(config: Any) -> bool:
    return bool(1 / (config.hidden_layers - config.hidden_layers))


def test_a_constraint_is_asked_of_whole_configurations() -> None:
    constraint = lambda c: c.hidden * c.hidden_layers <= 512
    mine = space(constraint)
    config = mine.complete({"hidden": 64, "hidden_layers": 8})
    assert holds(constraint, config)
    assert not holds(constraint, mine.complete({"hidden": 65, "hidden_layers": 8}))
    assert holds(lambda c: np.bool_(c.hidden == 64), config) is True
    assert mine.constraint is constraint


def test_a_constraint_may_take_the_number_of_parameters() -> None:
    constraint: Callable[..., bool] = lambda c, num_params: num_params <= 10
    assert takes_count(constraint)
    config = space(constraint).complete({"hidden": 64, "hidden_layers": 8})
    assert holds(constraint, config, 10)
    assert not holds(constraint, config, 11)
    assert not takes_count(lambda c: True)
    assert takes_count(lambda c, *, num_params=0: True)


@pytest.mark.parametrize(
    ("constraint", "kind", "values"),
    [
        (512, "not-a-function", {"constraint": "512"}),
        (lambda: True, "wrong-arguments", {"reason": "too many positional arguments"}),
        (
            lambda c, size: True,
            "wrong-arguments",
            {"reason": "missing a required argument: 'size'"},
        ),
        (lambda c: c.hidden, "not-true-or-false", {"answer": "45", "config": SHOWN}),
        (lambda c: None, "not-true-or-false", {"answer": "None", "config": SHOWN}),
        (
            fails,
            "constraint-fails",
            {"error": "ZeroDivisionError: division by zero", "config": SHOWN},
        ),
        (lambda c: c.hiden < 3, "constraint-fails", {"error": ABSENT, "config": SHOWN}),
    ],
)
def test_a_constraint_that_cannot_be_used_is_refused(
    constraint: Any, kind: str, values: dict[str, str]
) -> None:
    with space_refused(f"constraints.{kind}", **values) as caught:
        space(constraint)
    assert "\n" not in str(caught.value)


def test_a_constraint_is_known_by_its_text() -> None:
    same = [lambda c: c.hidden <= 3, lambda c: c.hidden <= 3][0]
    assert "c.hidden <= 3" in source_of(same)
    assert source_of(fails) == source_of(fails) != source_of(same)
    assert source_of(np.all) != source_of(fails)


def test_a_constraint_without_a_text_is_known_by_its_code() -> None:
    """A process that received the constraint from a notebook has no source text."""
    text = "lambda c: c.hidden <= {n} and all(w < {n} for w in c.widths)"
    one, same, other = (eval(text.format(n=n)) for n in (3, 3, 4))
    assert source_of(one) == source_of(same) != source_of(other)
    assert source_of(cloudpickle.loads(cloudpickle.dumps(one))) == source_of(one)
    assert " at 0x" not in source_of(one)
