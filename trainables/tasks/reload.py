"""Data of a recipe: read or drawn again, and verified by its digest."""

from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

from foldsweep.checks import brief, described, fits
from foldsweep.errors import UserError
from foldsweep.recipe import Recipe
from trainables.tasks.samples import Data
from trainables.tasks.task import DataRequest, Task


def data_of(
    recipe: Recipe,
    task: Task,
    *,
    data_dir: Path | None = None,
    path: Path | None = None,
    beside: Path | None = None,
) -> Data:
    """Return the data of the sweep that a recipe was exported from.

    Args:
        recipe: The recipe.
        task: Task of the recipe.
        data_dir: Data folder of a built-in task.
        path: The user's data file, if the recipe names one.
        beside: Folder of the recipe. If `path` is None, the data file of the recorded name is
            read from this folder, and from no other place.

    Raises:
        UserError: If the data is not available, or its digest differs from the recipe's.
    """
    data = _read(recipe, task, recipe.seed, data_dir, path, beside)
    if data.digest != recipe.data_digest:
        raise UserError.of(
            "reload.other-data", digest=data.digest, wanted=recipe.data_digest, data=recipe.dataset
        )
    return data


def fresh_data(recipe: Recipe, task: Task, seed: int, *, data_dir: Path | None = None) -> Data:
    """Return other rows of the same kind, drawn with another seed.

    Raises:
        UserError: If the data is not available.
    """
    return _read(recipe, task, seed, data_dir, None, None)


def _read(
    recipe: Recipe,
    task: Task,
    seed: int,
    data_dir: Path | None,
    path: Path | None,
    beside: Path | None,
) -> Data:
    if task.options is not None:
        return task.load(DataRequest(seed=seed, options=_options(recipe, task, data_dir)))
    if "given" in recipe.origin and isinstance(task.data, Data) and len(task.data.train) > 1:
        return task.data  # made again by the user's file; a task from its record has one row
    if recipe.origin:
        from trainables.tasks.tables import data_again  # pandas, which shipped tasks do not need

        file = path or _beside(recipe, "data", beside)
        return data_again(recipe.origin, path=file, test_path=_beside(recipe, "test", beside))
    return task.load(DataRequest(seed=seed))


def _options(recipe: Recipe, task: Task, data_dir: Path | None) -> Any:
    """Return the task's options with the values that the sweep used."""
    assert task.options is not None
    known = {field.name for field in fields(task.options)}
    unknown = sorted(set(recipe.origin) - known)
    if unknown:
        raise UserError.of("reload.origin-keys-unknown", keys=", ".join(unknown))
    hints = get_type_hints(task.options)
    for name, value in recipe.origin.items():
        if not fits(value, hints[name]):
            raise UserError.of(
                "reload.origin-invalid", name=name, value=brief(value), rule=described(hints[name])
            )
    return task.options(**{**recipe.origin, "data_dir": data_dir})


def _beside(recipe: Recipe, which: str, folder: Path | None) -> Path | None:
    """Return the data file or the test file in the recipe's folder; None if there was no file.

    Raises:
        UserError: If the recipe names a file that the folder does not hold.
    """
    digest = "sha256" if which == "data" else "test_sha256"
    if recipe.origin.get(digest) is None:
        return None
    name = Path(str(recipe.origin.get(which))).name
    found = (folder or Path()) / name
    if not found.is_file():
        if which == "data":
            raise UserError.of("reload.data-file-missing", file=name)
        raise UserError.of("reload.test-file-missing", file=name)
    return found
