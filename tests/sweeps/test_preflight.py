"""Mistakes found by the first rows, before Ray starts and before anything is written to disk."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import foldsweep as fs
from foldsweep.errors import CodeError, UserError
from search_spaces.loading import ANY_TASK, load_space
from sweeps.cluster import Cluster
from sweeps.launch import launch
from sweeps.preflight import check_model, check_targets, load_data, split_data
from sweeps.resources import Allotment
from sweeps.settings import SweepSettings
from sweeps.sweep import make_folds
from tests.refusals import refused, said_as, text
from trainables.tasks.options import TableOptions
from trainables.tasks.tables import table_task
from trainables.tasks.task import DataRequest, Shapes

FILE = Template("""
from dataclasses import dataclass

import numpy as np
from torch import nn
from torch.nn import functional as F

from foldsweep import (
    Data, EstimatorConfig, Metric, Samples, SearchSpace, TrialConfig, classification, tune, variant
)

x = np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32)
y = (x[:, 0] > 0).astype(np.int64)

class Net(nn.Module):
    def __init__(self, config, shapes):
        super().__init__()
        self.layers = nn.Linear($inputs, $outputs)

    def forward(self, x):
        return self.layers(x)

@dataclass(frozen=True, kw_only=True)
class Tuned(EstimatorConfig):
    C: float = 1.0

def loss(output, target):
    return $loss

def distance(output, target):
    return $metric

def late(target, value):
    return $late

def split(samples, num_folds, seed):
    return $split

def data(request):
    rows = Samples(inputs={"x": x}, targets={"target": $target})
    return Data(name="points", train=rows, test=None)

task = classification(
    "points", data, loss=loss, split=split, classes=("in", "out"),
    metrics={
        "distance": Metric(of=distance, better="lower", equal=0.0),
        "late": Metric(of=late, better="lower", equal=0.0, over="all"),
    },
)

def space():
    return SearchSpace(
        name="points", variant=variant("points", task, $model, $config),
        domains={"$key": tune.uniform(1, 2)},
    )
""")
SOUND = {
    "inputs": "4",
    "outputs": "shapes.outputs",
    "loss": "F.cross_entropy(output, target, reduction='none')",
    "metric": "(output.argmax(-1) != target).float()",
    "late": "float((target != value).mean())",
    "target": "y",
    "split": "[(np.arange(0, 40), np.arange(40, 80)), (np.arange(40, 80), np.arange(0, 40))]",
    "model": "Net",
    "config": "TrialConfig",
    "key": "lr",
}


class Forbidden(Cluster):
    """Ray that must not be waited for."""

    def start(self) -> None:
        """Do nothing yet."""

    def __enter__(self) -> Allotment:
        raise AssertionError("Ray was started")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sweep(here: Path) -> Callable[..., None]:
    """Launches a sweep of a file with the given mistakes."""

    def run(**changes: str) -> None:
        (here / "points.py").write_text(FILE.substitute({**SOUND, **changes}))
        settings = SweepSettings(
            space=(str(here / "points.py"),), folds=2, tracking_uri=f"sqlite:///{here}/mlflow.db"
        )
        settings.validate()
        before = torch.random.get_rng_state()
        try:
            launch(settings, None, Forbidden(settings))
        finally:
            assert torch.equal(torch.random.get_rng_state(), before)
            made = {path.name for path in here.iterdir()} - {"points.py", "__pycache__"}
            assert made <= ({"runs"} if not changes else set())

    return run


def test_a_file_without_mistakes_gets_as_far_as_ray(sweep: Callable[..., None]) -> None:
    with pytest.raises(AssertionError, match="Ray was started"):
        sweep()


@dataclass(frozen=True)
class Bug:
    """A mistake, the user's line that has it, and the exception that it raises."""

    changes: dict[str, str]
    line: str
    said: str


