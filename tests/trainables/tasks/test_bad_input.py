"""Bad input of every kind is refused in one line that names the error."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldsweep.errors import UserError
from tests.refusals import refused, text
from trainables.tasks.scores import score_names
from trainables.tasks.tables import TableOptions, new_rows, table_task
from trainables.tasks.task import Task

N = 60
RANDOM = np.random.default_rng(0)
GOOD = {
    "age": RANDOM.integers(18, 90, N),
    "plan": RANDOM.choice(["a", "b"], N),
    "left": np.arange(N) % 2,
}
FRAME = pd.DataFrame(GOOD)


def loaded(path: Path | str, *, objective: str | None = None, **options: Any) -> Task:
    """Task of a data set, which is refused in one line if at all."""
    said = ""
    try:
        return table_task(TableOptions(data=str(path), **options), seed=0, objective=objective)
    except UserError as error:
        said = str(error)
        raise
    finally:
        assert "\n" not in said


def saved(tmp_path: Path, frame: pd.DataFrame, name: str = "t.csv") -> Path:
    frame.to_csv(tmp_path / name, index=False)
    return tmp_path / name


def test_missing_file(tmp_path):
    path = tmp_path / "none.csv"
    with refused("reading.unreadable", path=path, problem="No such file or directory"):
        loaded(path, target="y")


def test_unknown_embedded_data():
    with refused("tables.data-unknown", hint=text("checks.did-you-mean", word="'breast_cancer'")):
        loaded("brest_cancer")


def test_no_data():
    with refused("tables.data-unnamed"):
        table_task(TableOptions(), seed=0, objective=None)


def test_no_target(tmp_path):
    with refused("tables.target-unnamed", columns="'age', 'plan', 'left'"):
        loaded(saved(tmp_path, FRAME))


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("lft", text("checks.did-you-mean", word="'left'")),
        ("zzz", text("rows.there-are", columns="'age', 'plan', 'left'")),
    ],
)
def test_missing_column(tmp_path, target, hint):
    with refused("rows.role-column-missing", role="target", column=target, hint=hint):
        loaded(saved(tmp_path, FRAME), target=target)


@pytest.mark.parametrize("option", ["group", "time", "fold"])
def test_missing_column_of_another_role(tmp_path, option):
    hint = text("checks.did-you-mean", word="'age'")
    with refused("rows.role-column-missing", role=option, column="agee", hint=hint):
        loaded(saved(tmp_path, FRAME), target="left", **{option: "agee"})


def test_target_with_one_class(tmp_path):
    path = saved(tmp_path, FRAME.assign(left="no"))
    with refused("targets.one-class", target="left", label="no"):
        loaded(path, target="left")


def test_target_with_as_many_classes_as_rows(tmp_path):
    path = saved(tmp_path, FRAME.assign(left=[f"c{i}" for i in range(N)]))
    with refused("targets.too-many-classes", classes=60, rows=60):
        loaded(path, target="left")
    path = saved(tmp_path, FRAME.assign(left=range(N)))
    with refused("targets.too-many-classes", classes=60, rows=60):
        loaded(path, target="left", task="classification")


def test_target_with_missing_values(tmp_path):
    path = saved(tmp_path, FRAME.assign(left=["yes", None, "no"] * 20))
    with refused("targets.values-missing", missing=20, rows=60, row=2):
        loaded(path, target="left")


def test_target_that_is_constant(tmp_path):
    path = saved(tmp_path, FRAME.assign(left=1.5))
    with refused("targets.one-number", target="left", value=1.5):
        loaded(path, target="left")


def test_text_target_as_a_regression(tmp_path):
    with refused("targets.regression-of-words", target="plan", values="'a', 'b'"):
        loaded(saved(tmp_path, FRAME), target="plan", task="regression")


def test_class_with_fewer_rows_than_folds(tmp_path):
    task = loaded(saved(tmp_path, FRAME.assign(left=[2, 2, 2, 2] + [0, 1] * 28)), target="left")
    with refused("folds.more-than-rarest-class", folds=5, rarest=3):
        task.split.folds(task.data.train, target=task.target, num_folds=5, seed=0)


def test_class_with_one_row(tmp_path):
    path = saved(tmp_path, FRAME.assign(left=["c"] + ["a"] * 29 + ["b"] * 30))
    with refused("assembly.classes-of-one-row", classes="'c'"):
        loaded(path, target="left")


def test_no_usable_column(tmp_path):
    frame = pd.DataFrame({"id": range(N), "one": 1, "left": GOOD["left"]})
    columns = "'id' (identifier), 'one' (constant)"
    with refused("inference.no-column-left", columns=columns):
        loaded(saved(tmp_path, frame), target="left")
    with refused("inference.no-column-left", columns=text("inference.no-columns")):
        loaded(saved(tmp_path, FRAME[["left"]]), target="left")


def test_text_column_with_thousands_of_values(tmp_path):
    frame = pd.DataFrame({"note": [f"n{i % 2500}" for i in range(10_000)], "y": [0, 1] * 5000})
    with refused("inference.too-many-categories", column="note", texts=2496, rows=8000, most=1000):
        loaded(saved(tmp_path, frame), target="y")


INFINITE = text("columns.too-large", most=1e30)
INFINITE_TEST_ROW = text("columns.bad-value", column="y", value=np.inf, row=60, why=INFINITE)


@pytest.mark.parametrize(
    ("where", "bad", "kind", "values"),
    [
        ("x", np.nan, "arrays.not-finite", {"row": 60}),
        ("x", np.inf, "arrays.not-finite", {"row": 60}),
        ("y", np.nan, "targets.values-missing", {"row": 60}),
        ("y", np.inf, "assembly.test-rows-refused", {"problem": INFINITE_TEST_ROW}),
    ],
)
@pytest.mark.parametrize("shape", [(N, 3), (N, 1, 4, 4)])
def test_nan_or_inf_in_npz(tmp_path, where, bad, kind, values, shape):
    arrays = {"x": RANDOM.random(shape), "y": RANDOM.random(N)}
    arrays[where].flat[-1] = bad
    np.savez(tmp_path / "a.npz", **arrays)
    with refused(kind, **values):
        loaded(tmp_path / "a.npz")


def test_three_rows(tmp_path):
    with refused("holdout.too-few-rows", rows=3):
        loaded(saved(tmp_path, FRAME[:3]), target="left")
    np.savez(tmp_path / "a.npz", x=np.ones((3, 2)), y=[0, 1, 0])
    with refused("holdout.too-few-rows", rows=3):
        loaded(tmp_path / "a.npz")


def test_duplicate_column_names(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,a\n1,2,3\n")
    with refused("reading.column-named-twice", columns="'a'"):
        loaded(tmp_path / "t.csv", target="b")


def test_object_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}] * N, dtype=object), y=GOOD["left"])
    with refused("reading.npz-objects"):
        loaded(tmp_path / "a.npz")


def test_npz_without_y(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((N, 2)))
    with refused("rows.target-array-missing"):
        loaded(tmp_path / "a.npz")


def test_columns_of_an_npz(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((N, 2)), y=GOOD["left"])
    with refused("tables.no-columns", options="--target, --drop"):
        loaded(tmp_path / "a.npz", target="y", drop=("z",))


@pytest.mark.parametrize("objective", ["roc_auc", "val_roc_auc", "f1_macro", "acuracy"])
def test_objective_of_another_kind(objective):
    known = ", ".join(score_names("regression"))
    with refused("scores.objective-unknown", task="regression", known=known):
        loaded("diabetes", objective=objective)


def test_objective_of_two_classes_for_three():
    task, known = "classification of 3 classes", ", ".join(score_names("classification", 3))
    with refused("scores.objective-unknown", objective="brier", task=task, known=known):
        loaded("iris", objective="brier")


def test_fewer_groups_than_folds(tmp_path):
    path = saved(tmp_path, FRAME.assign(g=np.arange(N) // 2 % 4))
    task = loaded(path, target="left", group="g")
    with refused("splits.more-folds-than-groups", groups=3, folds=5):
        task.split.folds(task.data.train, target=task.target, num_folds=5, seed=0)


def test_group_column_with_missing_values(tmp_path):
    path = saved(tmp_path, FRAME.assign(g=[None, "a"] * 30))
    with refused("columns.bad-value", column="g", row=1, why=text("assembly.not-a-group")):
        loaded(path, target="left", group="g")


def test_time_that_is_none(tmp_path):
    path = saved(tmp_path, FRAME.assign(t=["2024-01-01", "yesterday"] * 30))
    why = text("assembly.not-a-time")
    with refused("columns.bad-value", column="t", value="yesterday", row=2, why=why):
        loaded(path, target="left", time="t")


def test_test_file_without_a_column(tmp_path):
    path, test = saved(tmp_path, FRAME), saved(tmp_path, FRAME.drop(columns="age"), "test.csv")
    problem = text("schema.columns-missing", columns="'age'", hint="")
    with refused("assembly.test-rows-refused", problem=problem):
        loaded(path, target="left", test=test)
    test = saved(tmp_path, FRAME.drop(columns="left"), "test.csv")
    with refused("rows.test-target-missing", target="left"):
        loaded(path, target="left", test=test)


def test_test_file_of_another_kind(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((N, 2)), y=GOOD["left"])
    problem = text("schema.columns-missing", columns="'age', 'plan'", hint="")
    with refused("assembly.test-rows-refused", problem=problem):
        loaded(saved(tmp_path, FRAME), target="left", test=tmp_path / "a.npz")


def test_test_file_with_unreadable_values(tmp_path):
    path, test = saved(tmp_path, FRAME), saved(tmp_path, FRAME.assign(age="old"), "test.csv")
    problem = text(
        "columns.bad-value", column="age", value="old", row=1, why=text("columns.not-a-number")
    )
    with refused("assembly.test-rows-refused", problem=problem):
        loaded(path, target="left", test=test)


def test_test_file_with_another_class(tmp_path):
    path, test = saved(tmp_path, FRAME), saved(tmp_path, FRAME.assign(left=7), "test.csv")
    why = text("targets.class-unknown", known="0, 1")
    problem = text("columns.bad-value", column="left", value=7, row=1, why=why)
    with refused("assembly.test-rows-refused", problem=problem):
        loaded(path, target="left", test=test)


def test_test_file_with_groups_of_the_training_rows(tmp_path):
    frame = FRAME.assign(g=np.arange(N) // 6)
    path, test = saved(tmp_path, frame), saved(tmp_path, frame[54:], "test.csv")
    with refused("assembly.groups-shared", groups="'9'"):
        loaded(path, target="left", group="g", test=test)


def test_test_file_with_unseen_categories_and_other_columns_is_said(tmp_path):
    path = saved(tmp_path, FRAME)
    test = saved(tmp_path, FRAME.assign(plan="z", colour="red"), "test.csv")
    options = TableOptions(data=str(path), target="left", test=test)
    data = table_task(options, seed=0, objective=None).data
    for note in (
        text("table-summary.unseen", column="plan", values=60),
        text("table-summary.ignored", columns="colour"),
    ):
        assert text("assembly.told-of-test-rows", note=note) in data.said
    assert len(data.train) == len(data.test) == N
    assert (data.test.inputs["categories"] == -1).all()


def test_infinite_values_in_a_csv(tmp_path):
    path = saved(tmp_path, FRAME.assign(age=[np.inf, *range(59)]))
    with refused("columns.bad-value", column="age", value=np.inf, row=1):
        loaded(path, target="left", holdout=0.0)


def test_a_table_for_a_model_of_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=RANDOM.random((N, 1, 4, 4)), y=GOOD["left"])
    schema = loaded(tmp_path / "a.npz").data.schema
    path = saved(tmp_path, FRAME)
    with refused("tables.table-for-arrays", path=path):
        new_rows(path, schema)


@pytest.mark.parametrize(
    ("options", "key", "values"),
    [
        ({"holdout": 1.5}, "holdout-out-of-range", {"holdout": 1.5}),
        (
            {"repeats": 0},
            "repeats-invalid",
            {"rule": text("rules.at-least", least=1), "repeats": "0"},
        ),
        ({"group": "g", "time": "t"}, "several-splits", {"options": "--group and --time"}),
        ({"group": "g", "fold": "f"}, "several-splits", {"options": "--group and --fold"}),
        ({"repeats": 2, "time": "t"}, "fixed-folds-repeated", {}),
        ({"target": "y", "group": "y"}, "column-used-twice", {"column": "y", "other": "--group"}),
        ({"target": "y", "drop": ("y",)}, "used-column-dropped", {"option": "target"}),
    ],
)
def test_options_that_cannot_be_meant(options, key, values):
    with refused(f"options.{key}", **values):
        TableOptions(data="t.csv", **options)


def test_a_column_to_drop_that_does_not_exist(tmp_path):
    hint = text("checks.did-you-mean", word="'plan'")
    with refused("inference.dropped-column-unknown", column="plam", hint=hint):
        loaded(saved(tmp_path, FRAME), target="left", drop=("plam",))


CELLS = st.sampled_from(
    ["", "1", "-2.5", "inf", "x", "yes", "true", "1,5", "1,234", "2020-01-01", "?", '"', "9" * 400]
)


def tried(path: Path, **options: Any) -> None:
    """Load a file, which must either succeed or be refused in one line."""
    with contextlib.suppress(UserError):
        loaded(path, **options)


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
