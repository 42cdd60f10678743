"""The space of `benchmarks/startup.py`: the perceptron's, whose trials note when they run."""

from dataclasses import replace
from typing import Any

import psutil

from peer_tools.milestones import mark
from search_spaces.loading import load_space
from search_spaces.space import SearchSpace
from trainables.trainable import MlpTrainable
from trainables.trial import Task

FIRST_STEP = "first training step"
LAST_STEP = "last trial trained"


class NotingTrainable(MlpTrainable):
    """Does as its parent, and notes."""

    def setup(self, config: dict[str, Any], task: Task) -> None:  # type: ignore[override]
        """Called in a new process, when all is imported."""
        mark("first actor's process made", when=psutil.Process().create_time(), cpu_s=0.0)
        mark("first actor ready")
        super().setup(config, task)

    def step(self) -> dict[str, Any]:
        """A whole trial, here."""
        mark(FIRST_STEP)
        result = super().step()
        mark(LAST_STEP)
        return result


def space() -> SearchSpace:
    """The shipped space by another name."""
    return replace(load_space("mlp"), name="milestones", trainable=NotingTrainable)
