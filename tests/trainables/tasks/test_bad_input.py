"""Bad input of every kind is refused in one line that names the error."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldsweep.errors import UserError
from trainables.tasks.tables import TableOptions, new_rows, table_task

N = 60
RANDOM = np.random.default_rng(0)
GOOD = {
    "age": RANDOM.integers(18, 90, N),
    "plan": RANDOM.choice(["a", "b"], N),
    "left": np.arange(N) % 2,
}
FRAME = pd.DataFrame(GOOD)


def refused(path: Path | str, *, objective: str | None = None, **options) -> str:
    """Message of one line with which a data set is refused."""
    with pytest.raises(UserError) as caught:
        table_task(TableOptions(data=str(path), **options), seed=0, objective=objective)
    said = str(caught.value)
    assert "\n" not in said
    return said


def saved(tmp_path: Path, frame: pd.DataFrame, name: str = "t.csv") -> Path:
    frame.to_csv(tmp_path / name, index=False)
    return tmp_path / name


def test_missing_file(tmp_path):
    assert "none.csv cannot be read: No such file" in refused(tmp_path / "none.csv", target="y")


def test_unknown_embedded_data():
    assert "did you mean 'breast_cancer'?" in refused("brest_cancer")


def test_no_data():
    with pytest.raises(UserError, match="name a file or embedded data with --data"):
        table_task(TableOptions(), seed=0, objective=None)


def test_no_target(tmp_path):
    assert "--target: 'age', 'plan', 'left'" in refused(saved(tmp_path, FRAME))


def test_missing_column(tmp_path):
    said = refused(saved(tmp_path, FRAME), target="lft")
    assert said.startswith("--target lft: the table has no such column; did you mean 'left'?")
    assert "there are 'age', 'plan', 'left'" in refused(saved(tmp_path, FRAME), target="zzz")


@pytest.mark.parametrize("option", ["group", "time", "fold"])
def test_missing_column_of_another_role(tmp_path, option):
    said = refused(saved(tmp_path, FRAME), target="left", **{option: "agee"})
    assert f"--{option} agee: the table has no such column; did you mean 'age'?" in said


def test_target_with_one_class(tmp_path):
    path = saved(tmp_path, FRAME.assign(left="no"))
    assert "target 'left' has one class, 'no'" in refused(path, target="left")


def test_target_with_as_many_classes_as_rows(tmp_path):
    path = saved(tmp_path, FRAME.assign(left=[f"c{i}" for i in range(N)]))
    assert "60 classes in 60 rows" in refused(path, target="left")
    path = saved(tmp_path, FRAME.assign(left=range(N)))
    assert "60 classes in 60 rows" in refused(path, target="left", task="classification")


def test_target_with_missing_values(tmp_path):
    path = saved(tmp_path, FRAME.assign(left=["yes", None, "no"] * 20))
    assert "missing in 20 of 60 rows, first in row 2" in refused(path, target="left")


def test_target_that_is_constant(tmp_path):
    path = saved(tmp_path, FRAME.assign(left=1.5))
    assert "is 1.5 in every row" in refused(path, target="left")


def test_text_target_as_a_regression(tmp_path):
    said = refused(saved(tmp_path, FRAME), target="plan", task="regression")
    assert "a regression predicts numbers, but target 'plan' holds 'a', 'b'" in said


def test_class_with_fewer_rows_than_folds(tmp_path):
    path = saved(tmp_path, FRAME.assign(left=[2, 2, 2, 2] + [0, 1] * 28))
    task = table_task(TableOptions(data=str(path), target="left"), seed=0, objective=None)
    with pytest.raises(UserError, match="the rarest class has 3"):
        task.split.folds(task.data.train, target=task.target, num_folds=5, seed=0)


def test_class_with_one_row(tmp_path):
    path = saved(tmp_path, FRAME.assign(left=["c"] + ["a"] * 29 + ["b"] * 30))
    assert "classes with a single row" in refused(path, target="left")


def test_no_usable_column(tmp_path):
    frame = pd.DataFrame({"id": range(N), "one": 1, "left": GOOD["left"]})
    said = refused(saved(tmp_path, frame), target="left")
    assert said == "no usable input column is left: 'id' (identifier), 'one' (constant)"
    assert "there is none" in refused(saved(tmp_path, FRAME[["left"]]), target="left")


def test_text_column_with_thousands_of_values(tmp_path):
    frame = pd.DataFrame({"note": [f"n{i % 2500}" for i in range(10_000)], "y": [0, 1] * 5000})
    said = refused(saved(tmp_path, frame), target="y")
    assert "column 'note' has 2,496 different texts in 8,000 rows, more than 1,000" in said
    assert "--drop" in said


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["x", "y"])
@pytest.mark.parametrize("shape", [(N, 3), (N, 1, 4, 4)])
def test_nan_or_inf_in_npz(tmp_path, bad, where, shape):
    arrays = {"x": RANDOM.random(shape), "y": RANDOM.random(N)}
    arrays[where].flat[-1] = bad
    np.savez(tmp_path / "a.npz", **arrays)
    said = refused(tmp_path / "a.npz")
    assert "row 60" in said
    assert any(word in said for word in ("NaN or infinite", "is missing", "is infinite"))


def test_three_rows(tmp_path):
    assert "3 rows are too few" in refused(saved(tmp_path, FRAME[:3]), target="left")
    np.savez(tmp_path / "a.npz", x=np.ones((3, 2)), y=[0, 1, 0])
    assert "3 rows are too few" in refused(tmp_path / "a.npz")


def test_duplicate_column_names(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,a\n1,2,3\n")
    assert "columns of the same name: 'a'" in refused(tmp_path / "t.csv", target="b")


def test_object_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}] * N, dtype=object), y=GOOD["left"])
    assert "arrays of Python objects" in refused(tmp_path / "a.npz")


def test_npz_without_y(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((N, 2)))
    assert "no array y, the target to predict" in refused(tmp_path / "a.npz")


def test_columns_of_an_npz(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((N, 2)), y=GOOD["left"])
    said = refused(tmp_path / "a.npz", target="y", drop=("z",))
    assert "has no columns: --target, --drop cannot be used" in said


@pytest.mark.parametrize("objective", ["roc_auc", "val_roc_auc", "f1_macro", "acuracy"])
def test_objective_of_another_kind(objective):
    said = refused("diabetes", objective=objective)
    assert "is no metric of a regression: choose r2" in said


def test_objective_of_two_classes_for_three():
    said = refused("iris", objective="brier")
    assert "'brier' is no metric of a classification of 3 classes: choose accuracy" in said


def test_fewer_groups_than_folds(tmp_path):
    path = saved(tmp_path, FRAME.assign(g=np.arange(N) // 2 % 4))
    options = TableOptions(data=str(path), target="left", group="g")
    task = table_task(options, seed=0, objective=None)
    with pytest.raises(UserError, match="cannot split 3 groups into 5 folds: choose at most 3"):
        task.split.folds(task.data.train, target=task.target, num_folds=5, seed=0)


def test_group_column_with_missing_values(tmp_path):
    path = saved(tmp_path, FRAME.assign(g=[None, "a"] * 30))
    assert "column 'g': nan in row 1 is not a group" in refused(path, target="left", group="g")


def test_time_that_is_none(tmp_path):
    path = saved(tmp_path, FRAME.assign(t=["2024-01-01", "yesterday"] * 30))
    said = refused(path, target="left", time="t")
    assert "column 't': 'yesterday' in row 2 is not a time" in said


def test_test_file_without_a_column(tmp_path):
    path, test = saved(tmp_path, FRAME), saved(tmp_path, FRAME.drop(columns="age"), "test.csv")
    said = refused(path, target="left", test=test)
    assert said.startswith("test rows: columns are missing: 'age'")
    test = saved(tmp_path, FRAME.drop(columns="left"), "test.csv")
    assert "the test file has no column 'left'" in refused(path, target="left", test=test)


def test_test_file_of_another_kind(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((N, 2)), y=GOOD["left"])
    said = refused(saved(tmp_path, FRAME), target="left", test=tmp_path / "a.npz")
    assert said == "test rows: columns are missing: 'age', 'plan'"


def test_test_file_with_unreadable_values(tmp_path):
    path, test = saved(tmp_path, FRAME), saved(tmp_path, FRAME.assign(age="old"), "test.csv")
    said = refused(path, target="left", test=test)
    assert said == "test rows: column 'age': 'old' in row 1 is not a number"


def test_test_file_with_another_class(tmp_path):
    path, test = saved(tmp_path, FRAME), saved(tmp_path, FRAME.assign(left=7), "test.csv")
    assert "7 in row 1 is a class that no training row has" in refused(
        path, target="left", test=test
    )


def test_test_file_with_groups_of_the_training_rows(tmp_path):
    frame = FRAME.assign(g=np.arange(N) // 6)
    path, test = saved(tmp_path, frame), saved(tmp_path, frame[54:], "test.csv")
    said = refused(path, target="left", group="g", test=test)
    assert "groups are in both training and test rows: '9'" in said


def test_test_file_with_unseen_categories_and_other_columns_is_said(tmp_path):
    path = saved(tmp_path, FRAME)
    test = saved(tmp_path, FRAME.assign(plan="z", colour="red"), "test.csv")
    options = TableOptions(data=str(path), target="left", test=test)
    data = table_task(options, seed=0, objective=None).data
    assert "test rows: values of plan that no training row has: 60" in data.said
    assert "test rows: ignored columns: colour" in data.said
    assert len(data.train) == len(data.test) == N
    assert (data.test.inputs["categories"] == -1).all()


def test_infinite_values_in_a_csv(tmp_path):
    path = saved(tmp_path, FRAME.assign(age=[np.inf, *range(59)]))
    assert "column 'age': inf in row" in refused(path, target="left", holdout=0.0)


def test_a_table_for_a_model_of_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=RANDOM.random((N, 1, 4, 4)), y=GOOD["left"])
    options = TableOptions(data=str(tmp_path / "a.npz"))
    schema = table_task(options, seed=0, objective=None).data.schema
    with pytest.raises(UserError, match="the model takes arrays"):
        new_rows(saved(tmp_path, FRAME), schema)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"holdout": 1.5}, "--holdout must be at least 0 and below 1, but is 1.5"),
        ({"repeats": 0}, "--repeats must be at least 1, but is 0"),
        ({"group": "g", "time": "t"}, "--group and --time exclude each other"),
        ({"group": "g", "fold": "f"}, "--group and --fold exclude each other"),
        ({"repeats": 2, "time": "t"}, "--repeats needs folds that are drawn"),
        ({"target": "y", "group": "y"}, "column 'y' cannot be both --target and --group"),
        ({"target": "y", "drop": ("y",)}, "--drop y: it is the --target column"),
    ],
)
def test_options_that_cannot_be_meant(options, message):
    with pytest.raises(UserError, match=message):
        TableOptions(data="t.csv", **options)


def test_a_column_to_drop_that_does_not_exist(tmp_path):
    said = refused(saved(tmp_path, FRAME), target="left", drop=("plam",))
    assert said.startswith("--drop plam: there is no such column among the inputs")
    assert said.endswith("did you mean 'plan'?")


CELLS = st.sampled_from(
    ["", "1", "-2.5", "inf", "x", "yes", "true", "1,5", "1,234", "2020-01-01", "?", '"', "9" * 400]
)


def tried(path: Path, **options) -> None:
    """Load a file, which must either succeed or be refused in one line."""
    said = ""
    try:
        table_task(TableOptions(data=str(path), **options), seed=0, objective=None)
    except UserError as error:
        said = str(error)
    assert "\n" not in said


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@given(
    st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=20),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from([None, "group", "time", "fold"]),
)
@settings(max_examples=60, deadline=None)
def test_any_text_is_data_or_refused(folder, rows, delimiter, role):
    lines = [delimiter.join(row) for row in [["a", "b", "c"], *rows]]
    (folder / "t.csv").write_text("\n".join(lines))
    tried(folder / "t.csv", target="a", **({role: "b"} if role else {}))


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_data_or_refused(folder, content):
    (folder / "t.csv").write_bytes(b"a,b\n" + content)
    tried(folder / "t.csv", target="a")


@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=5))
@settings(max_examples=60, deadline=None)
def test_damaged_files_are_data_or_refused(folder, changes):
    FRAME.to_parquet(folder / "t.parquet")
    np.savez(folder / "t.npz", x=np.ones((N, 2)), y=GOOD["left"])
    for name, target in (("t.parquet", "left"), ("t.npz", None)):
        content = bytearray((folder / name).read_bytes())
        for place, value in changes:
            content[int(place * len(content))] = value
        (folder / name).write_bytes(bytes(content))
        tried(folder / name, target=target)
