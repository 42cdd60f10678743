"""Refused exports: the message is one line, and no file is written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foldsweep import names
from tests.analysis.export.cases import IMAGES, recorded, refused_export
from tests.refusals import refused
from trainables.tasks.larger_digit import TASK


@pytest.mark.parametrize(
    ("args", "kind", "values"),
    [
        ((), "export.nothing-named", {}),
        (("--space", "mlp", "--top", "0"), "programs.option-out-of-range", {"option": "top"}),
        (("--space", "mlp", "--out", "missing"), "export.out-not-a-folder", {"path": "missing"}),
        (("--space", "mlp", "--data", "missing"), "export.data-missing", {"path": "missing"}),
        (("--run", "x", "--space", "mlp"), "export.run-with-space-or-sweep", {}),
        (("--run", "x", "--sweep", "both"), "export.run-with-space-or-sweep", {}),
        (("--run", "0" * 32), "export.id-unknown", {"id": "0" * 32}),
        (("--run", "x", "--choose", "one-se"), "export.rule-with-run-or-top", {"rule": "one-se"}),
        (
            ("--space", "mlp", "--choose", "one-se", "--top", "2"),
            "export.rule-with-run-or-top",
            {"rule": "one-se"},
        ),
        (("--space", "mlp", "--rope", "-1"), "selection.rope-out-of-range", {"rope": -1.0}),
        (("--run", "it's"), "export.id-unknown", {"id": "it's"}),
        (("--space", "cnn_ws_aux"), "load.no-such-sweeps", {"asked": "space cnn_ws_aux"}),
        (("--sweep", "missing"), "load.no-such-sweeps", {"asked": "sweep missing"}),
        (("--sweep", "elsewhere"), "load.no-such-sweeps", {"asked": "sweep elsewhere"}),
        (("--space", "cnn_ws"), "load.no-complete-trial", {"sweep": "failed/cnn_ws"}),
        (
            ("--space", "mlp", "--experiment", "missing"),
            "load.experiment-unknown",
            {"name": "missing"},
        ),
        (
            ("--sweep", "bare"),
            "export.task-record-missing",
            {"sweep": "bare/mlp", "file": "task.json"},
        ),
        (("--sweep", "both", "--keep", "x"), "export.keep-several-models", {"models": 2}),
        (("--space", "cnn", "--keep", "file"), "keeping.not-a-folder", {"folder": "file"}),
        (("--space", "cnn", "--keep", "no/x"), "keeping.parent-missing", {"parent": "no"}),
        (("--space", "cnn", "--keep", "full"), "keeping.folder-not-empty", {"file": "notes.txt"}),
        (
            ("--sweep", "auc", "--format", "skops"),
            "keep-formats.network-for-skops",
            {"variant": "mlp"},
        ),
        (
            ("--sweep", "auc", "--format", "onnx"),
            "keep-formats.estimator-without-skops",
            {"variant": "logistic"},
        ),
    ],
)
def test_mistakes_are_said_in_one_line(
    run: Callable, args: tuple[str, ...], kind: str, values: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with refused_export(kind, **values):
        run(*args)


def test_an_unknown_option_is_named(run: Callable) -> None:
    with refused_export("programs.command-line-invalid") as caught:
        run("--space", "mlp", "--bogus")
    assert "Unrecognized options: --bogus" in str(caught.value)


@pytest.mark.parametrize("text", ["{}", "[]", '{"record": 3, "origin": {}}'])
def test_damaged_record_of_a_task_is_refused(run: Callable, swept: Any, text: str) -> None:
    swept.client.log_text(swept.parents["other/mlp"], text, names.TASK_FILE)
    try:
        with refused_export("export.task-record-damaged", sweep="other/mlp", file="task.json"):
            run("--sweep", "other")
    finally:
        record = json.dumps(recorded(TASK, IMAGES))
        swept.client.log_text(swept.parents["other/mlp"], record, names.TASK_FILE)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_trial_that_is_not_complete_is_refused(run: Callable, swept: Any, number: int) -> None:
    trial = swept.trials["both/mlp", number]
    with refused_export("export.run-not-complete", run=trial):
        run("--run", trial)


@pytest.mark.parametrize("what", ["--sweep", "--run"])
def test_trial_that_was_selected_on_test_rows_is_refused(
    run: Callable, swept: Any, what: str
) -> None:
    trial = swept.trials["on_test/mlp", 0]
    with refused_export("export.selected-on-test-rows", run=trial):
        run(what, "on_test" if what == "--sweep" else trial)


def test_run_of_another_program_is_refused(run: Callable, swept: Any) -> None:
    made = swept.client.create_run(swept.experiment("not ours"))
    with refused_export("export.run-not-complete", run=made.info.run_id):
        run("--run", made.info.run_id)


def test_missing_store_is_named(run: Callable) -> None:
    with refused("load.store-missing", path=Path("missing/mlflow.db").absolute()):
        run("--space", "mlp", uri="sqlite:///missing/mlflow.db")
