import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.figures import figures, main
from tests.refusals import refused

TABLE = "report/table"
CURVES = {name: [[0.5, 0.6]] * 3 for name in ("train_loss", "train_accuracy", "loss", "accuracy")}
WRONG = {"wrong": np.eye(10, dtype=int).tolist(), "count": np.ones((10, 10), dtype=int).tolist()}
POINTS = {
    "regions": np.zeros((4, 4)).tolist(),
    "points": [[0.1, 0.1, 0.0], [0.5, 0.5, 1.0]],
}


def test_there_are_figures_of_what_was_measured() -> None:
    pairs = figures({"report/a": WRONG, "report/b": WRONG | {"curves": CURVES}})
    assert list(pairs) == ["b-loss", "b-accuracy", "wrong"]
    assert len(pairs["wrong"].axes) >= 2
    two = figures({name: WRONG | {"curves": CURVES} for name in ("report/a", "report/b")})
    assert list(two)[:3] == ["all-loss", "a-loss", "b-loss"]
    parts = {**CURVES, "train_aux_loss": [[0.1, 0.2]] * 3}
    row = WRONG | {"curves": parts, "config": {"aux_schedule": "linear"}}
    weighted = figures({"report/a": row})["weighted-loss"]
    assert weighted.axes[0].get_title() == "a: annealed weights"
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
    out = tmp_path / "file" / "figures"
    monkeypatch.setattr(sys, "argv", [*argv[:-1], str(out)])
    with refused("figures.out-unwritable", path=out, reason="Not a directory"):
        main()
