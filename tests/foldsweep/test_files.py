import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from foldsweep.errors import UserError
from foldsweep.files import parsed, write_whole


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


@pytest.mark.parametrize("parse", [json.loads, yaml.safe_load])
def test_text_that_is_nested_too_deeply_is_damaged_like_any_other(parse: Any) -> None:
    for left, right in ("[]", ('{"a":', "}")):
        with pytest.raises(ValueError, match="nested too deeply"):
            parsed(left * 20_000 + "1" + right * 20_000, parse)
    assert parsed('{"a": [1]}', parse) == {"a": [1]}
