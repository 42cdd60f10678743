"""All spaces of a sweep share one task."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foldsweep.errors import CodeError
from sweeps.prepare import load
from sweeps.settings import SweepSettings
from sweeps.settings_file import load_settings
from tests.refusals import refused, said_as, text
from tests.sweeps.launch.launches import OWN_TASK, Given


def test_spaces_get_the_task_of_the_users_data(
    launched: Callable[..., Given], table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spaces = ("mlp", "logistic", "hist_gradient_boosting")
    given = launched(data=table, target="left", space=spaces, name="first", objective=("roc_auc",))
    settings, variants, data = given["first"]
    assert variants == [f"table/{name}" for name in spaces]
    assert (data.name, len(data.train), len(data.test_rows)) == ("table", 72, 18)
    assert settings.objective == ("val_roc_auc",)
    said = capsys.readouterr().out
    assert "objective: roc_auc" in said
    described = said_as(
        "messages.described",
        spaces="mlp logistic hist_gradient_boosting",
        budget=text("messages.trials", trials=30),
        folds=5,
        each=text("messages.for-each-space"),
    )
    starts = re.escape(text("launch.starts", name="first", sweep="DESCRIBED"))
    assert re.search(starts.replace("DESCRIBED", described.pattern), said)
    assert load_settings(Path("runs/first")) == replace(settings, name="first")


def test_the_same_names_without_data_are_those_of_the_task_that_ships(
    launched: Callable[..., Given],
) -> None:
    given = launched(space=("mlp",), dataset="digits", train_pairs=30, name="first", folds=2)
    settings, variants, data = given["first"]
    assert variants == ["larger_digit/mlp"]
    assert (settings.objective, data.name) == (("val_accuracy",), "digits")


def test_the_fold_column_says_how_many_folds(
    launched: Callable[..., Given], table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = launched(data=table, target="left", fold="part", space=("logistic",), name="first")
    assert given["first"][0].folds == 3
    described = said_as("messages.described", spaces="logistic", folds=3, each="")
    assert described.search(capsys.readouterr().out)


THOUSANDS = text("separators.commas-read", meaning="thousands separators", columns="größe")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sep": ";", "decimal": ","}, text("separators.delimiter", delimiters="semicolons")),
        ({"sep": "\t"}, text("separators.delimiter", delimiters="tabs")),
        ({"encoding": "latin-1"}, text("reading.latin1")),
        ({"encoding": "utf-8-sig"}, text("table-summary.columns", numeric=1, categorical=1)),
        ({"float_format": "{:,.2f}".format}, THOUSANDS),
    ],
)
def test_a_file_written_otherwise_is_the_same_table(
    options: dict[str, Any],
    said: str,
    launched: Callable[..., Given],
    here: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rng = np.random.default_rng(0)
    size = (rng.normal(size=90) * 3000).round(2)
    frame = pd.DataFrame({"größe": size, "plan": rng.choice(["a", "b"], 90), "left": [0, 1] * 45})
    frame.to_csv(here / "odd.csv", index=False, **options)
    given = launched(data="odd.csv", target="left", space=("logistic",), holdout=0.0, name="first")
    _, _, data = given["first"]
    assert said in capsys.readouterr().out
    np.testing.assert_array_equal(data.train.inputs["numeric"][:, 0], size)


def test_a_test_file_may_have_categories_that_training_has_not(
    launched: Callable[..., Given], table: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(table)
    frame.assign(colour="blue").to_csv(here / "test.csv", index=False)
    launched(data=table, target="left", test=here / "test.csv", space=("logistic",), name="first")
    unseen = text("table-summary.unseen", column="colour", values=90)
    said = text("assembly.told-of-test-rows", note=unseen)
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("role", [{"group": "patient"}, {"time": "day"}, {"repeats": 2}])
def test_a_column_chooses_the_split(
    role: dict[str, Any], launched: Callable[..., Given], table: str
) -> None:
    kinds = {"group": "grouped", "time": "time", "repeats": "stratified"}
    task, _ = load(SweepSettings(data=table, target="left", space=("logistic",), **role))
    assert task.split.kind == kinds[next(iter(role))]
    assert task.split.repeats == role.get("repeats", 1)
    launched(data=table, target="left", space=("logistic",), **role)


def test_tasks_of_one_name_must_have_the_same_data(
    launched: Callable[..., Given], here: Path
) -> None:
    (here / "a.py").write_text(OWN_TASK.format(task="points", name="a"))
    other = OWN_TASK.format(task="points", name="b").replace("default_rng(0)", "default_rng(1)")
    (here / "b.py").write_text(other)
    with refused("prepare.task-name-taken", task="points"):
        launched(space=("a.py", "b.py"))


def test_a_bug_in_the_data_of_a_second_file_is_shown_as_one_of_the_first(
    launched: Callable[..., Given], here: Path
) -> None:
    (here / "a.py").write_text(OWN_TASK.format(task="points", name="a"))
    bug = OWN_TASK.format(task="points", name="b").replace(
        "Data.of(rng.normal(size=(60, 3)), rng.permutation([0, 1] * 30)))",
        "lambda request: 1 / 0, classes=[0, 1])",
    )
    (here / "b.py").write_text(bug)
    with pytest.raises(CodeError, match="b.py, line 7: ZeroDivisionError") as caught:
        launched(space=("a.py", "b.py"))
    assert "ZeroDivisionError" in caught.value.traceback


def test_a_users_file_brings_its_own_task(launched: Callable[..., Given], here: Path) -> None:
    (here / "a.py").write_text(OWN_TASK.format(task="points", name="a"))
    given = launched(space=("a.py",), name="first")
    assert given["first"][1] == ["points/mine"]
