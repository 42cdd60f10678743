"""Parsing of a sweep's command line, with and without --resume."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from foldsweep.errors import UserError
from sweeps.prepare import load
from sweeps.run import read_settings
from sweeps.settings import SweepSettings, check_resumable
from sweeps.settings_file import load_settings, save_settings
from tests.refusals import refused, text


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stored(here: Path) -> SweepSettings:
    """Stored settings of an earlier sweep."""
    return store(here / "runs" / "first")


def store(folder: Path, **changes: object) -> SweepSettings:
    folder.mkdir(parents=True)
    settings = SweepSettings(
        space=("mlp", "cnn"),
        name=folder.name,
        trials=7,
        folds=3,
        sampler="random",
        dataset="digits",
        objective=("val_loss", "num_params"),
        time_budget=60.0,
        tracking_uri="http://server:5000",
    )
    save_settings(replace(settings, **changes), folder)  # type: ignore[arg-type]
    return load_settings(folder)


def read(*args: str) -> SweepSettings:
    stored, settings = read_settings(list(args))
    assert stored is None
    settings.validate()
    return settings


def test_one_word_is_enough(here: Path) -> None:
    settings = read("--space", "mlp")
    assert settings == SweepSettings(space=("mlp",), tracking_uri=f"sqlite:///{here}/mlflow.db")


def test_options_are_read() -> None:
    settings = read(
        *("--space", "mlp", "cnn", "--trials", "5", "--time-budget", "1.5", "--folds=4"),
        *("--objective", "val_accuracy", "num_params", "--sampler", "nsga2", "--data-dir", "a b"),
        *("--gpus-per-trial", "0.5", "--tracking-uri", "http://host:1"),
    )
    assert (settings.space, settings.trials, settings.folds) == (("mlp", "cnn"), 5, 4)
    assert settings.objective == ("val_accuracy", "num_params")
    assert (settings.time_budget, settings.gpus_per_trial) == (1.5, 0.5)
    assert (settings.data_dir, settings.tracking_uri) == (Path("a b"), "http://host:1")


def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://other:5000")
    assert read("--space", "mlp").tracking_uri == "http://other:5000"
    assert read("--space", "mlp", "--tracking-uri", "http://h:1").tracking_uri == "http://h:1"


def test_data_of_ones_own_is_read_and_its_path_becomes_absolute(here: Path) -> None:
    args = ("--space", "mlp", "--data", "a.csv", "--target", "left at", "--drop", "id", "name")
    settings = read(*args, "--test", "b.csv", "--objective", "roc_auc")
    assert (settings.data, settings.test) == (str(here / "a.csv"), here / "b.csv")
    assert (settings.target, settings.drop) == ("left at", ("id", "name"))
    assert settings.objective == ("roc_auc",)
    assert read("--space", "mlp", "--data", "iris").data == "iris"
    (here / "plain").touch()  # a file without an extension, not an embedded data set
    assert read("--space", "mlp", "--data", "plain").data == str(here / "plain")


def test_a_sweep_of_ones_own_data_is_resumed_with_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"data": str(here / "a.csv"), "target": "left", "test": here / "b.csv", "repeats": 2}
    stored = store(here / "runs" / "mine", dataset="auto", **own)
    found, settings = read_settings(["--resume", "mine", "--data", "a.csv"])
    assert found == stored
    settings.validate()
    check_resumable(stored, settings)
    changed = read_settings(["--resume", "mine", "--data", "c.csv", "--target", "right"])[1]
    with refused("settings.changed-on-resume", changed="--target left -> right"):
        check_resumable(stored, changed)


def test_paths_of_spaces_become_absolute(here: Path) -> None:
    assert read("--space", "mine.py", "mlp").space == (str(here / "mine.py"), "mlp")


def test_a_study_file_becomes_absolute(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumption from another folder finds it; both forms of the path are accepted."""
    absolute = f"sqlite:///{here}/study.db"
    assert read("--space", "mlp", "--study", "sqlite:///study.db").study == absolute
    stored = store(here / "runs" / "first", study=absolute)
    found, settings = read_settings(["--resume", "first", "--study", "sqlite:///study.db"])
    assert found == stored
    check_resumable(stored, settings)
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    settings = read_settings(["--resume", "first", "--storage", str(here / "runs")])[1]
    assert settings.study == absolute
    url = "postgresql://user@host/studies"
    assert read("--space", "mlp", "--study", url).study == url


