"""Recipes, files, folders and versions of models, out of sweeps in MLflow."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.export import main, recipe_of
from analysis.load import complete_trials, open_store
from foldsweep import names
from foldsweep.errors import UserError
from foldsweep.recipe import Recipe
from tests.trainables.keep.cases import customers, table, task_data
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.tasks.larger_digit import TASK
from trainables.tasks.record import task_record
from trainables.tasks.samples import Data
from trainables.tasks.shapes import inputs_record
from trainables.tasks.task import Task
from trainables.variants import VARIANTS

ROOT = Path(__file__).parents[2]
IMAGES = draw_pairs(digits_source(), seed=0, train_pairs=30, test_pairs=20)


def recorded(task: Task, data: Data) -> dict[str, Any]:
    """What a sweep writes of its task."""
    origin = {k: Path(v).name if k == "data" else v for k, v in data.origin.items()}
    record = {**task_record(task, data), **inputs_record(task, data), "origin": origin}
    return {"record": record, "origin": origin}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def swept(make_store: Callable[[], Any], tables: Path) -> Any:
    """Sweeps of two tasks that ship and of a table, each with the record of its task."""
    store = make_store()
    kind = type(store.data["digits"])
    store.data["digits"] = kind("digits", IMAGES.digest)
    store.add("on_test/mlp", 0.995, select_on_test=True)
    store.add("old/mlp", 0.99, 0.5)
    store.add("loss/mlp", 0.6, 0.9, 0.7, objective="val_loss")
    store.add("small/mlp", 0.6, 0.9, objective="num_params val_accuracy")
    store.add("other/mlp", 0.95, dataset="mnist")
    store.add("elsewhere/mlp", 0.98, experiment="theirs")
    store.add("both/cnn", 0.8, 0.7)
    store.add("both/mlp", 0.5, "PRUNED", 0.75, "FAIL", 0.625, "RUNNING", 0.75)
    store.add("failed/cnn_ws", "FAIL", "PRUNED")
    store.add("own/mine", 0.5, space_file="/spaces/mine.py")
    store.add("twelve/mlp", tuple(0.5 + i / 100 for i in range(12)), folds=4, repeats=3)
    record = json.dumps(recorded(TASK, IMAGES))
    for parent in store.parents.values():
        store.client.log_text(parent, record, names.TASK_FILE)
    for sweep, target, objective, spaces in (
        ("auc", "left", "roc_auc", ("mlp", "logistic")),
        ("rmse", "bill", "rmse", ("ridge",)),
    ):
        task = table(tables, target, objective)
        data = task_data(task)
        store.data["customers"] = kind("customers", data.digest, len(data.train), 32)
        for space in spaces:
            store.add(
                f"{sweep}/{space}",
                0.7,
                0.8,
                objective=f"val_{objective}",
                measured=f"val_{objective}",
                task="customers",
                dataset="customers",
                config={"epochs": 2, "batch_size": 40} if space == "mlp" else {},
            )
            parent = store.parents[f"{sweep}/{space}"]
            record = json.dumps(recorded(task, data))
            store.client.log_text(parent, record, names.TASK_FILE)
    _without_lr(store)
    store.add("bare/mlp", 0.5)
    return store


def _without_lr(store: Any) -> None:
    """Estimators have no learning rate, which the store gives to every trial."""
    for (sweep, _), run in store.trials.items():
        if sweep in ("auc/logistic", "rmse/ridge"):
            store.client.set_tag(run, names.TAG_CONFIG, "{}")


@pytest.fixture
def run(
    swept: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., list[str]]:
    """Runs the program in an empty folder; what it said."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str, uri: str = swept.uri) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["export.py", *args, "--tracking-uri", uri])
        assert main() == 0
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def export(run: Callable[..., list[str]], tmp_path: Path) -> Callable[..., dict[str, Recipe]]:
    """Runs the program; the recipes it wrote, by file."""

    def export(*args: str, **options: str) -> dict[str, Recipe]:
        said = run(*args, **options)
        files = sorted(tmp_path.rglob("*.yaml"))
        assert len(said) == len(files)
        assert all(file.name in "\n".join(said) for file in files)
        return {file.name: Recipe.load(file) for file in files}

    return export


