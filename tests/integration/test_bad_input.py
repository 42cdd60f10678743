"""Mistakes of a user are reported in one line, and can be corrected before the next try."""

import gzip
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from sweeps.settings import SweepSettings
from sweeps.settings_file import save_settings
from tests.integration.conftest import Refused
from tests.integration.user import REPOSITORY, TINY, User
from trainables.data.images import load_images
from trainables.data.pairs import draw_pairs

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SWEEP = ("sweeps.run", *TINY, "--space", "mlp", "--name", "first")


@pytest.fixture
def known(home: Path) -> SweepSettings:
    """Settings of an existing sweep."""
    settings = SweepSettings(
        space=("mlp",),
        name="known",
        dataset="digits",
        folds=3,
        train_pairs=120,
        objective=("val_accuracy",),
    )
    folder = home / "runs" / "known"
    folder.mkdir(parents=True)
    save_settings(settings, folder)
    return settings


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--space", "cnn_axu"), "unknown space 'cnn_axu': known are mlp, "),
        (("--space", "no/space.py"), "no/space.py does not exist"),
        (("--space", "mlp", "mlp"), "--space names a space twice: mlp mlp"),
        (("--folds", "1"), "--folds must be at least 2, but is 1"),
        (("--folds", "100"), "cannot split into 100 folds: the rarest class has"),
        (("--trials", "0"), "--trials must be at least 1, but is 0"),
        (("--trials", "many"), "many"),
        (("--epochs", "1.5"), "1.5"),
        (("--time-budget", "-1"), "--time-budget must be above 0, but is -1"),
        (("--time-budget", "nan"), "--time-budget must be above 0, but is nan"),
        (("--seed", "-1"), "--seed must be at least 0, but is -1"),
        (("--seed", str(2**32)), "--seed must be below 2**32"),
        (("--checkpoint-every-s", "nan"), "--checkpoint-every-s must be at least 0, but is nan"),
        (("--train-pairs", "1"), "cannot split 1 rows into 3 folds: choose fewer"),
        (("--train-pairs", "100000"), "100000"),
        (("--test-pairs", "0"), "cannot draw 0 test pairs"),
        (("--sampler", "best"), "best"),
        (("--sampler", "grid", "--space", "cnn_ws"), "space cnn_ws defines no grid"),
        (("--sampler", "nsga2"), "--sampler nsga2 needs several objectives"),
        (("--scheduler", "fast"), "fast"),
        (("--objective", "val_acuracy"), "unknown objective val_acuracy: task larger_digit "),
        (("--objective", "roc_auc"), "unknown objective val_roc_auc: task larger_digit measures"),
        (("--objective", "val_loss", "val_loss"), "--objective names a metric twice"),
        (("--dataset", "cifar"), "cifar"),
        (("--trails", "3"), "--trails"),
        (("--name", "a/b"), "sweep name 'a/b' must be letters"),
        (("--name", ".."), "sweep name '..' must be letters"),
        (("--name", ""), "--name has an empty value"),
        (("--study", "nosql://somewhere"), "--study nosql://somewhere cannot be opened"),
        (("--study", "sqlite:///no/such/folder/study.db"), "unable to open database file"),
        (("--study", "study.db"), "--study study.db cannot be opened"),
        (("--tracking-uri", "here"), "tracking URI 'here' is not absolute"),
        (("--storage", "file/runs"), "folder file/runs/first cannot be written: Not a directory"),
        (("--cpus-per-trial", "0"), "--cpus-per-trial must be above 0, but is 0"),
        (("--address", "nonsense"), "--address nonsense cannot be used"),
        (("--address", "127.0.0.1:1"), "--address 127.0.0.1:1 cannot be used"),
    ],
)
def test_a_sweep_that_cannot_start_says_why_and_leaves_nothing(
    home: Path, refused: Refused, args: tuple[str, ...], said: str
) -> None:
    (home / "file").touch()
    assert said in refused(*SWEEP, *args)
    assert not list(home.glob("runs/*"))
    assert not list(home.glob("mlflow.db*"))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def space(:\n", "line 1: SyntaxError"),
        ("import nothing_of_that_name\n", "line 1: ModuleNotFoundError"),
        ("x = 1\n", "defines no function space()"),
        ("def space():\n    return 1\n", "space() returned int"),
        ("def space():\n    return {}['lr']\n", "line 2: KeyError: 'lr'"),
        ("raise SystemExit(0)\n", "line 1: SystemExit"),
        (
            "from search_spaces.larger_digit.mlp import space as ours\n"
            "def space():\n    return ours()\n",
            "the name 'mlp' is taken",
        ),
        (
            "from foldsweep import SearchSpace, tune\n"
            "from trainables.models.pairs.variants import MLP\n"
            "def space():\n"
            "    return SearchSpace(name='own', variant=MLP,\n"
            "        domains={'learning_rate': tune.uniform(0, 1)})\n",
            "learning_rate, which PerceptronConfig lacks",
        ),
    ],
)
def test_a_broken_space_file_is_named_with_its_line(
    home: Path, refused: Refused, code: str, said: str
) -> None:
    (home / "broken.py").write_text(code)
    line = refused(*SWEEP, "--space", "broken.py", traceback=said.startswith("line "))
    assert f"space file {home / 'broken.py'}" in line
    assert said in line
    assert not (home / "runs").exists()


