"""Folders of kept models."""

from pathlib import Path

from foldsweep.errors import UserError
from trainables.keep.model import (
    CODE_FILE,
    ESTIMATOR_FILE,
    RECIPE_FILE,
    WEIGHTS_FILE,
    KeptModel,
)

FILES = (RECIPE_FILE, WEIGHTS_FILE, ESTIMATOR_FILE, CODE_FILE)


def check_folder(folder: Path) -> None:
    """Refuse a folder that a model cannot be written to.

    Raises:
        UserError: If the path is a file, its parent folder does not exist, or the folder contains
            files that are not a model's.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--keep {folder} is no folder")
    if not folder.parent.is_dir():
        raise UserError(f"--keep {folder}: there is no folder {folder.parent}")
    others = (
        sorted(f.name for f in folder.iterdir() if f.name not in FILES) if folder.is_dir() else []
    )
    if others:
        raise UserError(f"--keep {folder} holds {others[0]}: name an empty or a new folder")


def keep(model: KeptModel, folder: Path) -> None:
    """Write a model into a folder; it replaces a model that is already there.

    Raises:
        UserError: If the folder cannot be written.
    """
    try:
        folder.mkdir(exist_ok=True)
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from None
    model.save(folder)
