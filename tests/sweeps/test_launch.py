"""What a launch puts together, and what it refuses before anything is made or started."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foldsweep.errors import CodeError, UserError
from sweeps import launch as launch_module
from sweeps.cluster import Cluster
from sweeps.launch import _load, launch
from sweeps.resources import Allotment
from sweeps.settings import SweepSettings, check_place, load_settings
from trainables.tasks.samples import Data

OWN_TASK = """
import numpy as np
from foldsweep import Data, SearchSpace, classification, tune, variant
from foldsweep.models import Perceptron, PerceptronClassifierConfig

rng = np.random.default_rng(0)
task = classification({task!r}, Data.of(rng.normal(size=(60, 3)), rng.permutation([0, 1] * 30)))

def space():
    own = variant("mine", task, Perceptron, PerceptronClassifierConfig)
    return SearchSpace(name={name!r}, variant=own, domains={{"lr": tune.uniform(0, 1)}})
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def table(here: Path) -> str:
    """A table of two classes, a number, a category, a group, a time and a fold."""
    rng = np.random.default_rng(0)
    with (here / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "colour", "patient", "day", "part", "left"])
        for i in range(90):
            size, colour = rng.normal(), rng.choice(["red", "green"])
            left = "yes" if rng.normal() + size > 0 else "no"
            writer.writerow(
                [f"{size:.3f}", colour, i // 5, f"2024-01-{i // 3 + 1:02}", i % 3, left]
            )
    return str(here / "table.csv")


class Waiting(Cluster):
    """A Ray that is never started."""

    def start(self) -> None:
        """Not yet."""

    def __enter__(self) -> Allotment:
        return Allotment(cpus=1, gpus=0, concurrency=1)

    def __exit__(self, *error: object) -> None:
        """Nothing to end."""


Given = dict[str, tuple[SweepSettings, list[str], Data]]


@pytest.fixture
def launched(here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Given]:
    """Launches sweeps that train nothing; gives what each of them would have got."""

    def run(**values: Any) -> Given:
        given: Given = {}

        def end(settings: Any, spaces: Any, data: Any, name: str, *_: Any) -> int:
            given[name] = settings, [space.variant.full_name for space in spaces], data
            return 0

        monkeypatch.setattr(launch_module, "_sweep_all", end)
        settings = SweepSettings(**{"tracking_uri": f"sqlite:///{here}/mlflow.db", **values})
        settings.validate()
        assert launch(settings, None, Waiting(settings)) == 0
        return given

    return run


# One task for all spaces ------------------------------------------------------------------------


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
    assert "sweep first starts: mlp logistic hist_gradient_boosting; 30 trials of 5 folds" in said
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
    assert "trials of 3 folds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sep": ";", "decimal": ","}, "cells are separated by semicolons"),
        ({"sep": "\t"}, "cells are separated by tabs"),
        ({"encoding": "latin-1"}, "read as Windows-1252 (latin-1)"),
        ({"encoding": "utf-8-sig"}, "1 numeric, 1 categorical"),
        ({"float_format": "{:,.2f}".format}, "read commas as thousands separators in größe"),
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
    said = "test rows: values of colour that no training row has: 90"
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("role", [{"group": "patient"}, {"time": "day"}, {"repeats": 2}])
def test_a_column_chooses_the_split(
    role: dict[str, Any], launched: Callable[..., Given], table: str
) -> None:
    kinds = {"group": "grouped", "time": "time", "repeats": "stratified"}
    task, _ = _load(SweepSettings(data=table, target="left", space=("logistic",), **role))
    assert task.split.kind == kinds[next(iter(role))]
    assert task.split.repeats == role.get("repeats", 1)
    launched(data=table, target="left", space=("logistic",), **role)


def test_tasks_of_one_name_must_have_the_same_data(
    launched: Callable[..., Given], here: Path
) -> None:
    (here / "a.py").write_text(OWN_TASK.format(task="points", name="a"))
    other = OWN_TASK.format(task="points", name="b").replace("default_rng(0)", "default_rng(1)")
    (here / "b.py").write_text(other)
    with pytest.raises(UserError, match="two tasks are called points and have different data"):
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


# Early stopping ---------------------------------------------------------------------------------