def refused(run: Callable[..., object], *args: str, **options: str) -> str:
    with pytest.raises(UserError) as caught:
        run(*args, **options)
    assert "\n" not in str(caught.value)
    assert not list(Path().rglob("*.yaml"))
    return str(caught.value)


# What is exported --------------------------------------------------------------------------------


def test_best_trial_of_the_latest_sweep_of_a_space(export: Callable) -> None:
    """Older sweeps, other experiments and trials that did not end have better scores."""
    ((name, recipe),) = export("--space", "cnn").items()
    assert name == "best-both-cnn.yaml"
    assert (recipe.sweep, recipe.trial, recipe.dataset) == ("both/cnn", 0, "digits")
    assert recipe.score["val_accuracy"] == 0.8


def test_best_is_meant_by_the_objective_of_the_sweep(export: Callable) -> None:
    (recipe,) = export("--sweep", "loss").values()
    assert (recipe.trial, recipe.score["val_loss"]) == (1, 1 - 0.9)
    assert (recipe.objective, recipe.objective_key) == ("loss", "val_loss")


def test_objective_that_is_no_score_is_replaced_by_the_task_s(export: Callable) -> None:
    (recipe,) = export("--sweep", "small").values()
    assert recipe.objective == "accuracy"


def test_every_space_of_a_sweep(export: Callable) -> None:
    recipes = export("--sweep", "both")
    assert list(recipes) == ["best-both-cnn.yaml", "best-both-mlp.yaml"]
    variants = [recipe.variant for recipe in recipes.values()]
    assert variants == ["larger_digit/cnn", "larger_digit/mlp"]


def test_one_space_of_a_sweep(export: Callable) -> None:
    assert list(export("--sweep", "both", "--space", "cnn")) == ["best-both-cnn.yaml"]


def test_a_sweep_is_named_as_messages_name_it(export: Callable) -> None:
    assert list(export("--sweep", "both/cnn")) == ["best-both-cnn.yaml"]


def test_several_of_the_best(export: Callable) -> None:
    recipes = export("--sweep", "both", "--space", "mlp", "--top", "3")
    assert [recipe.trial for recipe in recipes.values()] == [6, 4, 2]
    assert list(recipes) == [
        "best-both-mlp-2.yaml",
        "best-both-mlp-3.yaml",
        "best-both-mlp.yaml",
    ]


def test_no_more_than_there_are(export: Callable) -> None:
    assert len(export("--sweep", "both", "--space", "mlp", "--top", "100")) == 4


def test_a_rule_chooses_and_says_why(run: Callable) -> None:
    said = run("--sweep", "both", "--space", "mlp", "--choose", "one-se")
    assert said[0].startswith("both/mlp, one-se: 2 of 4 are within one standard error (0.0100) of")
    recipe = Recipe.load(Path("one-se-both-mlp.yaml"))
    assert recipe.trial == 2
    said = run("--sweep", "both", "--space", "mlp", "--choose", "equivalent-smallest")
    assert said[0] == (
        "both/mlp, equivalent-smallest: No other is shown to be equivalent to it, within 1.0"
        " point: keep the best."
    )
    assert Recipe.load(Path("equivalent-smallest-both-mlp.yaml")).trial == 2


def test_one_run(export: Callable, swept: Any) -> None:
    ((name, recipe),) = export("--run", swept.trials["old/mlp", 1]).items()
    assert (name, recipe.trial, recipe.sweep) == ("best-old-mlp.yaml", 1, "old/mlp")
    assert recipe.mlflow["run_id"] == swept.trials["old/mlp", 1]


def test_sweep_s_own_run_means_its_best_trial(export: Callable, swept: Any) -> None:
    (recipe,) = export("--run", swept.parents["both/mlp"]).values()
    assert recipe.trial == 2


def test_datasets_are_told_apart(export: Callable) -> None:
    (recipe,) = export("--sweep", "other").values()
    assert recipe.dataset == "mnist"


def test_folder_to_write_to(export: Callable, tmp_path: Path) -> None:
    (tmp_path / "my recipes").mkdir()
    export("--space", "cnn", "--out", "my recipes")
    (path,) = (tmp_path / "my recipes").iterdir()
    assert "python sweeps/evaluate.py 'my recipes/best-both-cnn.yaml' --rounds 10\n" in (
        path.read_text()
    )


