"""Starts that fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foldsweep.errors import UserError
from sweeps import launch as launch_module
from sweeps.cluster import Cluster
from sweeps.launch import launch
from sweeps.outages import ServiceLost
from sweeps.settings import SweepSettings
from sweeps.settings_file import load_settings
from tests.refusals import refused, text
from tests.sweeps.launch.launches import Waiting


def test_a_cluster_that_is_not_there_is_said_before_anything_is_made(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = SweepSettings(
        data="iris",
        space=("logistic",),
        address="127.0.0.1:1",
        tracking_uri=f"sqlite:///{here}/mlflow.db",
    )
    cluster = Cluster(settings)
    cluster.start()
    cluster._running.wait()
    with refused("head.unreachable", address="127.0.0.1:1") as caught:
        launch(settings, None, cluster)
    assert "refused" in str(caught.value.values["error"])
    assert "starts" not in capsys.readouterr().out
    assert not list(here.iterdir())


def begun(here: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> int:
    """Launch a sweep that raises `error` before its first trial, or returns if it is None."""

    def end(*_: Any) -> int:
        if error is not None:
            raise error
        return 0

    monkeypatch.setattr(launch_module, "_sweep_all", end)
    settings = SweepSettings(
        tracking_uri=f"sqlite:///{here}/mlflow.db", data="iris", space=("logistic",), name="first"
    )
    return launch(settings, None, Waiting(settings))


@pytest.mark.parametrize(
    "error",
    [UserError("no"), RuntimeError("timed out"), OSError(28, "No space left on device")],
    ids=lambda error: type(error).__name__,
)
def test_the_name_of_a_start_that_failed_is_free(
    here: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with pytest.raises((UserError, RuntimeError)):
        begun(here, monkeypatch, error)
    assert begun(here, monkeypatch, None) == 0


def test_a_kill_while_settings_are_written_leaves_the_name_free(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # a kill leaves no chance to clean up
        with pytest.raises(KeyboardInterrupt):
            begun(here, monkeypatch, None)
    assert {path.name for path in Path("runs/first").iterdir()} == {"lock", "settings.json.part"}
    with refused("settings-file.no-sweep", name="first", storage="runs"):
        load_settings(Path("runs/first"))
    assert begun(here, monkeypatch, None) == 0
    assert load_settings(Path("runs/first")).name == "first"


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OSError(122, "Disk quota exceeded"),
        OSError("'spool.jsonl' took only a part of a record: is the disk full?"),
        RuntimeError("Traceback ... OSError: [Errno 28] No space left on device: 'x'"),
        RuntimeError("(sqlite3.OperationalError) database or disk is full"),
    ],
    ids=str,
)
def test_a_full_disk_at_resume_is_one_line_with_the_command(
    here: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    assert begun(here, monkeypatch, None) == 0

    def end(*_: Any) -> int:
        raise error

    monkeypatch.setattr(launch_module, "_sweep_all", end)
    stored = load_settings(Path("runs/first"))
    settings = replace(stored, resume="first")
    with refused("launch.disk-full", again=text("launch.resume", name="first")):
        launch(settings, stored, Waiting(settings))


def test_a_bug_is_no_full_disk(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        begun(here, monkeypatch, RuntimeError("a bug"))


def test_a_service_that_goes_before_anything_is_made_leaves_nothing_to_resume(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def away(*_: Any) -> Iterator[None]:
        raise ServiceLost("the study has been away for 1 s (refused)")
        yield

    monkeypatch.setattr(launch_module, "owned", away)
    with pytest.raises(UserError, match=r"^the study has been away for 1 s \(refused\)$"):
        begun(here, monkeypatch, None)
    assert not (here / "runs" / "first").exists()
