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
        raise UserError.of("keeping.not-a-folder", folder=folder)
    if not folder.parent.is_dir():
        raise UserError.of("keeping.parent-missing", folder=folder, parent=folder.parent)
    others = (
        sorted(f.name for f in folder.iterdir() if f.name not in FILES) if folder.is_dir() else []
    )
    if others:
        raise UserError.of("keeping.folder-not-empty", folder=folder, file=others[0])


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
        raise UserError.of("keeping.unwritable", folder=folder, reason=error.strerror) from None
    model.save(folder)
