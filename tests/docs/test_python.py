"""The code of docs/python.md runs as printed, with fewer trials and folds."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import foldsweep as fs

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
SMALL = "trials=2, folds=3, workers=0"

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180)]


def test_code_of_the_page_sweeps_fits_and_predicts(
    tmp_path: Path, empty_mlflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    x = pd.DataFrame(np.random.default_rng(0).normal(size=(90, 2)), columns=["a", "b"])
    named: dict[str, Any] = {"X": x, "y": x["a"] > x["b"], "X_new": x[:5]}
    first, results, network, _ = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for block, given in (
        (first, f'{SMALL}, name="last_week"'),
        (first, SMALL),
        (results, ""),
        (network, SMALL),
    ):
        text = re.sub(r"trials=\d+(, folds=\d+)?", given, block)
        exec(compile(text, str(PAGE), "exec"), named)
    assert named["model"].predict(x[:5]).shape == (5,)
    assert fs.load("last_week").best.config
    assert Path("page.html").stat().st_size > 100_000
    assert Path("model", "recipe.yaml").is_file()
    assert [*named["result"].trials["space"]] == ["mine", "mine"]