BUGS = {
    "network": Bug({"inputs": "5"}, "return self.layers(x)", "RuntimeError: mat1 and mat2"),
    "construction": Bug({"outputs": "shapes.units"}, "self.layers = ", "AttributeError: "),
    "loss": Bug({"loss": "output['scores']"}, "return output['scores']", "IndexError: "),
    "metric": Bug({"metric": "target.missing"}, "return target.missing", "AttributeError: "),
    "metric over all": Bug({"late": "1 / 0"}, "return 1 / 0", "ZeroDivisionError: "),
    "data": Bug({"target": "missing"}, 'targets={"target": missing}', "NameError: "),
    "split": Bug({"split": "samples.rows"}, "return samples.rows", "AttributeError: "),
}


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS.keys())
def test_a_bug_is_shown_with_file_line_and_traceback(
    bug: Bug, sweep: Callable[..., None], here: Path
) -> None:
    with pytest.raises(CodeError) as caught:
        sweep(**bug.changes)
    said, shown = str(caught.value), caught.value.traceback
    lines = (here / "points.py").read_text().splitlines()
    (number,) = [i for i, line in enumerate(lines, start=1) if bug.line in line]
    assert "\n" not in said
    assert f"{here}/points.py, line {number}: {bug.said}" in said
    assert shown.startswith("Traceback (most recent call last):\n")
    assert f'File "{here}/points.py", line {number}' in shown
    assert re.search(rf"^{bug.said}", shown, re.MULTILINE)
    assert "sweeps/preflight.py" not in shown  # no frames of the caller


OUTPUTS = {"task": "points", "outputs": "2 classes"}
WRONG = {
    "three outputs for two classes": (
        {"outputs": "3"},
        text("preflight.wrong-outputs", numbers="3 numbers", **OUTPUTS),
    ),
    "one output for two classes": (
        {"outputs": "1"},
        text("preflight.wrong-outputs", numbers="1 number", **OUTPUTS),
    ),
    "a loss that is averaged": (
        {"loss": "F.cross_entropy(output, target)"},
        text("stack-scoring.not-one-per-row", what="the loss", rows=40, shape="()"),
    ),
    "a loss of each class": (
        {"loss": "F.softmax(output, -1)"},
        text("stack-scoring.not-one-per-row", what="the loss", rows=40, shape="(40, 2)"),
    ),
    "a metric that is averaged": (
        {"metric": "output.mean()"},
        text("stack-scoring.not-one-per-row", what="metric distance", rows=40, shape="()"),
    ),
}


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_does_not_suit_the_task_is_said_in_one_sentence(
    changes: dict[str, str], said: str, sweep: Callable[..., None]
) -> None:
    with refused("preflight.space-fails", space="points", error=said) as caught:
        sweep(**changes)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, CodeError)


@pytest.mark.parametrize(("target", "wrong"), [("y + 1", 2), ("y - 1", -1)])
def test_a_class_out_of_range_is_named(
    target: str, wrong: int, sweep: Callable[..., None]
) -> None:
    where = {"target": "target", "task": "points"}
    with refused("preflight.class-unknown", wrong=wrong, most=1, **where) as caught:
        sweep(target=target)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("alone", [True, False])
def test_a_network_that_does_not_take_the_inputs_is_told_their_names(
    alone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=60), "b": [*"xyz"] * 20})
    task = fs.table(frame[["a"]] if alone else frame, np.arange(60) % 2, name="mixed")
    network = nn.Bilinear if alone else nn.Linear
    mixed = fs.variant("net", task, lambda config, shapes: network(1, 2, 2), fs.TrialConfig)
    space = fs.SearchSpace(name="net", variant=mixed, domains={"lr": fs.tune.uniform(0.1, 1)})
    settings = SweepSettings(space=("net",), folds=2).for_task(task)
    data = task.load(DataRequest(seed=0))
    with refused("preflight.space-fails") as caught:
        check_model(space, data, make_folds(task, data, settings), settings)
    inputs = "numeric (1,)" if alone else "numeric (1,), categories (1,)"
    assert said_as("stack.inputs-differ", inputs=inputs).search(str(caught.value))


def test_an_input_s_wrong_name_is_answered_with_the_right_ones() -> None:
    shapes = Shapes(inputs={"numeric": (3,), "categories": (2,)}, outputs=2)
    assert shapes.inputs["numeric"] == (3,)
    with pytest.raises(KeyError, match="no input 'categorical': .* numeric, categories"):
        shapes.inputs["categorical"]


def test_an_estimator_s_bug_is_shown_too(sweep: Callable[..., None], here: Path) -> None:
    with pytest.raises(CodeError, match=r"points.py, line \d+: ZeroDivisionError") as caught:
        sweep(model="lambda config, shapes: 1 / 0", config="Tuned", key="C")
    assert "lambda config, shapes: 1 / 0" in caught.value.traceback


