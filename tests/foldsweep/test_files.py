import os
import stat
from pathlib import Path

import pytest

from foldsweep.errors import UserError
from foldsweep.files import disk_problem, write_whole


@pytest.fixture
def mask() -> None:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("content", ["text with ä\n", b"\x00\xff bytes", ""])
def test_a_file_holds_what_was_written(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "file"
    path.write_text("before, and longer than what comes")
    write_whole(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_failure_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")

    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="file cannot be written: No space left on device"):
        write_whole(path, "new")
    assert path.read_text() == "old"


def test_a_reader_never_sees_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole new content is there before the name points at it."""
    path = tmp_path / "file"
    write_whole(path, "old")
    seen = []
    replace = Path.replace

    def looking(self: Path, target: Path) -> Path:
        seen.append((self.read_text(), target.read_text()))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", looking)
    write_whole(path, "new")
    assert seen == [("new", "old")]


@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o644)])
def test_a_private_file_is_its_owner_s(
    tmp_path: Path, mask: None, private: bool, mode: int
) -> None:
    write_whole(tmp_path / "file", "text", private=private)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none/file cannot be written: No such file") as caught:
        write_whole(tmp_path / "none" / "file", "text")
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError):
        write_whole(tmp_path / "file", "new")
    assert list(tmp_path.iterdir()) == []


def test_the_cause_of_an_error_may_be_the_disk() -> None:
    error = RuntimeError("a library's own")
    error.__cause__ = OSError(122, "Disk quota exceeded")
    assert disk_problem(error) == "Disk quota exceeded"
    assert disk_problem(PermissionError(13, "Permission denied")) is None