def test_damaged_data_is_refused_not_replaced(home: Path, refused: Refused) -> None:
    folder = home / "mnist"
    folder.mkdir()
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(10_008))[:-9])
    for dataset in ("mnist", "auto"):
        line = refused(*SWEEP, "--dataset", dataset, "--data-dir", folder)
        assert "t10k-labels-idx1-ubyte.gz is not MNIST's" in line
        assert "delete it to have it downloaded again" in line
    assert not (home / "runs").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--folds", "5"), "--folds 3 -> 5"),
        (("--seed", "1"), "--seed 0 -> 1"),
        (("--dataset", "mnist"), "--dataset digits -> mnist"),
        (("--train-pairs", "90"), "--train-pairs 120 -> 90"),
        (("--space", "cnn"), "--space mlp -> cnn"),
        (("--epochs", "9"), "--epochs None -> 9"),
        (("--objective", "val_loss"), "--objective val_accuracy -> val_loss"),
        (("--study", "sqlite:///study.db"), "--study None -> sqlite:////"),
        (("--name", "other"), "--name other contradicts --resume known"),
        (("--folds", "5", "--seed", "1"), "--folds 3 -> 5; --seed 0 -> 1"),
        (("--address", "127.0.0.1:1"), "--address 127.0.0.1:1 cannot be used"),
        (("--tracking-uri", "here"), "tracking URI 'here' is not absolute"),
    ],
)
def test_a_resumption_that_changes_the_sweep_is_refused(
    home: Path, refused: Refused, known: SweepSettings, args: tuple[str, ...], said: str
) -> None:
    assert said in refused("sweeps.run", "--resume", "known", *args)
    stored = (home / "runs/known/settings.json").read_text()
    save_settings(known, home / "runs" / "known")
    assert (home / "runs/known/settings.json").read_text() == stored


