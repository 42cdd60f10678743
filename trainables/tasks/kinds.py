"""Kinds of tasks: classification and regression, of data with classes or numbers as its target."""

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
"""Metrics of every classification; the first is the objective unless another is chosen."""
REGRESSION = ("r2", "rmse", "mae")
"""Metrics of every regression; the first is the objective unless another is chosen."""

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
    """A task whose target is classes: networks give a score for each, trained by cross-entropy.

    Args:
        name: Name of the task, recorded with every result.
        data: Data, such as `Data.of` gives, or a function that makes it.
        objective: Metric that sweeps optimise [accuracy], a short name or one of `metrics`.
        metrics: More metrics: short names, see `trainables.tasks.scores`, or your own by name.
        split: How folds are made, or a function `(samples, num_folds, seed)` that makes them
            [groups, time or fold column of the data; else stratified].
        loss: Loss, `(output, target, **values)` to one number per row [cross-entropy].
        classes: Names of the classes in order of their codes [those of the training rows].
        target: Name of the target [the only one].
        augment: Random change of training inputs [of images: shifted, turned and zoomed].
        standardise: Inputs to standardise, and how [tables by their encoder, images by channel].

    Raises:
        UserError: If the target is not classes, or the objective does not exist.
    """
    if isinstance(data, Data):
        target = _only_target(data, target)
        data = as_classes(_named(data, name), target, classes)
        classes = data.schema.classes if classes is None else classes
    if classes is None:
        raise UserError(f"task {name}: name the classes, since its data is a function")
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
    """A task whose target is a number, or several: networks are trained by squared error.

    Networks predict the target standardised by the training rows; predictions are in its units.

    Args:
        name: Name of the task, recorded with every result.
        data: Data, such as `Data.of` gives, or a function that makes it.
        objective: Metric that sweeps optimise [r2], a short name or one of `metrics`.
        metrics: More metrics: short names, see `trainables.tasks.scores`, or your own by name.
        split: As for `classification` [groups, time or fold column of the data; else shuffled].
        loss: Loss, `(output, target, **values)` to one number per row [squared error]; it may take
            `target_mean` and `target_std`.
        outputs: Numbers to predict, where data is a function.
        target: Name of the target [the only one].
        augment: Random change of training inputs [of images: shifted, turned and zoomed].
        standardise: Inputs to standardise, and how [tables by their encoder, images by channel].

    Raises:
        UserError: If the target is not numbers, or the objective does not exist.
    """
    deviation = 0.0  # of data that is a function nothing is known: every difference counts
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
    """The split that data asks for: by its fold column, time or groups, else by its target.

    Args:
        data: Data whose schema names such columns, if it has any.
        classes: Whether the target is classes.
        repeats: How often rows are cut into folds.
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
    """Whether all metrics over rows count axes from the end."""


def _measured(
    defaults: tuple[str, ...],
    objective: str | None,
    more: Metrics,
    known: Callable[[str], Metric],
) -> _Measured:
    """The objective and all that is measured: defaults, the objective and what the user adds."""
    own = dict(more) if isinstance(more, Mapping) else {names.bare(n): known(n) for n in more}
    objective = defaults[0] if objective is None else names.bare(objective)
    wanted = [*defaults, *([] if objective in own else [objective])]
    metrics = {**{name: known(name) for name in wanted}, **own}
    rows = [measure.of for measure in metrics.values() if measure.over == "rows"]
    return _Measured(metrics=metrics, objective=objective, known=all(of is hits for of in rows))


def _named(data: Data, name: str) -> Data:
    """The data under the task's name, where it has none of its own."""
    return replace(data, name=name) if data.name == UNNAMED else data


def _only_target(data: Data, target: str | None) -> str:
    there = list(data.train.targets)
    if target is None and len(there) == 1:
        return there[0]
    if target not in there:
        raise UserError(f"data {data.name} has targets {', '.join(there)}: name one with target=")
    return target


def _augment(data: Data | DataFunction) -> Augment | None:
    """Distortion of images, for configurations that say how much; nothing for other data."""
    images = isinstance(data, Data) and data.schema is not None and data.schema.layout == IMAGES
    return Affine(input=IMAGES) if images else None


def _inputs(
    data: Data | DataFunction, standardise: Mapping[str, Standardising] | None
) -> dict[str, Any]:
    """How inputs reach a network: by a table's encoder, or standardised."""
    if not isinstance(data, Data):
        return {"standardise": standardise or {}}
    if standardise is None and data.schema is not None and data.schema.columns:
        return {"encode": TableEncoder(schema=data.schema)}
    return {"standardise": _standardising(data.train) if standardise is None else standardise}


def _standardising(samples: Samples) -> dict[str, Standardising]:
    """Columns one by one, images by channel, other arrays of fractions as a whole."""
    by_axes: dict[int, Standardising] = {2: "columns", 4: "channels"}
    return {
        name: by_axes.get(array.ndim, "whole")
        for name, array in samples.inputs.items()
        if np.issubdtype(array.dtype, np.floating)
    }
