import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from foldsweep.errors import UserError
from foldsweep.files import disk_problem, parsed, whole, write_whole
from tests.refusals import refused, text


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
    with refused("files.file-not-writable", path=path, reason="No space left on device"):
        write_whole(path, "new")
    assert path.read_text() == "old"


def test_a_reader_never_sees_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new content is complete before it replaces the file."""
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


@pytest.mark.parametrize("error", [OSError(28, "disk full"), KeyboardInterrupt()])
def test_nothing_is_left_of_a_file_that_was_not_written(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / "report.html"
    write_whole(path, "good")

    def write() -> None:
        with whole(path) as part:
            part.write_text("half of")
            raise error

    with pytest.raises((UserError, KeyboardInterrupt)):
        write()
    assert path.read_text() == "good"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_lone_surrogates_are_written_as_escapes(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", "größe \ud800 中")
    assert (tmp_path / "file").read_text("utf-8") == r"größe \ud800 中"


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


def test_a_device_or_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "pipe", "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    assert [p.name for p in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize(
    ("name", "kind"), [("x" * 300, "file-not-writable"), ("\ud800", "name-not-allowed")]
)
def test_a_name_that_no_file_can_have_is_said(tmp_path: Path, name: str, kind: str) -> None:
    with refused(f"files.{kind}", path=tmp_path / name):
        write_whole(tmp_path / name, "text")


WRITES = """
import sys
from pathlib import Path
from foldsweep.files import write_whole
write_whole(Path(sys.argv[1]), "gr\\u00f6\\u00dfe \\u4e2d")
"""


@pytest.mark.integration
def test_files_are_utf8_whatever_the_locale(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", WRITES, tmp_path / "file"],
        env={
            **os.environ,
            **{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        check=True,
    )
    assert (tmp_path / "file").read_bytes().decode("utf-8") == "größe 中"


def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    path, reason = tmp_path / "none" / "file", "No such file or directory"
    with refused("files.file-not-writable", path=path, reason=reason) as caught:
        write_whole(path, "text")
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with refused("files.file-not-writable"):
        write_whole(tmp_path / "file", "new")
    assert list(tmp_path.iterdir()) == []


def test_the_cause_of_an_error_may_be_the_disk() -> None:
    error = RuntimeError("a library's own")
    error.__cause__ = OSError(122, "Disk quota exceeded")
    assert disk_problem(error) == "Disk quota exceeded"
    assert disk_problem(PermissionError(13, "Permission denied")) is None


@pytest.mark.parametrize("parse", [json.loads, yaml.safe_load])
def test_text_that_is_nested_too_deeply_is_damaged_like_any_other(parse: Any) -> None:
    for left, right in ("[]", ('{"a":', "}")):
        with pytest.raises(ValueError, match=text("files.too-deep")):
            parsed(left * 20_000 + "1" + right * 20_000, parse)
    assert parsed('{"a": [1]}', parse) == {"a": [1]}
