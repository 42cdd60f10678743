import math
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from foldsweep.recipe import FORMAT, Recipe
from tests.refusals import refused, text
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.tasks.larger_digit import TASK
from trainables.tasks.reload import data_of

RECIPE = Recipe(
    space="cnn_ws_aux",
    variant="larger_digit/cnn_ws_aux",
    task="larger_digit",
    config={"lr": 1e-3, "channels": (16, 32), "digits": "path", "pooled": None, "epochs": 3},
    score={
        "val_accuracy": 0.1 + 0.2,
        "val_accuracy_std": 1 / 3,
        "val_loss": 1e-17,
        "val_loss_std": 0.0,
    },
    fold_scores={"val_accuracy": [0.1, 0.2], "val_loss": [1 / 3, 2 / 3]},
    num_params=1234,
    dataset="digits",
    data_digest="0123abcd",
    origin={"dataset": "digits", "train_pairs": 100, "test_pairs": 50},
    record={"kind": "classification", "classes": ["first", "second"], "schema": None},
    folds=2,
    seed=2**32 - 1,
    trial=7,
    threads=2,
    mode="looped",
    sweep="first/cnn_ws_aux",
    mlflow={"tracking_uri": "sqlite:////a/mlflow.db", "run_id": "12e5"},
    git_commit="0123456789ab+",
    versions={"python": "3.11.4", "torch": "2.13.0"},
    machine="Linux x86_64",
    exported_at="2026-01-01T00:00:00+00:00",
    file_digest="ab" * 32,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "best.yaml"
    RECIPE.save(path, comment="Trial 7.\nMeasure: python sweeps/evaluate.py best.yaml")
    return path


def changed(path: Path, **values: Any) -> Path:
    """Change values in a recipe file and return its path; a value of `...` removes its key."""
    held = {**yaml.safe_load(path.read_text()), **values}
    path.write_text(yaml.safe_dump({k: v for k, v in held.items() if v is not ...}))
    return path


def test_a_recipe_survives_its_file_to_the_last_bit(path: Path) -> None:
    config = {**RECIPE.config, "channels": [16, 32]}
    assert Recipe.load(path) == replace(RECIPE, config=config)


def test_a_person_can_read_the_file(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[:3] == [
        "# Trial 7.",
        "# Measure: python sweeps/evaluate.py best.yaml",
        "space: cnn_ws_aux",
    ]
    assert "!!" not in path.read_text()
    assert [p.name for p in path.parent.iterdir()] == ["best.yaml"]


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=5)
        | st.lists(st.integers(), max_size=3),
    ),
    st.text(max_size=10),
)
@example({"classes": ["\x85"]}, "\u2028")  # line breaks that PyYAML reads as spaces
@example({"\u2029": "a\x85b"}, "\ufeff")
def test_any_configuration_and_name_survive(
    tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any], name: str
) -> None:
    recipe = replace(RECIPE, config=config, sweep=name)
    path = tmp_path_factory.mktemp("recipe") / "best.yaml"
    recipe.save(path, comment="")
    assert Recipe.load(path) == recipe


def test_what_old_files_lack_has_a_default(path: Path) -> None:
    names = ("threads", "mode", "mlflow", "git_commit", "versions", "machine", "exported_at")
    recipe = Recipe.load(changed(path, **dict.fromkeys(names, ...)))
    assert (recipe.threads, recipe.mode, recipe.mlflow) == (1, "auto", {})


@pytest.mark.parametrize(
    "name", ["space", "variant", "task", "config", "dataset", "origin", "folds", "seed"]
)
def test_a_missing_field_is_named(path: Path, name: str) -> None:
    with refused(
        "recipe.fields-missing-or-unknown", path=path, mistakes=text("recipe.lacks", keys=name)
    ):
        Recipe.load(changed(path, **{name: ...}))


