"""A stack trains any task: it knows rows, and neither classes nor pairs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import r2_score
from torch import nn
from torch.nn import functional as F

from foldsweep.errors import UserError
from tests.trainables.same import assert_identical, assert_same_metrics, assert_same_state
from trainables.config import TrialConfig
from trainables.data.batches import batches
from trainables.models.images import ConvNet, ConvNetClassifierConfig
from trainables.models.perceptron import (
    Perceptron,
    PerceptronClassifierConfig,
    PerceptronConfig,
)
from trainables.stack.scoring import part_key
from trainables.stack.stack import FoldStack, Member
from trainables.tasks.kinds import classification, regression
from trainables.tasks.metrics import Metric
from trainables.tasks.samples import Data, Samples
from trainables.tasks.task import DataRequest, Task
from trainables.trial import over_all

ROWS = 61
MODES = ["fused", "looped"]
COMMON = {"batch_size": 9, "epochs": 3, "lr": 0.01}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A task, a network for it and the network's configuration."""

    task: Task
    model: Callable[..., nn.Module]
    config: TrialConfig

    @property
    def samples(self) -> Samples:
        return self.task.load(DataRequest(seed=0)).train

    def build(self, config):
        return self.model(config, self.task.shapes(self.task.load(DataRequest(seed=0))))


def numbers(*shape):
    return np.random.default_rng(0).normal(size=(ROWS, *shape)).astype(np.float32)


def data_of(inputs, targets):
    return Data(name="made", train=Samples(inputs=inputs, targets=targets), test=None)


def slope() -> Case:
    """A regression."""
    x = numbers(4)
    target = 40 * x[:, 0] - 20 * x[:, 1] + 300
    task = regression("slope", data_of({"x": x}, {"height": target}))
    config = PerceptronConfig(hidden=8, dropout=0.2, batch_norm=True, **COMMON)
    return Case(task=task, model=Perceptron, config=config)


def table() -> Case:
    """Three classes, of numbers that may be missing and of words."""
    x = numbers(2)
    kind = np.digitize(x[:, 0], [-0.4, 0.4])
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "word": np.array(["x", "y", "z"])[kind]})
    frame.loc[::7, "b"] = np.nan
    target = pd.Series(np.array(["low", "middle", "high"])[kind])
    task = classification("table", Data.of(frame, target, holdout=0.0, name="made"))
    config = PerceptronClassifierConfig(hidden=8, label_smoothing=0.1, **COMMON)
    return Case(task=task, model=Perceptron, config=config)


def colours() -> Case:
    """Four classes of colour images."""
    images = numbers(3, 10, 10)
    label = (images[:, 0].mean((1, 2)) > 0) * 2 + (images[:, 1].mean((1, 2)) > 0)
    task = classification("colours", data_of({"images": images}, {"label": label.astype(int)}))
    config = ConvNetClassifierConfig(channels=(3, 4), hidden=8, batch_norm="before", **COMMON)
    return Case(task=task, model=ConvNet, config=config)


class TwoHeads(nn.Module):
    """A user's network: an image and numbers in, scores and a level out."""

    def __init__(self, config, shapes):
        super().__init__()
        self.see = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 8))
        self.read = nn.Linear(2, 8)
        self.label = nn.Linear(8, 2)
        self.level = nn.Linear(8, 1)

    def forward(self, image, numbers):
        both = (self.see(image) + self.read(numbers)).relu()
        return {"label": self.label(both), "level": self.level(both).squeeze(-1)}


def two_losses(output, target):
    assert output["label"].ndim == 2, "members are not flattened into rows"
    label = F.cross_entropy(output["label"], target["label"], reduction="none")
    return {
        "label": label,
        "level": F.mse_loss(output["level"], target["level"], reduction="none"),
    }