def test_each_space_of_few_trials_says_before_it_starts_that_none_is_stopped_early(
    launched: Callable[..., Given], capsys: pytest.CaptureFixture[str]
) -> None:
    spaces = ("mlp", "random_forest", "logistic")
    launched(data="iris", space=spaces, name="first", trials=4, scheduler="hyperband")
    lines = capsys.readouterr().out.splitlines()
    (start,) = (i for i, line in enumerate(lines) if line.startswith("sweep first starts: "))
    assert lines[start + 1 :] == [
        "mlp: 3 sampled trials: no early stopping (hyperband from 9 on)",
        "random_forest: 3 sampled trials: no early stopping (hyperband from 9 on)",
    ]
    launched(data="iris", space=("mlp",), name="second")
    assert "early stopping" not in capsys.readouterr().out


def test_an_extended_sweep_says_that_trials_are_stopped_early_from_here_on(
    launched: Callable[..., Given], capsys: pytest.CaptureFixture[str]
) -> None:
    launched(data="iris", space=("mlp",), name="first", trials=4)
    said = []
    for trials in (4, 30, 30):
        capsys.readouterr()
        stored = load_settings(Path("runs/first"))
        settings = replace(stored, resume="first", trials=trials)
        assert launch(settings, stored, Waiting(settings)) == 0
        said.append(capsys.readouterr().out.splitlines()[-1])
    assert said[0] == "mlp: 3 sampled trials: no early stopping (asha from 9 on)"
    assert said[1] == "mlp: 29 sampled trials: early stopping from here on (asha)"
    assert said[2].startswith("sweep first resumes: mlp; 30 trials")


# What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"space": ("mlp", "disc_relu")}, r"are for the tasks larger_digit and disc: sweep"),
        ({"space": ("mlp", "a.py")}, r"spaces mlp and a are for the tasks larger_digit and one:"),
        ({"space": ("a.py", "b.py")}, r"spaces a and b are for the tasks one and two: sweep them"),
        ({"space": ("logistic",)}, r"logistic is for your own data: give --data FILE --target"),
        ({"space": ("logistc",)}, r"unknown space 'logistc': known are mlp, .*"),
        (
            {"space": ("cnn_ws_aux",), "data": "iris"},
            r"unknown space 'cnn_ws_aux': .* is for a task that ships: leave out --data",
        ),
        ({"space": ("mlp", "logistc"), "data": "iris"}, r"unknown space 'logistc': known are mlp"),
        ({"space": ("cnn",), "data": "iris"}, r"space cnn is for images, which iris has none of"),
        ({"space": ("ridge",), "data": "iris"}, r"ridge"),
        ({"space": ("logistic",), "data": "diabetes"}, r"logistic"),
        ({"space": ("a.py",), "data": "iris"}, r"space a brings its own task, one: leave out --"),
        (
            {"space": ("mlp",), "data": "diabetes", "objective": ("roc_auc",)},
            r"objective 'roc_auc' is no metric of a regression: choose r2, ",
        ),
        (
            {"space": ("mlp",), "data": "iris", "objective": ("r2",)},
            r"objective 'r2' is no metric of a classification of 3 classes: choose accuracy, ",
        ),
        ({"space": ("mlp",), "data": "iris", "objective": ("val_acuracy",)}, r"acuracy"),
        (
            {"space": ("mlp",), "data": "iris", "objective": ("accuracy", "acuracy")},
            r"'acuracy' is no metric of a classification of 3 classes: choose accuracy, ",
        ),
        (
            {"space": ("mlp",), "dataset": "digits", "objective": ("roc_auc",)},
            r"unknown objective val_roc_auc: task larger_digit measures val_accuracy, ",
        ),
        (
            {"space": ("mlp",), "dataset": "digits", "train_pairs": 1},
            r"cannot split 1 rows",
        ),
        ({"space": ("mlp",), "dataset": "digits", "test_pairs": 0}, r"cannot draw 0 test pairs"),
        ({"space": ("mlp",), "dataset": "disc"}, r"not --dataset disc"),
        ({"space": ("logistic",), "data": "iris", "folds": 60}, r"cannot split into 60 folds"),
        (
            {"space": ("mlp",), "data": "iris", "holdout": 0.0, "select_on_test": True},
            r"iris has no test rows \(--holdout 0\): nothing is left to measure on",
        ),
        (
            {"space": ("logistic",), "data": "iris", "precision": "bfloat16"},
            r"--precision bfloat16 is not possible in space logistic",
        ),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_what_cannot_be_swept_is_refused_in_one_line_and_nothing_is_made(
    values: dict[str, Any], said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, task in (("a", "one"), ("b", "two")):
        (here / f"{name}.py").write_text(OWN_TASK.format(task=task, name=name))
    settings = SweepSettings(**{"tracking_uri": f"sqlite:///{here}/mlflow.db", **values})
    settings.validate()
    with pytest.raises(UserError, match=said) as caught:
        launch(settings, None, Waiting(settings))
    assert "\n" not in str(caught.value)
    assert {path.name for path in here.iterdir()} - {"__pycache__"} == {"a.py", "b.py"}


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("ftp://x", "MLflow keeps no runs in ftp"),
        ("http://", "names no host"),
        ("http://127.0.0.1:99999999", "Port out of range"),
        ("sqlite:////proc/none/mlflow.db", "MLflow store /proc/none/mlflow.db cannot be written"),
        ("mssql://h/db", "cannot be used: No module"),
    ],
)
def test_where_runs_can_never_go_is_said_before_anything_is_made(
    uri: str, said: str, here: Path
) -> None:
    settings = SweepSettings(space=("mlp",), data="iris", tracking_uri=uri)
    with pytest.raises(UserError, match=said) as caught:
        launch(settings, None, Waiting(settings))
    assert "\n" not in str(caught.value)
    assert not list(here.iterdir())


