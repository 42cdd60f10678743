"""Tasks and variants: what is learned, and what is compared on it."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
from torch import Tensor, nn

from foldsweep import names
from foldsweep.errors import UserError
from trainables.config import BaseConfig
from trainables.tasks.metrics import Better, Metric
from trainables.tasks.samples import Data, Samples
from trainables.tasks.splits import Split

Output = Any
"""What a network returns: a tensor, a mapping of tensors or a named tuple, batch axis first."""
Kind = Literal["classification", "regression", "other"]
GENERAL = (names.VAL_LOSS, names.NUM_PARAMS, names.TRAIN_TIME)
"""What a sweep of any task can optimise; lower is better."""
Standardising = Literal["whole", "channels", "columns"]
"""One mean and deviation for all numbers, one for each channel, or one for each column."""


@dataclass(frozen=True, kw_only=True)
class DataRequest:
    """What a task's data function is asked for."""

    seed: int
    options: Any = None
    """The task's options as the command line has them, see `Task.options`."""


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """What a model is built for: shapes of one row's inputs, and how many numbers it gives."""

    inputs: Mapping[str, tuple[int, ...]]
    outputs: int
    """Classes, or values to predict."""
    levels: tuple[int, ...] = ()
    """Codes that each categorical column of a table may have."""
    schema: Any = None
    """Columns of a table or layout of arrays, see `trainables.tasks.table.schema.Schema`; None
    where a program made the data."""


@runtime_checkable
class Encoder(Protocol):
    """Turns a table's columns into what networks take; fitted on training rows only."""

    levels: tuple[int, ...]
    """Codes that each categorical column may have."""

    def shapes(self, samples: Samples) -> dict[str, tuple[int, ...]]:
        """Shapes of one row's encoded inputs, the same for any training rows."""

    def unfitted(self) -> nn.Module:
        """A module as `fit` gives it, whose buffers are still to be filled."""

    def fit(self, samples: Samples) -> nn.Module:
        """A module of tensors by name to tensors by name; statistics are its buffers."""


