"""A trial's score or predictions on each held-out row, for the bootstrap of a sweep's selection.

Legend of shapes: r repeats, n rows of the training table, v held-out rows of a fold, k classes or
values to predict.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from foldsweep import names
from trainables.stack.passes import Stack, predictions
from trainables.stack.scoring import LOSS
from trainables.tasks.metrics import Needs
from trainables.tasks.samples import Samples
from trainables.tasks.task import Task

Kind = Literal["metric", "answer", "log_probability", "value"]
NO_FOLD = -1
"""Fold of a row that a repeat never holds out."""
_EXACT_IN_HALF = 2048
"""Whole numbers up to here are exact in half precision."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOut:
    """The objective, or the predictions that it is computed from, by held-out row of a trial."""

    key: str
    """Key of the objective, such as `val_accuracy`."""
    kind: Kind
    """`metric` if `values` are the objective itself, one per row. Otherwise `values` are the
    predictions that the objective takes: `answer` for whole numbers such as classes,
    `log_probability` for the logarithm of each class's probability, `value` for all others."""
    values: Float[np.ndarray, "r n *k"]
    """Values in order of the training table's rows; NaN if a repeat never holds out the row."""
    fold: Int[np.ndarray, "r n"]
    """Fold that holds a row out, counted over all repeats, or `NO_FOLD`."""

    def to_bytes(self) -> bytes:
        """Content of a file: compressed arrays, without pickles."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            key=np.array(self.key),
            kind=np.array(self.kind),
            values=self.values,
            fold=self.fold,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "HeldOut":
        """Read what `to_bytes` returned.

        Raises:
            ValueError: If the content is damaged or of another kind.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in ("key", "kind", "values", "fold")}
        except Exception as error:  # zip files, headers and arrays have errors of their own
            raise ValueError(f"values of held-out rows cannot be read: {error}") from None
        return cls(
            key=str(arrays["key"]),
            kind=str(arrays["kind"]),  # type: ignore[arg-type]
            values=arrays["values"],
            fold=arrays["fold"],
        )

    def predictions(self) -> np.ndarray:
        """Predictions as the metric takes them, in double precision or whole numbers.

        Predictions of rows that are never held out are meaningless. Probabilities of a row sum
        to 1.
        """
        if self.kind == "answer":
            return np.nan_to_num(self.values).astype(np.int64)
        values = self.values.astype(np.float64)
        if self.kind != "log_probability":
            return values
        probability = np.exp(values)
        return probability / probability.sum(-1, keepdims=True)


def held_out(stack: Stack, samples: Samples, task: Task, key: str) -> HeldOut | None:
    """A trained stack's objective, or the predictions that it takes, on each held-out row.

    For a metric of rows, its values are kept in single precision. For a metric over all held-out
    rows, the predictions that it takes are kept: probabilities as logarithms in half precision,
    which resolves values near 0 and near 1 alike, and values of a regression in single precision.

    Args:
        stack: A stack that is trained to its end.
        samples: The rows that its members index.
        task: The task of the stack.
        key: Key of the objective.

    Returns:
        None if the objective has no values by row, or the stack cannot compute them.
    """
    fold = folds_by_row([m.held_out for m in stack.members], len(samples))
    own = {names.val_key(name): name for name in task.metrics}
    name = LOSS if key == names.VAL_LOSS else own.get(key)
    if name is None:
        return None
    kind: Kind = "metric"
    found: Sequence[np.ndarray] | None
    if name != LOSS and task.metrics[name].over == "all":
        needs = task.metrics[name].needs
        found = [said[needs] for said in predictions(stack)]
        kind = _kind(needs, found)
    else:
        found = stack.row_values(name)
    if found is None:
        return None
    rows = _stored(found, kind)
    values = np.full((*fold.shape, *rows[0].shape[1:]), np.nan, rows[0].dtype)
    for member, (held, of_member) in enumerate(
        zip((m.held_out for m in stack.members), rows, strict=True)
    ):
        repeat = int(np.flatnonzero(fold[:, held[0]] == member)[0])
        values[repeat, held] = of_member
    return HeldOut(key=key, kind=kind, values=values, fold=fold)


def folds_by_row(held_out: Sequence[Int[np.ndarray, " _"]], rows: int) -> Int[np.ndarray, "r n"]:
    """The fold that holds out each row, for each repeat; folds of one repeat share no row.

    Each fold joins the first repeat that holds out none of its rows yet.

    Args:
        held_out: Held-out rows of each fold.
        rows: Number of rows of the training table.
    """
    repeats: list[np.ndarray] = []
    for number, own in enumerate(held_out):
        free = (repeat for repeat in repeats if (repeat[own] == NO_FOLD).all())
        repeat = next(free, None)
        if repeat is None:
            repeat = np.full(rows, NO_FOLD, np.int16)
            repeats.append(repeat)
        repeat[own] = number
    return np.stack(repeats)


def _kind(needs: Needs, found: Sequence[np.ndarray]) -> Kind:
    of_classes = needs == "probability" and found[0].ndim == 2
    if of_classes and all(np.allclose(said.sum(-1), 1, atol=1e-3) for said in found):
        return "log_probability"  # a user's own predictions need not sum to 1
    return "answer" if found[0].dtype.kind in "bui" else "value"


def _stored(found: Sequence[np.ndarray], kind: Kind) -> list[np.ndarray]:
    """Each member's values, converted to the precision of the file."""
    if kind == "log_probability":
        with np.errstate(divide="ignore"):  # a probability of 0
            return [np.log(values).astype(np.float16) for values in found]
    half = kind == "answer" and all(np.abs(values).max() <= _EXACT_IN_HALF for values in found)
    return [values.astype(np.float16 if half else np.float32) for values in found]
