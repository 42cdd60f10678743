"""The space of `benchmarks/startup.py`: that of the perceptron, with trials that record times."""

from dataclasses import replace
from typing import Any

import psutil

from peer_tools.milestones import mark
from peer_tools.subclass import Trainable, train_with
from search_spaces.loading import load_space
from search_spaces.space import SearchSpace
from trainables.trial import Context

FIRST_STEP = "first training step"
LAST_STEP = "last trial trained"


def noting(trainable: Trainable) -> Trainable:
    """Make a subclass that records milestones."""

    class Noting(trainable):  # type: ignore[valid-type, misc]
        def setup(self, config: dict[str, Any], context: Context) -> None:
            """Record a new process, after its imports, and set up the trial."""
            mark("first actor's process made", when=psutil.Process().create_time(), cpu_s=0.0)
            mark("first actor ready")
            super().setup(config, context)

        def step(self) -> dict[str, Any]:
            """Train a whole trial of one epoch, and record its start and end."""
            mark(FIRST_STEP)
            result: dict[str, Any] = super().step()
            mark(LAST_STEP)
            return result

    return Noting


def space() -> SearchSpace:
    """Return the shipped space of the perceptron under another name."""
    train_with(noting)
    return replace(load_space("mlp"), name="milestones")
