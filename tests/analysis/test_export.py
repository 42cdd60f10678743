import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import InMemoryStorage

from analysis.export import main, recipe_of
from analysis.load import complete_trials, open_store
from foldsweep.errors import UserError
from search_spaces.loading import SPACES
from sweeps.ledger import Ledger
from sweeps.lifecycle import Lifecycle
from sweeps.resources import Allotment
from sweeps.settings import SweepSettings
from sweeps.sweep import JOURNAL_FILE, dataset_record, run_tags
from sweeps.tracking.spool import TrackingTarget
from sweeps.tracking.tracker import Tracker
from trainables.recipe import Recipe
from trainables.variants import VARIANTS


@pytest.fixture
def export(
    filled: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., dict[str, Recipe]]:
    """Runs the program in an empty folder; the recipes it wrote, by file."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str, uri: str = filled.uri) -> dict[str, Recipe]:
        monkeypatch.setattr(sys, "argv", ["export.py", *args, "--tracking-uri", uri])
        assert main() == 0
        files = sorted(tmp_path.rglob("*.yaml"))
        said = capsys.readouterr().out
        assert len(said.splitlines()) == len(files)
        assert all(file.name in said for file in files)
        return {file.name: Recipe.load(file) for file in files}

    return run


def refused(export: Callable[..., object], *args: str) -> str:
    with pytest.raises(UserError) as caught:
        export(*args)
    assert "\n" not in str(caught.value)
    assert not list(Path().rglob("*.yaml"))
    return str(caught.value)


def test_the_best_trial_of_the_latest_sweep_of_a_space(export: Callable) -> None:
    """Older sweeps, other experiments and trials that did not end have better scores."""
    ((name, recipe),) = export("--space", "mlp").items()
    assert name == "best-both-mlp.yaml"
    assert (recipe.sweep, recipe.trial, recipe.dataset) == ("both/mlp", 2, "digits")
    assert recipe.score["val_accuracy"] == 0.75


def test_best_is_meant_by_the_objective_of_the_sweep(export: Callable) -> None:
    (recipe,) = export("--sweep", "loss").values()
    assert (recipe.trial, recipe.score["val_loss"]) == (1, 1 - 0.9)


def test_every_space_of_a_sweep(export: Callable) -> None:
    recipes = export("--sweep", "both")
    assert list(recipes) == ["best-both-cnn.yaml", "best-both-mlp.yaml"]
    assert [recipe.variant for recipe in recipes.values()] == ["cnn", "mlp"]


def test_one_space_of_a_sweep(export: Callable) -> None:
    assert list(export("--sweep", "both", "--space", "cnn")) == ["best-both-cnn.yaml"]


def test_several_of_the_best(export: Callable) -> None:
    recipes = export("--space", "mlp", "--top", "3")
    assert [recipe.trial for recipe in recipes.values()] == [6, 4, 2]
    assert list(recipes) == [
        "best-both-mlp-2.yaml",
        "best-both-mlp-3.yaml",
        "best-both-mlp.yaml",
    ]


def test_no_more_than_there_are(export: Callable) -> None:
    assert len(export("--space", "mlp", "--top", "100")) == 4


def test_one_run(export: Callable, filled: Any) -> None:
    ((name, recipe),) = export("--run", filled.trials["old/mlp", 1]).items()
    assert (name, recipe.trial, recipe.sweep) == ("best-old-mlp.yaml", 1, "old/mlp")
    assert recipe.mlflow["run_id"] == filled.trials["old/mlp", 1]


def test_a_sweep_s_own_run_means_its_best_trial(export: Callable, filled: Any) -> None:
    (recipe,) = export("--run", filled.parents["both/mlp"]).values()
    assert recipe.trial == 2


def test_datasets_are_told_apart(export: Callable) -> None:
    (recipe,) = export("--sweep", "other").values()
    assert recipe.dataset == "mnist"


def test_a_folder_to_write_to(export: Callable, tmp_path: Path) -> None:
    (tmp_path / "my recipes").mkdir()
    export("--space", "cnn", "--out", "my recipes")
    (path,) = (tmp_path / "my recipes").iterdir()
    assert "python sweeps/evaluate.py 'my recipes/best-both-cnn.yaml' --rounds 10" in (
        path.read_text()
    )


def test_exporting_again_replaces_the_file(export: Callable) -> None:
    assert export("--space", "cnn").keys() == export("--space", "cnn").keys()


def test_another_experiment(export: Callable) -> None:
    (recipe,) = export("--space", "mlp", "--experiment", "theirs").values()
    assert (recipe.sweep, recipe.mlflow["experiment"]) == ("elsewhere/mlp", "theirs")


def test_a_space_of_one_s_own_is_named_by_its_file(export: Callable) -> None:
    (recipe,) = export("--space", "mine").values()
    assert recipe.space == "/spaces/mine.py"


def test_a_recipe_says_where_it_comes_from(filled: Any) -> None:
    store = open_store(filled.uri, "foldsweep")
    recipe = recipe_of(store, complete_trials(store, "both/mlp")[0])
    data = filled.data["digits"]
    assert (recipe.data_digest, recipe.train_pairs, recipe.test_pairs) == (data.digest, 30, 20)
    assert (recipe.folds, recipe.seed, recipe.num_params) == (2, 0, 321)
    assert recipe.fold_scores["val_accuracy"] == [0.74, 0.76]
    assert recipe.score["val_accuracy_std"] == 0.0125
    assert set(recipe.score) == {
        "val_accuracy",
        "val_accuracy_std",
        "val_loss",
        "val_loss_std",
    }
    assert recipe.mlflow == {
        "tracking_uri": filled.uri,
        "experiment": "foldsweep",
        "run_id": filled.trials["both/mlp", 2],
        "sweep_run_id": filled.parents["both/mlp"],
    }
    assert {"python", "torch", "numpy"} <= set(recipe.versions)
    config = VARIANTS[recipe.variant].config.from_dict(recipe.config)
    assert (config.lr, config.epochs) == (0.003, 4)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "say what to export"),
        (("--space", "mlp", "--top", "0"), "--top must be at least 1, but is 0"),
        (("--space", "mlp", "--out", "missing"), "--out missing is not a folder"),
        (("--run", "x", "--space", "mlp"), "--run ID names one trial"),
        (("--run", "x", "--sweep", "both"), "--run ID names one trial"),
        (("--run", "0" * 32), "has no run '000"),
        (("--run", "it's"), "has no run"),
        (("--space", "cnn_ws_aux"), "has no space cnn_ws_aux; it has: own/mine"),
        (("--sweep", "missing"), "has no sweep missing; it has: own/mine"),
        (("--sweep", "elsewhere"), "has no sweep elsewhere"),
        (("--space", "cnn_ws"), "sweep failed/cnn_ws has no complete trial yet"),
        (("--space", "mlp", "--experiment", "missing"), "has no experiment 'missing'"),
        (("--space", "mlp", "--bogus"), "Unrecognized options: --bogus"),
    ],
)
def test_mistakes_are_said_in_one_line(export: Callable, args: tuple[str, ...], said: str) -> None:
    assert said in refused(export, *args)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_trial_that_is_not_complete_is_refused(
    export: Callable, filled: Any, number: int
) -> None:
    assert "is no complete trial" in refused(export, "--run", filled.trials["both/mlp", number])


@pytest.mark.parametrize("what", ["--sweep", "--run"])
def test_what_was_selected_on_test_pairs_is_refused(
    export: Callable, filled: Any, what: str
) -> None:
    name = "on_test" if what == "--sweep" else filled.trials["on_test/mlp", 0]
    assert "was selected on test pairs: none are left to measure it on" in (
        refused(export, what, name)
    )


def test_a_run_of_another_program_is_refused(export: Callable, filled: Any) -> None:
    run = filled.client.create_run(filled.experiment("not ours"))
    assert "is no complete trial of a sweep" in refused(export, "--run", run.info.run_id)


def test_a_missing_store_is_said(export: Callable, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no MLflow store at .*/missing/mlflow\.db"):
        export("--space", "mlp", uri="sqlite:///missing/mlflow.db")


# Models -----------------------------------------------------------------------------------------


@pytest.fixture
def keep(
    filled: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., list[str]]:
    """Runs the program in an empty folder; what it said."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["export.py", *args, "--tracking-uri", filled.uri])
        assert main() == 0
        return capsys.readouterr().out.splitlines()

    return run


