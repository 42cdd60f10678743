"""Checks before any trial: targets, folds, and training on a few rows for each space."""

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from ray import cloudpickle

from foldsweep.errors import CodeError, UserError, first_line
from foldsweep.numbers import plural
from foldsweep.user_code import code_error
from search_spaces.space import SearchSpace
from search_spaces.trying import DRAWS
from sweeps.gate import Gate
from sweeps.settings import SweepSettings
from sweeps.sweep import make_folds
from trainables.config import BaseConfig
from trainables.data.folds import Fold
from trainables.models.estimators.config import EstimatorConfig
from trainables.stack.stack import FoldStack, Member
from trainables.tasks.losses import unscaled, unscaled_values
from trainables.tasks.samples import Data
from trainables.tasks.scores import Measure
from trainables.tasks.task import DataRequest, Task, Variant, argmax
from trainables.trainable import trainable_for
from trainables.trial import check_model_size, make_stack, over_all

ROWS = 50
"""Rows that the check trains on; more if needed for `LEAST_OF_A_CLASS` rows of each class."""
LEAST_OF_A_CLASS = 10
FIRST_DRAWS = 5
"""Configurations drawn from a space without initial points; one of them must train."""
LEAST_UNITS = 10
"""Units of an estimator's resource, such as trees, that the check trains at most."""


