"""Refused exports: the message is one line, and no file is written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foldsweep import names
from foldsweep.errors import UserError
from tests.analysis.export.cases import IMAGES, recorded, refused
from trainables.tasks.larger_digit import TASK


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "say what to export"),
        (("--space", "mlp", "--top", "0"), "--top must be at least 1, but is 0"),
        (("--space", "mlp", "--out", "missing"), "--out missing is not a folder"),
        (("--space", "mlp", "--data", "missing"), "--data missing: there is no such file"),
        (("--run", "x", "--space", "mlp"), "--run ID names one trial"),
        (("--run", "x", "--sweep", "both"), "--run ID names one trial"),
        (("--run", "0" * 32), "has no run '000"),
        (("--run", "x", "--choose", "one-se"), "--choose one-se selects one trial of a sweep"),
        (("--space", "mlp", "--choose", "one-se", "--top", "2"), "leave out --run and --top"),
        (("--space", "mlp", "--rope", "-1"), "--rope must be at least 0, but is -1"),
        (("--run", "it's"), "has no run"),
        (("--space", "cnn_ws_aux"), "has no space cnn_ws_aux; it has: "),
        (("--sweep", "missing"), "has no sweep missing; it has: "),
        (("--sweep", "elsewhere"), "has no sweep elsewhere"),
        (("--space", "cnn_ws"), "sweep failed/cnn_ws has no complete trial yet"),
        (("--space", "mlp", "--experiment", "missing"), "has no experiment 'missing'"),
        (("--space", "mlp", "--bogus"), "Unrecognized options: --bogus"),
        (("--sweep", "bare"), "sweep bare/mlp has no task.json in MLflow; sweep again"),
        (("--sweep", "both", "--keep", "x"), "--keep is for one model, but 2 are exported"),
        (("--space", "cnn", "--keep", "file"), "--keep file is no folder"),
        (("--space", "cnn", "--keep", "no/x"), "--keep no/x: there is no folder no"),
        (("--space", "cnn", "--keep", "full"), "--keep full holds notes.txt"),
        (("--sweep", "auc", "--format", "skops"), "mlp is a network, and skops is for est"),
        (("--sweep", "auc", "--format", "onnx"), "logistic is an estimator of scikit-learn"),
    ],
)
def test_mistakes_are_said_in_one_line(
    run: Callable, args: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    assert said in refused(run, *args)


@pytest.mark.parametrize("text", ["{}", "[]", '{"record": 3, "origin": {}}'])
def test_damaged_record_of_a_task_is_refused(run: Callable, swept: Any, text: str) -> None:
    swept.client.log_text(swept.parents["other/mlp"], text, names.TASK_FILE)
    try:
        assert "task.json of sweep other/mlp is damaged" in refused(run, "--sweep", "other")
    finally:
        record = json.dumps(recorded(TASK, IMAGES))
        swept.client.log_text(swept.parents["other/mlp"], record, names.TASK_FILE)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_trial_that_is_not_complete_is_refused(run: Callable, swept: Any, number: int) -> None:
    assert "is not a complete trial" in refused(run, "--run", swept.trials["both/mlp", number])


@pytest.mark.parametrize("what", ["--sweep", "--run"])
def test_trial_that_was_selected_on_test_rows_is_refused(
    run: Callable, swept: Any, what: str
) -> None:
    name = "on_test" if what == "--sweep" else swept.trials["on_test/mlp", 0]
    assert "was selected on its test rows, so none are left" in refused(run, what, name)


def test_run_of_another_program_is_refused(run: Callable, swept: Any) -> None:
    made = swept.client.create_run(swept.experiment("not ours"))
    assert "is not a complete trial of a sweep" in refused(run, "--run", made.info.run_id)


def test_missing_store_is_named(run: Callable) -> None:
    with pytest.raises(UserError, match=r"no MLflow store at .*/missing/mlflow\.db"):
        run("--space", "mlp", uri="sqlite:///missing/mlflow.db")
