"""Mistakes of a user are reported in one line, and can be corrected before the next try."""

import gzip
import math
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from foldsweep.checks import described, nearest
from foldsweep.recipe import FORMAT
from search_spaces.loading import TUNED
from sweeps.settings import SweepSettings
from sweeps.settings_file import save_settings
from tests.integration.conftest import Refused
from tests.integration.user import REPOSITORY, TINY, User
from tests.refusals import text
from trainables.data.images import load_images
from trainables.data.mnist import ADVICE
from trainables.data.pairs import draw_pairs
from trainables.presets.registry import TABLES
from trainables.tasks.larger_digit import TASK
from trainables.tasks.options import Dataset
from trainables.variants import VARIANTS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SWEEP = ("sweeps.run", *TINY, "--space", "mlp", "--name", "first")
UNREACHABLE = text(
    "head.unreachable", address="127.0.0.1:1", error="[Errno 111] Connection refused"
)


NO_RECIPE = text("recipe.not-a-recipe", path="best.yaml", reason="")
NO_FILE = text("recipe.file-unreadable", path="best.yaml", reason="No such file or directory")


def unknown_space(name: str) -> str:
    hint = nearest(name, TUNED)
    return text("loading.space-unknown", space=name, known=", ".join(TUNED), hint=hint)


def below(option: str, least: int, value: float) -> str:
    rule = text("rules.at-least", least=least)
    return text("programs.option-out-of-range", option=option, rule=rule, value=value)


def not_absolute(uri: str) -> str:
    return text("tracking.uri-not-absolute", uri=uri)


MEASURED = "config, data_digest, dataset, fold_scores, folds, num_params, score"


def wrong_fields(*found: str) -> str:
    mistakes = " and ".join(found)
    return text("recipe.fields-missing-or-unknown", path="best.yaml", mistakes=mistakes)


def wrong_type(field: str, hint: object, value: str) -> str:
    said = {"path": "best.yaml", "type": described(hint)}
    return text("recipe.field-of-wrong-type", field=field, value=value, **said)


def wrong_origin(name: str, hint: object, value: str) -> str:
    return text("reload.origin-invalid", name=name, value=value, rule=described(hint))


def out_of_range(option: str, rule: str, value: float) -> str:
    return text("settings.option-out-of-range", option=option, rule=rule, value=value)


def unknown_objective(name: str) -> str:
    known = ", ".join(TASK.better)
    return text("settings.objective-unknown", unknown=name, task="larger_digit", known=known)


def not_opened(url: str, reason: str) -> str:
    advice = text("study.url-examples")
    return text("study.not-opened", url=url, reason=reason, advice=advice)


def no_sweep(name: str) -> str:
    return text("replay.no-sweep", name=name, storage="runs", known="(none there)")


def command_line(message: str, meant: str = "") -> str:
    return text("replay.command-line-invalid", message=message, meant=meant)