@contextmanager
def users_code(space: SearchSpace, fails: str) -> Iterator[None]:
    """Context that turns any exception of a user's own code but `UserError` into a `CodeError`.

    Args:
        space: Space whose file has the code. Without a file the code is ours, and its exceptions
            are raised unchanged.
        fails: What fails, as the beginning of the message.

    Raises:
        CodeError: If the code fails, with its traceback.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if space.file is None:
            raise
        raise code_error(error, space.file, f"space {space.name}: {fails}:") from error


def load_data(space: SearchSpace, settings: SweepSettings) -> Data:
    """Load the data of a space's task.

    Raises:
        CodeError: If the user's own data function fails, with its traceback.
        UserError: If the data is not available, or a target is not one of the task.
    """
    task = space.variant.task
    with users_code(space, "its data function fails"):
        data = task.load(DataRequest(seed=settings.seed, options=settings.options_of(task)))
    if not isinstance(data, Data):
        returned = type(data).__name__
        raise UserError.of("preflight.wrong-data", space=space.name, returned=returned)
    check_targets(task, data)
    return data


def split_data(space: SearchSpace, data: Data, settings: SweepSettings) -> tuple[Fold, ...]:
    """Split a space's data into folds.

    Raises:
        CodeError: If the user's own split fails, with its traceback.
        UserError: If the rows do not allow this number of folds.
    """
    with users_code(space, "its split fails"):
        return make_folds(space.variant.task, data, settings)


def check_targets(task: Task, data: Data) -> None:
    """Check that the data has the task's target, and only classes of the task.

    Raises:
        UserError: If the target is missing, or has a class that the task does not have.
    """
    if task.target not in data.train.targets:
        known = ", ".join(data.train.targets)
        raise UserError.of(
            "preflight.target-unknown", task=task.name, target=task.target, known=known
        )
    target = data.train.targets[task.target]
    if task.kind != "classification" or target.dtype.kind not in "ui":
        return
    low, high = int(target.min()), int(target.max())
    if low < 0 or high >= task.outputs:
        raise UserError.of(
            "preflight.class-unknown",
            target=task.target,
            task=task.name,
            wrong=low if low < 0 else high,
            most=task.outputs - 1,
        )


def check_folds(task: Task, data: Data, folds: tuple[Fold, ...]) -> None:
    """Check that a classifier can be trained on every fold, and all metrics measured.

    Raises:
        UserError: If not; the message names the fold.
    """
    if task.kind != "classification":
        return
    target = data.train.targets[task.target]
    for i, fold in enumerate(folds):
        if len(np.unique(target[fold.train])) < 2:
            raise UserError.of("preflight.fold-of-one-class", fold=i)
        held_out = target[fold.val]
        guess = np.full((len(held_out), task.outputs), 1 / task.outputs)
        said = {"answer": np.zeros_like(held_out), "probability": guess}
        for metric in task.metrics.values():
            if isinstance(metric.of, Measure):
                try:
                    metric.of(held_out, said[metric.needs])
                except UserError as error:
                    raise UserError.of("preflight.fold-not-scored", fold=i, error=error) from None


def check_sent(space: SearchSpace) -> None:
    """Check that a space's variant can be sent to Ray's workers.

    Raises:
        UserError: If not; the message names the user's file and the cause.
    """
    try:
        cloudpickle.dumps(trainable_for(space.variant))
    except Exception as error:  # pickling runs the user's code, which may raise anything
        if space.file is None:
            raise
        raise UserError.of(
            "preflight.not-sent", space=space.name, file=space.file, error=first_line(error)
        ) from None


def check_model(
    space: SearchSpace, data: Data, folds: tuple[Fold, ...], settings: SweepSettings
) -> None:
    """Train the space's first point on a few rows and measure it, in this process.

    Raises:
        CodeError: If the user's own code fails, with its traceback.
        UserError: If the model, the loss or a metric does not suit the task.
    """
    first: UserError | None = None
    for config in first_configs(space, Gate(space, settings.limits, data)):
        try:
            with users_code(space, "training on a few rows fails"):
                _check(space.variant, config, data, folds)
            return
        except UserError as error:
            first = first or error
    assert first is not None
    if isinstance(first, CodeError):
        raise first
    raise UserError.of("preflight.space-fails", space=space.name, error=first)


def _check(variant: Variant, config: BaseConfig, data: Data, folds: tuple[Fold, ...]) -> None:
    rows = _few(variant.task, data, folds[0].train)
    member = Member(config=config, train=rows, held_out=rows, seed=0)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # trials show the warnings
        check_model_size(variant, config, data, members=len(folds))
        stack: Any = make_stack(variant, [member], data, mode="looped")
        if isinstance(config, EstimatorConfig):
            stack.advance(min(stack.epochs, LEAST_UNITS))
            stack.measure()
            return
        assert isinstance(stack, FoldStack)
        _check_outputs(stack, variant.task)
        _check_loss(stack, variant)
        if stack.train_epoch().finite:  # divergence is no error: any trial may diverge
            over_all(stack, data.train, variant.task)


def _check_loss(stack: FoldStack, variant: Variant) -> None:
    """Check that the configuration or the task provides every keyword argument of the loss.

    Raises:
        UserError: If not; the message names the argument, and the available ones.
    """
    parameters = inspect.signature(variant.task.loss).parameters.values()
    given = stack.engine.values.loss
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY and p.default is p.empty and p.name not in given:
            known = [*(f.name for f in fields(variant.config)), *stack.rows.statistics[0]]
            raise UserError.of(
                "preflight.loss-argument-unknown",
                argument=p.name,
                config=variant.config.__name__,
                known=", ".join(known),
            )


def _check_outputs(stack: FoldStack, task: Task) -> None:
    """Check that the network has as many outputs as the task.

    Raises:
        UserError: If not; the message names both numbers.
    """
    index = torch.as_tensor(stack.members[0].train[:2]).unsqueeze(0)
    output = stack.engine.predict(stack.rows.standardised(index))
    counted = task.predict in (argmax, unscaled, unscaled_values)  # one number for each output
    if not counted or not isinstance(output, torch.Tensor) or output.ndim != 3:
        return
    if output.shape[2] != task.outputs:
        values = f"{plural(task.outputs, 'value')} to predict"
        classes = f"{task.outputs} classes"
        raise UserError.of(
            "preflight.wrong-outputs",
            numbers=plural(output.shape[2], "number"),
            task=task.name,
            outputs=classes if task.kind == "classification" else values,
        )


def first_configs(space: SearchSpace, gate: Gate) -> list[BaseConfig]:
    """Configuration of the first initial point, or up to `FIRST_DRAWS` draws from the domains.

    Only one of the draws must train, as some combinations of values may be impossible.

    Raises:
        UserError: If no draw is a valid configuration.
    """
    resource = space.resource
    length = {} if resource is None else {resource: space.most_epochs()}
    if space.points:
        return [space.complete(space.points[0].config, **length)]
    found: list[BaseConfig] = []
    first: UserError | None = None
    for seed in range(DRAWS):
        try:
            config = space.complete(space.draw(seed), **length)
            if gate.passes(config):
                found.append(config)
        except UserError as error:
            first = first or error
        if len(found) == FIRST_DRAWS:
            break
    if not found and first is not None:
        raise UserError.of("preflight.space-fails", space=space.name, error=first)
    return found


def _few(task: Task, data: Data, train: np.ndarray) -> np.ndarray:
    """A few training rows; for a classification, some of each class."""
    target = data.train.targets[task.target][train]
    if task.kind != "classification":
        return train[:ROWS]
    _, place = np.unique(target, return_inverse=True)
    num_classes = int(place.max()) + 1
    each = max(LEAST_OF_A_CLASS, ROWS // num_classes)
    rows = [train[np.flatnonzero(place == c)[:each]] for c in range(num_classes)]
    return np.sort(np.concatenate(rows))
