"""Models of the cases, each trained once for all tests."""

from collections.abc import Callable
from functools import cache

import pytest

from tests.trainables.keep.cases import CASES, Case
from trainables.keep.model import KeptModel


@pytest.fixture(scope="session")
def case_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """Function that returns a case by its name."""
    folder = tmp_path_factory.mktemp("tables")
    return cache(lambda name: CASES[name](folder))


@pytest.fixture(scope="session")
def model_of(case_of: Callable[[str], Case]) -> Callable[[str], KeptModel]:
    """Function that returns the trained model of a case by its name."""
    return cache(lambda name: case_of(name).fit())