def changed(settings: str) -> str:
    return text("settings.changed-on-resume", sweep="known", changed=settings)


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
        (("--space", "cnn_axu"), unknown_space("cnn_axu")),
        (("--space", "no/space.py"), text("loading.file-missing", path="HERE/no/space.py")),
        (("--space", "mlp", "mlp"), text("settings.space-named-twice", spaces="mlp mlp")),
        (("--folds", "1"), below("folds", 2, 1)),
        (("--folds", "100"), text("folds.more-than-rarest-class", folds=100, rarest=42)),
        (("--trials", "0"), below("trials", 1, 0)),
        (("--trials", "many"), "many"),
        (("--epochs", "1.5"), "1.5"),
        (("--time-budget", "-1"), out_of_range("--time-budget", "above 0", -1.0)),
        (("--time-budget", "nan"), out_of_range("--time-budget", "above 0", math.nan)),
        (("--seed", "-1"), out_of_range("--seed", "at least 0", -1)),
        (("--seed", str(2**32)), out_of_range("--seed", "below 2**32", 2**32)),
        (("--checkpoint-every-s", "nan"), below("checkpoint-every-s", 0, math.nan)),
        (("--train-pairs", "1"), text("splits.more-folds-than-rows", rows=1, folds=3)),
        (("--train-pairs", "100000"), "100000"),
        (
            ("--test-pairs", "0"),
            text(
                "pairs.number-out-of-range",
                pairs=0,
                part="test",
                dataset="digits",
                images=600,
                most=300,
            ),
        ),
        (("--sampler", "best"), "best"),
        (
            ("--sampler", "grid", "--space", "cnn_ws"),
            text("distributions.no-grid", space="cnn_ws"),
        ),
        (("--sampler", "nsga2"), text("settings.nsga2-with-one-objective")),
        (("--scheduler", "fast"), "fast"),
        (("--objective", "val_acuracy"), unknown_objective("val_acuracy")),
        (("--objective", "roc_auc"), unknown_objective("val_roc_auc")),
        (
            ("--objective", "val_loss", "val_loss"),
            text("settings.objective-named-twice", metrics="val_loss val_loss"),
        ),
        (("--dataset", "cifar"), "cifar"),
        (("--trails", "3"), "--trails"),
        (("--name", "a/b"), text("settings.name-invalid", option="sweep name", name="a/b")),
        (("--name", ".."), text("settings.name-invalid", option="sweep name", name="..")),
        (("--name", ""), text("checks.option-empty", option="--name")),
        (
            ("--study", "nosql://somewhere"),
            not_opened("nosql://somewhere", "Can't load plugin: sqlalchemy.dialects:nosql"),
        ),
        (("--study", "sqlite:///no/such/folder/study.db"), "unable to open database file"),
        (
            ("--study", "study.db"),
            not_opened("study.db", "Could not parse SQLAlchemy URL from given URL string"),
        ),
        (("--tracking-uri", "here"), not_absolute("here")),
        (
            ("--storage", "file/runs"),
            text("launch.folder-unwritable", folder="file/runs/first", why="Not a directory"),
        ),
        (("--cpus-per-trial", "0"), out_of_range("--cpus-per-trial", "above 0", 0.0)),
        (
            ("--address", "nonsense"),
            text("cluster.ray-unusable", where="--address nonsense", why=""),
        ),
        (("--address", "127.0.0.1:1"), UNREACHABLE),
    ],
)
def test_a_sweep_that_cannot_start_says_why_and_leaves_nothing(
    home: Path, refused: Refused, args: tuple[str, ...], said: str
) -> None:
    (home / "file").touch()
    assert said.replace("HERE", str(home)) in refused(*SWEEP, *args)
    assert not list(home.glob("runs/*"))
    assert not list(home.glob("mlflow.db*"))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def space(:\n", "line 1: SyntaxError"),
        ("import nothing_of_that_name\n", "line 1: ModuleNotFoundError"),
        ("x = 1\n", text("loading.function-missing", path="HERE/broken.py")),
        (
            "def space():\n    return 1\n",
            text("loading.not-a-space", path="HERE/broken.py", found="int"),
        ),
        ("def space():\n    return {}['lr']\n", "line 2: KeyError: 'lr'"),
        ("raise SystemExit(0)\n", "line 1: SystemExit"),
        (
            "from search_spaces.larger_digit.mlp import space as ours\n"
            "def space():\n    return ours()\n",
            text("loading.name-taken", path="HERE/broken.py", name="mlp"),
        ),
        (
            "from foldsweep import SearchSpace, tune\n"
            "from trainables.models.pairs.variants import MLP\n"
            "def space():\n"
            "    return SearchSpace(name='own', variant=MLP,\n"
            "        domains={'learning_rate': tune.uniform(0, 1)})\n",
            text(
                "space.key-unknown",
                where="domains",
                unknown="learning_rate",
                config="PerceptronConfig",
                known=", ".join(sorted(VARIANTS["mlp"].config().to_dict())),
            ),
        ),
    ],
)
def test_a_broken_space_file_is_named_with_its_line(
    home: Path, refused: Refused, code: str, said: str
) -> None:
    (home / "broken.py").write_text(code)
    line = refused(*SWEEP, "--space", "broken.py", traceback=said.startswith("line "))
    assert str(home / "broken.py") in line
    assert said.replace("HERE", str(home)) in line
    assert not (home / "runs").exists()