def test_a_model_is_trained_and_written_beside_the_recipe(keep: Callable) -> None:
    recipe, data, trained, script, program = keep(
        "--sweep", "both", "--space", "mlp", "--format", "torchscript", "pt2"
    )
    assert recipe.startswith("best-both-mlp.yaml: trial 2 of both/mlp, ")
    assert data.startswith("data: digits, ")
    assert re.fullmatch(
        r"mlp trained for 4 epochs on all 30 training pairs: 0\.\d{4} of 20 test pairs right",
        trained,
    )
    for said, file, kind in (
        (script, "best-both-mlp.pt", "torchscript"),
        (program, "best-both-mlp.pt2", "pt2"),
    ):
        assert Path(file).is_file()
        assert said.startswith(f"{file}: {kind}, equal to the original ")
        assert said.endswith((" to the last bit on 20 test pairs", "e-07 on 20 test pairs"))


@pytest.mark.parametrize("name", ["", "a b", "../up"])
def test_a_name_that_cannot_be_registered_is_refused_at_once(export: Callable, name: str) -> None:
    said = refused(export, "--space", "mlp", "--register", name)
    assert said.startswith(f"model name {name!r} must be letters, digits")


def test_an_unknown_format_is_refused(export: Callable) -> None:
    said = refused(export, "--space", "mlp", "--format", "pickle")
    assert "pickle" in said
    assert "torchscript" in said