@pytest.mark.parametrize("name", ["score", "fold_scores", "num_params", "data_digest", "trial"])
def test_so_is_any_other(path: Path, name: str) -> None:
    with refused(
        "recipe.fields-missing-or-unknown", mistakes=text("recipe.lacks", keys=name)
    ) as caught:
        Recipe.load(changed(path, **{name: ...}))
    assert "\n" not in str(caught.value)


def test_unknown_fields_are_named(path: Path) -> None:
    unknown = text("recipe.unknown-keys", keys="bogus, extra")
    mistakes = f"{text('recipe.lacks', keys='seed')} and {unknown}"
    with refused("recipe.fields-missing-or-unknown", mistakes=mistakes):
        Recipe.load(changed(path, extra=1, bogus=2, seed=...))


WRONG = {str: 3, int: "3", dict: [1]}


@pytest.mark.parametrize("name", [field.name for field in fields(Recipe)])
def test_a_value_of_the_wrong_type_is_refused(path: Path, name: str) -> None:
    kind, values = "recipe.field-of-wrong-type", {"field": name}
    if name == "format":
        kind, values = "recipe.format-unknown", {}
    for value in (WRONG[type(getattr(RECIPE, name))], None, True):
        with refused(kind, path=path, **values) as caught:
            Recipe.load(changed(path, **{name: value}))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("folds", 1),
        ("seed", -1),
        ("seed", 2**32),
        ("trial", -1),
        ("threads", 0),
        ("threads", 2**40),
        ("folds", 10**9),
        ("score", {"val_accuracy": math.nan, "val_accuracy_std": 0.0}),
        ("score", {"val_accuracy": 0.5, "val_accuracy_std": -math.inf}),
        ("score", {}),
        ("score", {"val_accuracy": 0.5}),
        ("task", "two words"),
        ("task", "../up"),
        ("task", ""),
        ("origin", {"data": "../secret.csv"}),
        ("origin", {"data": "/etc/passwd"}),
        ("origin", {"data": "folder/table.csv"}),
        ("origin", {"data": ""}),
        ("origin", {"data": ".."}),
        ("origin", {"data": 3}),
        ("origin", {"data": "table.csv", "test": "../test.csv"}),
    ],
)
def test_a_value_out_of_range_is_refused(path: Path, name: str, value: Any) -> None:
    with refused("recipe.field-out-of-range", path=path, field=name) as caught:
        Recipe.load(changed(path, **{name: value}))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("name", "value"),
    [("threads", 10**400), ("trial", 10**400), ("num_params", -(10**400)), ("mode", "fast")],
)
def test_a_value_that_its_type_lacks_is_refused(path: Path, name: str, value: Any) -> None:
    with refused("recipe.field-of-wrong-type", path=path, field=name) as caught:
        Recipe.load(changed(path, **{name: value}))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("value", [FORMAT + 1, 0])
def test_a_format_that_is_not_known_is_refused(path: Path, value: int) -> None:
    with refused("recipe.format-unknown", path=path, format=FORMAT):
        Recipe.load(changed(path, format=value))


WRONG_INSIDE = """
import pathlib, sys, yaml
from foldsweep.errors import UserError
from foldsweep.recipe import Recipe

path = pathlib.Path(sys.argv[1])
held = yaml.safe_load(path.read_text())
for name, value in [
    ("score", {"val_accuracy": "good"}), ("score", {"val_accuracy": None}), ("mlflow", {"a": 3}),
    ("origin", {"data": ["a.csv"]}),
]:
    path.write_text(yaml.safe_dump({**held, name: value}))
    try:
        Recipe.load(path)
    except UserError as error:
        assert error.kind.startswith("recipe.field-"), error
        assert error.values["field"] == name, error
        assert "\\n" not in str(error), error
    else:
        raise SystemExit(f"{name}={value!r} was accepted")
"""