def test_damaged_data_is_refused_not_replaced(home: Path, refused: Refused) -> None:
    folder = home / "mnist"
    folder.mkdir()
    name = "t10k-labels-idx1-ubyte"
    path = folder / f"{name}.gz"
    path.write_bytes(gzip.compress(bytes(10_008))[:-9])
    problem = text("idx.cut-off")
    said = text("mnist.damaged", path=path, file=name, problem=problem, advice=ADVICE)
    for dataset in ("mnist", "auto"):
        assert said in refused(*SWEEP, "--dataset", dataset, "--data-dir", folder)
    assert not (home / "runs").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--folds", "5"), changed("--folds 3 -> 5")),
        (("--seed", "1"), changed("--seed 0 -> 1")),
        (("--dataset", "mnist"), changed("--dataset digits -> mnist")),
        (("--train-pairs", "90"), changed("--train-pairs 120 -> 90")),
        (("--space", "cnn"), changed("--space mlp -> cnn")),
        (("--epochs", "9"), changed("--epochs None -> 9")),
        (("--objective", "val_loss"), changed("--objective val_accuracy -> val_loss")),
        (
            ("--study", "sqlite:///study.db"),
            changed("--study None -> sqlite:///HERE/study.db"),
        ),
        (("--name", "other"), text("run.name-contradicts-resume", name="other", resume="known")),
        (("--folds", "5", "--seed", "1"), changed("--folds 3 -> 5; --seed 0 -> 1")),
        (("--address", "127.0.0.1:1"), UNREACHABLE),
        (("--tracking-uri", "here"), not_absolute("here")),
    ],
)
def test_a_resumption_that_changes_the_sweep_is_refused(
    home: Path, refused: Refused, known: SweepSettings, args: tuple[str, ...], said: str
) -> None:
    line = refused("sweeps.run", "--resume", "known", *args)
    assert said.replace("HERE", str(home)) in line
    stored = (home / "runs/known/settings.json").read_text()
    save_settings(known, home / "runs" / "known")
    assert (home / "runs/known/settings.json").read_text() == stored


def test_names_that_are_not_there_or_taken_are_answered_with_what_is(
    home: Path, refused: Refused, known: SweepSettings
) -> None:
    line = refused("sweeps.run", "--resume", "knwon")
    assert text("settings-file.no-sweep", name="knwon", storage="runs", latest="known") in line
    line = refused("sweeps.run", "--resume", "../known")
    assert text("settings.name-invalid", option="sweep name", name="../known") in line
    assert "expected one argument" in refused("sweeps.run", "--resume")
    line = refused(*SWEEP, "--name", "known")
    assert text("launch.name-taken", name="known") in line
    assert text("settings.no-space") in refused("sweeps.run", *TINY)
    (home / "runs/known/settings.json").write_text("{")
    said = text(
        "settings-file.broken",
        sweep="known",
        path="runs/known/settings.json",
        error="Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    )
    assert said in refused("sweeps.run", "--resume", "known")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ("kong/no_net",),
            text("reproduction.unknown", name="kong/no_net", tables=", ".join(TABLES)),
        ),
        (("kong", "--rounds", "0"), below("rounds", 1, 0)),
        (("kong", "--rounds", "ten"), "ten"),
        ((), text("reproduction-settings.nothing-chosen")),
        (
            ("kong", "kong/table3", "--all"),
            text("reproduction-settings.all-and-more", what="kong kong/table3"),
        ),
        (
            ("kong", "--write", "missing.md"),
            text("reproduction-settings.write-missing", path="missing.md"),
        ),
        (("kong", "--seed", "-1"), out_of_range("--seed", "at least 0", -1)),
        (("kong", "--concurrency", "0"), below("concurrency", 1, 0)),
        (("kong", "--tracking-uri", "here"), not_absolute("here")),
        (("kong", "--dataset", "cifar"), "cifar"),
        (("kong", "--round", "3"), "--round"),
        (
            ("kong/fc_1", "--storage", "file"),
            text(
                "reproduction.folder-not-writable",
                folder="file/reproduce-digits",
                reason="Not a directory",
            ),
        ),
        (("kong/fc_1", "--address", "127.0.0.1:1"), UNREACHABLE),
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
    said = text("reproduction.folder-in-use", folder="runs/reproduce-digits")
    assert line == f"error: {said}\n"


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
        (
            {"data_digest": "0" * 64},
            text(
                "reload.other-data",
                digest=RECIPE["data_digest"],
                wanted="0" * 64,
                data="digits",
            ),
        ),
        (
            {"format": 2},
            wrong_fields(
                text("recipe.lacks", keys="origin, task"),
                text("recipe.unknown-keys", keys="test_pairs, train_pairs"),
            ),
        ),
        ({"format": 3}, text("recipe.format-unknown", path="best.yaml", format=FORMAT)),
        (
            {"variant": "resnet"},
            text("variants.unknown", variant="larger_digit/resnet", known=", ".join(VARIANTS)),
        ),
        (
            {"variant": "disc/mlp"},
            text("variants.unknown", variant="disc/mlp", known=", ".join(VARIANTS)),
        ),
        (
            {"variant": ["mlp"]},
            text("variants.unknown", variant="larger_digit/['mlp']", known=", ".join(VARIANTS)),
        ),
        ({"space": 3}, "space"),
        ({"space": "nowhere.py"}, text("loading.file-missing", path="nowhere.py")),
        ({"config": [1]}, wrong_type("config", dict[str, Any], "[1]")),
        (
            {"config": {"lr": -1.0}},
            text("config.value-refused", field="lr", rule=text("rules.amount"), value=-1.0),
        ),
        (
            {"config": {"learning_rate": 1.0}},
            text(
                "config.field-unknown",
                config="PerceptronConfig",
                unknown="learning_rate",
                known=", ".join(VARIANTS["mlp"].config().to_dict()),
            ),
        ),
        ({"dataset": "cifar"}, wrong_origin("dataset", Dataset, "'cifar'")),
        ({"dataset": 7}, "dataset"),
        ({"train_pairs": "all"}, wrong_origin("train_pairs", int | None, "'all'")),
        ({"train_pairs": 10**9}, str(10**9)),
        ({"seed": -1}, "seed"),
        ({"folds": 0}, "folds"),
        ({"folds": "three"}, wrong_type("folds", int, "'three'")),
        ({"trial": -1}, "trial"),
        (
            {"score": {}},
            text(
                "recipe.field-out-of-range",
                path="best.yaml",
                field="score",
                rule=text("recipe.numbers-for", names="val_accuracy, val_accuracy_std"),
                value="{}",
            ),
        ),
        ({"score": None}, "score"),
        ({"threads": 0}, "threads"),
        ({"mode": "quick"}, "mode"),
        (
            {"sweep": "../../etc"},
            text("settings.name-invalid", option="sweep name", name=".."),
        ),
        ({"sweep": ""}, text("settings.name-invalid", option="sweep name", name="")),
        ({"mlflow": "here"}, "mlflow"),
        ({"surprise": 1}, wrong_fields(text("recipe.unknown-keys", keys="surprise"))),
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
        (None, NO_FILE),
        ("a: [", NO_RECIPE),
        ("\x00\x01", NO_RECIPE),
        ("- 1\n", text("recipe.format-unknown", path="best.yaml", format=FORMAT)),
        ("", text("recipe.format-unknown", path="best.yaml", format=FORMAT)),
        (
            "format: 1\n",
            wrong_fields(text("recipe.lacks", keys=f"{MEASURED}, seed, space, trial, variant")),
        ),
        (
            "x: !!python/object/apply:os.mkdir ['owned']\n",
            NO_RECIPE,
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
    assert below("rounds", 1, 0) in line
    line = refused("sweeps.evaluate", "best.yaml", "--seed", "-1")
    assert text("measurements.seed-out-of-range", seed=-1) in line
    refused("sweeps.evaluate")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), text("export.nothing-named")),
        (("--sweep", "first", "--top", "0"), below("top", 1, 0)),
        (
            ("--sweep", "first", "--out", "nowhere"),
            text("export.out-not-a-folder", path="nowhere"),
        ),
        (("--sweep", "first", "--run", "1"), text("export.run-with-space-or-sweep")),
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


