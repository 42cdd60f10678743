import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import figures as figures_module
from analysis.figures import figures, main, table_rows
from analysis.load import Store, open_store
from trainables.errors import UserError

TABLE = "report/table"
CURVES = {name: [[0.5, 0.6]] * 3 for name in ("train_loss", "train_accuracy", "loss", "accuracy")}
WRONG = {"wrong": np.eye(10, dtype=int).tolist(), "count": np.ones((10, 10), dtype=int).tolist()}
POINTS = {
    "regions": np.zeros((4, 4)).tolist(),
    "points": [[0.1, 0.1, 0.0], [0.5, 0.5, 1.0]],
}


@pytest.fixture
def filled_rows(
    make_store: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> tuple[Store, Callable[..., str]]:
    """A store, and a way to log a row to it; a row's result is its run."""
    filled = make_store()
    experiment = filled.experiment("foldsweep")
    monkeypatch.setattr(
        figures_module, "_result", lambda store, run: {"run": run.info.run_id, **WRONG}
    )

    def add(
        preset: str,
        *,
        row: int = 0,
        table: str = TABLE,
        sweep: str = "reproduce",
        status: str = "FINISHED",
    ) -> str:
        tags = {
            "foldsweep.kind": "reproduction",
            "foldsweep.table": table,
            "foldsweep.preset": preset,
            "foldsweep.sweep": f"{sweep}/rows",
            "foldsweep.row": str(row),
        }
        filled.start_time += 1000
        run = filled.client.create_run(experiment, start_time=filled.start_time, tags=tags)
        filled.client.set_terminated(run.info.run_id, status)
        return str(run.info.run_id)

    return open_store(filled.uri, "foldsweep"), add


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
    """The last one was at smoke size, of one row."""
    store, add = filled_rows
    a, b = add("report/a", row=0), add("report/b", row=1)
    quick = add("report/a", row=0, sweep="reproduce-quick")
    runs = lambda **options: [row["run"] for row in table_rows(store, TABLE, **options).values()]
    assert runs() == [quick]
    assert runs(sweep="reproduce") == [a, b]
    assert runs(sweep="reproduce-quick") == [quick]
    with pytest.raises(UserError, match="has no rows of 'report/table' in reproduce-digits;"):
        runs(sweep="reproduce-digits")


@pytest.mark.parametrize("table", ["report/none", "it's"])
def test_a_table_without_rows_is_said_with_the_command_that_makes_them(
    filled_rows: Any, table: str
) -> None:
    store, add = filled_rows
    add("report/a")
    with pytest.raises(UserError, match=r"has no rows of .*; run sweeps/reproduce\.py ") as no:
        table_rows(store, table)
    assert "\n" not in str(no.value)


def test_there_are_figures_of_what_was_measured() -> None:
    pairs = figures({"report/a": WRONG, "report/b": WRONG | {"curves": CURVES}})
    assert list(pairs) == ["all-loss", "b-loss", "all-accuracy", "b-accuracy", "wrong"]
    assert len(pairs["wrong"].axes) >= 2
    points = figures({"report/a": WRONG | POINTS, "report/b": WRONG | POINTS})
    assert list(points) == ["regions", "points"]


def test_the_program_writes_files_and_names_them(
    filled_rows: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, add = filled_rows
    add("report/a")
    out = tmp_path / "new" / "figures"
    argv = ["figures.py", TABLE, "--tracking-uri", store.tracking_uri, "--out", str(out)]
    monkeypatch.setattr(sys, "argv", argv)
    assert main() == 0
    assert capsys.readouterr().out == f"{out}/report-table-wrong.png\n"
    assert (out / "report-table-wrong.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", [*argv[:-1], str(tmp_path / "file" / "figures")])
    with pytest.raises(UserError, match="folder .*/file/figures cannot be written: Not a dir"):
        main()
