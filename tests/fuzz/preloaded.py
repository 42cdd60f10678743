"""Modules that all programs import, loaded once: a forked process starts in milliseconds."""

from importlib import import_module

import torch

MODULES = (
    *("sweeps.launch", "sweeps.tracking.uploader", "sweeps.reproduce", "sweeps.finalists"),
    *("sweeps.evaluate", "sweeps.replay", "analysis.compare", "analysis.export"),
    *("analysis.report", "analysis.figures", "analysis.ui", "analysis.predict"),
    *("analysis.models.trained", "analysis.models.fetch", "analysis.models.registry"),
    *("trainables.models.estimators.catalogue", "trainables.keep.estimator", "skops.io"),
)


def load() -> None:
    """Import all, and set torch to one thread: a forked process would lack its threads."""
    torch.set_num_threads(1)
    for name in MODULES:
        import_module(name)
