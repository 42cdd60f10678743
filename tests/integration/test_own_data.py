"""A user's own table, from its file to an evaluated model, and the input that is refused."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.integration.conftest import Refused
from tests.integration.user import User, printed, repeatable_points, scores, until
from tests.refusals import said_as, text
from trainables.tasks.scores import score_names
from trainables.tasks.table.embedded import EMBEDDED
from trainables.tasks.table.reading import NPZ as ARRAYS
from trainables.tasks.table.reading import PARQUET, TEXT

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]

ROWS = 150
OPTIONS = ("--data", "a table/kündigung 2024.csv", "--target", "left at", "--drop", "note")
SHORT = ("--trials", 2, "--epochs", 4, "--folds", 3, "--scheduler", "none")


def table(rows: int = ROWS) -> pd.DataFrame:
    """A table with numbers, categories, gaps, an identifier, a constant and odd column names."""
    rng = np.random.default_rng(0)
    age, plan = rng.integers(18, 90, rows), rng.choice(["a", "b", "c, d"], rows)
    size = rng.normal(size=rows)
    left = (age / 60 + (plan == "a") + size + 0.3 * rng.normal(size=rows)) > 1.2
    frame = pd.DataFrame(
        {
            "customer": [f"c{i:05}" for i in range(rows)],
            "age": age.astype(float),
            'the "plan"': plan,
            "größe": size.round(3),
            "country": "NL",
            "note": "whatever",
            "left at": np.where(left, "yes", "no"),
        }
    )
    frame.loc[rng.choice(rows, 20, replace=False), "age"] = np.nan
    frame.loc[rng.choice(rows, 9, replace=False), 'the "plan"'] = None
    return frame


# End to end -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Own:
    """A user who has swept their own table, and the sweep's output."""

    user: User
    said: str


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path) -> Iterator[Own]:
    user = User(tmp_path_factory.mktemp("own"), empty_mlflow)
    (user.folder / "a table").mkdir()
    table().to_csv(user.folder / OPTIONS[1], index=False)
    end = user.run(
        *("sweeps/run.py", *OPTIONS, "--space", "mlp", "logistic", *SHORT),
        *("--name", "own", "--objective", "roc_auc"),
    )
    assert end.stderr == ""
    yield Own(user, end.stdout)
    user.clean_up()


def test_a_table_is_described_and_swept_by_each_space(own: Own) -> None:
    user, said = own.user, own.said
    described = said.partition("sweep own starts")[0]
    assert said_as("table-summary.rows", train=120, test=30).search(described)
    for words in ("no 62, yes 58", "identifier", "constant"):
        assert words in described, words
    rows = "120 kündigung_2024 rows"
    described = said_as("messages.described", rows=rows, sampler="tpe", scheduler="none")
    assert described.search(said)
    assert "objective: roc_auc" in said
    for space in ("mlp", "logistic"):
        assert text("messages.ended-pausing", space=space, complete=2, paused=0, failed=0) in said
        trials = user.study(f"own/{space}")
        assert len(trials) == 2
        runs = user.mlflow(f"own/{space}")
        assert {run.status for run in runs.values()} == {"FINISHED"}
        assert set(runs) == {"", "0", "1"}
        for trial in trials:
            run = runs[str(trial.number)]
            assert run.tags["variant"] == f"{run.tags['task']}/{space}"
            assert (run.tags["train_rows"], run.tags["test_rows"]) == ("120", "30")
            assert run.last("val_roc_auc") == trial.value
            folds = [run.last(f"fold_{i}/val_roc_auc") for i in range(3)]
            assert run.last("val_roc_auc_std") == pytest.approx(np.std(folds, ddof=1))
            assert len(user.artifacts(run, "held_out")) == 1
            for gone in ("rotation", "shift", "aux_alpha", "main_weight", "digits"):
                assert gone not in run.params
        low, value, high = (
            runs[""].last(f"bootstrap_val_roc_auc{end}") for end in ("_low", "", "_high")
        )
        assert low < value < high
        shown = {"value": f"{value:.4f}", "low": f"{low:.4f}", "high": f"{high:.4f}"}
        assert said_as("expectation.score", metric="roc_auc", **shown).search(said)
    network = user.mlflow("own/mlp")["0"]
    assert network.params["epochs"] == "4"
    assert "epochs" not in user.mlflow("own/logistic")["0"].params


