"""What the tests of whole programs share: users, and one sweep that others are compared with."""

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
    """Starts when it is entered."""

    def start(self) -> None:
        """Not yet."""

    def __enter__(self) -> Allotment:
        super().start()
        return super().__enter__()


def called_here(call: str, *arguments: object) -> int:
    """What a driver does, in this process."""
    module, _, function = call.rpartition(".")
    code: int = getattr(importlib.import_module(module), function)(*arguments)
    return code


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOLDSWEEP_DATA", str(tmp_path / "no-mnist"))
    return tmp_path


@pytest.fixture
def refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused:
    """Runs a program in this process; gives the one line that it must say before exit code 2.

    With `traceback` that is the user's own, above the line. Ray is not started ahead, only where
    it is waited for.
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
