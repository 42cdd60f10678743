import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from sweeps.catalogue import delete, kept, main, num_waiting, sweeps_in
from sweeps.settings import SweepSettings
from sweeps.settings_file import SETTINGS_FILE, save_settings
from sweeps.study import open_storage
from sweeps.tracking.spool import CLOSE, SPOOL_FILE, UPLOADER_LOCK
from tests.refusals import refused, said_as, text

Make = Callable[..., Path]
UNKNOWN = "sweep-catalogue.sweep-unknown"
LONG = "a-name-of-sixty-four-characters-is-the-longest-that-is-allowed-1"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "40")
    return tmp_path


@pytest.fixture
def make(here: Path) -> Make:
    """Makes a finished sweep, with the given scores of trials by space."""
    import optuna

    def made(
        name: str,
        scores: dict[str, list[float]],
        *,
        status: str = "FINISHED",
        direction: str = "maximize",
        **settings: object,
    ) -> Path:
        folder = here / "runs" / name
        folder.mkdir(parents=True)
        whole = {"space": tuple(scores) or ("mlp",), "objective": ("val_accuracy",)}
        kind = SweepSettings(name=name, **{**whole, **settings})  # type: ignore[arg-type]
        save_settings(kind, folder)
        for space, values in scores.items():
            place = folder / space
            place.mkdir()
            storage = open_storage(kind.study, place / "study.journal")
            study = optuna.create_study(
                storage=storage, study_name=f"{name}/{space}", direction=direction
            )
            for value in values:
                study.add_trial(
                    create_trial(
                        value=value,
                        params={"x": 0.5},
                        distributions={"x": FloatDistribution(0, 1)},
                    )
                )
            study.add_trial(create_trial(state=TrialState.FAIL))
            study.ask()
            start = {"op": "start", "run": "", "name": name}
            records = [start, {"op": "end", "run": "", "status": status}, CLOSE]
            lines = "".join(json.dumps(record) + "\n" for record in records)
            (place / SPOOL_FILE).write_text(lines)
        return folder

    return made


def content(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *args: str
) -> list[str]:
    monkeypatch.setattr(sys, "argv", ["foldsweep sweeps", *args])
    assert main() == 0
    return capsys.readouterr().out.splitlines()


# The list ---------------------------------------------------------------------------------------


