import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.reproduction import tables
from sweeps.reproduction.grids import Found
from sweeps.reproduction.tables import (
    Cells,
    described,
    difference,
    error_cells,
    list_cells,
    table_cells,
    verdict,
    write_between_marks,
)
from tests.refusals import refused, text
from trainables.presets.preset import Grid, Measurement, Preset, Protocol, Reported
from trainables.presets.registry import PRESETS, TABLES, Row

Rows = dict[str, tuple[Preset, Measurement]]
ROUNDS = Protocol(kind="rounds", count=10)

REPORTED = {
    "met": Reported(accuracy=0.8, std=0.03, params=321, time_s=9.3),
    "missed": Reported(accuracy=0.9, std=0.01, params=320),
    "without_std": Reported(accuracy=0.8),
    "diverged": Reported(accuracy=0.8, std=0.01),
    "single": Reported(accuracy=0.8, std=0.01),
    "not_run": Reported(accuracy=0.8, std=0.01),
    "not_reported": Reported(),
    "of_points": Reported(),
}


def result(*accuracy: float) -> dict[str, Any]:
    zero = np.zeros((10, 10), dtype=int)
    count, wrong = zero + 1, zero.copy()
    wrong[3, 3] = 1
    return {
        "accuracy": list(accuracy),
        "num_params": 321,
        "time_s": 2.25,
        "count": count.tolist(),
        "wrong": wrong.tolist(),
    }


RESULTS = {
    "met": result(0.78, 0.8),
    "missed": result(0.8, 0.82),
    "without_std": result(0.7, 0.9),
    "diverged": {"error": "a loss became infinite"},
    "single": result(0.7),
    "not_reported": result(0.7, 0.9),
    "of_points": {"accuracy": [0.7, 0.9], "num_params": 321, "time_s": 2.25},
}


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    """The rows of `report/table`, which is made the only table."""
    made = {}
    for name, reported in REPORTED.items():
        measurement = Measurement(table="report/table", protocol=ROUNDS, reported=reported)
        made[name] = (Preset(name=f"report/{name}", variant="mlp", config={}), measurement)
    monkeypatch.setattr(tables, "TABLES", {"report/table": list(made.values())})
    return made


def lookup(preset: Preset, measurement: Measurement) -> dict[str, Any] | None:
    return RESULTS.get(preset.name.partition("/")[2])


def cells_by_row(cells: Cells) -> dict[str, dict[str, str]]:
    return {row[0]: dict(zip(cells.head, row, strict=True)) for row in cells.rows}


# Differences ------------------------------------------------------------------------------------


def of(accuracy: float | None, std: float | None = None) -> Measurement:
    return Measurement(
        table="report/table", protocol=ROUNDS, reported=Reported(accuracy=accuracy, std=std)
    )


def test_a_difference_is_in_standard_errors_of_both_means() -> None:
    ours = result(0.7, 0.9)  # std 0.02 ** 0.5 of two rounds; the published one is of ten
    gap, in_errors = difference(ours, of(0.75, std=0.03)) or (0.0, 0.0)
    assert gap == pytest.approx(0.05)
    assert in_errors == pytest.approx(0.05 / (0.02 / 2 + 0.0009 / 10) ** 0.5)


def test_where_a_report_prints_no_std_ours_stands_for_it() -> None:
    _, in_errors = difference(result(0.7, 0.9), of(0.9)) or (0.0, 0.0)
    assert in_errors == pytest.approx(-0.1 / (0.02 / 2 + 0.02 / 10) ** 0.5)


@pytest.mark.parametrize(
    ("accuracy", "in_errors"), [(0.5, 0.0), (0.25, math.inf), (0.75, -math.inf)]
)
def test_without_any_spread_a_difference_is_none_or_endless(
    accuracy: float, in_errors: float
) -> None:
    assert difference(result(0.5, 0.5), of(accuracy, std=0.0)) == (0.5 - accuracy, in_errors)


