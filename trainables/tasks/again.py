"""Data of a recipe, read or drawn again and proven by its digest."""

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
    """The data of the sweep that a recipe is from.

    Args:
        recipe: The recipe.
        task: Its task.
        data_dir: Folder of the files of a task that ships.
        path: The user's data file, where the recipe names one.
        beside: Folder of the recipe, where a data file of the recorded name and digest is taken
            if `path` is not given. No other place is looked at.

    Raises:
        UserError: If the data is not available or not the sweep's.
    """
    data = _read(recipe, task, recipe.seed, data_dir, path, beside)
    if data.digest != recipe.data_digest:
        raise UserError(
            f"this data is not the sweep's: its digest is {data.digest}, the recipe has"
            f" {recipe.data_digest}; is the {recipe.dataset} data the same?"
        )
    return data


def fresh_data(recipe: Recipe, task: Task, seed: int, *, data_dir: Path | None = None) -> Data:
    """Other rows of the same kind, drawn with another seed.

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
    if recipe.origin:
        from trainables.tasks.tables import data_again  # pandas, which shipped tasks do not need

        file = path or _beside(recipe, "data", beside)
        return data_again(recipe.origin, path=file, test_path=_beside(recipe, "test", beside))
    return task.load(DataRequest(seed=seed))


def _options(recipe: Recipe, task: Task, data_dir: Path | None) -> Any:
    """The task's options as the sweep had them."""
    assert task.options is not None
    known = {field.name for field in fields(task.options)}
    unknown = sorted(set(recipe.origin) - known)
    if unknown:
        raise UserError(f"the recipe's origin has unknown {', '.join(unknown)}; export it again")
    hints = get_type_hints(task.options)
    for name, value in recipe.origin.items():
        if not fits(value, hints[name]):
            raise UserError(
                f"the recipe's origin has {name} {brief(value)}, which must be"
                f" {described(hints[name])}"
            )
    return task.options(**{**recipe.origin, "data_dir": data_dir})


def _beside(recipe: Recipe, which: str, folder: Path | None) -> Path | None:
    """The file of all or of test rows beside the recipe; None for data that is no file."""
    digest = "sha256" if which == "data" else "test_sha256"
    if recipe.origin.get(digest) is None:
        return None
    name = Path(str(recipe.origin.get(which))).name
    found = (folder or Path()) / name
    if not found.is_file():
        raise UserError(
            f"the sweep's data, {name}, is not beside the recipe: put it there"
            f"{', or name it with --data PATH' if which == 'data' else ''}"
        )
    return found
