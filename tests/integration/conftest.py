"""Fixtures of the tests of whole programs: users, and a reference sweep to compare others with."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from foldsweep.programs import run_program
from sweeps.cluster import Cluster
from sweeps.resources import Allotment
from tests.integration.user import REPOSITORY, TINY, User

REFERENCE = (*TINY, "--trials", 6, "--epochs", 120, "--sampler", "random", "--scheduler", "none")

Refused = Callable[..., str]


class Unhurried(Cluster):
    """Ray that starts only when it is entered, not in the background beforehand."""

    def start(self) -> None:
        """Do nothing yet."""

    def __enter__(self) -> Allotment:
        super().start()
        return super().__enter__()


def called_here(call: str, *arguments: object) -> int:
    """Call a driver's function in this process."""
    module, _, function = call.rpartition(".")
    code: int = getattr(importlib.import_module(module), function)(*arguments)
    return code


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOLDSWEEP_DATA", str(tmp_path / "no-mnist"))
    return tmp_path


@pytest.fixture
def refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused:
    """Runs a program here that must end with exit code 2; returns its one line of error.

    With `traceback`, the user's own traceback must stand above that line. Ray is not started in
    the background, only where the program waits for it.
    """
    monkeypatch.setattr("sweeps.cluster.Cluster", Unhurried)
    for program in ("run", "reproduce"):
        monkeypatch.setattr(f"sweeps.{program}.apart", called_here)

    def run(program: str, *args: object, traceback: bool = False) -> str:
        monkeypatch.setattr(sys, "argv", [program, *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            run_program(importlib.import_module(program).main)
        err = capsys.readouterr().err
        assert stop.value.code == 2, err
        shown, start, line = err.rpartition("error: ")
        assert start, err
        assert line.count("\n") == 1, err
        assert shown.startswith("Traceback (most recent call last):\n") if traceback else not shown
        assert str(REPOSITORY) not in shown
        return start + line

    return run


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
    """A user for one test, with MLflow's tables in place."""
    user = User(tmp_path, empty_mlflow)
    yield user
    user.clean_up()


@pytest.fixture(scope="session")
def reference_args() -> tuple[object, ...]:
    """Options of a sweep whose trials depend on its seed only."""
    return (*REFERENCE, "--seed", 7)


@pytest.fixture(scope="session")
def reference(make_user: Callable[[str], User], reference_args: tuple[object, ...]) -> User:
    """A user with the undisturbed sweep `reference` of space mlp, run one trial at a time."""
    user = make_user("reference")
    user.run(
        *("sweeps/run.py", "--space", "mlp", "--name", "reference", "--concurrency", 1),
        *reference_args,
    )
    return user
