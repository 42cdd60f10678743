import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import tyro

from tests.refusals import refused, said_as, text
from trainables.tasks.table.embedded import EMBEDDED
from trainables.tasks.tables import TableOptions, data_again, new_rows, table_task


def task_of(path, *, objective=None, seed=0, **options):
    return table_task(TableOptions(data=str(path), **options), seed=seed, objective=objective)


def test_a_file_becomes_a_task(churn_file):
    task = task_of(churn_file, target="left", objective="val_roc_auc")
    assert task.name == task.data.name == "churn"
    assert task.kind == "classification"
    assert task.classes == ("no", "yes")
    assert task.outputs == 2
    assert task.objective == "roc_auc"
    assert list(task.metrics) == ["accuracy", "log_loss", "roc_auc"]
    assert task.data.schema.numeric == ("age", "charges", "member", "since")
    assert list(task.data.schema.categorical) == ["plan", "city"]
    assert task.shapes(task.data).inputs == {"numeric": (5,), "categories": (2,)}
    assert task.shapes(task.data).levels == (4, 9)


def test_what_was_inferred_is_said(churn_file):
    said = task_of(churn_file, target="left").data.said.splitlines()
    how = text("table-summary.stratified")
    assert said[0] == text("table-summary.rows", rows=200, train=160, test=40, how=how)
    numbers = ("boolean", "member"), ("date", "since")
    left = "1 constant (country), 1 identifier-like (customer)"
    assert said[1].split("; ") == [
        text("table-summary.columns", numeric=4, categorical=2),
        ", ".join(text(f"table-summary.{use}", column=name) for use, name in numbers),
        text("table-summary.left-out", columns=left),
    ]
    assert said_as("table-summary.missing", columns="2 columns").fullmatch(said[2])
    assert said_as("table-summary.classes", target="left", classes=2).fullmatch(said[3])
    why = text("targets.not-a-number") + text("assembly.kind-by-option", option="--task")
    assert said[4] == text("table-summary.task", task="classification", why=why)
    assert said[5] == "objective: accuracy"


def test_nothing_set_aside_says_what_is_lost(churn_file):
    data = task_of(churn_file, target="left", holdout=0.0).data
    assert data.test is None
    assert text("table-summary.all-to-train", rows=200) in data.said
    with refused("samples.test-rows-missing", data="churn"):
        _ = data.test_rows


def test_the_schema_is_that_of_the_training_rows(churn, tmp_path):
    """A value that only test rows have does not change the schema, and adds only a note."""
    (tmp_path / "a").mkdir()
    churn.to_csv(tmp_path / "churn.csv", index=False)
    task = task_of(tmp_path / "churn.csv", target="left")
    train_ages = set(task.data.train.inputs["numeric"][:, 0])
    inputs = task.data.test.inputs["numeric"]
    alone = next(i for i, age in enumerate(inputs[:, 0]) if age not in train_ages)
    row = int(np.flatnonzero(churn["age"] == inputs[alone, 0])[0])
    changed = churn.copy()
    changed.loc[row, "plan"] = "only in test rows"
    changed.loc[row, "charges"] = 1e6
    changed.to_csv(tmp_path / "a" / "churn.csv", index=False)
    other = task_of(tmp_path / "a" / "churn.csv", target="left")
    assert other.data.schema == task.data.schema
    for name, array in task.data.train.inputs.items():
        np.testing.assert_array_equal(other.data.train.inputs[name], array)
    unseen = text("table-summary.unseen", column="plan", values=1)
    note = text("assembly.told-of-test-rows", note=unseen)
    assert [line for line in other.data.said.splitlines() if line != note] == (
        task.data.said.splitlines()
    )


def test_text_in_a_test_row_of_a_numeric_column_is_refused(churn, tmp_path):
    rows = task_of_rows(churn, tmp_path)
    frame = churn.astype({"age": object})
    frame.loc[rows, "age"] = "old"
    frame.to_csv(tmp_path / "churn.csv", index=False)
    bad = {
        "column": "age",
        "value": "old",
        "row": rows[0] + 1,
        "why": text("columns.not-a-number"),
    }
    with refused("assembly.test-rows-refused", problem=text("columns.bad-value", **bad)):
        task_of(tmp_path / "churn.csv", target="left")


def task_of_rows(churn, tmp_path):
    """Numbers of the table's rows that are set aside for the test."""
    churn.assign(row=np.arange(len(churn)) * 7.5).to_csv(tmp_path / "churn.csv", index=False)
    task = task_of(tmp_path / "churn.csv", target="left")
    column = task.data.schema.numeric.index("row")
    return (task.data.test.inputs["numeric"][:, column] / 7.5).astype(int)


def test_the_same_seed_sets_the_same_rows_aside(churn_file):
    first, same, other = (task_of(churn_file, target="left", seed=s).data for s in (0, 0, 1))
    assert first.digest == same.digest
    assert first.digest != other.digest