def test_there_is_no_difference_of_what_has_no_figure_or_no_spread() -> None:
    assert difference(result(0.5, 0.6), of(None)) is None
    assert difference(result(0.5), of(0.5, std=0.1)) is None
    assert difference({"error": "diverged"}, of(0.5, std=0.1)) is None


def test_the_verdict_counts_rows_and_names_those_below(rows: Rows) -> None:
    diverged = text("reproduction-tables.row-diverged", row="report/diverged (rounds)")
    assert verdict([list(rows.values())], lookup) == (
        text("reproduction-tables.verdict", within=2, rows=4, errors=2)
        + text("reproduction-tables.below", rows=f"report/missed (rounds), {diverged}")
        + text("reproduction-tables.one-round", rows=1)
        + text("reproduction-tables.not-run", rows=1)
    )
    all_met = text("reproduction-tables.verdict", within=1, rows=1, errors=2)
    assert verdict([[rows["met"]]], lookup) == all_met
    none_reported = text("reproduction-tables.nothing-reported")
    assert verdict([[rows["not_reported"]]], lookup) == none_reported


# Tables -----------------------------------------------------------------------------------------


def test_a_row_shows_both_figures(rows: Rows) -> None:
    (cells,) = table_cells("report/table", lookup, lambda grid: None)
    rounds = text("reproduction-tables.fresh-rounds", rounds=10, train=1000, test=1000)
    assert cells.title == f"report/table: {rounds}"
    shown = cells_by_row(cells)
    assert list(shown) == list(REPORTED)
    assert shown["met"] == {
        "row": "met",
        "reported": "0.8 ± 0.03",
        "ours": "0.7900 ± 0.0141",
        "difference": "-0.0100",
        "in s.e.": "-0.7",
        "params": "321",
        "time, s": "2.2 (reported: 9.3)",
    }
    assert shown["missed"]["params"] == "321 (printed: 320)"
    assert shown["without_std"]["reported"] == "0.8"
    assert [shown[name]["ours"] for name in ("diverged", "single", "not_run")] == [
        "diverged",
        "0.7000",
        "not run",
    ]
    for name in ("diverged", "single", "not_run", "not_reported"):
        assert shown[name]["difference"] == shown[name]["in s.e."] == ""


GRID = Grid(
    name="report/grid",
    table="report/grid",
    base="kong/a_w_net",
    axes={"lr": (0.1, 0.2, 0.3), "dropout": (0.0, 0.5)},
    folds=3,
    best={"lr": 0.2},
    score=0.9,
)


def found(*, select_on_test: bool) -> Found:
    return Found(
        best={"lr": 0.1, "dropout": 0.5},
        values={},
        score=0.91,
        std=0.02,
        num_params=1234,
        trials=2,
        failed=0,
        select_on_test=select_on_test,
        time_s=12.4,
    )


@pytest.mark.parametrize("select_on_test", [False, True])
def test_a_grid_shows_both_best_points_and_says_if_test_pairs_chose(
    monkeypatch: pytest.MonkeyPatch, select_on_test: bool
) -> None:
    monkeypatch.setattr(tables, "TABLES", {"report/grid": [GRID]})
    ours = found(select_on_test=select_on_test)
    (cells,) = table_cells("report/grid", lookup, lambda grid: ours)
    how = text("reproduction-tables.cross-validated", folds=3)
    if select_on_test:
        how = text("reproduction-tables.on-test")
    assert cells.title == f"report/grid: {how}"
    assert cells.rows == (
        ("grid", "2 of 6", "lr=0.2", "0.9000", "lr=0.1 dropout=0.5", "0.9100 ± 0.0200")
        + ("1,234", "12"),
    )
    (cells,) = table_cells("report/grid", lookup, lambda grid: None)
    assert cells.rows == (("grid", "6", "lr=0.2", "0.9000", "", "", "", ""),)


