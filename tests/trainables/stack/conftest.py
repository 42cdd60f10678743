"""Fixtures with tasks of every kind, for all tests of stacks."""

import pytest

from tests.trainables.stack.any_task import ALL, FUSING, Case


@pytest.fixture(params=FUSING.values(), ids=FUSING.keys())
def case(request: pytest.FixtureRequest) -> Case:
    """Every kind of task whose network can be fused."""
    return request.param()


@pytest.fixture(params=ALL.values(), ids=ALL.keys())
def any_case(request: pytest.FixtureRequest) -> Case:
    """Every kind of task."""
    return request.param()
