from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray import tune

from search_spaces.domains import bounds, shown_domain
from search_spaces.space import SearchSpace
from sweeps.settings import SweepSettings
from sweeps.sweep import most_epochs
from trainables.models.pairs.variants import MLP


@given(
    st.sampled_from([tune.randint, tune.lograndint, tune.qrandint]),
    st.integers(1, 9),
    st.integers(1, 6),
)
def test_bounds_are_the_ends_of_what_is_drawn(kind: Any, low: int, more: int) -> None:
    domain = kind(low, low + more)
    drawn = np.atleast_1d(domain.sample(size=600, random_state=np.random.RandomState(0)))
    assert bounds(domain) == (min(drawn), max(drawn))


LONGEST: list[tuple[Any, int]] = [
    (tune.randint(5, 9), 8),
    (tune.lograndint(5, 9), 8),
    (tune.qrandint(2, 9, 4), 8),
    (tune.qrandint(3, 9), 8),
    (tune.quniform(2, 9, 1), 9),
    (tune.choice([3, 7, 5]), 7),
    (6, 6),
]


@pytest.mark.parametrize(("epochs", "longest"), LONGEST)
def test_the_longest_trial_has_the_most_epochs_that_are_drawn(epochs: Any, longest: int) -> None:
    space = SearchSpace(
        name="mine", variant=MLP, domains={"lr": tune.uniform(0.1, 0.2), "epochs": epochs}
    )
    assert space.most_epochs() == longest
    assert most_epochs(space, SweepSettings()) == longest


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        (tune.randint(1, 5), "1 to 4 (whole)"),
        (tune.lograndint(8, 65), "8 to 64 (whole, log)"),
        (tune.qrandint(8, 64, 8), "8 to 64 (whole, steps of 8)"),
        (tune.loguniform(1e-4, 0.1), "0.0001 to 0.1 (log)"),
        (tune.uniform(0, 0.5), "0 to 0.5"),
        (tune.choice([(32, 64), "a", None]), "(32, 64), a, None"),
    ],
)
def test_a_domain_is_shown_with_both_bounds(domain: Any, said: str) -> None:
    assert shown_domain(domain) == said