def test_names_that_are_not_there_or_taken_are_answered_with_what_is(
    home: Path, refused: Refused, known: SweepSettings
) -> None:
    line = refused("sweeps.run", "--resume", "knwon")
    assert "no sweep 'knwon' in runs; the latest there: known" in line
    assert "sweep name '../known' must be" in refused("sweeps.run", "--resume", "../known")
    assert "expected one argument" in refused("sweeps.run", "--resume")
    line = refused(*SWEEP, "--name", "known")
    assert "sweep known exists already; use --resume known or another --name" in line
    assert "give --space NAME" in refused("sweeps.run", *TINY)
    (home / "runs/known/settings.json").write_text("{")
    assert "settings of sweep known" in refused("sweeps.run", "--resume", "known")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("kong/no_net",), "no report, table or row 'kong/no_net'; tables are aguet2019/table5, "),
        (("kong", "--rounds", "0"), "--rounds must be at least 1, but is 0"),
        (("kong", "--rounds", "ten"), "ten"),
        ((), "say what to repeat, such as kong/table3, or --all"),
        (
            ("kong", "kong/table3", "--all"),
            "--all includes every table: leave out kong kong/table3",
        ),
        (("kong", "--write", "missing.md"), "--write missing.md does not exist"),
        (("kong", "--seed", "-1"), "--seed must be at least 0, but is -1"),
        (("kong", "--concurrency", "0"), "--concurrency must be at least 1, but is 0"),
        (("kong", "--tracking-uri", "here"), "tracking URI 'here' is not absolute"),
        (("kong", "--dataset", "cifar"), "cifar"),
        (("kong", "--round", "3"), "--round"),
        (("kong/fc_1", "--storage", "file"), "folder file/reproduce-digits cannot be written"),
        (("kong/fc_1", "--address", "127.0.0.1:1"), "--address 127.0.0.1:1 cannot be used"),
    ],
)
def test_a_repetition_that_cannot_start_says_why(
    home: Path, refused: Refused, args: tuple[str, ...], said: str
) -> None:
    (home / "file").touch()
    default = () if "--dataset" in args else ("--dataset", "digits")
    assert said in refused("sweeps.reproduce", *args, *default)
    assert not list(home.rglob("*.json"))
    assert not list(home.glob("mlflow.db*"))


def test_two_repetitions_in_one_folder_are_refused(home: Path, refused: Refused) -> None:
    folder = home / "runs" / "reproduce-digits"
    folder.mkdir(parents=True)
    with FileLock(folder / "lock"):
        line = refused("sweeps.reproduce", "kong", "--dataset", "digits")
    assert line == "error: runs/reproduce-digits is in use by another process\n"


RECIPE: dict[str, Any] = {
    "space": "mlp",
    "variant": "mlp",
    "config": {"lr": 0.001, "epochs": 1},
    "score": {"val_accuracy": 0.5, "val_accuracy_std": 0.1, "val_loss": 1.0, "val_loss_std": 0.1},
    "fold_scores": {"val_accuracy": [0.5, 0.5], "val_loss": [1.0, 1.0]},
    "num_params": 10,
    "dataset": "digits",
    "data_digest": draw_pairs(
        load_images("digits")[0], seed=0, train_pairs=120, test_pairs=50
    ).digest,
    "train_pairs": 120,
    "test_pairs": 50,
    "folds": 2,
    "seed": 0,
    "trial": 0,
    "sweep": "first/mlp",
    "format": 1,
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data_digest": "0" * 64}, "this data is not the sweep's"),
        (
            {"format": 2},
            "best.yaml lacks origin, task and has the unknown keys test_pairs, train_pairs",
        ),
        ({"format": 3}, "is not an exported configuration of format 2"),
        ({"variant": "resnet"}, "unknown variant 'larger_digit/resnet'"),
        ({"variant": "disc/mlp"}, "unknown variant 'disc/mlp'"),
        ({"variant": ["mlp"]}, "variant"),
        ({"space": 3}, "space"),
        ({"space": "nowhere.py"}, "space file nowhere.py does not exist"),
        ({"config": [1]}, "config must be dict"),
        ({"config": {"lr": -1.0}}, "lr must be finite and at least 0"),
        ({"config": {"learning_rate": 1.0}}, "has no field learning_rate"),
        ({"dataset": "cifar"}, "origin has dataset 'cifar', which must be auto or mnist or"),
        ({"dataset": 7}, "dataset"),
        ({"train_pairs": "all"}, "origin has train_pairs 'all', which must be int or None"),
        ({"train_pairs": 10**9}, str(10**9)),
        ({"seed": -1}, "seed"),
        ({"folds": 0}, "folds"),
        ({"folds": "three"}, "folds must be int"),
        ({"trial": -1}, "trial"),
        ({"score": {}}, "score must have numbers for val_accuracy"),
        ({"score": None}, "score"),
        ({"threads": 0}, "threads"),
        ({"mode": "quick"}, "mode"),
        ({"sweep": "../../etc"}, "sweep name '..' must be"),
        ({"sweep": ""}, "sweep name '' must be"),
        ({"mlflow": "here"}, "mlflow"),
        ({"surprise": 1}, "has the unknown keys surprise"),
    ],
)
@pytest.mark.parametrize("flags", [("--rounds", "1"), ("--cv",)])
def test_a_tampered_recipe_is_refused(
    home: Path, refused: Refused, change: dict[str, Any], said: str, flags: tuple[str, ...]
) -> None:
    (home / "best.yaml").write_text(yaml.safe_dump(RECIPE | change))
    assert said in refused("sweeps.evaluate", "best.yaml", *flags)
    assert not (home / "runs").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "best.yaml cannot be read: No such file or directory"),
        ("a: [", "best.yaml is not an exported configuration"),
        ("\x00\x01", "best.yaml is not an exported configuration"),
        ("- 1\n", "best.yaml is not an exported configuration of format 2"),
        ("", "best.yaml is not an exported configuration of format 2"),
        ("format: 1\n", "best.yaml lacks config, data_digest, dataset, "),
        (
            "x: !!python/object/apply:os.mkdir ['owned']\n",
            "best.yaml is not an exported configuration",
        ),
    ],
)
def test_a_foreign_file_is_refused_and_not_executed(
    home: Path, refused: Refused, content: str | None, said: str
) -> None:
    if content is not None:
        (home / "best.yaml").write_text(content)
    assert said in refused("sweeps.evaluate", "best.yaml")
    assert not (home / "owned").exists()


