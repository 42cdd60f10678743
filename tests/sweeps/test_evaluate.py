"""Evaluation in this process, with a stand-in for the tracker that keeps the logged values."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldsweep.errors import CodeError
from sweeps import evaluate, measurements
from sweeps.rounds import Training
from tests.refusals import refused, said_as, text
from tests.trainables.cases import recipe_of
from tests.trainables.keep.cases import CASES
from tests.trainables.keep.cases import recipe_of as recipe_of_any
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.models.pairs.variants import CNN, MLP

RECURRENT = """
from torch import nn
from foldsweep import SearchSpace, TrialConfig, tune, variant
from trainables.tasks.larger_digit import TASK

class Rows(nn.Module):
    def __init__(self, config, shapes):
        super().__init__()
        self.rows = nn.LSTM(28, 4, batch_first=True)
        self.output = nn.Linear(4, 2)

    def forward(self, pair):
        return self.output(self.rows(pair.transpose(1, 2).flatten(2))[0][:, -1])

def space():
    domains = {"lr": tune.loguniform(1e-4, 1e-2)}
    rows = variant("rows", TASK, Rows, TrialConfig)
    return SearchSpace(name="rows", variant=rows, domains=domains)
"""


class CatchingTracker:
    """Tracker that keeps the logged values in class attributes."""

    metrics: dict[str, float]
    files: dict[str, str]

    target: Any
    refused = ""

    def __init__(self, folder: Path, target: Any) -> None:
        CatchingTracker.files = {}
        CatchingTracker.target = target

    def log_artifact(self, number: None, path: Path) -> None:
        CatchingTracker.files[path.name] = path.read_text()

    def log_metrics(self, number: None, metrics: dict[str, float], step: int) -> None:
        CatchingTracker.metrics = metrics

    def close(self, wait_s: float) -> int:
        return 0

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measurements, "Tracker", CatchingTracker)
    monkeypatch.setattr(evaluate.torch, "set_num_threads", lambda threads: None)
    return tmp_path


@pytest.fixture
def saved(here: Path) -> Callable[..., None]:
    """Writes a recipe of one epoch on 20 pairs."""

    def save(**changes: Any) -> None:
        data = draw_pairs(digits_source(), seed=0, train_pairs=20, test_pairs=11)
        small = MLP.config.from_dict({"batch_size": 8, "epochs": 1, "lr": 0.01})
        recipe = replace(recipe_of(MLP, small, data, sweep="first/mlp"), **changes)
        recipe.save(here / "best.yaml", comment="")

    return save


@pytest.fixture
def measure(
    saved: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., str]:
    """Evaluates that recipe; returns the printed text."""

    def run(*options: object, rounds: int = 1, **changes: Any) -> str:
        saved(**changes)
        args = ["--rounds", str(rounds), *map(str, options)]
        monkeypatch.setattr(sys, "argv", ["evaluate", "best.yaml", *args])
        assert evaluate.main() == 0
        return capsys.readouterr().out

    return run


def test_one_round_has_no_spread(measure: Callable[..., str]) -> None:
    said = measure(rounds=1)
    on = text("evaluate.same-test-rows", number=11, rows="pairs")
    spread = text("evaluate.one-round")
    tested = said_as("evaluate.test", metric="accuracy", spread=spread, on=on)
    (line,) = filter(tested.fullmatch, said.splitlines())
    assert "±" not in line
    assert "test_accuracy" in CatchingTracker.metrics
    right, rows = 9 / 11, 11  # one round, so rows are right or wrong
    error = (right * (1 - right) / (rows - 1)) ** 0.5
    assert text("evaluate.by-rows", error=f"{error:.4f}") in said
    assert not [key for key in CatchingTracker.metrics if key.endswith("_std")]


@pytest.mark.parametrize(
    ("hidden", "kind"),
    [
        (10**7, "memory.network-too-large"),
        (10**9, "memory.network-too-large"),
        (2**62, "memory.layer-too-large"),
    ],
)
def test_a_network_that_no_memory_holds_is_refused(
    measure: Callable[..., str], hidden: int, kind: str
) -> None:
    config = {"batch_size": 8, "epochs": 1, "hidden": hidden}
    with refused(kind):
        measure(config=config)


def test_several_rounds_have_one(measure: Callable[..., str]) -> None:
    said = measure(rounds=2)
    assert said_as("evaluate.spread", rounds=2).search(said)
    assert {"test_accuracy_std", "test_loss_std"} <= set(CatchingTracker.metrics)


def test_rounds_are_trained_in_the_mode_of_the_sweep(
    measure: Callable[..., str], here: Path
) -> None:
    (here / "rows.py").write_text(RECURRENT)
    config = {"batch_size": 8, "epochs": 1}
    mine = {
        "space": str(here / "rows.py"),
        "variant": "larger_digit/rows",
        "config": config,
        "sweep": "first/rows",
    }
    said = measure(rounds=2, mode="looped", **mine)
    assert said_as("evaluate.test", metric="accuracy").search(said)
    with pytest.raises(CodeError, match=r"rows.py, line 13: RuntimeError"):
        measure(rounds=2, mode="fused", **mine)  # vmap has no rule for an LSTM


def test_what_was_answered_wrongly_is_kept(measure: Callable[..., str]) -> None:
    measure(rounds=2)
    assert set(CatchingTracker.files) == {"best.yaml", "evaluation.json"}
    kept = json.loads(CatchingTracker.files["evaluation.json"])
    accuracy = CatchingTracker.metrics["test_accuracy"]
    confusion = kept["confusion"]
    assert sum(map(sum, confusion)) == 2 * 11
    assert confusion[0][0] + confusion[1][1] == round(accuracy * 2 * 11)
    own = kept["details"]
    assert sum(map(sum, own["count"])) == 2 * 11
    assert sum(map(sum, own["wrong"])) == round((1 - accuracy) * 2 * 11)
    assert len(own["first_round"]["wrong_pairs"]) == own["first_round"]["wrong"]


@pytest.mark.parametrize(
    ("args", "kind", "values"),
    [
        (("--tracking-uri", "nosuch"), "tracking.uri-not-absolute", {"uri": "nosuch"}),
        (("--tracking-uri", "http://"), "tracking.host-missing", {"uri": "http://"}),
        (
            ("--tracking-uri", "sqlite:////proc/no/mlflow.db"),
            "tracking.store-not-writable",
            {"path": "/proc/no/mlflow.db"},
        ),
        (
            ("--storage", "best.yaml"),
            "measurements.folder-unwritable",
            {"folder": "best.yaml/first", "why": "Not a directory"},
        ),
    ],
)
def test_where_it_cannot_be_logged_is_said_before_anything_is_trained(
    args: tuple[str, ...],
    kind: str,
    values: dict[str, object],
    saved: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def trained(*_: Any, **__: Any) -> None:
        pytest.fail("it was trained")

    monkeypatch.setattr(evaluate, "round_cohort", trained)
    saved()
    monkeypatch.setattr(sys, "argv", ["evaluate", "best.yaml", *args])
    with refused(kind, **values) as caught:
        evaluate.main()
    assert "\n" not in str(caught.value)


def test_a_recipe_of_somebody_else_makes_nothing_where_it_says(
    measure: Callable[..., str], here: Path
) -> None:
    """Neither its store nor its experiment is created; the first lines say which are used."""
    theirs = here / "theirs"
    uri = f"sqlite:///{theirs}/deep/mlflow.db"
    said = measure(mlflow={"tracking_uri": uri, "experiment": "their own"})
    goes_to = {"uri": f"sqlite:///{here}/mlflow.db", "experiment": "foldsweep"}
    assert said.startswith(f"{text('measurements.go-to', **goes_to)}\n")
    named = {"sweep": "first/mlp", "uri": uri, "experiment": "their own"}
    assert text("measurements.elsewhere", **named) in said
    assert not theirs.exists()
    target = CatchingTracker.target
    assert (target.tracking_uri, target.experiment) == (f"sqlite:///{here}/mlflow.db", "foldsweep")


def test_a_measurement_is_of_the_sweep_with_the_recipe_s_uuid(measure: Callable[..., str]) -> None:
    measure(mlflow={"sweep_uuid": "0123"})
    assert CatchingTracker.target.uuid == "0123"


def test_a_uuid_that_is_none_is_refused_before_anything_is_trained(
    measure: Callable[..., str],
) -> None:
    with refused("spool.not-a-uuid", uuid="x' or 1"):
        measure(mlflow={"sweep_uuid": "x' or 1"})


def test_code_elsewhere_without_a_digest_is_not_executed(
    saved: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("elsewhere") / "evil.py"
    file.write_text("raise SystemExit('executed')\n")
    saved(space=str(file), variant="larger_digit/evil")
    with refused("measurements.code-without-digest", path="best.yaml", file=file):
        measurements.opened(Path("best.yaml"))


# In several processes ---------------------------------------------------------------------------


def measured_values() -> dict[str, Any]:
    """All logged values except the time."""
    values = {k: v for k, v in CatchingTracker.metrics.items() if k != "evaluation_time_s"}
    return {**values, "answers": CatchingTracker.files["evaluation.json"]}


@pytest.mark.slow
@pytest.mark.usefixtures("helped")
def test_no_bit_depends_on_the_number_of_processes(measure: Callable[..., str]) -> None:
    config = {"batch_size": 8, "epochs": 2, "channels": [8, 8], "shift": 1.0}
    own = {"space": CNN.name, "variant": CNN.full_name, "config": config}
    found = []
    for processes in (1, 2):
        measure("--concurrency", processes, rounds=6, mode="looped", **own)
        found.append(measured_values())
    assert found[0] == found[1]
    assert len({found[0][f"round_{i}/test_loss"] for i in range(6)}) == 6


@pytest.mark.slow
@pytest.mark.usefixtures("helped")
def test_estimators_give_the_same_in_any_process(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES["estimator classes"](here)
    recipe = recipe_of_any(case.variant, case.config, case.data, sweep="first/random_forest")
    recipe.save(here / "best.yaml", comment="")
    found = []
    for processes in ("1", "2"):
        args = ["evaluate", "best.yaml", "--rounds", "3", "--concurrency", processes]
        monkeypatch.setattr(sys, "argv", args)
        assert evaluate.main() == 0
        found.append(measured_values())
    assert found[0] == found[1]


def test_equal_rounds_have_no_spread(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES["estimator numbers"](here)
    recipe = recipe_of_any(case.variant, case.config, case.data, sweep="first/ridge")
    recipe.save(here / "best.yaml", comment="")
    monkeypatch.setattr(sys, "argv", ["evaluate", "best.yaml", "--rounds", "2"])
    assert evaluate.main() == 0
    said = capsys.readouterr().out
    assert text("evaluate.no-spread", rounds=2) in said
    assert not said_as("evaluate.spread", rounds=2).search(said)


MINE = """
from torch import nn
from foldsweep import SearchSpace, TrialConfig, tune, variant
from trainables.tasks.larger_digit import TASK
from mine_beside import checked