def test_rows_by_time(churn, tmp_path):
    shuffled = churn.sample(frac=1, random_state=0)
    shuffled.to_csv(tmp_path / "t.csv", index=False)
    task = task_of(tmp_path / "t.csv", target="left", time="since")
    assert task.split.kind == "time"
    assert text("table-summary.latest", column="since") in task.data.said
    age = churn["age"].to_numpy()
    place = task.data.schema.numeric.index("age")
    np.testing.assert_array_equal(task.data.train.inputs["numeric"][:, place], age[:160])
    np.testing.assert_array_equal(task.data.test.inputs["numeric"][:, place], age[160:])
    assert "since" not in task.data.schema.numeric


def test_whole_groups(churn_file, churn, tmp_path):
    churn.assign(city=churn["city"].fillna("none")).to_csv(tmp_path / "t.csv", index=False)
    task = task_of(tmp_path / "t.csv", target="left", group="city")
    assert task.split.kind == "grouped"
    assert not set(task.data.train.groups) & set(task.data.test.groups)
    assert text("table-summary.whole-groups", column="city") in task.data.said


def test_a_fold_column(churn, tmp_path):
    churn.assign(part=np.arange(200) % 4 - 1).to_csv(tmp_path / "t.csv", index=False)
    task = task_of(tmp_path / "t.csv", target="left", fold="part")
    assert task.split.fixed_folds(task.data.train) == 3
    folds = task.split.folds(task.data.train, target=task.target, num_folds=3, seed=0)
    for name, fold in zip((0, 1, 2), folds, strict=True):
        assert set(task.data.train.groups[fold.val]) == {name}


def test_fractions_in_a_fold_column_are_the_folds_they_equal(churn, tmp_path):
    churn.assign(part=np.arange(200) % 4 - 1.0).to_csv(tmp_path / "t.csv", index=False)
    task = task_of(tmp_path / "t.csv", target="left", fold="part")
    assert task.split.fixed_folds(task.data.train) == 3


def test_a_test_file_may_have_the_fold_column(churn, tmp_path):
    folded = churn.assign(part=np.arange(200) % 4)
    folded[:150].to_csv(tmp_path / "train.csv", index=False)
    folded[150:].to_csv(tmp_path / "test.csv", index=False)
    options = {"target": "left", "fold": "part", "test": tmp_path / "test.csv"}
    data = task_of(tmp_path / "train.csv", **options).data
    assert data.test.groups is None
    assert not said_as("table-summary.ignored").search(data.said)


def test_codes_that_look_like_numbers_stay_text_in_other_files(churn, tmp_path):
    """For example the diagnoses 250.80 and V57, where a new file may have only 250.80."""
    diagnosis = np.where(np.arange(200) % 2 == 0, "250.80", "V57")
    churn.assign(diagnosis=diagnosis).to_csv(tmp_path / "train.csv", index=False)
    churn[:20].assign(diagnosis="250.80").to_csv(tmp_path / "test.csv", index=False)
    task = task_of(tmp_path / "train.csv", target="left", test=tmp_path / "test.csv")
    place = list(task.data.schema.categorical).index("diagnosis")
    assert (task.data.test.inputs["categories"][:, place] == 0).all()
    rows = new_rows(tmp_path / "test.csv", task.data.schema)
    assert (rows.inputs["categories"][:, place] == 0).all()


def test_options_are_flags():
    flags = ["--data", "t.csv", "--target", "y", "--drop", "a b", "c", "--holdout", "0.3"]
    options = tyro.cli(TableOptions, args=[*flags, "--test", "u.csv", "--repeats", "2"])
    assert options == TableOptions(
        data="t.csv",
        target="y",
        drop=("a b", "c"),
        holdout=0.3,
        test=Path("u.csv"),
        repeats=2,
    )


def test_a_file_of_test_rows(churn, tmp_path):
    churn[:150].to_csv(tmp_path / "train.csv", index=False)
    churn[150:].to_csv(tmp_path / "test.csv", index=False)
    task = task_of(tmp_path / "train.csv", target="left", test=tmp_path / "test.csv")
    assert (len(task.data.train), len(task.data.test)) == (150, 50)
    how = text("table-summary.own-file")
    assert text("table-summary.rows", rows=200, train=150, test=50, how=how) in task.data.said


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_data(name):
    task = task_of(name)
    assert task.data.name == name
    assert task.kind == ("regression" if name == "diabetes" else "classification")
    if name == "digit_images":
        assert task.data.train.inputs["images"].shape == (1437, 1, 8, 8)
        assert task.standardise == {"images": "channels"}
    else:
        assert task.encode is not None
    again = data_again(json.loads(json.dumps(task.data.origin)))
    assert again.digest == task.data.digest


def test_embedded_classes_have_names():
    assert task_of("iris").classes == ("setosa", "versicolor", "virginica")
    assert task_of("breast_cancer").classes == ("benign", "malignant")


def test_images_of_an_npz(tmp_path):
    random = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", x=random.random((60, 8, 8, 3)), y=["a", "b"] * 30)
    task = task_of(tmp_path / "a.npz")
    assert task.data.train.inputs["images"].shape == (48, 3, 8, 8)
    images = said_as("arrays.told-images", axes="(n, h, w, c)", channels="3 channels")
    assert images.search(task.data.said)
    assert task.classes == ("a", "b")


