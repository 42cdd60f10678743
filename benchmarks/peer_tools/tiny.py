"""Sweeps of trials that train almost nothing, to measure the overhead of a sweep."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from foldsweep.errors import UserError
from peer_tools.checks import last_words, made_folder

if TYPE_CHECKING:
    from peer_tools.measure import Measured

RUN = Path(__file__).parents[2] / "sweeps" / "run.py"
TINY: Mapping[str, object] = {
    **{"dataset": "digits", "train-pairs": 40, "folds": 2, "epochs": 1},
    **{"sampler": "random", "scheduler": "none"},
}
"""Options of a sweep that trains one epoch on a few pairs."""


def words(options: Mapping[str, object]) -> list[str]:
    """Convert options to a command line."""
    return [part for key, value in options.items() for part in (f"--{key}", str(value))]


def emptied(path: Path) -> Path:
    """Delete a folder and make it again; returns its absolute path.

    Raises:
        UserError: If the folder cannot be made.
    """
    shutil.rmtree(path, ignore_errors=True)
    return made_folder(path)


def swept(options: Mapping[str, object], folder: Path, what: str, limit_s: float) -> "Measured":
    """Run and measure a tiny sweep in a folder, which contains its MLflow store, too.

    Args:
        options: Options of the sweep, which add to those of `TINY` or replace them.
        folder: Folder in which the sweep runs.
        what: Description of the sweep, for error messages.
        limit_s: Time limit in seconds.

    Raises:
        UserError: If the sweep fails or takes too long.
    """
    from peer_tools.measure import measure  # needs psutil

    given = {**TINY, "tracking-uri": f"sqlite:///{folder}/mlflow.db", **options}
    seen = measure([sys.executable, str(RUN), *words(given)], folder, {}, limit_s=limit_s)
    if seen.code != 0:
        how = "took too long" if seen.code is None else f"ended with code {seen.code}"
        output = last_words(folder / "output.log")
        raise UserError.of("peer-tiny.sweep-failed", sweep=what, how=how, output=output)
    return seen
