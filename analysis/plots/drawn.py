"""Figures with what to look at, and the names they have in files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from analysis.results import Sweep

Notice = Callable[[str], None]
"""Told in a line each what cannot be drawn, and why."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A figure and one line that says what to look at."""

    figure: Figure
    caption: str


def slug(sweep: Sweep) -> str:
    """A sweep's name as part of a file's."""
    return sweep.name.replace("/", "-")


def common(sweeps: Sequence[Sweep]) -> str:
    """What names of figures begin with that show several sweeps, or one alone."""
    return slug(sweeps[0]) if len(sweeps) == 1 else "all"