def test_our_own_bug_is_no_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    task = table_task(TableOptions(data="iris"), seed=0, objective=None)
    data = task.load(DataRequest(seed=0))
    settings = SweepSettings(space=("mlp",)).for_task(task)
    folds = make_folds(task, data, settings)
    monkeypatch.setattr("sweeps.preflight.make_stack", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        check_model(load_space("mlp", task), data, folds, settings)


FIRST = {"cnn": "digit_images", "ridge": "diabetes"}
"""Data of the spaces that do not fit a table with classes."""


@pytest.mark.parametrize("name", ANY_TASK)
def test_the_spaces_for_any_task_pass(name: str) -> None:
    task = table_task(TableOptions(data=FIRST.get(name, "wine")), seed=0, objective=None)
    data = task.load(DataRequest(seed=0))
    settings = SweepSettings(space=(name,)).for_task(task)
    check_targets(task, data)
    check_model(load_space(name, task), data, make_folds(task, data, settings), settings)


def test_a_first_point_may_diverge() -> None:
    task = table_task(TableOptions(data="wine"), seed=0, objective="roc_auc")
    data = task.load(DataRequest(seed=0))
    settings = SweepSettings(space=("mlp",)).for_task(task)
    space = load_space("mlp", task).with_fixed(lr=1e30, hidden_layers=4)
    check_model(space, data, make_folds(task, data, settings), settings)


def test_a_target_that_the_data_lacks_is_named() -> None:
    task = table_task(TableOptions(data="wine"), seed=0, objective=None)
    data = task.load(DataRequest(seed=0))
    changed = type(task)(**{**vars(task), "target": "grade"})
    with refused("preflight.target-unknown", target="grade", known="target"):
        check_targets(changed, data)


def test_rows_are_few_and_of_every_class(monkeypatch: pytest.MonkeyPatch) -> None:
    task = table_task(TableOptions(data="digit_images"), seed=0, objective=None)
    data = task.load(DataRequest(seed=0))
    settings = SweepSettings(space=("logistic",)).for_task(task)
    seen: list[np.ndarray] = []

    def stop(variant: object, members: list, *_: object, **__: object) -> None:
        seen.append(members[0].train)
        raise UserError("enough")

    monkeypatch.setattr("sweeps.preflight.make_stack", stop)
    space, folds = load_space("cnn", task), make_folds(task, data, settings)
    with refused("preflight.space-fails", space="cnn", error="enough"):
        check_model(space, data, folds, settings)
    (rows,) = seen
    assert len(rows) == 100
    assert set(rows) <= set(folds[0].train)
    assert np.bincount(data.train.targets["target"][rows]).tolist() == [10] * 10


def test_a_network_that_no_memory_holds_is_refused_at_once(sweep: Callable[..., None]) -> None:
    with refused("preflight.space-fails", space="points") as caught:
        sweep(outputs="10**12")
    said = said_as("memory.network-too-large", parameters=5 * 10**12)
    assert said.fullmatch(str(caught.value.values["error"]))


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_network_that_some_values_cannot_make_is_no_mistake(here: Path, wrong: int) -> None:
    """The trials find them; the result must not depend on the value that is drawn first."""
    inputs = ("4 if config.lr > 1.5 else 5", "4 if config.lr < 1.5 else 5")[wrong]
    (here / "points.py").write_text(FILE.substitute({**SOUND, "inputs": inputs}))
    space, settings = load_space(str(here / "points.py")), SweepSettings(folds=2)
    data = load_data(space, settings)
    check_model(space, data, split_data(space, data, settings), settings)


@pytest.mark.parametrize("key", ["batch_size", "epochs"])
def test_a_domain_that_the_field_cannot_have_is_refused(
    sweep: Callable[..., None], here: Path, key: str
) -> None:
    why = text("config.value-refused", field=key, rule="int", value="")
    why = text("trying.value-impossible", key=key, reason=why)
    why = text("space.cannot-be-used", space="points", reason=why)
    with refused("loading.file-cannot-be-used", path=here / "points.py") as caught:
        sweep(key=key)
    assert str(caught.value.values["reason"]).startswith(why)
