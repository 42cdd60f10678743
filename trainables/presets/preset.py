"""Presets: rows of a report's tables, the protocols of their measurements, and grids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Measurement protocol of a row.

    `rounds` trains on all training pairs, each round with its own initialisation, and measures on
    test pairs; `folds` cross-validates the training pairs.
    """

    kind: Literal["rounds", "folds"]
    count: int
    """Number of rounds or folds."""
    fresh_data: bool = True
    """Whether each round draws its own pairs; else all rounds use the same pairs."""
    train_pairs: int = 1000
    test_pairs: int = 1000
    held_back: int = 0
    """Number of random training pairs that a round does not train on: an unused validation
    part."""
    test_from: int = 0
    """Index of the first test pair that counts; the pairs before it are a validation part."""
    curves: bool = False
    """Whether the test pairs are measured after every epoch too, for learning curves."""


@dataclass(frozen=True, kw_only=True)
class Reported:
    """Published figures; accuracies and deviations in [0, 1], None if not published."""

    accuracy: float | None = None
    std: float | None = None
    params: int | None = None
    time_s: float | None = None
    train_accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Measurement of a row in a table: the protocol, and the published figures."""

    table: str
    """`report/table`."""
    protocol: Protocol
    reported: Reported = Reported()


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Row of a report, `report/row`: a variant and its full configuration.

    Fields that are not in `config` have their defaults.
    """

    name: str
    variant: str
    config: Mapping[str, Any]
    measurements: tuple[Measurement, ...] = ()
    params: int | None = None
    """Number of trainable parameters that follows from the report's layers; None if unknown."""
    tuned_by: str | None = None
    """Grid whose best point has the values that the report does not print."""
    note: str = ""
    """Settings that the report leaves open, and the choices made here."""

    @property
    def report(self) -> str:
        """Name of the report."""
        return self.name.partition("/")[0]


def choice(base: Preset, suffix: str, *, fresh_data: bool | None = None, **values: Any) -> Preset:
    """Make an alternative of a row, with another choice for settings that the report leaves open.

    Args:
        base: The row with the choices made here.
        suffix: Suffix of the row's name.
        fresh_data: Whether each round draws its own pairs [as in the row].
        values: Fields of the configuration that differ.
    """
    protocol = base.measurements[-1].protocol
    if fresh_data is not None:
        protocol = replace(protocol, fresh_data=fresh_data)
    return replace(
        base,
        name=f"{base.name}_{suffix}",
        config={**base.config, **values},
        measurements=(Measurement(table=f"{base.report}/choices", protocol=protocol),),
        params=None,
        note="another choice where the report leaves one",
    )


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Grid search of a report: the search space, and its published result."""

    name: str
    """`report/grid`."""
    table: str | None
    """`report/table`; None for a grid that is a search space only."""
    base: str
    """Name of the preset whose configuration has the fields that do not vary."""
    axes: Mapping[str, Sequence[Any]]
    """Values of each field that varies; the grid is their Cartesian product."""
    folds: int
    values: Mapping[str, Any] = field(default_factory=dict)
    """Fields that differ from the base: the published best values of earlier groups."""
    after: str | None = None
    """Grid whose best point replaces `values` if the grid has been run."""
    best: Mapping[str, Any] = field(default_factory=dict)
    score: float | None = None
    prunes: bool = False
    """Whether poor points are stopped early, for grids of which only the best is published."""

    @property
    def space(self) -> str:
        """Name of the grid's search space."""
        return self.name.replace("/", "-")