def test_exporting_again_replaces_the_file(export: Callable) -> None:
    assert export("--space", "cnn").keys() == export("--space", "cnn").keys()


def test_another_experiment(export: Callable) -> None:
    (recipe,) = export("--space", "mlp", "--experiment", "theirs").values()
    assert (recipe.sweep, recipe.mlflow["experiment"]) == ("elsewhere/mlp", "theirs")


def test_space_of_one_s_own_is_named_by_its_file(export: Callable, swept: Any) -> None:
    run = swept.trials["own/mine", 0]
    swept.client.set_tag(run, names.TAG_FILE_DIGEST, "d" * 64)
    (recipe,) = export("--space", "mine").values()
    assert (recipe.space, recipe.file_digest) == ("/spaces/mine.py", "d" * 64)


def test_a_space_of_one_s_own_is_found_where_the_project_has_moved_to(
    export: Callable, swept: Any, tmp_path: Path
) -> None:
    """The path is the old one's; the same file is here. Another file of its name is not taken."""
    run, file = swept.trials["own/mine", 0], tmp_path / "spaces" / "mine.py"
    file.parent.mkdir()
    file.write_text("def space(): ...\n")
    swept.client.set_tag(run, names.TAG_FILE_DIGEST, hashlib.sha256(b"other").hexdigest())
    (recipe,) = export("--space", "mine").values()
    assert recipe.space == "/spaces/mine.py"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    swept.client.set_tag(run, names.TAG_FILE_DIGEST, digest)
    (recipe,) = export("--space", "mine").values()
    assert recipe.space == "spaces/mine.py"