def two() -> Case:
    """Two inputs with two targets; what torch has for one network serves all members."""
    image, few = numbers(1, 6, 6), numbers(2)
    targets = {"label": (few[:, 0] > 0).astype(int), "level": image.mean((1, 2, 3))}
    task = Task(
        name="two",
        data=data_of({"image": image, "numbers": few}, targets),
        loss=two_losses,
        metrics={
            "accuracy": Metric(
                of=lambda output, target: output["label"].argmax(-1) == target["label"],
                better="higher",
                equal=0.01,
            ),
            "distance": Metric(
                of=lambda output, target: (output["level"] - target["level"]).abs(),
                better="lower",
                equal=0.1,
            ),
        },
        objective="accuracy",
        target="label",
        predict=lambda output, **_: {
            "answer": output["label"].argmax(-1),
            "value": output["level"],
        },
    )
    return Case(task=task, model=TwoHeads, config=TrialConfig(**COMMON))


class Recurrent(nn.Module):
    """A GRU over the steps of a sequence; `vmap` has no rule for it."""

    def __init__(self, config, shapes):
        super().__init__()
        self.steps = nn.GRU(3, 5, batch_first=True)
        self.output = nn.Linear(5, shapes.outputs)

    def forward(self, x):
        return self.output(self.steps(x)[0][:, -1])


def sequences() -> Case:
    """Two classes of sequences."""
    x = numbers(7, 3)
    task = classification(
        "sequences", data_of({"x": x}, {"label": (x.sum((1, 2)) > 0).astype(int)})
    )
    return Case(task=task, model=Recurrent, config=TrialConfig(**COMMON))


FUSING = {"slope": slope, "table": table, "colours": colours, "two": two}
ALL = {**FUSING, "sequences": sequences}


@pytest.fixture(params=FUSING.values(), ids=FUSING.keys())
def case(request):
    """Every kind of task whose network can be fused."""
    return request.param()


@pytest.fixture(params=ALL.values(), ids=ALL.keys())
def any_case(request):
    """Every kind of task."""
    return request.param()


def members_of(config, sizes=(40, 41, 41)):
    """Members of the given sizes, each held out on all other rows, of one or several configs."""
    configs = config if isinstance(config, list) else [config] * len(sizes)
    order = np.random.default_rng(1).permutation(ROWS)
    return [
        Member(config=c, train=order[:size], held_out=order[size:], seed=100 + i)
        for i, (c, size) in enumerate(zip(configs, sizes, strict=True))
    ]


def stack_of(case, members=None, *, mode="auto", build=None):
    members = members_of(case.config) if members is None else members
    return FoldStack(build or case.build, members, case.samples, task=case.task, mode=mode)


def in_double_precision(case):
    """A network's maker in which rounding turns no sign of a gradient."""

    def double(value):
        return value.double() if value.is_floating_point() else value

    def build(config):
        model = case.build(config)
        model.register_forward_pre_hook(
            lambda _, alone, named: (
                tuple(map(double, alone)),
                {name: double(value) for name, value in named.items()},
            ),
            with_kwargs=True,
        )
        return model.double()

    return build


def test_modes_agree(case):
    build = in_double_precision(case)
    fused, looped = (stack_of(case, mode=mode, build=build) for mode in MODES)
    assert_same_state(fused.state_dict(), looped.state_dict(), tol=0)
    for _ in range(3):
        assert_same_metrics(fused.train_epoch(), looped.train_epoch())
    assert_same_state(fused.state_dict(), looped.state_dict())
    for mine, theirs in zip(fused.predict(), looped.predict(), strict=True):
        assert mine.keys() == theirs.keys()
        for name, values in mine.items():
            np.testing.assert_allclose(values, theirs[name], rtol=1e-5, atol=1e-5)


def test_every_task_is_learnt(any_case):
    case = replace(any_case, config=replace(any_case.config, epochs=25))
    stack = stack_of(case)
    losses = [stack.train_epoch().train["loss"] for _ in range(25)]
    assert (losses[-1] < 0.8 * losses[0]).all()
    assert all(np.isfinite(loss).all() for loss in losses)


