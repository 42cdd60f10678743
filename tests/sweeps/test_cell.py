"""One output of a notebook cell; tests/integration tests it in a real kernel."""

import pytest
from rich.table import Table
from rich.text import Text

from sweeps import cell as cell_module
from sweeps.cell import Bundle, Cell, cell_name, in_notebook


def test_lines_and_tables_are_one_output_in_text_and_html(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown: list[Bundle] = []
    cell = Cell(shown.append)
    cell.print("a line [bold]")
    table = Table("trial", "score")
    table.add_row("1", "0.5", style="dim")
    cell.update("<b>\x1b[1m", Text("x" * 300), table)
    assert capsys.readouterr().out == "a line [bold]\n"
    (bundle,) = shown
    text, html = bundle["text/plain"], bundle["text/html"]
    assert text.splitlines()[0] == r"<b>\x1b[1m"
    assert "│ 1     │ 0.5   │" in text
    assert "\x1b" not in text
    assert "&lt;b&gt;" in html
    assert "x" * 300 in html  # the browser wraps long lines
    assert html.startswith("<pre style=")
    assert "background" not in html


def test_an_output_is_not_changed_more_often_than_one_can_see(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[Bundle] = []
    now = [100.0]
    monkeypatch.setattr(cell_module.time, "monotonic", lambda: now[0])
    cell = Cell(shown.append)
    for what in "abc":
        cell.update(what, at_once=False)
        now[0] += 0.3
    cell.update("d")
    assert [bundle["text/plain"] for bundle in shown] == ["a", "c", "d"]


def test_a_program_is_no_notebook() -> None:
    assert not in_notebook()
    assert cell_name(__file__) is None