def test_a_value_of_the_wrong_type_inside_another_is_refused(path: Path) -> None:
    """Runs in another process: in this one, the tests' type checker would refuse it first."""
    subprocess.run([sys.executable, "-c", WRONG_INSIDE, path], check=True, timeout=50)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "format-unknown"),
        ("just words", "format-unknown"),
        ("- 1\n- 2\n", "format-unknown"),
        ("a: [1, 2", "not-a-recipe"),
        ("\tx: 1", "not-a-recipe"),
        ("{}", "format-unknown"),
        ("x: 1\nx: *missing\n", "not-a-recipe"),
        ("format: 1\n? [a, b]\n: 1\n", "not-a-recipe"),
        ("format: one\n", "format-unknown"),
        ("format: 1\n", "fields-missing-or-unknown"),
        ("format: true\n", "format-unknown"),
        ("format: 2\nseed: 2001-13-45\n", "not-a-recipe"),  # YAML reads it as a date
        (f"format: {'9' * 5000}\n", "not-a-recipe"),
        (f"format: 2\nconfig: {'[' * 20_000}{']' * 20_000}\n", "not-a-recipe"),
        (f"format: 2\nconfig: {'{a: ' * 20_000}1{'}' * 20_000}\n", "not-a-recipe"),
    ],
    ids=lambda text: text[:20],
)
def test_a_foreign_file_is_refused_in_one_line(path: Path, text: str, kind: str) -> None:
    path.write_text(text)
    with refused(f"recipe.{kind}", path=path) as caught:
        Recipe.load(path)
    assert "\n" not in str(caught.value)


def test_nothing_in_a_file_is_executed(path: Path) -> None:
    mark = path.parent / "executed"
    for tag in (
        f"!!python/object/apply:builtins.open ['{mark}', 'w']",
        f"!!python/object/apply:os.system ['touch {mark}']",
        "!!python/name:os.system",
        "!!python/tuple [1, 2]",
    ):
        path.write_text(f"format: {FORMAT}\nspace: {tag}\n")
        with refused("recipe.not-a-recipe") as caught:
            Recipe.load(path)
        assert "could not determine a constructor" in str(caught.value)
    assert not mark.exists()


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00binary")
    with refused("recipe.not-a-recipe", path=path):
        Recipe.load(path)


def test_a_file_that_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    path, reason = tmp_path / "missing.yaml", "No such file or directory"
    with refused("recipe.file-unreadable", path=path, reason=reason):
        Recipe.load(path)
    with refused("recipe.file-unreadable", path=tmp_path, reason="Is a directory"):
        Recipe.load(tmp_path)
    path = tmp_path / "missing" / "best.yaml"
    with refused("files.file-not-writable", path=path, reason=reason):
        RECIPE.save(path, comment="")


# Data -------------------------------------------------------------------------------------------


def test_the_pairs_of_the_sweep_are_proven_by_their_digest() -> None:
    source = digits_source()
    data = draw_pairs(source, seed=RECIPE.seed, train_pairs=100, test_pairs=50)
    recipe = replace(RECIPE, data_digest=data.digest)
    assert data_of(recipe, TASK).digest == data.digest
    with refused("reload.other-data", digest=data.digest, wanted="0123abcd"):
        data_of(RECIPE, TASK)


# Objectives -------------------------------------------------------------------------------------


def test_the_score_is_that_of_the_objective(path: Path) -> None:
    held = dict.fromkeys(("val_roc_auc", "val_roc_auc_std"), 0.75)
    recipe = Recipe.load(changed(path, objective="roc_auc", score=held))
    assert (recipe.objective_key, recipe.score[recipe.objective_key]) == ("val_roc_auc", 0.75)
    rule = text("recipe.numbers-for", names="val_r2, val_r2_std")
    with refused("recipe.field-out-of-range", field="score", rule=rule):
        Recipe.load(changed(path, objective="r2"))
    assert RECIPE.short_variant == "cnn_ws_aux"