def test_data_that_is_not_the_sweep_s_is_refused(keep: Callable, filled: Any) -> None:
    """A damaged file of MNIST, and pairs that its digest does not fit."""
    folder = Path("mnist")
    folder.mkdir()
    (folder / "train-images-idx3-ubyte").write_bytes(b"no images")
    with pytest.raises(UserError, match="train-images-idx3-ubyte"):
        keep("--sweep", "other", "--format", "pt2", "--data-dir", "mnist")
    assert not list(Path().glob("*.pt2"))


# Written by a sweep, read by analysis ------------------------------------------------------------


def test_what_a_sweep_logged_comes_back_to_the_last_bit(
    make_store: Callable, export: Callable, tmp_path: Path
) -> None:
    """The real ledger, lifecycle, tracker and uploader; only the training is made up."""
    store = make_store()
    space, data = SPACES["mlp"](), store.data["digits"]
    settings = SweepSettings(space=("mlp",), trials=3, folds=3, sampler="random", seed=5)
    allotment = Allotment(cpus=2.0, gpus=0.0, concurrency=1)
    target = TrackingTarget(
        tracking_uri=store.uri,
        experiment="foldsweep",
        sweep="real/mlp",
        study_storage=JOURNAL_FILE,
        study_name="real/mlp",
    )
    ledger = Ledger(InMemoryStorage(), "real/mlp", space, settings, epochs=4, identity={})
    tags = run_tags(settings, space, data, "real/mlp", allotment)
    tracker = Tracker(tmp_path / "sweep", target)
    configs = {}
    try:
        params = {"objective": "val_accuracy"}
        tracker.start_sweep("real/mlp", params, {**tags, "foldsweep.kind": "sweep"})
        life = Lifecycle(
            ledger,
            tracker,
            space=space,
            objective=settings.objective,
            epochs=4,
            report_at=(4,),
            tags=tags,
            dataset=dataset_record(data),
            checkpoint_folder=str(tmp_path / "checkpoints"),
            time_budget=None,
        )
        for accuracy in (1 / 3, 2 / 3, math.nan):
            config = life.start("a")
            assert config is not None
            configs[config.pop("trial_number")] = config
            life.end("a", made_up(accuracy))
        tracker.end_sweep("FINISHED")
    finally:
        assert tracker.close(wait_s=30) == 0
    ((name, recipe),) = export("--sweep", "real", uri=store.uri).items()
    assert name == "best-real-mlp.yaml"
    assert (recipe.trial, recipe.threads, recipe.seed, recipe.folds) == (1, 2, 5, 3)
    assert VARIANTS["mlp"].config.from_dict(recipe.config).to_dict() == configs[1]
    by_fold = dict(made_up(2 / 3)["by_fold"])
    assert recipe.fold_scores == by_fold
    assert recipe.score["val_accuracy"] == 2 / 3
    assert recipe.data_digest == data.digest
    refusal = open_store(store.uri, "foldsweep")
    assert len(complete_trials(refusal, "real/mlp")) == 2


def made_up(accuracy: float) -> dict[str, Any]:
    values = {"val_accuracy": accuracy, "val_accuracy_std": 0.1}
    values |= {"val_loss": 1 - accuracy, "val_loss_std": 0.3}
    history = [{"epoch": e, "time": 1000 + e, **values} for e in range(1, 5)]
    return {
        **values,
        "by_fold": [
            ("val_accuracy", [accuracy - 0.1, accuracy, accuracy + 0.1]),
            ("val_loss", [0.1, 0.2, 0.3]),
        ],
        "history": history,
        "diverged": math.isnan(accuracy),
        "epoch": 4,
        "num_params": 17,
        "train_time_s": 1.0,
    }