def test_the_printed_commands_compare_report_export_and_measure(own: Own) -> None:
    user, said = own.user, own.said
    compared = user.run_printed(printed(said, "compare")).stdout
    assert "mlp" in compared
    assert "logistic" in compared
    assert "roc_auc" in compared
    user.run_printed(printed(said, "export"))
    files = {space: user.folder / f"best-own-{space}.yaml" for space in ("mlp", "logistic")}
    assert all(file.is_file() for file in files.values())
    for file in files.values():
        assert str(user.folder / "a table") not in file.read_text()
        config = yaml.safe_load(file.read_text())["config"]
        assert not {"rotation", "shift", "aux_alpha", "main_weight", "digits"} & set(config)
    command = printed(said, "then measure")
    assert f"--data '{user.folder}/a table/kündigung 2024.csv'" in command
    measured = user.run_printed(command).stdout
    on = text("evaluate.same-test-rows", number=30, rows="rows")
    assert said_as("evaluate.test", metric="roc_auc", on=on).search(measured), measured
    uri = f"sqlite:///{user.folder}/mlflow.db"
    assert text("measurements.logged", uri=uri) in measured
    said = user.run_printed(printed(said, "report")).stdout
    assert (user.folder / "own.html").is_file(), said


@pytest.mark.parametrize("space", ["logistic", pytest.param("mlp", marks=pytest.mark.slow)])
def test_a_recipe_is_measured_with_the_file_beside_it(
    own: Own, space: str, tmp_path: Path
) -> None:
    user = own.user
    user.run("analysis/export.py", "--sweep", "own", "--space", space, "--out", tmp_path)
    (recipe,) = tmp_path.glob("*.yaml")
    missing = user.run("sweeps/evaluate.py", recipe, "--rounds", 1, code=2).stderr
    assert missing == f"error: {text('reload.data-file-missing', file='kündigung 2024.csv')}\n"
    file = tmp_path / "kündigung 2024.csv"
    used = (user.folder / OPTIONS[1]).read_bytes()
    file.write_bytes(used)
    repeated = user.run("sweeps/evaluate.py", recipe, "--cv").stdout
    assert text("evaluate.equal") in repeated
    file.write_text(file.read_text().replace("yes", "no", 1))
    changed = user.run("sweeps/evaluate.py", recipe, "--rounds", 1, code=2).stderr
    digest, recorded = (
        hashlib.sha256(content).hexdigest() for content in (file.read_bytes(), used)
    )
    said = text("tables.file-differs", file=file, sha256=digest, recorded=recorded)
    assert changed == f"error: {said}\n"


# A regression, images, and more trials ----------------------------------------------------------


@pytest.mark.slow
def test_embedded_data_is_a_regression_by_its_target(user: User) -> None:
    end = user.run(
        *("sweeps/run.py", "--data", "diabetes", "--space", "mlp", "ridge", "random_forest"),
        *("--name", "sugar", *SHORT),
    )
    assert "regression" in end.stdout
    for space in ("mlp", "ridge", "random_forest"):
        assert (
            text("messages.ended-pausing", space=space, complete=2, paused=0, failed=0)
            in end.stdout
        )
        assert user.mlflow(f"sugar/{space}")["0"].tags["task"] == "diabetes"
    user.run_printed(printed(end.stdout, "compare"))
    user.run_printed(printed(end.stdout, "export"))
    measured = user.run_printed(printed(end.stdout, "then measure")).stdout
    assert "test r2 " in measured
    kept = json.loads(next((user.folder / "mlartifacts").rglob("evaluation.json")).read_text())
    assert len(kept["points"]) == 89


@pytest.mark.slow
def test_images_of_the_user_are_swept_by_a_convolutional_network(user: User) -> None:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 120)
    images = rng.integers(0, 99, (120, 10, 12, 3)).astype(np.uint8)
    images[kind == 1, :5] += 100
    np.savez(user.folder / "pictures.npz", x=images, y=np.array(["plain", "bright"])[kind])
    end = user.run(
        *("sweeps/run.py", "--data", "pictures.npz", "--space", "cnn", "mlp"),
        *("--name", "pictures", *SHORT),
    )
    assert "(n, h, w, c)" in end.stdout
    for space in ("cnn", "mlp"):
        assert (
            text("messages.ended-pausing", space=space, complete=2, paused=0, failed=0)
            in end.stdout
        )
    assert "rotation" in user.mlflow("pictures/cnn")["0"].params
    user.run_printed(printed(end.stdout, "export"))
    measured = user.run_printed(printed(end.stdout, "then measure")).stdout
    assert said_as("evaluate.test", metric="accuracy").search(measured)


