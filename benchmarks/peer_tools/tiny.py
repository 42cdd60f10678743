"""Sweeps of trials that train next to nothing, so that what surrounds training is measured."""

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
"""One epoch on a few pairs."""


def words(options: Mapping[str, object]) -> list[str]:
    """Options as a command line has them."""
    return [part for key, value in options.items() for part in (f"--{key}", str(value))]


def emptied(path: Path) -> Path:
    """An absolute folder that is there, without what was in it.

    Raises:
        UserError: If it cannot be made.
    """
    shutil.rmtree(path, ignore_errors=True)
    return made_folder(path)


def swept(options: Mapping[str, object], folder: Path, what: str, limit_s: float) -> "Measured":
    """Measure a tiny sweep in a folder, which has its MLflow store, too.

    Args:
        options: Options of the sweep besides `TINY`, or instead of them.
        folder: Folder that it runs in.
        what: What sweep it is, for a message.
        limit_s: Seconds after which it is ended.

    Raises:
        UserError: If it fails or takes too long.
    """
    from peer_tools.measure import measure  # which needs psutil

    given = {**TINY, "tracking-uri": f"sqlite:///{folder}/mlflow.db", **options}
    seen = measure([sys.executable, str(RUN), *words(given)], folder, {}, limit_s=limit_s)
    if seen.code != 0:
        how = "took too long" if seen.code is None else f"ended with code {seen.code}"
        raise UserError(f"{what} {how}: {last_words(folder / 'output.log')}")
    return seen
