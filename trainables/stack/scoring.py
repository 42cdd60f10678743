"""Loss and row metrics of a task, as sums over the rows of a batch, for each member.

Legend of shapes: m members (the axis may be absent), b rows of a batch.
"""

import functools
import inspect
import operator
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from foldsweep.errors import UserError
from trainables.stack.engine import MemberSums, Sums
from trainables.stack.outputs import changed
from trainables.tasks.task import Output, Task

LOSS = "loss"
_PART = "part of the loss: "
"""Prefix of a part's name among sums, which no metric's name can have."""


def part_key(part: str) -> str:
    """Key of a part of the loss among sums and averages."""
    return f"{_PART}{part}"


def is_part(key: str) -> bool:
    """Whether a key is that of a part of the loss."""
    return key.startswith(_PART)


def part_name(key: str) -> str:
    """Short name of a part's average, such as `main_loss`."""
    return f"{key.removeprefix(_PART)}_{LOSS}"


class Scorer:
    """Calls a task's loss and row metrics with all rows of all members at once."""

    def __init__(self, task: Task):
        self.task = task
        self.rows = {name: m for name, m in task.metrics.items() if m.over == "rows"}
        parameters = inspect.signature(task.loss).parameters.values()
        self.keywords = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        """Keyword arguments of the loss."""
        self.main_part: str | None = None
        """Name of the first part of a loss with several parts, known after the first call."""

    def sums(
        self,
        output: Output,
        targets: Mapping[str, Tensor],
        weight: Float[Tensor, "*m b"],
        values: Mapping[str, Tensor],
        *,
        training: bool,
    ) -> tuple[Float[Tensor, "*m"], Sums | MemberSums]:
        """The summed loss, to differentiate, and the sums of loss, parts and row metrics.

        If the loss has several named parts, the sums include every part but the first, which is
        the loss minus the others.

        Args:
            output: Output of the networks.
            targets: Targets by name.
            weight: 1, or 0 for padding.
            values: Keyword arguments of the loss, of shape (*m, ...).
            training: Whether the batch is a training batch, on which some metrics are not wanted.

        Raises:
            UserError: If the loss is not one number per row.
        """
        args = self._arguments(output, targets, weight)
        given = self.task.loss(*args, **self._keywords(values, weight))
        parts = dict(given) if isinstance(given, Mapping) else {LOSS: given}
        self._check(parts, weight)
        parts = {name: _shaped(part, weight) for name, part in parts.items()}
        self.main_part = next(iter(parts)) if len(parts) > 1 else None
        total = functools.reduce(operator.add, parts.values())
        loss = (total * weight).sum(-1)
        sums = {LOSS: loss.detach()}
        for name in list(parts)[1:]:
            sums[part_key(name)] = (parts[name].detach() * weight).sum(-1)
        return loss, sums | self._measured(args, weight, training=training)

    def measured(
        self,
        output: Output,
        targets: Mapping[str, Tensor],
        weight: Float[Tensor, "*m b"],
        *,
        training: bool,
    ) -> Sums | MemberSums:
        """Sums of the row metrics alone, without metrics that the output does not allow."""
        return self._measured(self._arguments(output, targets, weight), weight, training=training)

    @torch.no_grad()
    def row_values(
        self,
        name: str,
        output: Output,
        targets: Mapping[str, Tensor],
        weight: Float[Tensor, "*m b"],
        values: Mapping[str, Tensor],
    ) -> Float[Tensor, "*m b"] | None:
        """The loss, or a metric of rows, on each row; None if the output does not allow it.

        Args:
            name: `loss`, or a metric's name.
            output: Output of the networks.
            targets: Targets by name.
            weight: 1, or 0 for padding.
            values: Keyword arguments of the loss, of shape (*m, ...).
        """
        args = self._arguments(output, targets, weight)
        if name != LOSS:
            found = self.rows[name].of(*args)
            return None if found is None else _shaped(found, weight).to(weight.dtype)
        given = self.task.loss(*args, **self._keywords(values, weight))
        parts = list(given.values()) if isinstance(given, Mapping) else [given]
        return functools.reduce(operator.add, (_shaped(part, weight) for part in parts))

    @torch.no_grad()
    def _measured(
        self, args: tuple[Output, Output], weight: Float[Tensor, "*m b"], *, training: bool
    ) -> Sums | MemberSums:
        sums = {}
        for name, metric in self.rows.items():
            if training and not metric.train:
                continue
            values = metric.of(*args)
            if values is not None:
                if values.numel() != weight.numel():
                    raise _not_rows(f"metric {name}", values, weight)
                sums[name] = (_shaped(values, weight) * weight).sum(-1)
        return sums

    def _arguments(
        self, output: Output, targets: Mapping[str, Tensor], weight: Float[Tensor, "*m b"]
    ) -> tuple[Output, Output]:
        """Output and target in the shape that loss and metrics take."""
        target = next(iter(targets.values())) if len(targets) == 1 else dict(targets)
        if self.task.leading_axes or weight.ndim == 1:
            return output, target
        return changed(output, _rows), changed(target, _rows)

    def _keywords(
        self, values: Mapping[str, Tensor], weight: Float[Tensor, "*m b"]
    ) -> dict[str, Tensor]:
        """Values with an axis for rows: of size 1 with leading axes, else expanded to all rows."""
        with_rows = {name: v.unsqueeze(weight.ndim - 1) for name, v in values.items()}
        if self.task.leading_axes:
            return with_rows
        return {
            name: v.expand(*weight.shape, *v.shape[weight.ndim :]).reshape(
                weight.numel(), *v.shape[weight.ndim :]
            )
            for name, v in with_rows.items()
        }

    def _check(self, parts: Mapping[str, Any], weight: Float[Tensor, "*m b"]) -> None:
        for name, part in parts.items():
            if not isinstance(part, Tensor) or part.numel() != weight.numel():
                what = "the loss" if name == LOSS else f"part {name} of the loss"
                raise _not_rows(what, part, weight)


def _shaped(values: Tensor, weight: Tensor) -> Tensor:
    """Values of rows in the shape of their weights."""
    # a view of the same shape would cost one operation forward and one backward
    return values if values.shape == weight.shape else values.reshape(weight.shape)


def _rows(part: Tensor) -> Tensor:
    return part.flatten(0, 1)


def _not_rows(what: str, given: object, weight: Tensor) -> UserError:
    shape = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
    return UserError.of(
        "stack-scoring.not-one-per-row", what=what, rows=weight.numel(), shape=shape
    )