def test_columns_and_groups_of_an_npz(tmp_path):
    x = np.random.default_rng(0).random((60, 3))
    np.savez(tmp_path / "a.npz", x=x, y=x[:, 0], groups=np.arange(60) // 3)
    task = task_of(tmp_path / "a.npz")
    assert task.kind == "regression"
    assert task.split.kind == "grouped"
    assert task.data.schema.numeric == ("x0", "x1", "x2")


def test_general_objectives_are_left_to_the_sweep():
    task = task_of("iris", objective="val_loss")
    assert task.objective == "accuracy"
    assert task.data.said.endswith("objective: val_loss")


def test_data_of_a_moved_file_again(churn_file, tmp_path):
    data = task_of(churn_file, target="left", drop=("city",), holdout=0.25, seed=3).data
    moved = tmp_path / "elsewhere.csv"
    churn_file.rename(moved)
    again = data_again(json.loads(json.dumps(data.origin)), path=moved)
    assert again.digest == data.digest
    assert again.schema == data.schema
    assert again.origin == data.origin
    assert again.name == "churn"


def test_data_of_a_changed_file_is_refused(churn_file):
    data = task_of(churn_file, target="left").data
    churn_file.write_text(churn_file.read_text().replace("DE", "FR"))
    with refused("tables.file-differs", file=churn_file):
        data_again(data.origin)


@pytest.mark.parametrize("change", [{"holdout": "a"}, {"drop": [1]}, {"task": "x"}])
def test_a_damaged_origin_is_refused(churn_file, change):
    data = task_of(churn_file, target="left").data
    with refused("tables.origin-invalid", name=next(iter(change))):
        data_again({**data.origin, **change})
    with refused("tables.data-of-a-program"):
        data_again({**data.origin, "data": 3})
    with refused("tables.data-of-a-program"):
        data_again({})


def test_new_rows_of_a_file(churn, churn_file, tmp_path):
    task = task_of(churn_file, target="left")
    new = churn.drop(columns=["left", "country"]).assign(colour="red").head(3)
    new.to_csv(tmp_path / "new.csv", index=False)
    rows = new_rows(tmp_path / "new.csv", task.data.schema)
    assert rows.inputs["numeric"].shape == (3, 4)
    assert list(rows.frame["customer"]) == list(churn["customer"][:3])
    assert rows.said == (text("table-summary.ignored", columns="colour"),)


def test_new_rows_of_an_npz(tmp_path):
    x = np.random.default_rng(0).random((60, 3, 8, 8))
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(60) % 2)
    schema = task_of(tmp_path / "a.npz").data.schema
    np.savez(tmp_path / "new.npz", x=x[:5])
    rows = new_rows(tmp_path / "new.npz", schema)
    np.testing.assert_array_equal(rows.inputs["images"], x[:5].astype(np.float32))
    assert rows.frame is None


@pytest.mark.parametrize("name", ["a b", 'say "hi"', "größe", "a'b", "a,b", "{x}", "%s"])
def test_odd_column_names(churn, tmp_path, name):
    frame = churn.rename(columns={"age": name, "left": f"{name} left"})
    frame.to_csv(tmp_path / "t.csv", index=False)
    task = task_of(tmp_path / "t.csv", target=f"{name} left")
    assert name in task.data.schema.numeric
    encoded = task.encode.fit(task.data.train)(
        {k: torch.as_tensor(v) for k, v in task.data.train.inputs.items()}
    )
    assert encoded["numeric"].isfinite().all()


def test_options_are_checked_when_they_are_changed():
    with refused("options.holdout-out-of-range", holdout=-1.0):
        replace(TableOptions(), holdout=-1.0)


def test_a_parquet_file_keeps_its_types(churn, tmp_path):
    churn.assign(zip=["01", "02"] * 100).to_parquet(tmp_path / "t.parquet")
    schema = task_of(tmp_path / "t.parquet", target="left").data.schema
    assert schema.categorical["zip"] == ("01", "02")


def test_an_unnamed_index_column_is_left_out(churn, tmp_path):
    churn.to_csv(tmp_path / "t.csv")
    schema = task_of(tmp_path / "t.csv", target="left").data.schema
    assert "Unnamed: 0" in schema.named("identifier")


def test_tables_import_neither_pandas_nor_scikit_learn(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys, trainables.tasks.tables, trainables.tasks.record;"
        "print([m for m in ('pandas', 'sklearn', 'ray', 'optuna', 'mlflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_missing_values_only_in_test_rows_add_no_flag(churn, tmp_path):
    rows = task_of_rows(churn, tmp_path)
    frame = churn.astype({"age": float})
    frame.loc[rows[:3], "age"] = np.nan
    frame.to_csv(tmp_path / "churn.csv", index=False)
    task = task_of(tmp_path / "churn.csv", target="left")
    assert pd.isna(task.data.test.inputs["numeric"][:, 0]).sum() == 3
    assert task.shapes(task.data).inputs["numeric"] == (5,)