def test_without_a_space_there_is_nothing_to_do() -> None:
    with refused("settings.no-space"):
        read()


def test_a_resumed_sweep_keeps_its_settings(stored: SweepSettings) -> None:
    found, settings = read_settings(["--resume", "first"])
    assert found == stored
    assert settings == replace(stored, resume="first")
    settings.validate()


def test_what_is_given_replaces_what_was_stored(
    stored: SweepSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://not-asked:5000")
    found, settings = read_settings(
        ["--trials", "20", "--resume=first", "--space", "mlp", "--time-budget", "5"]
    )
    assert found == stored
    expected = replace(stored, resume="first", trials=20, space=("mlp",), time_budget=5.0)
    assert settings == expected


def test_auto_means_the_data_it_had(stored: SweepSettings) -> None:
    assert read_settings(["--resume", "first", "--dataset", "auto"])[1].dataset == "digits"
    assert read_settings(["--resume", "first", "--dataset", "mnist"])[1].dataset == "mnist"


@pytest.mark.parametrize("on_test", [False, True])
def test_what_selects_stays_as_it_was(here: Path, on_test: bool) -> None:
    store(here / "runs" / "first", select_on_test=on_test)
    stored, settings = read_settings(["--resume", "first"])
    assert stored is not None
    assert settings.select_on_test is on_test
    check_resumable(stored, settings)
    again = read_settings(["--resume", "first", "--select-on-test"])[1]
    assert again.select_on_test  # repeating the option is no error
    if not on_test:
        changed = read_settings(["--resume", "first", "--select-on-test"])[1]
        with refused("settings.changed-on-resume", changed="--select-on-test False -> True"):
            check_resumable(stored, changed)


def test_a_sweep_elsewhere_is_resumed_by_its_storage(here: Path) -> None:
    elsewhere = store(here / "other" / "first", storage="other")
    found, settings = read_settings(["--resume", "first", "--storage", "other"])
    assert found == elsewhere
    assert settings.storage == "other"
    with refused("settings-file.no-sweep", name="first", storage="runs"):
        read_settings(["--resume", "first"])


def test_a_sweep_in_a_moved_project_is_resumed_there_and_writes_there(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This includes its default store, a relative study, its space and its absolute storage."""
    project = here / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    args = ("--space", "mine.py", "--study", "sqlite:///study.db", "--data", "a.csv")
    made = read(*args, "--target", "left", "--storage", str(project / "runs"))
    folder = project / "runs" / "first"
    folder.mkdir(parents=True)
    save_settings(replace(made, name="first"), folder)
    moved = project.rename(here / "moved")
    monkeypatch.chdir(moved)
    stored, settings = read_settings(["--resume", "first"])
    assert stored is not None
    assert str(project) not in str(settings)
    assert settings.local_root.resolve() == moved / "runs"
    assert settings.tracking_uri == f"sqlite:///{moved}/mlflow.db"
    assert settings.study == f"sqlite:///{moved}/study.db"
    assert (settings.space, settings.data) == ((str(moved / "mine.py"),), str(moved / "a.csv"))
    check_resumable(stored, settings)
    again = read_settings(["--resume", "first", "--study", "sqlite:///study.db"])[1]
    check_resumable(stored, again)


def test_a_copied_sweep_is_not_resumed(here: Path, stored: SweepSettings) -> None:
    shutil.copytree(here / "runs", here / "copies")
    with refused("settings-file.copy", folder="copies/first", original=here / "runs" / "first"):
        read_settings(["--resume", "first", "--storage", "copies"])
    assert read_settings(["--resume", "first"])[0] == stored


def test_a_folder_that_was_renamed_is_asked_for_its_name(
    here: Path, stored: SweepSettings
) -> None:
    (here / "runs" / "first").rename(here / "runs" / "second")
    with refused("run.folder-renamed", folder="runs/second", sweep="first"):
        read_settings(["--resume", "second"])


def test_a_sweep_with_remote_checkpoints_is_resumed_from_its_local_folder(here: Path) -> None:
    store(here / "runs" / "first", storage="s3://bucket/path")
    for args in (["--resume", "first"], ["--resume", "first", "--storage", "s3://bucket/path"]):
        assert read_settings(args)[1].storage == "s3://bucket/path"


@pytest.mark.parametrize(
    ("args", "kind", "values"),
    [
        (
            ["--resume", "missing"],
            "settings-file.no-sweep",
            {"name": "missing", "storage": "runs", "latest": "first"},
        ),
        (["--resume", "../first"], "settings.name-invalid", {"name": "../first"}),
        (["--resume", "/first"], "settings.name-invalid", {"name": "/first"}),
        (["--resume", ""], "checks.option-empty", {"option": "--resume"}),
        (
            ["--resume", "first", "--name", "second"],
            "run.name-contradicts-resume",
            {"name": "second", "resume": "first"},
        ),
        (
            ["--space", "mlp", "--data", "a.csv", "--holdout", "1"],
            "options.holdout-out-of-range",
            {"holdout": 1},
        ),
        (
            ["--space", "mlp", "--data", "a.csv", "--repeats", "0"],
            "options.repeats-invalid",
            {"rule": text("rules.at-least", least=1), "repeats": "0"},
        ),
        (
            ["--space", "mlp", "--data", "a", "--group", "g", "--time", "t"],
            "options.several-splits",
            {"options": "--group and --time"},
        ),
        (
            ["--space", "mlp", "--data", "a", "--target", "y", "--drop", "y"],
            "options.used-column-dropped",
            {"column": "y", "option": "target"},
        ),
    ],
)
def test_mistakes_are_said_in_one_line(
    stored: SweepSettings, args: list[str], kind: str, values: dict[str, object]
) -> None:
    with refused(kind, **values) as caught:
        read_settings(args)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("args", "option"),
    [
        (["--resume"], "--resume"),
        (["--space", "mlp", "--resume", "--trials", "3"], "--resume"),
        (["--resume", "first", "--storage"], "--storage"),
        (["--resume", "first", "--bogus"], "--bogus"),
        (["--resume", "first", "--folds", "many"], "--folds"),
        (["--space", "mlp", "--data", "a.csv", "--holdout", "many"], "--holdout"),
        (["--space", "mlp", "--data", "a", "--task", "ranking"], "--task"),
    ],
)
def test_mistakes_that_a_parser_finds_are_said_in_one_line(
    stored: SweepSettings, args: list[str], option: str
) -> None:
    with pytest.raises(UserError, match=option) as caught:
        read_settings(args)
    assert caught.value.kind in ("", "programs.command-line-invalid")  # of argparse, of tyro
    assert "\n" not in str(caught.value)


def test_help_is_no_mistake(stored: SweepSettings, capsys: pytest.CaptureFixture[str]) -> None:
    for args in (["--help"], ["--resume", "first", "--help"]):
        with pytest.raises(SystemExit) as stop:
            read_settings(args)
        assert stop.value.code in (0, None)
        assert "--time-budget" in capsys.readouterr().out


def test_two_spaces_of_one_name_are_refused(here: Path) -> None:
    text = (
        "from foldsweep import SearchSpace, tune\n"
        "from trainables.models.pairs.variants import MLP\n"
        "def space():\n"
        "    return SearchSpace(name='mine', variant=MLP, domains={'lr': tune.uniform(0, 1)})\n"
    )
    for name in ("a.py", "b.py"):
        (here / name).write_text(text)
    with refused("prepare.same-space-names", names="mine mine"):
        load(read("--space", "a.py", "b.py"))


def test_a_precision_is_fixed_for_every_space_and_its_baseline() -> None:
    for space in load(SweepSettings(space=("mlp", "cnn"), precision="bfloat16"))[1]:
        assert space.fixed["precision"] == "bfloat16"
        assert space.complete(space.points[0].config).precision == "bfloat16"
    (plain,) = load(SweepSettings(space=("mlp",)))[1]
    assert plain.complete(plain.points[0].config).precision == "float32"


def test_a_precision_that_a_space_cannot_have_is_refused() -> None:
    for name in ("mlp_backprop", "gervaise2020-grid_disc_relu"):  # with and without initial points
        with refused("prepare.precision-refused", precision="bfloat16", space=name) as caught:
            load(SweepSettings(space=(name,), precision="bfloat16"))
        assert "this library has no other" in str(caught.value.values["error"])


def test_a_sweep_from_before_there_was_a_precision_goes_on(stored: SweepSettings) -> None:
    file = Path("runs/first/settings.json")
    values = json.loads(file.read_text())
    for key in ("format", "uuid", "folder", "project", "precision"):
        del values[key]
    file.write_text(json.dumps(values))
    check_resumable(load_settings(file.parent), stored)
