"""Small files of a run."""

import errno
import os
from pathlib import Path

import pytest
from mlflow import MlflowClient
from requests import ConnectTimeout

from sweeps.tracking.spool import CLOSE, Spool, TrackingTarget
from sweeps.tracking.uploader import Uploader
from tests.sweeps.tracking.uploader.records import fill, runs_of, send, start


def test_small_files_are_attached(
    tmp_path: Path, folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    (tmp_path / "space.py").write_text("SPACE = {}")
    fill(spool, start(""))
    fill(spool, {"op": "artifact", "run": "", "path": str(tmp_path / "space.py"), "to": "code"})
    send(folder, target)
    run_id = runs_of(client)["first/cnn_ws_aux"].info.run_id
    assert [file.path for file in client.list_artifacts(run_id, "code")] == ["code/space.py"]
    assert (tmp_path / "mlartifacts").is_dir()


def test_an_artifact_in_the_folder_is_found_where_the_folder_has_moved_to(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    (folder / "task.json").write_text("{}")
    fill(spool, start(""), {"op": "artifact", "run": "", "path": "task.json", "to": ""}, CLOSE)
    moved = folder.rename(folder.with_name("moved"))
    assert send(moved, target).progress.refused == 0
    (run,) = runs_of(client).values()
    assert [f.path for f in client.list_artifacts(run.info.run_id)] == ["task.json"]


def test_files_outside_of_a_folder_from_elsewhere_are_not_sent(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    paths = [str(tmp_path / "secret"), "../../../secret", "link"]
    records = [{"op": "artifact", "run": "", "path": path, "to": ""} for path in paths]
    fill(spool, start(""), *records, CLOSE)
    uploader = Uploader(folder, target, inside_only=True)
    while uploader.send_next():
        pass
    assert uploader.progress.refused == 3
    (run,) = runs_of(client).values()
    assert client.list_artifacts(run.info.run_id) == []


@pytest.mark.parametrize(
    "away",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        ConnectionResetError("reset"),
        TimeoutError("late"),
        ConnectTimeout("late"),
    ],
    ids=repr,
)
def test_a_file_waits_for_what_is_over_some_day(
    folder: Path,
    target: TrackingTarget,
    client: MlflowClient,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
    away: OSError,
) -> None:
    """For example a full disk, or a store that is away."""
    (folder / "task.json").write_text("{}")
    fill(spool, start(""), {"op": "artifact", "run": "", "path": "task.json", "to": ""}, CLOSE)

    def fails(*args: object) -> None:
        raise away

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifact", fails)
        with pytest.raises(type(away)):
            send(folder, target)
    assert send(folder, target).progress.refused == 0
    (run,) = runs_of(client).values()
    assert [f.path for f in client.list_artifacts(run.info.run_id)] == ["task.json"]