@runtime_checkable
class Augment(Protocol):
    """Random change of training inputs, batched over rows and members."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of a configuration that say how much; 0 for all of them is no change."""

    def numbers(self, shapes: Mapping[str, tuple[int, ...]]) -> int:
        """Random numbers that one row takes."""

    def __call__(
        self, inputs: dict[str, Tensor], draw: Tensor, amounts: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """The inputs changed by `draw`, numbers in [0, 1) of shape (m, b, numbers)."""


def argmax(output: Output, **_: Tensor) -> dict[str, Tensor]:
    """Predictions of scores, one per class: the class, and its probabilities."""
    return {"answer": output.argmax(-1), "probability": output.softmax(-1)}


@dataclass(frozen=True, kw_only=True, repr=False)
class Task:
    """What is learned: data, split, loss, metrics, objective.

    Loss and metrics are functions of rows: they know neither members nor folds. Keyword arguments
    of `loss` are filled from fields of the configuration and from `statistics`, by name.
    """

    name: str
    """Letters, numbers, `_`, `-` and `.`; recorded with every result."""
    data: Data | Callable[[DataRequest], Data]
    loss: Callable[..., Tensor | Mapping[str, Tensor]]
    """`(output, target, **values)` to one number per row, or to named parts that are summed."""
    metrics: Mapping[str, Metric]
    objective: str
    """Name of the metric that sweeps optimise."""
    kind: Kind = "other"
    split: Split = field(default_factory=Split)
    target: str = "target"
    """Target that predictions are of, and that a stratified split balances."""
    predict: Callable[..., Mapping[str, Tensor]] = argmax
    """`(output, *, ...)` to predictions by name: `answer` and `probability` of classes, `value` of
    a regression. Keyword arguments are filled from `statistics`."""
    statistics: Callable[[Samples], Mapping[str, np.ndarray | float]] | None = None
    """What loss and predictions need of a member's training rows, such as the target's scale."""
    standardise: Mapping[str, Standardising] = field(default_factory=dict)
    """Inputs to standardise by each member's training rows, and how."""
    encode: Encoder | None = None
    augment: Augment | None = None
    outputs: int = 1
    """Classes, or values to predict."""
    classes: tuple[Any, ...] = ()
    """What the classes are called."""
    leading_axes: bool = False
    """Loss and row metrics count axes from the end, so members need not be flattened into rows."""
    options: type | None = None
    """Dataclass of command-line options of its own."""
    fresh: Callable[[Data], bool] = lambda data: False
    """Whether `data` with another seed gives other rows of the same kind."""
    row_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Shapes of one row's inputs where they are the same for any data of the task."""
    check: Callable[[Mapping[str, np.ndarray]], None] | None = None
    """Refuses new inputs that are not like those it was trained on."""
    parts: Callable[[Samples], np.ndarray] | None = None
    """What rows are made of, (k, numbers), where training and test must not share that [rows]."""
    details: Callable[[Sequence[Samples], Sequence[Mapping[str, np.ndarray]]], Any] | None = None
    """What an evaluation keeps besides, for pictures of this task only: of each round's test rows
    and predictions, plain values."""
    unit: str = "rows"
    """What rows are called in messages."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise UserError(f"task name {self.name!r} must be letters, numbers, '_', '-', '.'")
        self._check_metrics()
        for name, how in self.standardise.items():
            if how not in get_args(Standardising):
                raise UserError(
                    f"task {self.name}: standardise {name!r} must be"
                    f" {' or '.join(get_args(Standardising))}, but is {how!r}"
                )
        if self.objective not in self.metrics:
            raise UserError(
                f"task {self.name}: objective {self.objective!r} is none of its metrics"
                f" {', '.join(self.metrics)}"
            )

    def _check_metrics(self) -> None:
        """Refuse metrics that cannot be measured or recorded.

        Raises:
            UserError: If one is no `Metric`, has a reserved name, or needs what is not predicted.
        """
        predicted = {"classification": ("answer", "probability"), "regression": ("value",)}
        for name, metric in self.metrics.items():
            if not isinstance(metric, Metric):
                raise UserError(f"task {self.name}: metric {name!r} must be a Metric")
            if name == "loss" or not re.fullmatch(r"\w[\w.-]*", name):
                raise UserError(
                    f"task {self.name}: a metric cannot be called {name!r}: choose letters,"
                    " numbers, '_', '-', '.', and not 'loss', which is there already"
                )
            there = predicted.get(self.kind)
            if metric.over == "all" and there is not None and metric.needs not in there:
                raise UserError(
                    f"task {self.name}: metric {name} needs {metric.needs!r}, but a {self.kind}"
                    f" predicts {' and '.join(there)}"
                )

    @property
    def optimisable(self) -> dict[str, dict[str, Any]]:
        """All that a sweep can optimise, by key: what is `better`, and what counts as `equal`.

        Plain values, as they are recorded.
        """
        own = {
            names.val_key(k): {"better": m.better, "equal": m.equal}
            for k, m in self.metrics.items()
        }
        return {**own, **{key: {"better": "lower", "equal": 0.0} for key in GENERAL}}

    def __repr__(self) -> str:
        return f"Task({self.name!r})"

    @property
    def predicts_with(self) -> tuple[str, ...]:
        """Statistics of training rows that predictions need: keyword arguments of `predict`."""
        parameters = inspect.signature(self.predict).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)

    def load(self, request: DataRequest) -> Data:
        """The task's data."""
        return self.data if isinstance(self.data, Data) else self.data(request)

    @property
    def better(self) -> dict[str, Better]:
        """Which way is better, for all that a sweep can optimise."""
        own: dict[str, Better] = {names.val_key(k): m.better for k, m in self.metrics.items()}
        return {**own, **dict.fromkeys(GENERAL, "lower")}

    def shapes(self, data: Data) -> Shapes:
        """What a model is built for."""
        if self.encode is None:
            inputs = {k: a.shape[1:] for k, a in data.train.inputs.items()}
            return Shapes(inputs=inputs, outputs=self.outputs, schema=data.schema)
        return Shapes(
            inputs=self.encode.shapes(data.train),
            outputs=self.outputs,
            levels=self.encode.levels,
            schema=data.schema,
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class Variant:
    """What is compared: a network or an estimator with its configuration class, on a task."""

    name: str
    task: Task
    model: Callable[..., Any]
    """`(config, shapes)` to a module of torch, a `Sequential` of `trainables.backprop` or an
    estimator of scikit-learn."""
    config: type[BaseConfig]
    predict: Callable[..., Mapping[str, Tensor]] | None = None
    """Predictions of its output, where they are made otherwise than the task's."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What runs are tagged by besides, such as `weight_sharing`."""

    def __post_init__(self) -> None:
        if self.predict is not None:
            object.__setattr__(self, "task", replace(self.task, predict=self.predict))

    def __repr__(self) -> str:
        return f"Variant({self.full_name!r})"

    @property
    def full_name(self) -> str:
        """`task/variant`, as it is recorded."""
        return f"{self.task.name}/{self.name}"


def variant(name: str, task: Task, model: Callable[..., Any], config: type[BaseConfig]) -> Variant:
    """A variant: what is compared, under a name, on a task.

    Args:
        name: Its name, recorded as `task/name`.
        task: The task.
        model: `(config, shapes)` to a module of torch or an estimator of scikit-learn.
        config: Class of its configuration, derived from `TrialConfig` or `EstimatorConfig`.

    Raises:
        UserError: If the name cannot be a file's.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise UserError(
            f"variant name {name!r} must be letters, numbers, '_', '-', '.', at most 64"
        )
    return Variant(name=name, task=task, model=model, config=config)