def test_a_store_in_this_folder_is_named_relative_to_it(
    swept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gets the recipe has a store of their own in theirs."""
    monkeypatch.chdir(Path(swept.uri.removeprefix("sqlite:///")).parent)
    store = open_store(swept.uri, "foldsweep")
    recipe = recipe_of(store, complete_trials(store, "both/mlp")[0])
    assert recipe.mlflow["tracking_uri"] == "sqlite:///mlflow.db"


def test_scores_are_in_order_of_folds(export: Callable) -> None:
    """Repeats have more folds than one cut, and 10 comes after 9."""
    (recipe,) = export("--sweep", "twelve").values()
    assert recipe.fold_scores["val_accuracy"] == [0.5 + i / 100 for i in range(12)]
    assert recipe.folds == 4


def test_recipe_says_where_it_comes_from(swept: Any) -> None:
    store = open_store(swept.uri, "foldsweep")
    recipe = recipe_of(store, complete_trials(store, "both/mlp")[0])
    assert recipe.data_digest == IMAGES.digest
    assert recipe.origin == {"dataset": "digits", "train_pairs": 30, "test_pairs": 20}
    assert (recipe.folds, recipe.seed, recipe.num_params) == (2, 0, 321)
    assert (recipe.task, recipe.objective, recipe.format) == ("larger_digit", "accuracy", 2)
    assert recipe.fold_scores["val_accuracy"] == [0.74, 0.76]
    assert recipe.score["val_accuracy_std"] == 0.0125
    assert set(recipe.score) == {
        "val_accuracy",
        "val_accuracy_std",
        "val_loss",
        "val_loss_std",
    }
    assert recipe.record == recorded(TASK, IMAGES)["record"]
    assert recipe.mlflow == {
        "tracking_uri": swept.uri,
        "experiment": "foldsweep",
        "run_id": swept.trials["both/mlp", 2],
        "sweep_run_id": swept.parents["both/mlp"],
    }
    assert {"python", "torch", "numpy"} <= set(recipe.versions)
    config = VARIANTS[recipe.short_variant].config.from_dict(recipe.config)
    assert (config.lr, config.epochs) == (0.003, 4)


def test_recipe_of_a_table_holds_its_schema_and_no_folder(
    run: Callable, export: Callable, tables: Path
) -> None:
    recipe = export("--sweep", "auc", "--space", "logistic")["best-auc-logistic.yaml"]
    assert (recipe.task, recipe.objective) == ("customers", "roc_auc")
    assert recipe.record["schema"]["classes"] == ["no", "yes"]
    assert recipe.origin["data"] == "customers.csv"
    assert str(tables) not in Path("best-auc-logistic.yaml").read_text()
    (said,) = run("--sweep", "auc", "--space", "logistic")
    assert said == (
        "best-auc-logistic.yaml: trial 1 of auc/logistic, val_roc_auc 0.8000 ± 0.0125 on customers"
    )


def test_commands_name_the_data_where_they_must(run: Callable, tables: Path) -> None:
    """Not where the file lies beside the recipe."""

    def commands() -> list[str]:
        run("--sweep", "rmse")
        return re.findall("python sweeps.*", Path("best-rmse-ridge.yaml").read_text())

    file = "python sweeps/evaluate.py best-rmse-ridge.yaml"
    assert commands() == [
        f"{file} --rounds 10 --data customers.csv",
        f"{file} --cv --data customers.csv",
    ]
    shutil.copy(tables / "customers.csv", "customers.csv")
    assert commands() == [f"{file} --rounds 10", f"{file} --cv"]
    Path("my data").mkdir()
    shutil.move("customers.csv", "my data/customers.csv")
    run("--sweep", "rmse", "--data", "my data/customers.csv")
    assert "--data 'my data/customers.csv'" in Path("best-rmse-ridge.yaml").read_text()


# Mistakes ----------------------------------------------------------------------------------------


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
        (("--run", "x", "--choose", "one-se"), "--choose one-se is of a sweep: leave out --run"),
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
    assert "is no complete trial" in refused(run, "--run", swept.trials["both/mlp", number])


@pytest.mark.parametrize("what", ["--sweep", "--run"])
def test_trial_that_was_selected_on_test_rows_is_refused(
    run: Callable, swept: Any, what: str
) -> None:
    name = "on_test" if what == "--sweep" else swept.trials["on_test/mlp", 0]
    assert "was selected on test rows: none are left to measure it on" in refused(run, what, name)


def test_run_of_another_program_is_refused(run: Callable, swept: Any) -> None:
    made = swept.client.create_run(swept.experiment("not ours"))
    assert "is no complete trial of a sweep" in refused(run, "--run", made.info.run_id)


def test_missing_store_is_named(run: Callable) -> None:
    with pytest.raises(UserError, match=r"no MLflow store at .*/missing/mlflow\.db"):
        run("--space", "mlp", uri="sqlite:///missing/mlflow.db")


# Models ------------------------------------------------------------------------------------------


def test_model_is_trained_and_written_beside_the_recipe(run: Callable) -> None:
    recipe, data, trained, script, program = run(
        "--sweep", "both", "--space", "mlp", "--format", "torchscript", "pt2"
    )
    assert recipe.startswith("best-both-mlp.yaml: trial 2 of both/mlp, val_accuracy 0.7500 ± ")
    assert data.startswith("data: digits, ")
    assert re.fullmatch(
        r"mlp trained for 4 epochs on all 30 training pairs: accuracy 0\.\d{4} on 20 test pairs",
        trained,
    )
    for said, file, kind in (
        (script, "best-both-mlp.pt", "torchscript"),
        (program, "best-both-mlp.pt2", "pt2"),
    ):
        assert Path(file).is_file()
        assert said.startswith(f"{file}: {kind}, equal to the original ")
        assert said.endswith((" to the last bit on 20 test pairs", "e-07 on 20 test pairs"))


@pytest.mark.parametrize(
    ("sweep", "space", "kind", "how"),
    [
        ("auc", "mlp", "onnx", r"mlp trained for 2 epochs on all 128 training rows: roc_auc 0\."),
        ("auc", "logistic", "skops", r"logistic fitted on all 128 training rows: roc_auc 0\."),
        ("rmse", "ridge", "skops", r"ridge fitted on all 128 training rows: rmse \d+\."),
    ],
)
def test_model_of_a_table_is_kept_and_asked(
    run: Callable,
    sweep: str,
    space: str,
    kind: str,
    how: str,
    tables: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = str(tables / "customers.csv")
    options = ("--sweep", sweep, "--space", space, "--data", data)
    said = run(*options, "--keep", "kept", "--format", kind)
    assert re.match(how, said[2])
    assert re.search(r"\d on 32 test rows$", said[2])
    assert said[3].startswith(f"best-{sweep}-{space}.{kind}: {kind}, equal to the original ")
    assert said[4].startswith("kept: the model; predict new rows: ")
    assert said[4].endswith("analysis/predict.py kept NEW.csv")
    run(*options, "--keep", "kept")  # in place of the model that is there

    from analysis import predict

    customers(7, seed=9).to_csv("new.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["predict.py", "kept", "new.csv"])
    assert predict.main() == 0
    assert len(Path("predictions.csv").read_text().splitlines()) == 8


def test_data_beside_the_recipe_is_taken(run: Callable, tables: Path) -> None:
    shutil.copy(tables / "customers.csv", "customers.csv")
    assert len(run("--sweep", "rmse", "--keep", "kept")) == 4
    assert sorted(f.name for f in Path("kept").iterdir()) == ["estimator.skops", "recipe.yaml"]


def test_data_that_is_not_there_is_asked_for(run: Callable) -> None:
    with pytest.raises(UserError, match=r"customers\.csv, is not beside .* with --data PATH"):
        run("--sweep", "rmse", "--keep", "kept")
    customers(seed=3).to_csv("changed.csv", index=False)
    with pytest.raises(UserError, match=r"changed\.csv is not the file .* SHA-256"):
        run("--sweep", "rmse", "--keep", "kept", "--data", "changed.csv")
    assert not Path("kept").exists()


@pytest.mark.parametrize("name", ["ä", "a b", "../up"])
def test_name_that_cannot_be_registered_is_refused_at_once(run: Callable, name: str) -> None:
    said = refused(run, "--space", "mlp", "--register", name)
    assert said.startswith(f"model name {name!r} must be letters, numbers")


def test_unknown_format_is_refused(run: Callable) -> None:
    said = refused(run, "--space", "mlp", "--format", "pickle")
    assert "pickle" in said
    assert "torchscript" in said


def test_data_that_is_not_the_sweep_s_is_refused(run: Callable) -> None:
    with pytest.raises(UserError, match="this data is not the sweep's: its digest is"):
        run("--sweep", "other", "--format", "pt2")
    assert not list(Path().glob("*.pt2"))


def test_damaged_file_of_a_task_that_ships_is_named(run: Callable, swept: Any) -> None:
    record = recorded(TASK, IMAGES)
    record["origin"] = {**record["origin"], "dataset": "mnist"}
    swept.client.log_text(swept.parents["old/mlp"], json.dumps(record), names.TASK_FILE)
    Path("mnist").mkdir()
    Path("mnist/train-images-idx3-ubyte").write_bytes(b"no images")
    with pytest.raises(UserError, match="train-images-idx3-ubyte"):
        run("--sweep", "old", "--format", "pt2", "--data-dir", "mnist")


# Written by a sweep, read by analysis ------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(300)
def test_what_a_sweep_logged_comes_back(tmp_path: Path) -> None:
    """A real sweep of a user's table: exported, kept, registered, asked."""
    customers().drop(columns="bill").to_csv(tmp_path / "customers.csv", index=False)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}

    def program(path: str, *args: str) -> str:
        done = subprocess.run(
            [sys.executable, str(ROOT / path), *args],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    program(
        *("sweeps/run.py", "--data", "customers.csv", "--target", "left", "--space", "logistic"),
        *("--trials", "2", "--folds", "3", "--objective", "roc_auc", "--name", "real"),
    )
    said = program(
        *("analysis/export.py", "--sweep", "real", "--keep", "kept", "--register", "churn")
    )
    assert "registered and champion, the first one: roc_auc 0." in said
    recipe = Recipe.load(tmp_path / "best-real-logistic.yaml")
    assert (recipe.task, recipe.variant) == ("customers", "customers/logistic")
    assert recipe.objective == "roc_auc"
    assert len(recipe.fold_scores["val_roc_auc"]) == 3
    assert "equal in every fold and metric, to the last bit" in program(
        "sweeps/evaluate.py", "best-real-logistic.yaml", "--cv"
    )
    program("analysis/predict.py", "kept", "customers.csv")
    one = (tmp_path / "predictions.csv").read_text()
    program("analysis/predict.py", "churn", "customers.csv")
    assert (tmp_path / "predictions.csv").read_text() == one
    assert len(one.splitlines()) == 161
