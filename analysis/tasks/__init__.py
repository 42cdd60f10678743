"""Pictures of one task only, by the task's name."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Protocol

from analysis.load import Store
from analysis.plots.drawn import Drawn
from analysis.results import Sweep


class Pictures(Protocol):
    """Draws what only one task has, see `analysis.plots.gallery.sweep_figures`."""

    def __call__(
        self,
        store: Store,
        sweeps: Sequence[Sweep],
        names: Mapping[str, str],
        beside: Sequence[str],
        notice: Callable[[str], None],
    ) -> dict[str, Drawn]:
        """Figures by name, of sweeps of the task; `names` is what each sweep is called."""


PICTURES: Mapping[str, str] = {"larger_digit": "analysis.tasks.larger_digit"}
"""The module of each task that has pictures of its own; its function is `pictures`."""


def pictures_of(task: str) -> Pictures | None:
    """What draws the pictures of a task; None for tasks without."""
    if task not in PICTURES:
        return None
    pictures: Pictures = import_module(PICTURES[task]).pictures
    return pictures