def test_a_resumed_sweep_whose_store_is_gone_does_not_make_it_again(
    launched: Callable[..., Given], here: Path
) -> None:
    launched(
        data="iris", space=("mlp",), name="first", tracking_uri=f"sqlite:///{here}/old/mlflow.db"
    )
    stored = load_settings(Path("runs/first"))
    settings = replace(stored, resume="first")
    with pytest.raises(
        UserError, match=f"runs in {here}/old/mlflow.db, whose folder is gone: giv"
    ):
        launch(settings, stored, Waiting(settings))
    settings = replace(settings, tracking_uri=f"sqlite:///{here}/new.db")
    assert launch(settings, stored, Waiting(settings)) == 0
    assert not (here / "old").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}\n", "logistic/study.journal, line 1 is damaged"),
        (None, "first cannot be resumed: its study is gone, from runs/first or its database"),
    ],
)
def test_a_study_that_is_damaged_or_gone_is_found_before_any_space_is_swept(
    launched: Callable[..., Given], here: Path, text: str | None, said: str
) -> None:
    launched(data="iris", space=("mlp", "logistic"), name="first")
    folder = Path("runs/first/logistic")
    folder.mkdir()
    (folder / "spool.jsonl").touch()
    if text is not None:
        (folder / "study.journal").write_text(text)
    before = sorted(folder.iterdir())
    stored = load_settings(Path("runs/first"))
    settings = replace(stored, resume="first")
    with pytest.raises(UserError, match=said):
        launch(settings, stored, Waiting(settings))
    assert [path for path in sorted(folder.iterdir()) if path.suffix != ".flock"] == before


def test_a_resumed_sweep_keeps_its_uuid_and_one_from_before_has_none(
    launched: Callable[..., Given], here: Path
) -> None:
    launched(data="iris", space=("mlp",), name="first")
    made = check_place(Path("runs/first"))
    stored = load_settings(Path("runs/first"))
    settings = replace(stored, resume="first")
    assert launch(settings, stored, Waiting(settings)) == 0
    assert check_place(Path("runs/first")) == made
    file = Path("runs/first/settings.json")
    file.write_text(json.dumps(stored.to_dict()))
    for _ in range(2):
        assert launch(settings, load_settings(file.parent), Waiting(settings)) == 0
        assert check_place(file.parent).uuid == ""