@pytest.mark.slow
def test_a_killed_sweep_of_own_data_is_resumed_as_if_nothing_had_been(
    user: User, make_user: Callable[[str], User]
) -> None:
    """The network resumes from checkpoints; the random forest is fitted again."""
    args = (*OPTIONS, "--space", "mlp", "random_forest", "--trials", 5, "--epochs", 200)
    args += ("--folds", 3, "--sampler", "random", "--scheduler", "none")
    args += ("--checkpoint-every-s", 0)
    peaceful = make_user("peaceful")
    for one in (user, peaceful):
        (one.folder / "a table").mkdir()
        table().to_csv(one.folder / OPTIONS[1], index=False)
    peaceful.run("sweeps/run.py", *args, "--name", "own", "--concurrency", 1)
    again: tuple[object, ...] = (*args, "--name", "own")
    for space, records in (("mlp", 2), ("random_forest", 1)):
        process = user.start("sweeps/run.py", *again)
        moment = f"own/{space}"
        until(lambda at=moment, n=records: len(user.records(at, "metrics")) >= n, process)
        user.kill(process)
        again = ("--resume", "own")
    user.run("sweeps/run.py", *again)
    for space in ("mlp", "random_forest"):
        sweep = f"own/{space}"
        trials, wanted = user.study(sweep), peaceful.study(sweep)
        assert len(trials) == 5
        assert scores(trials) == scores(wanted)
        runs, wanted_runs = user.mlflow(sweep), peaceful.mlflow(sweep)
        assert set(runs) == set(wanted_runs)
        for number in map(str, range(5)):
            assert runs[number].status == "FINISHED"
            assert repeatable_points(runs[number]) == repeatable_points(wanted_runs[number])
    user.is_gone()


# Bad input --------------------------------------------------------------------------------------

DATA = ("--data", "t.csv", "--target", "left")
Make = Callable[[Path], Any]


def save(frame: pd.DataFrame, name: str = "t.csv", **options: Any) -> Make:
    return lambda folder: frame.to_csv(folder / name, index=False, **options)


def written(content: str | bytes, name: str = "t.csv") -> Make:
    given = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(given)


def arrays(**values: Any) -> Make:
    return lambda folder: np.savez(folder / "t.npz", **values)


def huge(folder: Path) -> None:
    """Write a sparse file of two gigabytes."""
    with (folder / "t.csv").open("wb") as file:
        file.write(b"a,left\n1,0\n")
        os.truncate(file.fileno(), 2 * 2**30)


N = 60
RNG = np.random.default_rng(0)
GOOD = pd.DataFrame(
    {"age": RNG.integers(18, 90, N), "plan": RNG.choice(["a", "b"], N), "left": [0, 1] * 30}
)
IMAGES = RNG.random((N, 4, 4, 3)).astype(np.float32)
NPZ = ("--data", "t.npz")
ENDINGS = ", ".join(TEXT + PARQUET + ARRAYS)
GONE = "No such file or directory"
NO_TIME = text("assembly.not-a-time")
NO_CLASS = text("targets.class-unknown", known="0, 1")
INFINITE = text("columns.too-large", most=1e30)


def no_metric(objective: str, task: str, known: tuple[str, ...]) -> str:
    listed = ", ".join(known)
    return text("scores.objective-unknown", objective=objective, task=task, known=listed)


