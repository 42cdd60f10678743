"""Output of programs in their own processes; only the real standard streams are replaced."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from foldsweep.streams import escaped, forgive
from tests.refusals import text

WORK = r"""
import sys
from rich.table import Table
from foldsweep.programs import EpochLine, console, run_program

def main():
    table = Table("a", "b")
    table.add_row("\u4e2d\u00e4", "\ud800 lone")
    shown = EpochLine(2)
    for i in range(200):
        console.print("0.9375 \u00b1 0.0312 \u00b7 \u00e4 \u4e2d \ud800 \x1b[2J")
        console.print(table)
    shown.done(1)
    print("plain \u2713 \ud800")
    print("bad \u2713", file=sys.stderr)
    open(sys.argv[1], "w").write("done")
    return 7

run_program(main)
"""
PAGES = ["ascii", "cp932", "big5", "gbk", "euc_kr", "cp1250", "koi8-r", "cp037", "utf-8", "utf-16"]


@pytest.fixture
def done(tmp_path: Path) -> Path:
    return tmp_path / "done"


def run(done: Path, redirect: str = "", **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program in a shell, optionally with redirected output."""
    return subprocess.run(
        ["bash", "-c", f'"$@" {redirect}', "-", sys.executable, "-c", WORK, str(done)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
        capture_output=True,
        timeout=50,
    )


@pytest.mark.integration
@pytest.mark.parametrize("page", PAGES)
def test_no_encoding_ends_a_program(page: str, done: Path) -> None:
    ended = run(done, PYTHONIOENCODING=page)
    said = ended.stdout.decode(page)
    assert (ended.returncode, done.read_text()) == (7, "done"), ended.stderr
    assert b"Traceback" not in ended.stderr
    assert re.search("0.9375 (±|[+]-) 0.0312", said)
    assert r"\ud800 lone" in said
    assert r"\ud800 \x1b[2J" in said
    assert "plain" in said
    assert not re.search(r"\r|\x1b", said.replace("\r\n", "\n"))


@pytest.mark.integration
def test_the_posix_locale_without_utf8_mode_ends_no_program(done: Path) -> None:
    ended = run(done, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="")
    assert (ended.returncode, done.read_text()) == (7, "done"), ended.stderr
    assert "0.9375 +- 0.0312" in ended.stdout.decode("ascii")


@pytest.mark.integration
@pytest.mark.parametrize(
    "redirect", ["2>&-", ">&-", "<&- >&- 2>&-", "| head -1 >/dev/null; exit ${PIPESTATUS[0]}"]
)
def test_the_exit_code_is_that_of_the_work_whoever_listens(redirect: str, done: Path) -> None:
    ended = run(done, redirect)
    assert (ended.returncode, done.read_text()) == (7, "done")
    assert ended.stderr in (b"", b"bad \xe2\x9c\x93\n")


@pytest.mark.integration
def test_a_full_disk_ends_no_program_and_is_said(done: Path) -> None:
    ended = run(done, "> /dev/full")
    assert (ended.returncode, done.read_text()) == (7, "done")
    assert ended.stderr.decode().splitlines() == [
        "bad ✓",
        f"error: {text('programs.output-lost', why='No space left on device')}",
    ]


@pytest.mark.integration
def test_colours_that_are_asked_for_move_no_cursor_in_a_file(done: Path) -> None:
    ended = run(done, FORCE_COLOR="1")
    assert ended.returncode == 7
    assert not re.search(rb"\r|\x1b\[[0-9?;]*[^m0-9?;]", ended.stdout)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 重さ\u3000\n\tx", "größe 重さ\u3000\n\tx"),
        ("a\x1b[2Jb\x00\r", r"a\x1b[2Jb\x00\r"),
        ("\ud800\x9b", r"\ud800\x9b"),
    ],
)
def test_text_for_a_terminal_moves_no_cursor(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_a_redirected_process_prints_whatever_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr(sys, "stderr", io.StringIO())  # has no encoding
    forgive()
    print("\ud800 ä", flush=True)
    assert written.getvalue() == rb"\ud800 \xe4" + b"\n"