def test_a_sweep_that_has_moved_says_where_its_runs_go(
    launched: Callable[..., Given], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launched(data="iris", space=("mlp",), name="first")
    (here / "archive").mkdir()
    Path("runs/first").rename("archive/first")
    stored = replace(load_settings(Path("archive/first")), storage="archive")
    settings = replace(stored, resume="first")
    said = f"sweep first has moved here from {here}/runs/first; its runs go to MLflow at sqlite:"
    for expected in (True, False):
        capsys.readouterr()
        assert launch(settings, stored, Waiting(settings)) == 0
        assert (said in capsys.readouterr().out) is expected


@pytest.mark.parametrize("name", ["accuracy", "val_accuracy", "f1_macro", "val_roc_auc"])
def test_an_objective_goes_by_either_name(
    name: str, launched: Callable[..., Given], capsys: pytest.CaptureFixture[str]
) -> None:
    given = launched(data="iris", space=("logistic",), objective=(name,), name="first")
    short = name.removeprefix("val_")
    assert given["first"][0].objective == (f"val_{short}",)
    assert f"objective: {short}" in capsys.readouterr().out


@pytest.mark.parametrize("objective", ["num_params", "loss", "train_time_s"])
def test_what_every_task_has_can_be_the_objective(
    objective: str, launched: Callable[..., Given]
) -> None:
    given = launched(data="iris", space=("mlp",), objective=(objective,), name="first")
    assert given["first"][0].objective == ("val_loss" if objective == "loss" else objective,)


def test_several_objectives_may_be_metrics_that_are_not_the_task_s_own(
    launched: Callable[..., Given],
) -> None:
    given = launched(
        data="iris", space=("logistic",), objective=("roc_auc", "f1_macro"), name="first"
    )
    assert given["first"][0].objective == ("val_roc_auc", "val_f1_macro")


@pytest.mark.parametrize(
    "uri", ["s3://", "s3:///path", "gs://", "nosuch://bucket/path", "http://host", "://", "s3://ü"]
)
def test_a_remote_storage_that_cannot_be_is_refused_before_anything_is_made(
    uri: str, here: Path
) -> None:
    settings = SweepSettings(data="iris", space=("logistic",), storage=uri)
    settings = replace(settings, tracking_uri=f"sqlite:///{here}/mlflow.db")
    with pytest.raises(UserError) as caught:
        launch(settings, None, Waiting(settings))
    assert str(caught.value).startswith(f"--storage {uri} cannot be used: ")
    assert "\n" not in str(caught.value)
    assert not list(here.iterdir())


# Starts that fail ------------------------------------------------------------------------------


def test_a_cluster_that_is_not_there_is_said_before_anything_is_made(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = SweepSettings(
        data="iris",
        space=("logistic",),
        address="127.0.0.1:1",
        tracking_uri=f"sqlite:///{here}/mlflow.db",
    )
    cluster = Cluster(settings)
    cluster.start()
    cluster._running.wait()
    with pytest.raises(UserError, match="--address 127.0.0.1:1 cannot be used: .*refused"):
        launch(settings, None, cluster)
    assert "starts" not in capsys.readouterr().out
    assert not list(here.iterdir())


def begun(here: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> int:
    """Launch a sweep that fails so before a trial, or that does not."""

    def end(*_: Any) -> int:
        if error is not None:
            raise error
        return 0

    monkeypatch.setattr(launch_module, "_sweep_all", end)
    settings = SweepSettings(
        tracking_uri=f"sqlite:///{here}/mlflow.db", data="iris", space=("logistic",), name="first"
    )
    return launch(settings, None, Waiting(settings))


@pytest.mark.parametrize(
    "error",
    [UserError("no"), RuntimeError("timed out"), OSError(28, "No space left on device")],
    ids=lambda error: type(error).__name__,
)
def test_the_name_of_a_start_that_failed_is_free(
    here: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with pytest.raises((UserError, RuntimeError)):
        begun(here, monkeypatch, error)
    assert begun(here, monkeypatch, None) == 0


def test_a_kill_while_settings_are_written_leaves_the_name_free(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # a kill tidies nothing up
        with pytest.raises(KeyboardInterrupt):
            begun(here, monkeypatch, None)
    assert {path.name for path in Path("runs/first").iterdir()} == {"lock", "settings.json.part"}
    with pytest.raises(UserError, match="no sweep 'first' in runs"):
        load_settings(Path("runs/first"))
    assert begun(here, monkeypatch, None) == 0
    assert load_settings(Path("runs/first")).name == "first"


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OSError(122, "Disk quota exceeded"),
        OSError("'spool.jsonl' took only a part of a record: disk full?"),
        RuntimeError("Traceback ... OSError: [Errno 28] No space left on device: 'x'"),
        RuntimeError("(sqlite3.OperationalError) database or disk is full"),
    ],
    ids=str,
)
def test_a_full_disk_at_resume_is_one_line_with_the_command(
    here: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    assert begun(here, monkeypatch, None) == 0

    def end(*_: Any) -> int:
        raise error

    monkeypatch.setattr(launch_module, "_sweep_all", end)
    stored = load_settings(Path("runs/first"))
    settings = replace(stored, resume="first")
    with pytest.raises(UserError, match="free some space, then continue with --resume first"):
        launch(settings, stored, Waiting(settings))


def test_a_bug_is_no_full_disk(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        begun(here, monkeypatch, RuntimeError("a bug"))
