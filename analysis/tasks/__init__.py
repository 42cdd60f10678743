"""Figures that exist for one task only, by the task's name."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from analysis.load import Store
from analysis.plots.figure import Drawn, Notice
from analysis.results import Sweep

Pictures = Callable[
    [Store, Sequence[Sweep], Mapping[str, str], Sequence[str], Notice], dict[str, Drawn]
]
"""Function from `(store, sweeps, names, beside, notice)` to figures by name: `names` are the
sweeps' names in figures, `beside` are rows of reports to show beside the sweeps, and `notice` is
called with what cannot be drawn."""

PICTURES: Mapping[str, str] = {"larger_digit": "analysis.tasks.larger_digit"}
"""Module of each task that has its own figures; the function in it is called `pictures`."""


def pictures_of(task: str) -> Pictures | None:
    """The function that draws the figures of a task; None if the task has none."""
    if task not in PICTURES:
        return None
    pictures: Pictures = import_module(PICTURES[task]).pictures
    return pictures
