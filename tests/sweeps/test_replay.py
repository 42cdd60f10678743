"""Start of an uploader; its work is tested in `tracking/uploader` and in `integration`."""

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from sweeps import replay
from sweeps.replay import _wait_for_results, main, sweep_folders
from sweeps.tracking.spool import (
    CLOSE,
    DRIVER_LOCK,
    OPEN,
    SPOOL_FILE,
    TARGET_FILE,
    Spool,
    TrackingTarget,
)
from tests.refusals import refused, text

POINTS = [["val_accuracy", 0.5, 1, 1000]]
OF_SWEEP = {"op": "metrics", "run": "", "points": POINTS}
OF_TRIAL = {"op": "metrics", "run": "0", "points": POINTS}
START = {"op": "start", "run": "0"}
END = {"op": "end", "run": "0", "status": "FAILED", "time": 2000}


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """The spool of a running driver."""
    with FileLock(tmp_path / DRIVER_LOCK, thread_local=False):
        made = Spool(tmp_path / SPOOL_FILE)
        yield made
        made.close()


@pytest.mark.parametrize(
    ("before", "awaited"),
    [
        ([OPEN, OF_SWEEP, START], OF_TRIAL),
        ([OPEN, OF_SWEEP, START], END),
        ([OPEN, OF_SWEEP], CLOSE),
        ([OPEN, START, OF_TRIAL, END, CLOSE, OPEN, OF_SWEEP], OF_TRIAL),
    ],
    ids=["a trial's", "a failed trial", "the end", "a resumed sweep"],
)
def test_an_uploader_begins_with_the_first_results(
    before: list[Any], awaited: Any, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "_FIRST_RESULTS_S", 60.0)
    monkeypatch.setattr(replay, "_POLL_S", 0.01)
    for record in before:
        spool.append(record)
    waiting = threading.Thread(target=_wait_for_results, args=(tmp_path,))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    spool.append(awaited)
    waiting.join(30)
    assert not waiting.is_alive()


# Sweeps that a name selects ----------------------------------------------------------------------


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A folder of two sweeps, the first with two spaces."""
    for name in ("one/mlp", "one/cnn", "two/mlp"):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / TARGET_FILE).touch()
    return tmp_path / "runs"


def test_a_name_or_a_path_stands_for_the_sweeps_there(storage: Path) -> None:
    both = [storage / "one" / "cnn", storage / "one" / "mlp"]
    assert sweep_folders("one", storage) == both
    assert sweep_folders(str(storage / "one"), Path("elsewhere")) == both
    assert sweep_folders(str(storage / "one" / "mlp"), storage) == both[1:]
    assert len(sweep_folders(str(storage), storage)) == 3


@pytest.mark.parametrize(
    "name", ["/", "../" * 40, "a" * 300, "a\x1b[2J", "\ud800", "*", "x" + "/y" * 3000]
)
def test_an_absurd_name_is_refused_at_once(storage: Path, name: str) -> None:
    with refused("replay.no-sweep", name=name, known="one, two") as caught:
        sweep_folders(name, storage)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([""], text("checks.argument-empty")),
        (["a", "--storage", ""], text("checks.option-empty", option="--storage")),
        (["a", "--tracking-uri="], text("checks.option-empty", option="--tracking-uri")),
        (["a", "--storage=s3://"], text("checks.storage-not-local", folder="s3:")),
    ],
)
def test_an_empty_name_or_a_remote_folder_is_refused(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == 2
    assert capsys.readouterr().err == f"error: {said}\n"


# Folders from elsewhere --------------------------------------------------------------------------


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes the folder of somebody else's sweep, or of a sweep of this project with `here`."""

    def make(*, here: bool = False, **changes: Any) -> Path:
        folder = tmp_path / "runs" / "theirs" / "mlp"
        folder.mkdir(parents=True)
        values = {
            "tracking_uri": f"sqlite:///{tmp_path}/deep/theirs.db",
            "experiment": "theirs",
            "sweep": "theirs/mlp",
            "study_storage": f"{tmp_path}/study.journal",
            "study_name": "theirs/mlp",
        }
        TrackingTarget(**values | changes).save(folder)
        if not here:
            recorded = json.loads((folder / TARGET_FILE).read_text())
            recorded |= {"folder": "/elsewhere/runs/theirs/mlp", "project": "/elsewhere"}
            (folder / TARGET_FILE).write_text(json.dumps(recorded))
        spool = Spool(folder / SPOOL_FILE)
        spool.append(CLOSE)
        spool.close()
        return folder

    monkeypatch.chdir(tmp_path)
    return make


def test_a_folder_from_elsewhere_is_sent_where_the_user_says(
    sent: Callable[..., Path], tmp_path: Path, empty_mlflow: Path
) -> None:
    folder = sent()
    uri = f"sqlite:///{tmp_path}/deep/theirs.db"
    with refused("replay.made-elsewhere", folder=folder, uri=uri):
        replay.waiting(folder)
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    said = replay.replay(replay.waiting(folder, "sqlite:///mlflow.db"))
    assert said.endswith(f"to sqlite:///{tmp_path}/mlflow.db")
    assert not (tmp_path / "deep").exists()
    assert not (tmp_path / "study.journal").exists()


def test_a_folder_that_says_nothing_of_its_place_is_from_elsewhere(
    sent: Callable[..., Path],
) -> None:
    folder = sent()
    values = json.loads((folder / TARGET_FILE).read_text())
    for key in ("folder", "project", "uuid"):
        del values[key]
    (folder / TARGET_FILE).write_text(json.dumps(values))
    with refused("replay.made-elsewhere", folder=folder):
        replay.waiting(folder)


@pytest.mark.parametrize("trust", [False, True])
def test_the_store_of_one_s_own_folder_is_used_and_another_s_with_trust(
    sent: Callable[..., Path], trust: bool, tmp_path: Path, empty_mlflow: Path
) -> None:
    folder = sent(here=not trust)
    (tmp_path / "deep").mkdir()
    shutil.copy(empty_mlflow, tmp_path / "deep" / "theirs.db")
    assert "deep/theirs.db" in replay.replay(replay.waiting(folder, trust=trust))


def test_a_store_that_can_never_work_is_refused(sent: Callable[..., Path]) -> None:
    with refused("tracking.scheme-unknown", scheme="ftp"):
        replay.waiting(sent(here=True), "ftp://host")


def test_a_damaged_folder_is_refused_before_any_other_is_sent(
    sent: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = sent(here=True)
    damaged = whole.with_name("zz_last")
    shutil.copytree(whole, damaged)
    (damaged / TARGET_FILE).write_text('{"tracking_uri": 3}')
    assert main(["theirs"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    said = text("spool.damaged", path="runs/theirs/zz_last/tracking.json", error="WHY")
    assert re.fullmatch(re.escape(f"error: {said}\n").replace("WHY", ".*"), shown.err)
    assert not (tmp_path / "deep").exists()


def test_sending_takes_a_quarter_of_a_processor() -> None:
    """Pauses are long enough for runs to end meanwhile, short enough for users who watch."""
    assert [replay.rest_s(worked) for worked in (0.0, 0.1, 1.0, 3.0, 60.0)] == [2, 2, 3, 9, 10]
