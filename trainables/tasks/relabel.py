"""Relabelling: convert a target of numbers to classes, and a target of classes to numbers."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from foldsweep.errors import UserError
from trainables.tasks.samples import Data, Samples
from trainables.tasks.table.columns import listed
from trainables.tasks.table.schema import Label, Schema


def as_classes(data: Data, target: str, classes: Sequence[Label] | None) -> Data:
    """Return the data with class codes as its target, and the class names in its schema.

    Data whose schema has classes is returned unchanged. Whole numbers from 0 are kept as codes if
    there is no gap between them or `classes` is given. Other values are sorted and coded.

    Args:
        data: Any data.
        target: Name of the target.
        classes: Names of the classes in order of their codes; None for those of the data.

    Raises:
        UserError: If the target is not one class per row, there is one class only, the number of
            `classes` is wrong, or test rows have classes that no training row has.
    """
    if data.schema is not None and data.schema.classes:
        _check_names(data.schema.classes, classes)
        return data
    values = data.train.targets[target]
    if values.ndim != 1:
        raise UserError.of("relabel.several-classes-per-row", target=target, shape=values.shape)
    labels = _labels(values, classes)
    if len(labels) < 2:
        raise UserError.of("relabel.one-class-only", target=target, label=labels[0].item())
    _check_names(labels.tolist(), classes)

    def coded(array: np.ndarray) -> np.ndarray:
        places = np.searchsorted(labels, array).clip(max=len(labels) - 1)
        odd = sorted(set(array[labels[places] != array].tolist()))
        if odd:
            raise UserError.of("relabel.classes-in-test-rows-only", classes=listed(odd))
        return places.astype(np.int64)

    names = _plain(labels) if classes is None else tuple(classes)
    schema = data.schema if data.schema is not None else Schema(target=target, layout="own")
    return replace(_with_target(data, target, coded), schema=replace(schema, classes=names))


def _plain(labels: np.ndarray) -> tuple[Label, ...]:
    """Names of classes; floats that are all whole, of a regression target, become integers."""
    whole = labels.dtype.kind == "f" and bool((labels == np.floor(labels)).all())
    return tuple((labels.astype(np.int64) if whole else labels).tolist())


def _labels(values: np.ndarray, classes: Sequence[Label] | None) -> np.ndarray:
    """Values of the classes in order of their codes."""
    found = np.unique(values)
    if values.dtype.kind not in "iu" or found[0] < 0:
        return found
    if classes is not None:
        return np.arange(max(len(classes), found[-1] + 1))
    consecutive = found[-1] == len(found) - 1
    return np.arange(len(found)) if consecutive else found


def _check_names(labels: Sequence[Label], classes: Sequence[Label] | None) -> None:
    if classes is not None and len(classes) != len(labels):
        raise UserError.of("relabel.names-miscounted", named=len(classes), classes=listed(labels))


def as_numbers(data: Data, target: str) -> Data:
    """Return the data with numbers as its target.

    Raises:
        UserError: If the target is classes that are not numbers.
    """
    if data.schema is None or not data.schema.classes:
        kind = data.train.targets[target].dtype.kind
        if kind not in "iuf":
            raise UserError.of("relabel.target-not-numbers", target=target)
        return data if kind == "f" else _with_target(data, target, lambda a: a.astype(np.float64))
    labels = data.schema.classes
    if any(isinstance(label, str | bool) for label in labels):
        raise UserError.of("relabel.target-of-classes", target=target, classes=listed(labels))
    values = np.array(labels, dtype=np.float64)
    schema = replace(data.schema, classes=())
    return replace(_with_target(data, target, lambda codes: values[codes]), schema=schema)


def _with_target(data: Data, target: str, change: Callable[[np.ndarray], np.ndarray]) -> Data:
    def changed(samples: Samples) -> Samples:
        targets = {**samples.targets, target: change(samples.targets[target])}
        return replace(samples, targets=targets)

    test = None if data.test is None else changed(data.test)
    return replace(data, train=changed(data.train), test=test)
