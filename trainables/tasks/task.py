"""Tasks and variants: what a model learns, and the models that are compared on a task."""

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
"""Output of a network: a tensor, a mapping of tensors or a named tuple, batch axis first."""
Kind = Literal["classification", "regression", "other"]
GENERAL = (names.VAL_LOSS, names.NUM_PARAMS, names.TRAIN_TIME)
"""Objectives that a sweep of any task can optimise; lower is better."""
Standardising = Literal["whole", "channels", "columns"]
"""One mean and standard deviation for the whole input, per channel, or per column."""


@dataclass(frozen=True, kw_only=True)
class DataRequest:
    """Argument of a task's data function."""

    seed: int
    options: Any = None
    """Options of the task from the command line, an instance of `Task.options`."""


class _Inputs(dict[str, tuple[int, ...]]):
    """Shapes of inputs by name; a wrong name is answered with the right ones."""

    def __missing__(self, name: str) -> tuple[int, ...]:
        raise KeyError(f"no input {name!r}: the task's inputs are {', '.join(self)}")


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Shapes that a model is built for: inputs of one row, and the number of outputs."""

    inputs: Mapping[str, tuple[int, ...]]
    outputs: int
    """Number of classes, or of values to predict."""
    levels: tuple[int, ...] = ()
    """Number of codes of each categorical column of a table."""
    schema: Any = None
    """Columns of a table or layout of arrays, see `trainables.tasks.table.schema.Schema`; None
    if a program made the data."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", _Inputs(self.inputs))


@runtime_checkable
class Encoder(Protocol):
    """Encoder of a table's columns as inputs of a network; fitted on training rows only."""

    levels: tuple[int, ...]
    """Number of codes of each categorical column."""

    def shapes(self, samples: Samples) -> dict[str, tuple[int, ...]]:
        """Shapes of one row's encoded inputs, the same for any training rows."""

    def unfitted(self) -> nn.Module:
        """Return the module of `fit` before its buffers are fitted, to load a state into."""

    def fit(self, samples: Samples) -> nn.Module:
        """Return a module from tensors by name to tensors by name; buffers hold its statistics."""


