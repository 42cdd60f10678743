"""Earlier sweeps of a folder whose scores can be compared with those of a sweep."""

from pathlib import Path
from typing import Any

from foldsweep import names
from foldsweep.errors import UserError
from foldsweep.files import parsed
from sweeps.settings_file import SETTINGS_FILE, load_settings

MOST = 2
"""Most sweeps that are named."""
MOST_READ = 20
"""Most folders that are read, the latest first, as a folder may hold thousands."""
ALIKE = (
    "folds",
    "repeats",
    "epochs",
    "objective",
    "seed",
    "select_on_test",
    "experiment",
    "tracking_uri",
)
"""Settings that make scores comparable and easy to find, besides task and data."""


def comparable(storage: Path, name: str) -> list[str]:
    """Names of the latest other sweeps with the same task, rows, folds, epochs and objective.

    Args:
        storage: Folder of sweeps.
        name: Name of the sweep.

    Returns:
        At most `MOST` names, the latest first.
    """
    folders = [path.parent for path in storage.glob(f"*/{SETTINGS_FILE}")]
    others = [folder for folder in folders if folder.name[0] != "." and folder.name != name]
    others.sort(key=_changed, reverse=True)
    own = _scored_on(storage / name)
    alike = [folder.name for folder in others[:MOST_READ] if _scored_on(folder) == own]
    return [] if own is None else alike[:MOST]


def _changed(folder: Path) -> float:
    try:
        return (folder / SETTINGS_FILE).stat().st_mtime
    except OSError:  # deleted since it was listed
        return 0.0


def _scored_on(folder: Path) -> tuple[Any, ...] | None:
    """What the scores of a sweep depend on besides configurations; None if it is not known."""
    try:
        settings = load_settings(folder)
        files = [parsed(path.read_bytes()) for path in folder.glob(f"*/{names.TASK_FILE}")]
        of = {(file["record"]["name"], file["record"]["digest"]) for file in files}
    except (UserError, OSError, ValueError, LookupError, TypeError):
        return None
    return (sorted(of), *(getattr(settings, key) for key in ALIKE)) if of else None
