"""Kinds of tasks: classification, whose target is classes, and regression, of numbers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from foldsweep import names
from foldsweep.errors import UserError
from trainables.data.augment import Affine
from trainables.tasks import losses
from trainables.tasks.metrics import Metric
from trainables.tasks.relabel import as_classes, as_numbers
from trainables.tasks.samples import UNNAMED, Data, Samples
from trainables.tasks.scores import hits, metric
from trainables.tasks.splits import Split, SplitFunction
from trainables.tasks.table.arrays import IMAGES
from trainables.tasks.table.encode import TableEncoder
from trainables.tasks.table.schema import Label
from trainables.tasks.task import Augment, DataRequest, Standardising, Task, argmax

CLASSIFICATION = ("accuracy", "log_loss")
"""Metrics of every classification; the first is the default objective."""
REGRESSION = ("r2", "rmse", "mae")
"""Metrics of every regression; the first is the default objective."""

DataFunction = Callable[[DataRequest], Data]
Metrics = Mapping[str, Metric] | Iterable[str]
Loss = Callable[..., Any]


def classification(
    name: str,
    data: Data | DataFunction,
    *,
    objective: str | None = None,
    metrics: Metrics = (),
    split: Split | SplitFunction | None = None,
    loss: Loss | None = None,
    classes: Sequence[Label] | None = None,
    target: str | None = None,
    augment: Augment | None = None,
    standardise: Mapping[str, Standardising] | None = None,
) -> Task:
    """Classification: a task whose target is classes.

    Networks return one score (logit) per class and are trained with the cross-entropy loss.

    Args:
        name: Name of the task, recorded with every result.
        data: Data, as `Data.of` returns it, or a function that makes it.
        objective: Metric that sweeps optimise: a short name or one of `metrics` [accuracy].
        metrics: Further metrics: short names, see `trainables.tasks.scores`, or a mapping of
            names to `Metric`.
        split: How rows are split into folds: a `Split`, or a function
            `(samples, num_folds, seed)` that returns folds [by the groups, time or fold column of
            the data; else stratified].
        loss: `(output, target, **values)` to one number per row [cross-entropy].
        classes: Names of the classes in order of their codes [classes of the training rows].
        target: Name of the target [the only target].
        augment: Random augmentation of training inputs [images: shift, rotate and zoom].
        standardise: Inputs to standardise, and how [tables: by their encoder; images: by
            channel].

    Raises:
        UserError: If the target is not classes, or the objective does not exist.
    """
    if isinstance(data, Data):
        target = _only_target(data, target)
        data = as_classes(_named(data, name), target, classes)
        classes = data.schema.classes if classes is None else classes
    if classes is None:
        raise UserError.of("kinds.classes-unnamed", task=name)
    chosen = partial(metric, kind="classification", num_classes=len(classes))
    measured = _measured(CLASSIFICATION, objective, metrics, chosen)
    target = target or "target"
    return Task(
        name=name,
        data=data,
        kind="classification",
        loss=loss or losses.cross_entropy,
        metrics=measured.metrics,
        objective=measured.objective,
        split=_split(split, data, classes=True),
        target=target,
        predict=argmax,
        statistics=partial(losses.class_balance, target=target, num_classes=len(classes)),
        outputs=len(classes),
        classes=tuple(classes),
        leading_axes=loss is None and measured.known,
        augment=augment or _augment(data),
        **_inputs(data, standardise),
    )


def regression(
    name: str,
    data: Data | DataFunction,
    *,
    objective: str | None = None,
    metrics: Metrics = (),
    split: Split | SplitFunction | None = None,
    loss: Loss | None = None,
    outputs: int = 1,
    target: str | None = None,
    augment: Augment | None = None,
    standardise: Mapping[str, Standardising] | None = None,
) -> Task:
    """Regression: a task whose target is one or several numbers per row.

    Networks are trained with the squared error and predict the target standardised by the
    training rows; predictions are returned in units of the target.

    Args:
        name: Name of the task, recorded with every result.
        data: Data, as `Data.of` returns it, or a function that makes it.
        objective: Metric that sweeps optimise: a short name or one of `metrics` [r2].
        metrics: Further metrics: short names, see `trainables.tasks.scores`, or a mapping of
            names to `Metric`.
        split: As for `classification` [by the groups, time or fold column of the data; else
            shuffled].
        loss: `(output, target, **values)` to one number per row; it may take `target_mean` and
            `target_std` [squared error].
        outputs: Number of values to predict per row, used only if `data` is a function.
        target: Name of the target [the only target].
        augment: Random augmentation of training inputs [images: shift, rotate and zoom].
        standardise: Inputs to standardise, and how [tables: by their encoder; images: by
            channel].

    Raises:
        UserError: If the target is not numbers, or the objective does not exist.
    """
    deviation = 0.0  # unknown if data is a function: every difference then counts
    several = outputs > 1
    if isinstance(data, Data):
        target = _only_target(data, target)
        data = as_numbers(_named(data, name), target)
        values = data.train.targets[target]
        deviation = float(values.std(axis=0).mean())
        several = values.ndim > 1
        outputs = values.shape[1] if several else 1
    chosen = partial(metric, kind="regression", deviation=deviation)
    measured = _measured(REGRESSION, objective, metrics, chosen)
    target = target or "target"
    return Task(
        name=name,
        data=data,
        kind="regression",
        loss=loss or (losses.scaled_squared_errors if several else losses.scaled_squared_error),
        metrics=measured.metrics,
        objective=measured.objective,
        split=_split(split, data, classes=False),
        target=target,
        predict=losses.unscaled_values if several else losses.unscaled,
        statistics=partial(losses.target_scale, target=target),
        outputs=outputs,
        leading_axes=loss is None and measured.known,
        augment=augment or _augment(data),
        **_inputs(data, standardise),
    )


def default_split(data: Data, *, classes: bool, repeats: int = 1) -> Split:
    """Default split of data: by its fold column, time or groups, in that order of precedence.

    Other data gets a stratified split if the target is classes, else a shuffled one.

    Args:
        data: The data; its schema names the fold and time columns, if there are any.
        classes: Whether the target is classes.
        repeats: Number of times the rows are split into folds.
    """
    schema = data.schema
    if schema is not None and schema.fold is not None:
        return Split(kind="given", repeats=repeats)
    if schema is not None and schema.time is not None:
        return Split(kind="time", repeats=repeats)
    if data.train.groups is not None:
        return Split(kind="grouped", repeats=repeats, classes=classes)
    return Split(kind="stratified" if classes else "plain", repeats=repeats, classes=classes)


def _split(
    split: Split | SplitFunction | None, data: Data | DataFunction, *, classes: bool
) -> Split:
    if isinstance(split, Split):
        return split
    if split is not None:
        return Split(kind="own", function=split, classes=classes)
    if isinstance(data, Data):
        return default_split(data, classes=classes)
    return Split(kind="stratified" if classes else "plain", classes=classes)


@dataclass(frozen=True, kw_only=True)
class _Measured:
    metrics: dict[str, Metric]
    objective: str
    known: bool
    """Whether all metrics over rows accept leading member axes."""


def _measured(
    defaults: tuple[str, ...],
    objective: str | None,
    more: Metrics,
    known: Callable[[str], Metric],
) -> _Measured:
    """Return the objective and all metrics: the defaults, the objective and the user's."""
    own = dict(more) if isinstance(more, Mapping) else {names.bare(n): known(n) for n in more}
    objective = defaults[0] if objective is None else names.bare(objective)
    wanted = [*defaults, *([] if objective in own else [objective])]
    metrics = {**{name: known(name) for name in wanted}, **own}
    rows = [measure.of for measure in metrics.values() if measure.over == "rows"]
    return _Measured(metrics=metrics, objective=objective, known=all(of is hits for of in rows))


