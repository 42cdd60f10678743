"""Command-line options of the tasks that ship."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Dataset = Literal["auto", "mnist", "digits", "disc"]


@dataclass(frozen=True, kw_only=True)
class ShippedOptions:
    """Data of the tasks that ship."""

    dataset: Dataset = "auto"
    """Handwritten digits: mnist, scikit-learn's embedded digits, or mnist if available; spaces
    of points take disc."""
    data_dir: Path | None = None
    """Folder of the MNIST files [FOLDSWEEP_DATA, else a cache folder of the user]."""
    train_pairs: int | None = None
    """Training pairs [1000 for mnist, all for digits]."""
    test_pairs: int | None = None
    """Test pairs [1000 for mnist, all for digits]."""