class Mine(nn.Module):
    def __init__(self, config, shapes):
        super().__init__()
        self.output = nn.Linear(2 * 14 * 14, 2)

    def forward(self, pair):
        return checked(self.output(pair.flatten(1)))

def space():
    mine = variant("mine", TASK, Mine, TrialConfig)
    return SearchSpace(name="mine", variant=mine, domains={"lr": tune.loguniform(1e-4, 1e-2)})
"""
BESIDE = """
def checked(output):
    if len(output) > 2 and {raises}:  # two rows are tried when the network is built
        raise ArithmeticError("my own mistake")
    return output
"""


@pytest.mark.slow
@pytest.mark.usefixtures("helped")
@pytest.mark.parametrize("processes", [1, 2])
def test_a_user_s_mistake_shows_file_line_and_traceback_from_any_process(
    processes: int, measure: Callable[..., str], here: Path
) -> None:
    folder = here / f"code{processes}"
    folder.mkdir()
    file = folder / "mine.py"
    beside = f"mine_beside_{processes}"
    file.write_text(MINE.replace("mine_beside", beside))
    (folder / f"{beside}.py").write_text(BESIDE.format(raises=True))
    config = {"batch_size": 8, "epochs": 1}
    own = {"space": str(file), "variant": "larger_digit/mine", "config": config}
    with pytest.raises(CodeError) as caught:
        measure("--concurrency", processes, rounds=6, mode="looped", **own)
    said = f"training fails in {file}, line 13: ArithmeticError: my own mistake"
    assert str(caught.value) == said
    assert f'File "{folder / beside}.py", line 4, in checked' in caught.value.traceback


@pytest.mark.usefixtures("helped")
def test_a_user_s_code_and_the_modules_beside_it_reach_helpers(
    measure: Callable[..., str], here: Path
) -> None:
    (here / "mine.py").write_text(MINE)
    (here / "mine_beside.py").write_text(BESIDE.format(raises=False))
    config = {"batch_size": 8, "epochs": 1}
    own = {"space": "mine.py", "variant": "larger_digit/mine", "config": config}
    said = measure("--concurrency", 2, rounds=6, mode="looped", **own)
    assert said_as("evaluate.test", metric="accuracy").search(said)


def test_less_than_one_process_is_refused(measure: Callable[..., str]) -> None:
    with refused(
        "programs.option-out-of-range",
        option="concurrency",
        rule=text("rules.at-least", least=1),
        value="0",
    ):
        measure("--concurrency", 0)


def test_interrupted_it_says_how_to_go_on(
    saved: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "run", interrupted)
    saved()
    monkeypatch.setattr(sys, "argv", ["evaluate", "best.yaml"])
    assert evaluate.main() == 130
    assert capsys.readouterr().out.endswith(f"{text('evaluate.interrupted')}\n")


# Ensembles of fold models ------------------------------------------------------------------------


def test_an_ensemble_is_measured_by_its_averaged_predictions(measure: Callable[..., str]) -> None:
    said = measure("--ensemble", rounds=2, folds=3)
    what = {
        "who": f"larger_digit/mlp{text('evaluate.ensembles', models=3)}",
        "trainings": "2 trainings",
        "length": text("evaluate.of-epochs", epochs=1),
        "number": 20,
    }
    assert said_as("evaluate.on-same-rows", **what).search(said)
    logged = CatchingTracker.metrics
    assert {"test_accuracy", "test_accuracy_std"} <= logged.keys()
    assert not [key for key in logged if key.startswith("train_")]
    answers = json.loads(CatchingTracker.files["evaluation.json"])
    confusion = np.array(answers["confusion"])
    assert confusion.sum() == 2 * 11
    assert np.trace(confusion) / (2 * 11) == pytest.approx(logged["test_accuracy"])


def test_the_same_ensembles_are_measured_by_any_number_of_processes(
    measure: Callable[..., str],
) -> None:
    found = []
    for processes in (1, 2):
        measure("--ensemble", "--concurrency", processes, rounds=2, folds=3)
        found.append({k: v for k, v in CatchingTracker.metrics.items() if not k.endswith("_s")})
    assert found[0] == found[1]


def test_an_ensemble_repeats_no_cross_validation(measure: Callable[..., str]) -> None:
    with refused("evaluate.ensemble-with-cv"):
        measure("--ensemble", "--cv")
