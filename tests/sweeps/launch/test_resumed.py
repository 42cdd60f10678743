"""Resumed sweeps, also after they have moved or lost something."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.storages import BaseStorage

from sweeps import prepare
from sweeps.launch import launch
from sweeps.settings_file import check_place, load_settings
from sweeps.study import open_storage
from tests.refusals import refused, said_as
from tests.sweeps.launch.launches import Given, Waiting


def test_a_resumed_sweep_whose_store_is_gone_does_not_make_it_again(
    launched: Callable[..., Given], here: Path
) -> None:
    launched(
        data="iris", space=("mlp",), name="first", tracking_uri=f"sqlite:///{here}/old/mlflow.db"
    )
    stored = load_settings(Path("runs/first"))
    settings = replace(stored, resume="first")
    with refused("prepare.store-gone", sweep="first", store=f"{here}/old/mlflow.db"):
        launch(settings, stored, Waiting(settings))
    settings = replace(settings, tracking_uri=f"sqlite:///{here}/new.db")
    assert launch(settings, stored, Waiting(settings)) == 0
    assert not (here / "old").exists()


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("{}\n", "journal.line-damaged", {"line": 1}),
        (None, "sweep.study-missing", {"sweep": "first", "folder": "runs/first"}),
    ],
)
def test_a_study_that_is_damaged_or_gone_is_found_before_any_space_is_swept(
    launched: Callable[..., Given],
    here: Path,
    text: str | None,
    kind: str,
    values: dict[str, object],
) -> None:
    launched(data="iris", space=("mlp", "logistic"), name="first")
    folder = Path("runs/first/logistic")
    folder.mkdir()
    (folder / "spool.jsonl").touch()
    if text is not None:
        (folder / "study.journal").write_text(text)
    before = sorted(folder.iterdir())
    stored = load_settings(Path("runs/first"))
    settings = replace(stored, resume="first")
    with refused(kind, **values):
        launch(settings, stored, Waiting(settings))
    assert [path for path in sorted(folder.iterdir()) if path.suffix != ".flock"] == before


def test_a_resumed_sweep_keeps_its_uuid_and_one_from_before_has_none(
    launched: Callable[..., Given], here: Path
) -> None:
    launched(data="iris", space=("mlp",), name="first")
    made = check_place(Path("runs/first"))
    stored = load_settings(Path("runs/first"))
    settings = replace(stored, resume="first")
    assert launch(settings, stored, Waiting(settings)) == 0
    assert check_place(Path("runs/first")) == made
    file = Path("runs/first/settings.json")
    file.write_text(json.dumps(stored.to_dict()))
    for _ in range(2):
        stored = load_settings(file.parent)
        again = replace(stored, resume="first")
        assert launch(again, stored, Waiting(again)) == 0
        assert check_place(file.parent).uuid == ""


def test_a_sweep_that_has_moved_says_where_its_runs_go(
    launched: Callable[..., Given], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launched(data="iris", space=("mlp",), name="first")
    (here / "archive").mkdir()
    Path("runs/first").rename("archive/first")
    stored = replace(load_settings(Path("archive/first")), storage="archive")
    settings = replace(stored, resume="first")
    moved = said_as("launch.moved", name="first", folder=f"{here}/runs/first")
    for expected in (True, False):
        capsys.readouterr()
        assert launch(settings, stored, Waiting(settings)) == 0
        assert bool(moved.search(capsys.readouterr().out)) is expected


def test_a_look_into_the_database_leaves_no_connection(
    launched: Callable[..., Given], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def noted(url: str, journal: Path) -> BaseStorage:
        opened.append(open_storage(url, journal))
        return opened[-1]

    monkeypatch.setattr(prepare, "open_storage", noted)
    launched(data="iris", space=("logistic",), name="first", study=f"sqlite:///{here}/study.db")
    assert [storage.engine.pool.checkedin() for storage in opened] == [0]