def test_a_network_that_cannot_be_fused_is_looped():
    case = sequences()
    chosen, looped = stack_of(case), stack_of(case, mode="looped")
    assert chosen.mode == "looped"
    for _ in range(2):
        assert_identical(vars(chosen.train_epoch()), vars(looped.train_epoch()))
    with pytest.raises(RuntimeError):
        stack_of(case, mode="fused").train_epoch()


@pytest.mark.parametrize("mode", MODES)
def test_a_regression_is_predicted_in_units_of_its_target(mode):
    case = slope()
    stack = stack_of(case, mode=mode)
    loss = stack.train_epoch().held_out["loss"]
    target = case.samples.targets["height"]
    found = over_all(stack, case.samples, case.task)
    for m, (member, said) in enumerate(zip(stack.members, stack.predict(), strict=True)):
        actual, scale = target[member.held_out], target[member.train].std()
        assert said["value"].shape == actual.shape
        expected = np.square((said["value"] - actual) / scale).mean()
        assert loss[m] == pytest.approx(expected, rel=1e-4)
        assert found["val_r2"][m] == pytest.approx(r2_score(actual, said["value"]))


@pytest.mark.parametrize("mode", MODES)
def test_several_targets_are_measured_apart(mode):
    case = two()
    stack = stack_of(case, mode=mode)
    values = stack.train_epoch()
    assert values.main_part == "label"
    assert set(values.train) == {"loss", part_key("level"), "accuracy", "distance"}
    targets = case.samples.targets
    for m, (member, said) in enumerate(zip(stack.members, stack.predict(), strict=True)):
        right = said["answer"] == targets["label"][member.held_out]
        apart = np.abs(said["value"] - targets["level"][member.held_out])
        assert values.held_out["accuracy"][m] == pytest.approx(right.mean())
        assert values.held_out["distance"][m] == pytest.approx(apart.mean(), rel=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_a_table_is_encoded_by_each_members_training_rows(mode):
    """A word that only held-out rows have is one of the others."""
    case = table()
    rows = np.arange(ROWS)
    words = case.samples.inputs["categories"][:, 0]
    seen = rows[words != words[0]]
    parts = (rows, seen)
    members = [Member(config=case.config, train=t, held_out=rows[:5], seed=3) for t in parts]
    stack = stack_of(case, members)
    assert stack.mode == "looped"
    codes = [encoder({k: torch.tensor(v) for k, v in case.samples.inputs.items()})["categories"]
             for encoder in stack.rows.encoders]  # fmt: skip
    assert codes[0][0, 0] > 0
    assert codes[1][0, 0] == 0


def weighted(output, target, *, label_smoothing, class_weights=None):
    """A user's loss of rows, whose values are one for each row."""
    assert label_smoothing.shape == target.shape
    return (1 - label_smoothing) * F.cross_entropy(output, target, reduction="none")


@pytest.mark.parametrize("mode", MODES)
def test_values_of_a_users_loss_are_those_of_each_member(mode):
    case = table()
    case = replace(case, task=replace(case.task, loss=weighted, leading_axes=False))
    configs = [replace(case.config, label_smoothing=s) for s in (0.0, 0.5, 0.9)]
    members = members_of(configs, sizes=(40, 40, 40))
    together = stack_of(case, members, mode=mode).train_epoch()
    for i, member in enumerate(members):
        alone = stack_of(case, [member], mode=mode).train_epoch()
        for mine, theirs in ((alone.train, together.train), (alone.held_out, together.held_out)):
            np.testing.assert_allclose(mine["loss"][0], theirs["loss"][i], rtol=1e-4)


UNEQUAL = (20, 31, 47)


@pytest.mark.parametrize("mode", ["auto", *MODES])
def test_unequal_folds_train_exact_batches(any_case, mode):
    stack = stack_of(any_case, members_of(any_case.config, UNEQUAL), mode=mode)
    assert stack.mode == "looped"
    step, seen = stack.engine.step, {m: [] for m in range(3)}

    def watched(batch, lr, members):
        assert batch.weight.eq(1).all()
        seen[members[0]].append(batch.weight.shape)
        return step(batch, lr, members)

    stack.engine.step = watched
    stack.train()
    for m, size in enumerate(UNEQUAL):
        assert seen[m] == [(1, part.stop - part.start) for part in batches(size, 9)]


def test_unequal_members_are_members_alone(any_case):
    """To the last bit, whatever the others are."""
    configs = [replace(any_case.config, lr=lr, weight_decay=0.01) for lr in (0.01, 0.02, 0.005)]
    members = members_of(configs, UNEQUAL)
    together = stack_of(any_case, members)
    alone = [stack_of(any_case, [member], mode="looped") for member in members]
    for _ in range(2):
        values = together.train_epoch()
        for m, one in enumerate(alone):
            own = one.train_epoch()
            for name, value in own.train.items():
                assert value[0] == values.train[name][m]
            for name, value in own.held_out.items():
                np.testing.assert_allclose(value[0], values.held_out[name][m], rtol=1e-5)
            assert_identical(one.weights(0), together.weights(m))


def test_unequal_members_continue_from_a_state():
    case = slope()
    members = members_of(case.config, UNEQUAL)
    through, resumed = stack_of(case, members), stack_of(case, members)
    through.train_epoch()
    state = through.state_dict()
    assert state["num_steps"] == [len(list(batches(size, 9))) for size in UNEQUAL]
    resumed.load_state_dict(state)
    assert_identical(vars(through.train_epoch()), vars(resumed.train_epoch()))
    assert_identical(through.state_dict(), resumed.state_dict())


def mean_loss(output, target):
    return F.cross_entropy(output, target)


def loss_of_each_score(output, target):
    return output.square()


def loss_as_a_number(output, target):
    return 0.5


def loss_in_parts(output, target):
    return {"main": F.cross_entropy(output, target, reduction="none"), "more": output.mean()}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("loss", "complaint"),
    [
        (mean_loss, r"the loss must be one number per row, \d+ of them, but is \(\)"),
        (
            loss_of_each_score,
            r"the loss must be one number per row, \d+ of them, but is \(\d+, 3\)",
        ),
        (loss_as_a_number, r"the loss must be one number per row, \d+ of them, but is float"),
        (loss_in_parts, r"part more of the loss must be one number per row, \d+ of them"),
    ],
)
def test_a_loss_that_is_not_one_number_per_row_is_refused(loss, complaint, mode):
    case = table()
    case = replace(case, task=replace(case.task, loss=loss, leading_axes=False))
    with pytest.raises(UserError, match=complaint) as caught:
        stack_of(case, mode=mode).train_epoch()
    assert "\n" not in str(caught.value)
    assert 'reduction="none"' in str(caught.value)