def test_evaluate_checks_its_own_flags(home: Path, refused: Refused) -> None:
    (home / "best.yaml").write_text(yaml.safe_dump(RECIPE))
    line = refused("sweeps.evaluate", "best.yaml", "--rounds", "0")
    assert "--rounds must be at least 1, but is 0" in line
    assert "--seed must be between" in refused("sweeps.evaluate", "best.yaml", "--seed", "-1")
    refused("sweeps.evaluate")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--sweep", "first"), "no MLflow store at"),
        (("--run", "0" * 32), "no MLflow store at"),
        ((), "say what to export"),
        (("--sweep", "first", "--top", "0"), "--top must be at least 1, but is 0"),
        (("--sweep", "first", "--out", "nowhere"), "--out nowhere is not a folder"),
        (("--sweep", "first", "--run", "1"), "--run ID names one trial"),
        (("--sweep", "first", "--tracking-uri", "sqlite:///file"), "file"),
        (("--sweep", "first", "--tracking-uri", "http://127.0.0.1:1"), "127.0.0.1:1"),
        (("--sweep", "first", "--tracking-uri", "here"), "here"),
        (("--best", "first"), "--best"),
    ],
)
def test_an_export_of_nothing_says_so(
    home: Path, refused: Refused, args: tuple[str, ...], said: str
) -> None:
    (home / "file").write_text("no database")
    assert said in refused("analysis.export", *args)
    assert not (home / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("unknown",), "error: no sweep 'unknown' in runs: choose one of: (none there)\n"),
        (("../nowhere",), "error: no sweep '../nowhere' in runs"),
        ((), "error: the following arguments are required: name (see --help)\n"),
        (
            ("a", "--trakking", "x"),
            "error: unrecognized arguments: --trakking x; did you mean --tracking-uri?"
            " (see --help)\n",
        ),
    ],
)
def test_a_replay_of_nothing_says_so(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["replay.py", *args])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(REPOSITORY / "sweeps/replay.py"), run_name="__main__")
    err = capsys.readouterr().err
    assert stop.value.code == 2
    assert err.startswith(said)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("program", "args", "said"),
    [
        ("sweeps/run.py", ("--space", "mpl"), "error: unknown space 'mpl'"),
        ("sweeps/evaluate.py", ("best.yaml",), "error: best.yaml cannot be read"),
        ("sweeps/replay.py", ("unknown",), "error: no sweep 'unknown'"),
        ("analysis/export.py", ("--sweep", "x"), "error: MLflow at sqlite:///"),
    ],
)
def test_a_program_ends_with_code_2_and_one_line(
    user: User, program: str, args: tuple[str, ...], said: str
) -> None:
    end = user.run(program, *args, code=2)
    assert end.stderr.startswith(said)
    assert end.stderr.count("\n") == 1
    assert end.stdout == ""
    assert [path.name for path in user.folder.iterdir()] == ["mlflow.db"]
