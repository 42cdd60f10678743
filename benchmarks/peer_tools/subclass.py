"""Replacement of foldsweep's Trainable by a subclass, for sweeps of this process."""

from collections.abc import Callable

from sweeps import fitting
from trainables.tasks.task import Variant
from trainables.trainable import FoldTrainable, trainable_for

Trainable = type[FoldTrainable]


def train_with(derived: Callable[[Trainable], Trainable]) -> None:
    """Replace the Trainable of every variant by the class that `derived` makes of it."""

    def derived_for(variant: Variant) -> Trainable:
        return derived(trainable_for(variant))

    fitting.trainable_for = derived_for  # type: ignore[assignment]
