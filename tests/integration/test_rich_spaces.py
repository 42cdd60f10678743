"""A space with conditions, choices of lists and dicts, and a constraint, from sweep to recipe."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.user import User, copy_out
from tests.refusals import said_as, text

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]

FILE = """
from dataclasses import dataclass
from typing import Any

import foldsweep as fs
from conditional_space import DATA, Net, NetConfig as BaseNetConfig


@dataclass(frozen=True, kw_only=True)
class NetConfig(BaseNetConfig):
    extra: dict[str, Any] | None = None
    order: list[int] | None = None

    def __post_init__(self):
        super().__post_init__()
        assert self.extra in (None, {"sizes": (1, (2.5, None))}, {"a": "b"}), self.extra
        assert self.order in (None, [1, 2], [3]), self.order


TASK = fs.classification("small_digits", DATA)


def space():
    tune = fs.tune
    return fs.SearchSpace(
        name="rich",
        variant=fs.variant("rich", TASK, Net, NetConfig),
        domains={
            "lr": tune.loguniform(1e-3, 1e-1),
            "conv": tune.choice([True, False]),
            "kernel": fs.when("conv", True, tune.choice([3, 5])),
            "pool": fs.when("conv", True, fs.groups({"none": {}, "max": {"side": 4}})),
            "widths": tune.choice([(32,), (64, 32), (128, 64, 32)]),
            "extra": tune.choice([None, {"sizes": (1, (2.5, None))}, {"a": "b"}]),
            "order": tune.choice([[1, 2], [3]]),
            "epochs": 2,
        },
        points=[fs.Point(name="plain", config={"widths": (128, 64, 32), "conv": True})],
        constraint=lambda config, num_params: num_params <= 40_000,
    )
"""
OPTIONS = ("--folds", 2, "--scheduler", "none", "--concurrency", 2)


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path) -> Iterator[User]:
    user = User(tmp_path_factory.mktemp("rich"), empty_mlflow)
    copy_out("docs/examples/conditional_space.py", user.folder)
    (user.folder / "rich.py").write_text(FILE)
    yield user
    user.clean_up()


@pytest.mark.slow  # four sweeps
def test_a_rich_space_is_swept_resumed_shown_and_repeated(user: User) -> None:
    first = user.run(
        *("sweeps/run.py", "--space", "rich.py", "--name", "first", "--trials", 10, *OPTIONS),
        *("--sampler", "gp", "--limit", "num_params > 1000"),
    ).stdout
    conditions = f"{text('gate.its-constraint')} and --limit num_params > 1,000"
    left_out = {"space": "rich", "point": "plain", "conditions": conditions}
    assert text("gate.point-left-out", **left_out) in first
    assert (
        text("messages.drawn-at-random", space="rich", sampler="gp", keys="kernel, pool") in first
    )
    said = user.run("sweeps/run.py", "--resume", "first", "--trials", 14).stdout
    assert text("messages.ended-pausing", space="rich", complete=14, paused=0, failed=0) in said
    assert said_as("messages.redrawn", space="rich", conditions=conditions).search(said)

    trials, runs = user.study("first/rich"), user.mlflow("first/rich")
    assert len(trials) == 14
    assert runs[""].last("redraws") > 0
    assert runs[""].tags["foldsweep.conditional"] == "kernel pool"
    for trial in trials:
        run = runs[str(trial.number)]
        config = json.loads(run.tags["foldsweep.config"])
        conv = trial.params["conv"]
        assert {"kernel", "pool"} & {*trial.params} == ({"kernel", "pool"} if conv else set())
        for of in (run.params, config):
            assert ("kernel" in of) == ("pool" in of) == conv
            assert ("side" in of) == (conv and trial.params["pool"] == "max")
        assert config["widths"] == json.loads(trial.params["widths"])
        assert run.params["widths"] == str(tuple(config["widths"]))
        assert run.last("num_params") <= 40_000

    exported = user.run("analysis/export.py", "--space", "rich").stdout.partition(":")[0]
    recipe = yaml.safe_load((user.folder / exported).read_text())
    assert "kernel" in recipe["config"] or not recipe["config"]["conv"]
    said = user.run("sweeps/evaluate.py", exported, "--cv").stdout
    assert text("evaluate.equal") in said
    user.run("analysis/figures.py", "--sweep", "first", "--out", "figures")
    drawn = {path.name for path in (user.folder / "figures").rglob("*importance*")}
    assert drawn
    user.run("analysis/report.py", "--sweep", "first", "--out", "first.html")


def test_a_constraint_that_fails_is_one_line_before_anything_is_made(user: User) -> None:
    (user.folder / "wrong.py").write_text(FILE.replace("num_params <=", "num_params / 0 <="))
    said = user.run("sweeps/run.py", "--space", "wrong.py", "--name", "wrong", code=2).stderr
    wrong = {"config": "CONFIG", "error": "ZeroDivisionError: division by zero"}
    reason = text("constraints.constraint-fails", **wrong)
    head, _, tail = text("space.cannot-be-used", space="rich", reason=reason).partition("CONFIG")
    assert said.startswith(f"error: {head}lr=")
    assert said.endswith(f"{tail}\n")
    assert said.count("\n") == 1
    assert not (user.folder / "runs" / "wrong").exists()
