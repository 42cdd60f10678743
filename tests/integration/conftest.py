"""What the tests of whole programs share: users, and one sweep that others are compared with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.user import TINY, User

REFERENCE = (*TINY, "--trials", 6, "--epochs", 120, "--sampler", "random", "--scheduler", "none")


@pytest.fixture(scope="session")
def make_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], User]]:
    users: list[User] = []

    def make(name: str) -> User:
        users.append(User(tmp_path_factory.mktemp(name)))
        return users[-1]

    yield make
    for user in users:
        user.clean_up()


@pytest.fixture
def user(tmp_path: Path, empty_mlflow: Path) -> Iterator[User]:
    """A user of one test, who has swept before."""
    user = User(tmp_path, empty_mlflow)
    yield user
    user.clean_up()


@pytest.fixture(scope="session")
def reference_args() -> tuple[object, ...]:
    """A sweep whose trials depend on nothing but its seed."""
    return (*REFERENCE, "--seed", 7)


@pytest.fixture(scope="session")
def reference(make_user: Callable[[str], User], reference_args: tuple[object, ...]) -> User:
    """A user who let sweep `reference` of space mlp run in peace, one trial at a time."""
    user = make_user("reference")
    user.run(
        *("sweeps/run.py", "--space", "mlp", "--name", "reference", "--concurrency", 1),
        *reference_args,
    )
    return user