@pytest.mark.parametrize("mode", MODES)
def test_parts_of_a_loss_may_keep_an_axis_of_one(mode):
    """As (rows, 1) beside (rows,), which would broadcast to a square."""
    case = slope()

    def squares(output, target):
        return {"main": (output - target.unsqueeze(-1)).square(), "size": output[:, 0].square()}

    task = replace(case.task, loss=squares, leading_axes=False)
    assert stack_of(replace(case, task=task), mode=mode).train_epoch().finite


@pytest.mark.parametrize("mode", MODES)
def test_a_metric_that_is_not_one_number_per_row_is_refused(mode):
    case = table()
    metric = Metric(of=lambda output, target: output, better="higher", equal=0.1)
    metrics: dict[str, Any] = {**case.task.metrics, "odd": metric}
    case = replace(case, task=replace(case.task, metrics=metrics, leading_axes=False))
    with pytest.raises(UserError, match="metric odd must be one number per row"):
        stack_of(case, mode=mode).train_epoch()


class Listing(Recurrent):
    """A network that returns what no task can take."""

    def forward(self, x):
        return [super().forward(x)]


@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_a_network_must_return_tensors(mode):
    case = replace(sequences(), model=Listing)
    with pytest.raises(UserError, match="named tuple, but returned list"):
        stack_of(case, mode=mode).train_epoch()
