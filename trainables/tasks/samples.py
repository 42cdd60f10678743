"""Rows of data: named inputs and targets, split into training rows and untouched test rows."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from jaxtyping import Int

from foldsweep.errors import UserError

CATEGORIES: Final = "categories"
"""Name of the input of a table that holds category codes; all other inputs are numbers."""
UNNAMED: Final = "data"
"""Name of data without a name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Rows: named inputs, named targets and optional groups; every array has n rows.

    Raises:
        ValueError: If arrays differ in their number of rows, or there is no input or target.
    """

    inputs: Mapping[str, np.ndarray]
    """Arrays (n, ...) by name. A single input is passed to `forward` of a network as it is,
    several are passed by name."""
    targets: Mapping[str, np.ndarray]
    """Arrays (n, ...) by name, passed to loss and metrics as inputs are passed to networks."""
    groups: np.ndarray | None = None
    """Group of each row, (n,); rows of one group are never on both sides of a split."""

    def __post_init__(self) -> None:
        arrays = {**self.inputs, **self.targets}
        if self.groups is not None:
            arrays["groups"] = self.groups
        sizes = {name: len(array) for name, array in arrays.items()}
        if not self.inputs or not self.targets or len(set(sizes.values())) != 1:
            raise ValueError(f"inputs and targets must have equally many rows, but have {sizes}")

    def __len__(self) -> int:
        return len(next(iter(self.targets.values())))

    def take(self, rows: Int[np.ndarray, " r"] | slice) -> "Samples":
        """Return some of the rows, in the order given."""
        return Samples(
            inputs={name: array[rows] for name, array in self.inputs.items()},
            targets={name: array[rows] for name, array in self.targets.items()},
            groups=None if self.groups is None else self.groups[rows],
        )

    def arrays(self) -> list[tuple[str, np.ndarray]]:
        """All arrays with their names, in order; the content that a digest covers."""
        named = [(f"inputs.{name}", array) for name, array in self.inputs.items()]
        named += [(f"targets.{name}", array) for name, array in self.targets.items()]
        return named if self.groups is None else [*named, ("groups", self.groups)]


def joined(parts: Sequence[Samples]) -> Samples:
    """Concatenate several samples of one task, in order; groups only if all of them have some."""
    first = parts[0]
    groups = [part.groups for part in parts if part.groups is not None]
    return Samples(
        inputs={k: np.concatenate([part.inputs[k] for part in parts]) for k in first.inputs},
        targets={k: np.concatenate([part.targets[k] for part in parts]) for k in first.targets},
        groups=np.concatenate(groups) if len(groups) == len(parts) else None,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """Training rows, for cross-validation and training, and test rows, untouched until the end."""

    name: str
    """Name of the data, such as `breast_cancer`; recorded with every result."""
    train: Samples
    test: Samples | None
    """None if no rows were set aside; the error on new data then cannot be estimated."""
    own_digest: str | None = None
    """Digest in place of the computed one, so that recorded digests hold; None to compute it."""
    schema: Any = None
    """Columns of a table or layout of arrays, see `trainables.tasks.table.schema.Schema`; None
    if a program made the data."""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """Plain values that are needed to read the data again: file or name, and options."""
    said: str = ""
    """Summary that is printed for the user, one or several lines."""

    @property
    def headline(self) -> str:
        """First line of the summary; the name of the data if there is no summary."""
        return self.said.splitlines()[0] if self.said else f"data: {self.name}"

    @cached_property
    def digest(self) -> str:
        """Hash of the name and of all arrays: equal for equal data, on any machine."""
        if self.own_digest is not None:
            return self.own_digest
        parts = [self.train, *([] if self.test is None else [self.test])]
        named = [(f"{i}.{name}", a) for i, part in enumerate(parts) for name, a in part.arrays()]
        return digest_of(self.name, named)

    @property
    def test_rows(self) -> Samples:
        """The test rows.

        Raises:
            UserError: If none were set aside.
        """
        if self.test is None:
            raise UserError.of("samples.test-rows-missing", data=self.name)
        return self.test

    def with_digest_of(self, arrays: Sequence[tuple[str, np.ndarray]]) -> "Data":
        """Return the data with a digest of these arrays only; array names are not hashed."""
        return replace(self, own_digest=digest_of(self.name, arrays, names=False))

    @classmethod
    def of(cls, inputs: Any, target: Any, **options: Any) -> "Data":
        """Make data from a data frame or arrays, and set test rows aside.

        Args:
            inputs: A data frame of columns, an array (n, ...), or a mapping of arrays by name.
            target: A series or array of n classes or values, or a mapping of arrays by name.
            options: See `trainables.tasks.tables.data_of`: `holdout`, `groups`, `time`, `name`,
                `seed`, `test`.

        Raises:
            UserError: If a column, the target or an option cannot be used.
        """
        from trainables.tasks.tables import data_of  # pandas, which shipped tasks do not need

        return data_of(inputs, target, **options)


def digest_of(name: str, arrays: Sequence[tuple[str, np.ndarray]], *, names: bool = True) -> str:
    """Hash a name and arrays: type, shape and bytes of each array, or the words of a text array.

    Args:
        name: Name of the data.
        arrays: Arrays with their names.
        names: Whether the names of the arrays are hashed too.
    """
    sha256 = hashlib.sha256(name.encode())
    for key, array in arrays:
        if names:
            sha256.update(f"{key}:".encode())
        if array.dtype.kind in "UOT":  # text, such as the names of groups
            sha256.update("\0".join(map(str, array.tolist())).encode())
            continue
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        sha256.update(f"{array.dtype.name}{array.shape}".encode())
        sha256.update(np.ascontiguousarray(little_endian).tobytes())
    return sha256.hexdigest()[:32]
