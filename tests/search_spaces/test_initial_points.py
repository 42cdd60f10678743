"""Every shipped space contains its initial points, so that a sweep can sample its baselines."""

from collections.abc import Callable

import pytest
from sklearn.datasets import load_digits

import foldsweep as fs
from foldsweep.choices import encoded
from search_spaces.loading import ANY_TASK, SPACES
from search_spaces.space import SearchSpace
from sweeps.distributions import nearest, to_distributions
from tests.trainables.estimators.cases import VARIANTS, mixed, plain


def images() -> fs.Task:
    digits = load_digits()
    return fs.classification("images", fs.Data.of(digits.images[:, None], digits.target))


FOR_ANY_TASK: dict[str, Callable[[], SearchSpace]] = {
    **{
        f"{name} {kind} {task.__name__}": lambda n=name, k=kind, t=task: ANY_TASK[n](t(k))
        for name, kind in [*VARIANTS, ("mlp", "classification"), ("mlp", "regression")]
        for task in (plain, mixed)
    },
    "cnn images": lambda: ANY_TASK["cnn"](images()),
}


def test_every_space_for_any_task_is_here() -> None:
    assert {name.split()[0] for name in FOR_ANY_TASK} == {*ANY_TASK}


@pytest.mark.parametrize("name", [*SPACES, *FOR_ANY_TASK])
def test_a_space_contains_its_initial_points(name: str) -> None:
    space = (SPACES | FOR_ANY_TASK)[name]()
    distributions = to_distributions(space.searched)
    for point in space.points:
        drawn = {}
        for key, distribution in distributions.items():
            if space.tree.is_active(key, point.config):
                drawn[key] = point.config[key]
                assert nearest(distribution, drawn[key]) == encoded(drawn[key]), key
        assert space.complete(drawn) == space.complete(point.config)
