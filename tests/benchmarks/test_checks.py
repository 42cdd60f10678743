"""Wrong arguments are reported before any measurement."""

from pathlib import Path

import pytest

import growth
import modes
import startup
from foldsweep.errors import UserError
from peer_tools.checks import last_words


@pytest.mark.parametrize(
    ("program", "args", "said"),
    [
        (growth, ["--folds", "1"], "--folds must be at least 2, but is 1"),
        (growth, ["--processes", "0"], "--processes must be at least 1, but is 0"),
        (growth, ["--limit-s", "nan"], "--limit-s must be at least 1, but is nan"),
        (growth, ["--write", "README.md"], "README.md has no mark for any of these tables"),
        (growth, ["--folder", "/dev/null/x"], "folder /dev/null/x/100 cannot be made: Not a"),
        (startup, ["--repeats", "0"], "--repeats must be at least 1, but is 0"),
        (startup, ["--trials", "0"], "--trials must be at least 1, but is 0"),
        (startup, ["--write", "nowhere.md"], "nowhere.md cannot be read: No such file"),
        (modes, ["--networks"], "--networks must name at least one"),
        (modes, ["--write", "nowhere.md"], "nowhere.md cannot be read: No such file"),
    ],
)
def test_mistakes_are_said_first(
    program: object, args: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psutil")
    monkeypatch.setattr("sys.argv", ["program", *args])
    with pytest.raises(UserError, match=said):
        program.main()  # type: ignore[attr-defined]


def test_the_last_line_of_a_log_is_said(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    assert last_words(log) == f"see {log}"
    log.write_text("Traceback\nValueError: no\n\n")
    assert last_words(log) == f"ValueError: no ({log} has all)"
