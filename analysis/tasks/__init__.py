"""Pictures of one task only, by the task's name."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from analysis.load import Store
from analysis.plots.drawn import Drawn, Notice
from analysis.results import Sweep

Pictures = Callable[
    [Store, Sequence[Sweep], Mapping[str, str], Sequence[str], Notice], dict[str, Drawn]
]
"""`(store, sweeps, names, beside, notice)` to figures by name: of sweeps of the task, by what each
is called, with rows of reports beside; told what cannot be drawn."""

PICTURES: Mapping[str, str] = {"larger_digit": "analysis.tasks.larger_digit"}
"""The module of each task that has pictures of its own; its function is `pictures`."""


def pictures_of(task: str) -> Pictures | None:
    """What draws the pictures of a task; None for tasks without."""
    if task not in PICTURES:
        return None
    pictures: Pictures = import_module(PICTURES[task]).pictures
    return pictures
