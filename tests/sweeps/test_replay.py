"""When an uploader begins; what it does is tested with the uploader and in `integration`."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from foldsweep.errors import UserError
from sweeps import replay
from sweeps.replay import _wait_for_results, main, sweep_folders
from sweeps.tracking.spool import CLOSE, DRIVER_LOCK, OPEN, SPOOL_FILE, TARGET_FILE, Spool

POINTS = [["val_accuracy", 0.5, 1, 1000]]
OF_SWEEP = {"op": "metrics", "run": "", "points": POINTS}
OF_TRIAL = {"op": "metrics", "run": "0", "points": POINTS}
START = {"op": "start", "run": "0"}
END = {"op": "end", "run": "0", "status": "FAILED", "time": 2000}


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """The spool of a driver that lives."""
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


# Which sweeps a name stands for ------------------------------------------------------------------


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A folder of sweeps, two of them of two spaces."""
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
    with pytest.raises(UserError, match="no sweep .* choose one of: one, two") as caught:
        sweep_folders(name, storage)
    assert str(caught.value).isprintable()


def test_an_empty_name_or_a_remote_folder_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for args in ([""], ["a", "--storage", ""], ["a", "--tracking-uri="], ["a", "--storage=s3://"]):
        assert main(args) == 2
        said = capsys.readouterr().err
        assert re.fullmatch("error: .*(empty|not a URI).*\n", said), said
