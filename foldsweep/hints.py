"""Suppression of hints that libraries print when a notebook imports them."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

OF_RAY = "ray.widgets.util"


@contextmanager
def no_hints() -> Iterator[None]:
    """Suppress the hints of Ray and tqdm to install ipywidgets, which foldsweep does not use."""
    logger = logging.getLogger(OF_RAY)
    level = logger.level
    logger.setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "IProgress not found")
    ours = warnings.filters[0]
    try:
        yield
    finally:
        logger.setLevel(level)
        if ours in warnings.filters:
            warnings.filters.remove(ours)  # type: ignore[attr-defined]
