"""The folder of a Ray session has a short path, and is removed with the processes that use it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from sweeps import reaper, session
from sweeps.session import LONGEST, Session, clear_up
from tests.refusals import refused


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A folder with a short path, set as the only folder for temporary files."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="r") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield folder


@pytest.mark.integration
def test_a_long_or_broken_folder_for_temporary_files_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    for variable, path in (("RAY_TMPDIR", long), ("TMPDIR", "/nowhere"), ("XDG_RUNTIME_DIR", "")):
        monkeypatch.setenv(variable, str(path))
    own = Session()
    own.end()
    assert len(own.folder) <= LONGEST
    assert not os.path.exists(own.folder)


def test_no_folder_at_all_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_roots", lambda: ["/nowhere", "/proc"])
    with refused("session.no-folder", variable="RAY_TMPDIR") as caught:
        Session()
    assert str(caught.value.values["reasons"]).startswith("/nowhere: No such file or directory; ")


@pytest.mark.integration
def test_processes_of_a_ray_end_with_it_and_no_others(root: str) -> None:
    own = Session()
    own.begin()
    inside = subprocess.Popen(["sleep", "600"])
    own.begun()
    outside = subprocess.Popen(["sleep", "600"])
    try:
        assert reaper.marked(own.folder) == [inside.pid]
        own.end()
        assert inside.wait() == -9
        assert outside.poll() is None
        assert os.listdir(root) == []
    finally:
        outside.kill()
        outside.wait()


@pytest.mark.integration
def test_a_process_that_gives_itself_a_title_keeps_its_mark(root: str) -> None:
    """Ray's agents do so; the raylet passes them the environment sorted by name."""
    titled = "from ray._raylet import setproctitle as title; title('ray::Agent'); print(flush=1)"
    own = Session()
    own.begin()
    agent = subprocess.Popen(
        [sys.executable, "-c", f"{titled}; import time; time.sleep(600)"],
        env=dict(sorted(os.environ.items())),
        stdout=subprocess.PIPE,
    )
    own.begun()
    assert agent.stdout is not None
    with agent.stdout as told:
        assert told.readline()
    try:
        assert Path(f"/proc/{agent.pid}/cmdline").read_bytes().startswith(b"ray::Agent")
        assert reaper.marked(own.folder) == [agent.pid]
    finally:
        own.end()
        agent.kill()
        agent.wait()


def test_what_was_left_is_cleared_up_and_what_is_used_is_not(root: str) -> None:
    for name in ("left", "used"):
        Path(root, f"foldsweep-{name}").mkdir()
        Path(root, f"foldsweep-{name}.lock").touch()
    Path(root, "foldsweep-other").mkdir()
    with FileLock(f"{root}/foldsweep-used.lock"):
        clear_up()
    left = {name for name in os.listdir(root) if "left" in name}
    assert not left
    assert {"foldsweep-used", "foldsweep-other"} <= {*os.listdir(root)}


@pytest.mark.integration
def test_a_file_of_the_user_s_called_lock_is_none_of_ours(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".lock").touch()
    own = Session()
    assert os.path.dirname(own.folder) == root
    own.end()
    assert (tmp_path / ".lock").exists()
