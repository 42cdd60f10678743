"""What libraries suggest when a notebook imports them, which its user did not ask for."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

OF_RAY = "ray.widgets.util"


@contextmanager
def no_hints() -> Iterator[None]:
    """Keep Ray and tqdm from asking for ipywidgets, which nothing here uses."""
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
