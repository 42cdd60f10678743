"""A sweep in a folder, and a tracker that ignores all records."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from search_spaces.space import SearchSpace
from sweeps.resources import Allotment
from sweeps.settings import SweepSettings
from sweeps.sweep import sweep_space
from sweeps.tracking.tracker import Tracker
from trainables.tasks.samples import Data

ALLOTMENT = Allotment(cpus=1, gpus=0, concurrency=1)


def sweep_in(folder: Path, space: SearchSpace, data: Data, /, **settings: Any) -> None:
    """Sweep one space, with all its files in a folder."""
    sweep_space(
        SweepSettings(space=(space.name,), storage=str(folder), **settings).for_task(
            space.variant.task
        ),
        space,
        data,
        name="first",
        folder=folder,
        checkpoint_root=str(folder),
        tracking_uri=f"sqlite:///{folder}/mlflow.db",
        allotment=ALLOTMENT,
        console=Console(quiet=True),
    )


class NoTracker:
    """Tracker that accepts all records and keeps none."""

    __class__ = Tracker  # for the checker of signatures
    problem = ""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def open_trials(self) -> set[int]:
        return set()

    def close(self, wait_s: float) -> int:
        return 0

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


@dataclass
class Noted:
    """Parameters and tags that a sweep logs, and the tags of its trials."""

    params: dict[str, Any]
    tags: dict[str, str]
    trial_tags: dict[str, str]