def test_a_table_of_rows_and_grids_is_two(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    both: list[Row] = [rows["met"], GRID]
    monkeypatch.setattr(tables, "TABLES", {"report/table": both})
    heads = [c.head[0] for c in table_cells("report/table", lookup, lambda grid: None)]
    assert heads == ["row", "grid"]


def test_wrong_answers_are_in_percent(rows: Rows) -> None:
    shown = cells_by_row(error_cells("report/table", lookup))
    assert list(shown["met"].values()) == ["met", "10.0 %", "0.0 %", "0.0 %"]
    for name in ("diverged", "not_run", "of_points"):
        assert list(shown[name].values()) == [name, "", "", ""]


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        (
            Protocol(kind="rounds", count=15, fresh_data=False, test_from=500),
            text("reproduction-tables.same-rounds", rounds=15, train=1000, test=500),
        ),
        (
            Protocol(kind="rounds", count=10, held_back=200),
            text("reproduction-tables.fresh-rounds", rounds=10, train=800, test=1000),
        ),
        (
            Protocol(kind="folds", count=4),
            text("reproduction-tables.folds", folds=4, pairs=1000),
        ),
    ],
)
def test_a_protocol_is_said_in_words(protocol: Protocol, said: str) -> None:
    assert described(protocol) == said


def test_the_list_has_every_row_once_and_each_table_where_it_begins() -> None:
    listed = list_cells().rows
    assert len(listed) == sum(map(len, TABLES.values()))
    assert [row[0] for row in listed if row[0]] == list(TABLES)
    assert {row[1] for row in listed} >= {p.name for p in PRESETS.values() if p.measurements}


def test_markdown_is_a_table() -> None:
    cells = Cells(title="", head=("row", "ours"), rows=(("a", "1"), ("b", "2")))
    assert cells.markdown() == "| row | ours |\n| --- | ---: |\n| a | 1 |\n| b | 2 |\n"


@pytest.mark.parametrize("name", TABLES)
def test_every_table_can_be_drawn_before_anything_is_run(name: str) -> None:
    drawn = table_cells(name, lambda *row: None, lambda grid: None)
    assert sum(len(cells.rows) for cells in drawn) == len(TABLES[name])
    for cells in drawn:
        assert len(cells.rich().columns) == len(cells.head)


# Documents --------------------------------------------------------------------------------------

DOCUMENT = """# Results

<!-- foldsweep: kong/table3 -->
old

rows
<!-- end -->
between
<!-- foldsweep: unknown -->
mine
<!-- end -->
<!-- foldsweep: verdict -->
<!-- end -->
after
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "results.md"
    path.write_text(DOCUMENT)
    return path


def test_marked_places_are_filled_and_all_else_is_kept(document: Path) -> None:
    blocks = {"kong/table3": "new \\1\n", "verdict": "good\n", "kong/table1": "nowhere\n"}
    wanted = DOCUMENT.replace("old\n\nrows\n", "new \\1\n").replace(
        "verdict -->\n", "verdict -->\ngood\n"
    )
    for _ in range(2):  # a filled document can be filled again
        assert write_between_marks(document, blocks) == 2
        assert document.read_text() == wanted


def check_refused(kind: str, path: Path, table: str = "kong/table3", **values: object) -> None:
    with refused(kind, path=path, **values) as caught:
        write_between_marks(path, {table: "new\n"})
    assert "\n" not in str(caught.value)


def test_a_document_without_a_mark_is_left_as_it_is(document: Path) -> None:
    with refused("reproduction-tables.no-mark", path=document, table="kong/table1") as caught:
        write_between_marks(document, {"kong/table1": "new\n"})
    assert "\n" not in str(caught.value)
    assert document.read_text() == DOCUMENT


def test_what_cannot_be_read_as_a_document_is_refused(tmp_path: Path) -> None:
    missing = "No such file or directory"
    check_refused("reproduction-tables.file-unreadable", tmp_path / "missing.md", reason=missing)
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    check_refused("reproduction-tables.file-not-utf8", tmp_path / "image.png")


def test_what_cannot_be_written_is_refused(
    document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    write: Callable[..., Any] = full
    monkeypatch.setattr(Path, "write_bytes", write)
    check_refused("files.file-not-writable", document, reason="No space left on device")
    assert document.read_text() == DOCUMENT