def test_sweeps_are_listed_with_state_best_and_size_and_stay_as_they_are(
    make: Make, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make("first", {"mlp": [0.5, 0.75], "cnn": [0.625]})
    make(LONG, {"mlp": [0.25]}, status="KILLED")
    make("lower", {"mlp": [3.0, 2.0]}, direction="minimize", objective=("val_loss",))
    make("empty", {})
    for age, name in enumerate(("empty", "lower", LONG, "first")):
        for path in (here / "runs" / name).rglob("*"):
            os.utime(path, (10**9 + age, 10**9 + age))
    before = content(here)
    lines = said(monkeypatch, capsys)
    assert content(here) == before
    assert lines[0].split() == [
        "sweep",
        "state",
        "trials",
        "best",
        "size",
        "last",
        "change",
        "spaces",
    ]
    rows = {line.split()[0]: line for line in lines[1:]}
    assert list(rows) == ["empty", "lower", LONG, "first"]
    for name, words in {
        "first": ("finished", " 5 ", "accuracy 0.7500 by mlp, trial 1", "mlp cnn"),
        LONG: ("interrupted", " 2 ", "accuracy 0.2500 by mlp, trial 0", " mlp"),
        "lower": ("finished", " 3 ", "loss 2.0000 by mlp, trial 1", " mlp"),
        "empty": ("interrupted", " 0 ", " - ", " mlp"),
    }.items():
        assert all(word in rows[name] for word in words), rows[name]
        assert " kB " in rows[name]


def test_a_folder_without_sweeps_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(monkeypatch, capsys, "--storage", "x/y") == [
        text("sweep-catalogue.none", storage="x/y")
    ]


def test_a_sweep_that_is_run_is_running(make: Make) -> None:
    folder = make("first", {"mlp": [0.5]})
    with FileLock(folder / "lock"):
        assert kept(folder).state == "running"
    assert kept(folder).state == "finished"


def test_a_sweep_of_which_a_space_was_not_begun_is_interrupted(make: Make) -> None:
    assert kept(make("first", {"mlp": [0.5]}, space=("mlp", "cnn"))).state == "interrupted"


def test_damaged_sweeps_are_listed_as_well(make: Make, here: Path) -> None:
    (make("first", {"mlp": [0.5]}) / SETTINGS_FILE).write_text("{")
    (make("second", {"mlp": [0.5]}) / "mlp" / "study.journal").write_text("no JSON\n")
    (make("third", {"mlp": [0.5]}) / "mlp" / "study.journal").unlink()
    (make("fourth", {"mlp": [0.5]}) / "mlp" / SPOOL_FILE).write_bytes(b"\xff\n[]\n3\n")
    found = {sweep.name: sweep for sweep in sweeps_in(here / "runs")}
    assert found["first"].state == "damaged"
    assert [found[name].trials for name in ("second", "third", "fourth")] == [None, None, 2]
    assert found["fourth"].state == "interrupted"
    assert not (here / "runs" / "third" / "mlp" / "study.journal").exists()


def test_a_sweep_in_a_database_is_read_and_none_is_made(make: Make, here: Path) -> None:
    url = f"sqlite:///{here}/study.db"
    folder = make("first", {"mlp": [0.5]}, study=url)
    assert kept(folder).best == "accuracy 0.5000 by mlp, trial 0"
    (here / "study.db").unlink()
    assert kept(folder).trials is None
    assert not (here / "study.db").exists()


# Deletion ---------------------------------------------------------------------------------------


def test_a_sweep_is_deleted_and_what_remains_elsewhere_is_said(
    make: Make, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make("first", {"mlp": [0.5]}, tracking_uri="http://user:secret@host:5000", experiment="mine")
    other = make("second", {"mlp": [0.5]})
    before = content(other)
    lines = said(monkeypatch, capsys, "--delete", "first", "--yes")
    assert lines[0].startswith("deleted runs/first, ")
    assert lines[1:] == [
        text("sweep-catalogue.records-lost", records="2 records"),
        text("sweep-catalogue.runs-remain", uri="http://***@host:5000", experiment="mine"),
    ]
    assert [path.name for path in (here / "runs").iterdir()] == ["second"]
    assert content(other) == before


def test_studies_in_a_database_and_remote_checkpoints_remain(
    make: Make, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{here}/study.db"
    folder = make("first", {"mlp": [0.5]}, study=url)
    settings = SweepSettings(name="first", space=("mlp",), study=url, storage="s3://bucket/x")
    save_settings(settings, folder)
    lines = said(monkeypatch, capsys, "--delete", "first", "--yes")
    studies = {"url": url, "studies": "first, first/mlp", "storage": url}
    assert lines[3] == text("sweep-catalogue.studies-remain", **studies)
    place = "s3://bucket/x/first"
    assert lines[4] == text("sweep-catalogue.checkpoints-remain", place=place)
    assert (here / "study.db").exists()
    replaced = replace(settings, study="postgresql://me:secret@host/db")
    save_settings(replaced, make("third", {"mlp": [0.5]}))
    lines = said(monkeypatch, capsys, "--delete", "third", "--yes")
    assert any("postgresql://me@host/db" in line for line in lines)
    assert not any("secret" in line for line in lines)


@pytest.mark.parametrize(
    ("lock", "kind"),
    [
        ("lock", "sweep-catalogue.sweep-running"),
        (f"mlp/{UPLOADER_LOCK}", "sweep-catalogue.still-sending"),
    ],
)
def test_a_sweep_that_is_running_or_sending_is_not_deleted(
    make: Make, lock: str, kind: str
) -> None:
    folder = make("first", {"mlp": [0.5]})
    before = content(folder)
    with FileLock(folder / lock):
        with refused(kind, name="first"):
            delete(folder.parent, "first", sure=True)
    assert content(folder).items() >= before.items()
    assert delete(folder.parent, "first", sure=True) == 0


class Terminal:
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("YES ", 0), ("", 1), ("n", 1), ("x", 1)])
def test_a_user_is_asked_and_told_what_is_lost(
    answer: str, code: int, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make("first", {"mlp": [0.5]})
    asked = []
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or answer)
    assert delete(Path("runs"), "first", sure=False) == code
    assert folder.exists() == bool(code)
    lost = text("sweep-catalogue.and-records", records="2 records")
    wanted = said_as("sweep-catalogue.confirm", folder="runs/first", lost=lost)
    assert wanted.match(asked[0])


def test_nobody_to_ask_means_no(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make("first", {"mlp": [0.5]})
    monkeypatch.setattr(sys, "stdin", None)
    with refused("sweep-catalogue.no-terminal", name="first"):
        delete(folder.parent, "first", sure=False)
    assert folder.exists()


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        (
            "fist",
            UNKNOWN,
            {
                "storage": "runs",
                "known": "first",
                "hint": text("checks.did-you-mean", word="first"),
            },
        ),
        ("..", "settings.name-invalid", {"option": "sweep name"}),
        ("../runs/first", "settings.name-invalid", {}),
        (".", "settings.name-invalid", {}),
        ("file", UNKNOWN, {}),
    ],
)
def test_only_a_sweep_is_deleted(
    name: str, kind: str, values: dict[str, object], make: Make, here: Path
) -> None:
    make("first", {"mlp": [0.5]})
    (here / "runs" / "file").mkdir()
    before = content(here)
    with refused(kind, name=name, **values):
        delete(Path("runs"), name, sure=True)
    assert content(here) == before


def test_a_link_is_not_followed(make: Make, here: Path) -> None:
    folder = make("first", {"mlp": [0.5]})
    (here / "runs" / "link").symlink_to(folder)
    with refused("sweep-catalogue.is-a-link", folder="runs/link", target=folder.resolve()):
        delete(Path("runs"), "link", sure=True)
    assert folder.exists()


def test_what_a_kill_left_of_a_deletion_goes_with_the_next(make: Make, here: Path) -> None:
    make("first", {"mlp": [0.5]})
    left = here / "runs" / ".second.deleted"
    make("second", {"mlp": [0.5]}).rename(left)
    assert [sweep.name for sweep in sweeps_in(here / "runs")] == ["first"]
    assert delete(Path("runs"), "first", sure=True) == 0
    assert [*(here / "runs").iterdir()] == []


def test_waiting_records_are_those_behind_the_cursor(make: Make) -> None:
    assert num_waiting(make("first", {"mlp": [0.5], "cnn": []})) == 4


def test_yes_goes_with_delete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["foldsweep sweeps", "--yes"])
    with refused("sweep-catalogue.yes-without-delete"):
        main()
