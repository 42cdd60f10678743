from typing import Any

import pytest

from analysis.reproductions import latest_rows, table_rows
from tests.refusals import refused

TABLE = "report/table"


def test_rows_are_the_latest_in_the_order_of_their_table(filled_rows: Any) -> None:
    store, add = filled_rows
    add("report/b", row=1)
    a, b = add("report/a", row=10), add("report/b", row=2)
    add("report/a", row=10, status="FAILED")
    add("report/c", table="report/other")
    rows = table_rows(store, TABLE)
    assert [(name, row["run"]) for name, row in rows.items()] == [
        ("report/b", b),
        ("report/a", a),
    ]


def test_rows_of_two_repetitions_are_never_mixed(filled_rows: Any) -> None:
    """The latest repetition is a smoke run with one row."""
    store, add = filled_rows
    a, b = add("report/a", row=0), add("report/b", row=1)
    quick = add("report/a", row=0, sweep="reproduce-quick")
    runs = lambda **options: [row["run"] for row in table_rows(store, TABLE, **options).values()]
    assert runs() == [quick]
    assert runs(sweep="reproduce") == [a, b]
    assert runs(sweep="reproduce-quick") == [quick]
    with refused("reproductions.table-without-rows", table=TABLE, within=" in reproduce-digits"):
        runs(sweep="reproduce-digits")


@pytest.mark.parametrize("table", ["report/none", "it's"])
def test_a_table_without_rows_is_said_with_the_command_that_makes_them(
    filled_rows: Any, table: str
) -> None:
    store, add = filled_rows
    add("report/a")
    with refused("reproductions.table-without-rows", table=table, within="") as no:
        table_rows(store, table)
    assert "\n" not in str(no.value)


def test_single_rows_are_the_latest_of_any_repetition(filled_rows: Any) -> None:
    store, add = filled_rows
    add("report/a")
    b, a = add("report/b"), add("report/a", sweep="reproduce-digits")
    add("report/a", status="FAILED")
    rows = latest_rows(store, ["report/b", "report/a"])
    assert [(name, row["run"]) for name, row in rows.items()] == [("report/b", b), ("report/a", a)]
    with refused("reproductions.row-not-run", row="report/c"):
        latest_rows(store, ["report/c"])