@pytest.mark.parametrize("args", [("--sweep", "first"), ("--run", "0" * 32)])
def test_an_export_makes_no_store(home: Path, refused: Refused, args: tuple[str, ...]) -> None:
    line = refused("analysis.export", *args)
    assert text("load.store-missing", path=home / "mlflow.db") in line
    assert not (home / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("unknown",), no_sweep("unknown")),
        (("../nowhere",), no_sweep("../nowhere")),
        ((), command_line("the following arguments are required: name")),
        (
            ("a", "--trakking", "x"),
            command_line(
                "unrecognized arguments: --trakking x",
                text("checks.did-you-mean", word="--tracking-uri"),
            ),
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
    assert err == f"error: {said}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "args", "said"),
    [
        ("sweeps/run.py", ("--space", "mpl"), f"error: {unknown_space('mpl')}"),
        ("sweeps/evaluate.py", ("best.yaml",), f"error: {NO_FILE}"),
        ("sweeps/replay.py", ("unknown",), f"error: {no_sweep('unknown')}"),
        (
            "analysis/export.py",
            ("--sweep", "x"),
            "error: "
            + text("load.experiment-unknown", uri="sqlite:///HERE/mlflow.db", name="foldsweep"),
        ),
    ],
)
def test_a_program_ends_with_code_2_and_one_line(
    user: User, program: str, args: tuple[str, ...], said: str
) -> None:
    end = user.run(program, *args, code=2)
    assert end.stderr.startswith(said.replace("HERE", str(user.folder)))
    assert end.stderr.count("\n") == 1
    assert end.stdout == ""
    assert [path.name for path in user.folder.iterdir()] == ["mlflow.db"]
