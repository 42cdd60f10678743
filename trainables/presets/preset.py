"""What a row of a report's table is, how it was measured, and what a report's grid is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a row is measured.

    `rounds` trains on all training pairs, each round with its own initialisation, and measures on
    test pairs; `folds` cross-validates the training pairs.
    """

    kind: Literal["rounds", "folds"]
    count: int
    """Rounds, or folds."""
    fresh_data: bool = True
    """Pairs drawn anew for each round, instead of the same for all."""
    train_pairs: int = 1000
    test_pairs: int = 1000
    held_back: int = 0
    """Training pairs that a round leaves out, at random: a validation part that nothing uses."""
    test_from: int = 0
    """Test pairs before this one are a validation part, and not counted."""
    curves: bool = False
    """Measure the test pairs after every epoch too, for learning curves."""


@dataclass(frozen=True, kw_only=True)
class Reported:
    """Figures as printed; accuracies in [0, 1], None where nothing is printed."""

    accuracy: float | None = None
    std: float | None = None
    params: int | None = None
    time_s: float | None = None
    train_accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A row's place in a table: how it is measured there, and what the report has."""

    table: str
    """`report/table`."""
    protocol: Protocol
    reported: Reported = Reported()


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A variant with the full configuration of a row, `report/row`.

    Fields that are not in `config` are at their defaults.
    """

    name: str
    variant: str
    config: Mapping[str, Any]
    measurements: tuple[Measurement, ...] = ()
    params: int | None = None
    """Learnable numbers that the report's layers come to."""
    tuned_by: str | None = None
    """Grid whose best point gives the values that the report does not print."""
    note: str = ""
    """What the report leaves open, and what is chosen here."""

    @property
    def report(self) -> str:
        """Name of the report."""
        return self.name.partition("/")[0]


def choice(base: Preset, suffix: str, *, fresh_data: bool | None = None, **values: Any) -> Preset:
    """A row as it would be had another choice been made where the report leaves one open.

    Args:
        base: The row as it is chosen.
        suffix: What is appended to the row's name.
        fresh_data: Pairs drawn anew for each round or not [as in the row].
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
    """A report's grid search: a search space, and what came out of it."""

    name: str
    """`report/grid`."""
    table: str | None
    """`report/table`; None for a grid that is a search space only."""
    base: str
    """Preset whose configuration holds what does not vary."""
    axes: Mapping[str, Sequence[Any]]
    """Values of each field; their product is searched."""
    folds: int
    values: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the base: the best of the groups before, as the report has it."""
    after: str | None = None
    """Grid whose best point is taken instead of `values` where it has been run."""
    best: Mapping[str, Any] = field(default_factory=dict)
    score: float | None = None
    prunes: bool = False
    """Stop the worse points early; for grids of which the report prints nothing but the best."""

    @property
    def space(self) -> str:
        """Name of its search space."""
        return self.name.replace("/", "-")
