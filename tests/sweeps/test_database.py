"""A sweep whose study is in a database, run by drivers in several folders, one after another."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage, RDBStorage

from search_spaces.loading import load_space
from sweeps import database as database_module
from sweeps.database import bring, owned
from sweeps.home import Home, Record, SpaceFile
from sweeps.identity import Identity
from sweeps.outages import Outages
from sweeps.run import read_settings
from sweeps.settings import SweepSettings
from sweeps.settings_file import check_place, save_settings
from sweeps.study import open_storage
from tests.integration.user import REPOSITORY
from tests.refusals import refused, said_as, text

Driver = Callable[..., AbstractContextManager[SweepSettings]]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Does what a driver does before its trials, in a user's folder."""
    places = f"--study sqlite:///{tmp_path}/study.db --storage {tmp_path.as_uri()}/store".split()

    @contextmanager
    def driven(user: str, *args: object) -> Iterator[SweepSettings]:
        (tmp_path / user).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / user)
        stored, settings = read_settings([*map(str, args), *places])
        folder = settings.local_root.resolve() / "first"
        yield settings
        folder.mkdir(parents=True, exist_ok=True)
        identity = Identity.new(folder) if stored is None else check_place(folder)
        with owned(settings, ["mlp"], "first", folder, Outages()) as shared:
            assert shared is not None
            save_settings(settings, folder, identity)
            shared.save(settings, [load_space("mlp")], identity)

    return driven


def test_a_folder_gets_the_settings_with_which_its_sweep_was_run_elsewhere_since(
    driver: Driver,
) -> None:
    with driver("a", "--space", "mlp", "--name", "first", "--trials", 3):
        pass
    with driver("b", "--resume", "first", "--trials", 30) as settings:
        assert settings.trials == 30
    with driver("a", "--resume", "first", "--outage-patience", 7) as settings:
        assert (settings.trials, settings.outage_patience) == (30, 7)
    with driver("b", "--resume", "first") as settings:
        assert (settings.trials, settings.outage_patience) == (30, 7)
    with driver("b", "--resume", "first", "--trials", 40):
        pass
    with driver("b", "--resume", "first") as settings:
        assert settings.trials == 40


def test_a_sweep_is_brought_to_an_empty_folder_once(
    driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    with driver("a", "--space", "mlp", "--name", "first", "--trials", 3):
        pass
    with driver("b", "--resume", "first"):
        pass
    restored = said_as("database.restored", name="first")
    assert len(restored.findall(capsys.readouterr().out)) == 1


def test_a_sweep_that_is_run_elsewhere_while_a_driver_starts_is_not_set_back(
    driver: Driver,
) -> None:
    with driver("a", "--space", "mlp", "--name", "first", "--trials", 3):
        pass
    with refused("database.run-meanwhile", name="first"):
        with driver("a", "--resume", "first"), driver("b", "--resume", "first", "--trials", 30):
            pass
    with driver("a", "--resume", "first") as settings:
        assert settings.trials == 30


def test_a_folder_of_another_sweep_is_not_written_over(driver: Driver, tmp_path: Path) -> None:
    with driver("a", "--space", "mlp", "--name", "first", "--trials", 3):
        pass
    (tmp_path / "study.db").rename(tmp_path / "old.db")
    with driver("b", "--space", "mlp", "--name", "first", "--trials", 4):
        pass
    before = (tmp_path / "a/runs/first/settings.json").read_text()
    with refused("database.folder-of-another-sweep", name="first"):
        with driver("a", "--resume", "first"):
            pass
    assert (tmp_path / "a/runs/first/settings.json").read_text() == before


def test_looking_into_the_database_takes_no_ray() -> None:
    """The program that the user starts reads the database; only its driver may import Ray."""
    code = "import sys, sweeps.database\nprint({'ray', 'torch', 'mlflow'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_a_database_without_a_lock_that_we_know_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    database = open_storage(f"sqlite:///{tmp_path}/study.db", tmp_path)
    assert isinstance(database, RDBStorage)
    monkeypatch.setattr(database.engine.dialect, "name", "mysql")
    monkeypatch.setattr(database_module, "open_storage", lambda url, journal: database)
    settings = SweepSettings(space=("mlp",), study="mysql://host/studies")
    with owned(settings, ["mlp"], "first", tmp_path, Outages()):
        pass
    said = " ".join(capsys.readouterr().out.split())
    assert text("database.no-lock", database="mysql", name="first") in said


def test_looking_into_the_database_leaves_no_connection(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program that the user started runs as long as the sweep."""
    with driver("a", "--space", "mlp", "--name", "first", "--trials", 3):
        pass
    opened = []

    def noted(url: str, journal: Path) -> BaseStorage:
        opened.append(open_storage(url, journal))
        return opened[-1]

    monkeypatch.setattr(database_module, "open_storage", noted)
    with driver("b", "--resume", "first"):
        assert [storage.engine.pool.checkedin() for storage in opened] == [0]


def test_space_files_of_one_name_are_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = f"sqlite:///{tmp_path}/study.db"
    database = open_storage(study, tmp_path)
    home = Home(database, "first")
    home.create()
    files = []
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(f"# {name}")
        files.append(SpaceFile.read(f"{tmp_path}/{name}/mine.py", f"{name}/mine.py"))
    settings = SweepSettings(space=("a/mine.py", "b/mine.py"), storage="s3://bucket").to_dict()
    home.save(Record(settings=settings, files=tuple(files)))
    folder = tmp_path / "here" / "first"
    folder.parent.mkdir()
    monkeypatch.chdir(folder.parent)
    bring(folder, study=study, storage=None, trust=True)
    spaces = json.loads((folder / "settings.json").read_text())["space"]
    assert [Path(space).read_text() for space in spaces] == ["# a", "# b"]


def test_a_study_of_the_user_s_own_is_none_of_a_sweep(driver: Driver, tmp_path: Path) -> None:
    own = optuna.create_study(study_name="first", storage=f"sqlite:///{tmp_path}/study.db")
    own.add_trial(optuna.create_trial(value=1.0))
    with refused("home.not-of-a-sweep", name="first"):
        with driver("a", "--space", "mlp", "--name", "first"):
            pass
    assert (len(own.trials), own.user_attrs) == (1, {})