REFUSED: dict[str, tuple[Make, tuple[object, ...], str]] = {
    "no file": (lambda _: None, DATA, text("reading.unreadable", path="t.csv", problem=GONE)),
    "no such column": (
        save(GOOD),
        ("--data", "t.csv", "--target", "lft"),
        text(
            "rows.role-column-missing",
            role="target",
            column="lft",
            hint=text("checks.did-you-mean", word="'left'"),
        ),
    ),
    "no target": (
        save(GOOD),
        ("--data", "t.csv"),
        text("tables.target-unnamed", columns="'age', 'plan', 'left'"),
    ),
    "no such group": (
        save(GOOD),
        (*DATA, "--group", "who"),
        text(
            "rows.role-column-missing",
            role="group",
            column="who",
            hint=text("rows.there-are", columns="'age', 'plan', 'left'"),
        ),
    ),
    "no such column to drop": (
        save(GOOD),
        (*DATA, "--drop", "agee"),
        text(
            "inference.dropped-column-unknown",
            column="agee",
            hint=text("checks.did-you-mean", word="'age'"),
        ),
    ),
    "one class": (
        save(GOOD.assign(left="no")),
        DATA,
        text("targets.one-class", target="left", label="no"),
    ),
    "a class for each row": (
        save(GOOD.assign(left=[f"c{i}" for i in range(N)])),
        DATA,
        text("targets.too-many-classes", target="left", classes=60, rows=60),
    ),
    "missing targets": (
        save(GOOD.assign(left=["yes", None, "no"] * 20)),
        DATA,
        text("targets.values-missing", target="left", missing=20, rows=60, row=2),
    ),
    "fewer rows than folds": (
        save(GOOD.assign(left=[2] * 4 + [0, 1] * 28)),
        DATA,
        text("folds.more-than-rarest-class", folds=5, rarest=3),
    ),
    "no usable column": (
        save(pd.DataFrame({"id": range(N), "one": 1, "left": GOOD.left})),
        DATA,
        text("inference.no-column-left", columns="'id' (identifier), 'one' (constant)"),
    ),
    "thousands of texts": (
        save(pd.DataFrame({"note": [f"n{i % 2500}" for i in range(9000)], "left": [0, 1] * 4500})),
        DATA,
        text("inference.too-many-categories", column="note", texts=2487, rows=7200, most=1000),
    ),
    "three rows": (save(GOOD[:3]), DATA, text("holdout.too-few-rows", rows=3, least=10)),
    "names twice": (
        written("a,left,a\n1,2,3\n"),
        DATA,
        text("reading.column-named-twice", path="t.csv", columns="'a'"),
    ),
    "empty": (written(""), DATA, text("reading.empty", path="t.csv")),
    "a header only": (written("age,left\n"), DATA, text("reading.no-rows", path="t.csv")),
    "no header": (
        written("1,2,0\n3,4,1\n" * 20),
        DATA,
        text("reading.no-header", path="t.csv", line="'1', '2', '0'"),
    ),
    "no text": (
        written(b"\x00\x01\x02" * 99),
        DATA,
        text("reading.not-text", path="t.csv", ending=".csv"),
    ),
    "another ending": (
        written("a", "t.xlsx"),
        ("--data", "t.xlsx"),
        text("reading.ending-unknown", path="t.xlsx", endings=ENDINGS),
    ),
    "2 GB": (huge, DATA, text("reading.file-too-large", path="t.csv", gib=2.0, most=1)),
    "a damaged table": (
        written("PAR1", "t.parquet"),
        ("--data", "t.parquet"),
        text("reading.damaged-parquet", path="t.parquet", problem=""),
    ),
    "roc_auc of a regression": (
        save(GOOD.assign(left=RNG.normal(size=N))),
        (*DATA, "--objective", "roc_auc"),
        no_metric("roc_auc", "regression", score_names("regression")),
    ),
    "r2 of classes": (
        save(GOOD),
        (*DATA, "--objective", "val_r2"),
        no_metric("r2", "classification of 2 classes", score_names("classification", 2)),
    ),
    "fewer groups than folds": (
        save(GOOD.assign(who=np.arange(N) // 15)),
        (*DATA, "--group", "who"),
        text("splits.more-folds-than-groups", groups=3, folds=5),
    ),
    "a missing group": (
        save(GOOD.assign(who=[None, *range(N - 1)])),
        (*DATA, "--group", "who"),
        text(
            "columns.bad-value",
            column="who",
            value=np.nan,
            row=1,
            why=text("assembly.not-a-group"),
        ),
    ),
    "no time": (
        save(GOOD.assign(day="soon")),
        (*DATA, "--time", "day"),
        text("columns.bad-value", column="day", value="soon", row=1, why=NO_TIME),
    ),
    "one fold": (
        save(GOOD.assign(part=1)),
        (*DATA, "--fold", "part"),
        text("splits.too-few-folds-in-column", folds=1),
    ),
    "another test file": (
        lambda folder: (save(GOOD)(folder), save(GOOD.drop(columns="age"), "u.csv")(folder)),
        (*DATA, "--test", "u.csv"),
        text(
            "assembly.test-rows-refused",
            problem=text("schema.columns-missing", columns="'age'", hint=""),
        ),
    ),
    "test rows of an unknown class": (
        lambda folder: (save(GOOD)(folder), save(GOOD.assign(left=7), "u.csv")(folder)),
        (*DATA, "--test", "u.csv"),
        text(
            "assembly.test-rows-refused",
            problem=text("columns.bad-value", column="left", value=7, row=1, why=NO_CLASS),
        ),
    ),
    "no test file": (
        save(GOOD),
        (*DATA, "--test", "u.csv"),
        text("reading.unreadable", path="u.csv", problem=GONE),
    ),
    "text as a regression": (
        save(GOOD),
        ("--data", "t.csv", "--target", "plan", "--task", "regression"),
        text("targets.regression-of-words", target="plan", values="'a', 'b'"),
    ),
    "objects": (
        arrays(x=np.array([{}] * N, dtype=object), y=GOOD.left),
        NPZ,
        text("reading.npz-objects", path="t.npz"),
    ),
    "no y": (arrays(x=IMAGES), NPZ, text("rows.target-array-missing")),
    "NaN in images": (
        arrays(x=np.where(np.arange(N)[:, None, None, None] == 7, np.nan, IMAGES), y=GOOD.left),
        NPZ,
        text("arrays.not-finite", array="x", bad=1, rows=60, row=8),
    ),
    "infinite values": (
        arrays(x=IMAGES, y=np.append(RNG.random(N - 1), np.inf)),
        (*NPZ, "--task", "regression"),
        text("columns.bad-value", column="y", value=np.inf, row=60, why=INFINITE),
    ),
    "unequal arrays": (
        arrays(x=IMAGES, y=GOOD.left[1:]),
        NPZ,
        text("reading.npz-rows-differ", path="t.npz", sizes={"x": 60, "y": 59}),
    ),
    "a column of arrays": (
        arrays(x=IMAGES, y=GOOD.left),
        (*NPZ, "--target", "y"),
        text("tables.no-columns", data="t.npz", options="--target"),
    ),
    "no archive": (
        written("x", "t.npz"),
        NPZ,
        text("reading.damaged-npz", path="t.npz", problem=""),
    ),
    "--data and --dataset": (
        save(GOOD),
        (*DATA, "--dataset", "digits"),
        text("settings.data-of-two-kinds", option="--dataset"),
    ),
    "options without --data": (
        save(GOOD),
        ("--target", "left"),
        text("settings.option-without-data", option="--target"),
    ),
    "all set aside": (
        save(GOOD),
        (*DATA, "--holdout", "1"),
        text("options.holdout-out-of-range", holdout=1.0),
    ),
    "most set aside": (
        save(GOOD),
        (*DATA, "--holdout", "0.9"),
        text("holdout.too-few-left", rows=60, test=54, left=6, least=10),
    ),
    "two splits": (
        save(GOOD),
        (*DATA, "--time", "age", "--group", "plan"),
        text("options.several-splits", options="--group and --time"),
    ),
    "a target twice": (
        save(GOOD),
        (*DATA, "--group", "left"),
        text("options.column-used-twice", column="left", other="--group"),
    ),
    "images for a table": (save(GOOD), (*DATA, "--space", "cnn"), "space cnn is for images"),
    "unknown data": (
        lambda _: None,
        ("--data", "brest_cancer"),
        text(
            "tables.data-unknown",
            data="brest_cancer",
            known=", ".join(EMBEDDED),
            hint=text("checks.did-you-mean", word="'breast_cancer'"),
        ),
    ),
}


@pytest.mark.parametrize(("make", "args", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_data_is_refused_in_one_line_and_nothing_is_made(
    make: Make, args: tuple[object, ...], said: str, home: Path, refused: Refused
) -> None:
    make(home)
    before = {path: path.stat().st_mtime_ns for path in home.iterdir()}
    space = () if "--space" in args else ("--space", "mlp", "hist_gradient_boosting")
    assert said in refused("sweeps.run", *args, *space, "--name", "first")
    assert {path: path.stat().st_mtime_ns for path in home.iterdir()} == before


def test_a_program_of_its_own_refuses_bad_data_too(user: User) -> None:
    save(GOOD.assign(left="no"))(user.folder)
    end = user.run("sweeps/run.py", *DATA, "--space", "mlp", "--name", "first", code=2)
    assert end.stderr == f"error: {text('targets.one-class', target='left', label='no')}\n"
    assert end.stdout == ""
    assert {path.name for path in user.folder.iterdir()} == {"mlflow.db", "t.csv"}
