"""Wrong arguments are reported before any measurement."""

from pathlib import Path

import pytest

import growth
import modes
import startup
from peer_tools.checks import last_words
from tests.benchmarks.mistakes import NO_DOCUMENT, below
from tests.refusals import refused


@pytest.mark.parametrize(
    ("program", "args", "kind", "values"),
    [
        (growth, ["--folds", "1"], *below("folds", 2, "1")),
        (growth, ["--processes", "0"], *below("processes", 1, "0")),
        (growth, ["--limit-s", "nan"], *below("limit-s", 1, "nan")),
        (
            growth,
            ["--write", "README.md"],
            "reproduction-tables.no-mark",
            {"path": "README.md"},
        ),
        (
            growth,
            ["--folder", "/dev/null/x"],
            "peer-checks.folder-not-made",
            {"path": "/dev/null/x/100", "reason": "Not a directory"},
        ),
        (startup, ["--repeats", "0"], *below("repeats", 1, "0")),
        (startup, ["--trials", "0"], *below("trials", 1, "0")),
        (startup, ["--write", "nowhere.md"], *NO_DOCUMENT),
        (modes, ["--networks"], "modes.networks-missing", {}),
        (modes, ["--write", "nowhere.md"], *NO_DOCUMENT),
    ],
)
def test_mistakes_are_said_first(
    program: object,
    args: list[str],
    kind: str,
    values: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("psutil")
    monkeypatch.setattr("sys.argv", ["program", *args])
    with refused(kind, **values):
        program.main()  # type: ignore[attr-defined]


def test_the_last_line_of_a_log_is_said(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    assert last_words(log) == f"see {log}"
    log.write_text("Traceback\nValueError: no\n\n")
    assert last_words(log) == f"ValueError: no ({log} has all)"