@runtime_checkable
class Augment(Protocol):
    """Random augmentation of training inputs, batched over rows and members."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Configuration fields that set the strength; 0 for all of them means no change."""

    def numbers(self, shapes: Mapping[str, tuple[int, ...]]) -> int:
        """Number of random numbers per row."""

    def __call__(
        self, inputs: dict[str, Tensor], draw: Tensor, amounts: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Augment the inputs.

        Args:
            inputs: Inputs by name, (m, b, ...).
            draw: Random numbers in [0, 1), (m, b, numbers).
            amounts: Strengths of the members, by field.
        """


def argmax(output: Output, **_: Tensor) -> dict[str, Tensor]:
    """Predictions from one score per class: the class, and the probabilities of all classes."""
    return {"answer": output.argmax(-1), "probability": output.softmax(-1)}


@dataclass(frozen=True, kw_only=True, repr=False)
class Task:
    """Learning task: data, split, loss, metrics and objective.

    Loss and metrics are functions of rows and do not depend on members or folds. Keyword
    arguments of `loss` are filled from fields of the configuration and from `statistics`, by
    name.
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
    """Name of the target to predict, by which a stratified split is stratified."""
    predict: Callable[..., Mapping[str, Tensor]] = argmax
    """`(output, *, ...)` to predictions by name: `answer` and `probability` of classes, `value` of
    a regression. Keyword arguments are filled from `statistics`."""
    statistics: Callable[[Samples], Mapping[str, np.ndarray | float]] | None = None
    """Statistics of a member's training rows for loss and predictions, such as the target's
    scale."""
    standardise: Mapping[str, Standardising] = field(default_factory=dict)
    """Inputs to standardise by each member's training rows, and how."""
    encode: Encoder | None = None
    augment: Augment | None = None
    outputs: int = 1
    """Number of classes, or of values to predict."""
    classes: tuple[Any, ...] = ()
    """Names of the classes."""
    leading_axes: bool = False
    """Whether loss and row metrics accept leading member axes; else members are flattened into
    rows."""
    options: type | None = None
    """Dataclass of the task's command-line options; None if it has none."""
    fresh: Callable[[Data], bool] = lambda data: False
    """Whether drawing `data` with another seed returns other rows of the same kind."""
    row_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Shapes of one row's inputs, if they are the same for any data of the task."""
    check: Callable[[Mapping[str, np.ndarray]], None] | None = None
    """Raises `UserError` for new inputs that differ in kind from the training inputs."""
    parts: Callable[[Samples], np.ndarray] | None = None
    """Parts of rows, (k, numbers), that training and test rows must not share [whole rows]."""
    details: Callable[[Sequence[Samples], Sequence[Mapping[str, np.ndarray]]], Any] | None = None
    """Additional plain values that an evaluation keeps for plots of this task, computed from each
    round's test rows and predictions."""
    unit: str = "rows"
    """Name of rows in messages."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise UserError.of("task.name-invalid", task=self.name)
        self._check_metrics()
        for name, how in self.standardise.items():
            if how not in get_args(Standardising):
                known = " or ".join(get_args(Standardising))
                raise UserError.of(
                    "task.standardise-unknown", task=self.name, input=name, known=known, value=how
                )
        if self.objective not in self.metrics:
            known = ", ".join(self.metrics)
            raise UserError.of(
                "task.objective-unknown", task=self.name, objective=self.objective, known=known
            )

    def _check_metrics(self) -> None:
        """Refuse metrics that cannot be measured or recorded.

        Raises:
            UserError: If a metric is not a `Metric`, has an invalid or reserved name, or needs a
                prediction that the kind of task does not have.
        """
        predicted = {"classification": ("answer", "probability"), "regression": ("value",)}
        for name, metric in self.metrics.items():
            if not isinstance(metric, Metric):
                raise UserError.of("task.not-a-metric", task=self.name, metric=name)
            if name == "loss" or not re.fullmatch(r"\w[\w.-]*", name):
                raise UserError.of("task.metric-name-invalid", task=self.name, metric=name)
            there = predicted.get(self.kind)
            if metric.over == "all" and there is not None and metric.needs not in there:
                raise UserError.of(
                    "task.prediction-missing",
                    task=self.name,
                    metric=name,
                    needs=metric.needs,
                    type=self.kind,
                    predicted=" and ".join(there),
                )

    @property
    def optimisable(self) -> dict[str, dict[str, Any]]:
        """All objectives that a sweep can optimise, by key, as plain values for a record.

        `better` is the direction, `equal` the region of practical equivalence.
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
        """Names of the statistics that `predict` needs: its keyword-only arguments."""
        parameters = inspect.signature(self.predict).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)

    def load(self, request: DataRequest) -> Data:
        """Return the task's data, made by its data function if it has one."""
        return self.data if isinstance(self.data, Data) else self.data(request)

    @property
    def better(self) -> dict[str, Better]:
        """Direction that is better, for each objective that a sweep can optimise."""
        own: dict[str, Better] = {names.val_key(k): m.better for k, m in self.metrics.items()}
        return {**own, **dict.fromkeys(GENERAL, "lower")}

    def shapes(self, data: Data) -> Shapes:
        """Return the shapes that a model for this data is built for."""
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
    """Model to compare on a task: a network or an estimator, with its configuration class."""

    name: str
    task: Task
    model: Callable[..., Any]
    """`(config, shapes)` to a PyTorch module, a `Sequential` of `trainables.backprop` or a
    scikit-learn estimator."""
    config: type[BaseConfig]
    predict: Callable[..., Mapping[str, Tensor]] | None = None
    """Replaces the task's `predict` for outputs of this model; None keeps it."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Additional tags of its runs, such as `weight_sharing`."""

    def __post_init__(self) -> None:
        if self.predict is not None:
            object.__setattr__(self, "task", replace(self.task, predict=self.predict))

    def __repr__(self) -> str:
        return f"Variant({self.full_name!r})"

    @property
    def full_name(self) -> str:
        """`task/variant`, the recorded name."""
        return f"{self.task.name}/{self.name}"


def variant(name: str, task: Task, model: Callable[..., Any], config: type[BaseConfig]) -> Variant:
    """Make a variant: a model that is compared with others on a task.

    Args:
        name: Name of the variant, recorded as `task/name`.
        task: Task that the model learns.
        model: `(config, shapes)` to a PyTorch module or a scikit-learn estimator.
        config: Configuration class of the model, derived from `TrialConfig` or
            `EstimatorConfig`.

    Raises:
        UserError: If the name cannot be a file name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise UserError.of("task.variant-name-invalid", variant=name)
    return Variant(name=name, task=task, model=model, config=config)