def _named(data: Data, name: str) -> Data:
    """Return the data, named after the task if it has no name."""
    return replace(data, name=name) if data.name == UNNAMED else data


def _only_target(data: Data, target: str | None) -> str:
    there = list(data.train.targets)
    if target is None and len(there) == 1:
        return there[0]
    if target not in there:
        raise UserError.of("kinds.target-unnamed", data=data.name, targets=", ".join(there))
    return target


def _augment(data: Data | DataFunction) -> Augment | None:
    """Affine augmentation for images, whose strength the configuration sets; else None."""
    images = isinstance(data, Data) and data.schema is not None and data.schema.layout == IMAGES
    return Affine(input=IMAGES) if images else None


def _inputs(
    data: Data | DataFunction, standardise: Mapping[str, Standardising] | None
) -> dict[str, Any]:
    """Preprocessing fields of `Task`: a table's encoder, or inputs to standardise."""
    if not isinstance(data, Data):
        return {"standardise": standardise or {}}
    if standardise is None and data.schema is not None and data.schema.columns:
        return {"encode": TableEncoder(schema=data.schema)}
    return {"standardise": _standardising(data.train) if standardise is None else standardise}


def _standardising(samples: Samples) -> dict[str, Standardising]:
    """How to standardise float inputs: (n, p) by column, images by channel, others as a whole."""
    by_axes: dict[int, Standardising] = {2: "columns", 4: "channels"}
    return {
        name: by_axes.get(array.ndim, "whole")
        for name, array in samples.inputs.items()
        if np.issubdtype(array.dtype, np.floating)
    }
