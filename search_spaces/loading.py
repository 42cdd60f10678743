"""Loading of search spaces, by name or from a user's file by path."""

import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

from ray import cloudpickle

from foldsweep.beside import find_beside
from foldsweep.checks import nearest
from foldsweep.errors import UserError
from foldsweep.user_code import USER_MODULE, code_error
from search_spaces.shipped import SPACES as SPACES
from search_spaces.shipped import TUNED as TUNED
from search_spaces.space import SearchSpace
from trainables.tasks.task import Task, Variant
from trainables.variants import variant_named

_MODULES = {
    "mlp": "search_spaces.tables.mlp",
    "cnn": "search_spaces.images.cnn",
    "logistic": "search_spaces.tables.logistic",
    "ridge": "search_spaces.tables.ridge",
    "svm": "search_spaces.tables.svm",
    "random_forest": "search_spaces.tables.random_forest",
    "extra_trees": "search_spaces.tables.extra_trees",
    "hist_gradient_boosting": "search_spaces.tables.hist_gradient_boosting",
    "knn": "search_spaces.tables.knn",
}
"""Modules of the spaces for any task; imported on use, since scikit-learn takes seconds."""


def _space_in(module: str, task: Task) -> SearchSpace:
    space: SearchSpace = importlib.import_module(module).space(task)
    return space


ANY_TASK: dict[str, Callable[[Task], SearchSpace]] = {
    name: partial(_space_in, module) for name, module in _MODULES.items()
}
"""Spaces for the user's own task, by name; each is a function of the task."""


def summary_of(name: str) -> str:
    """Return the summary of a space for any task, in one line."""
    return (importlib.import_module(_MODULES[name]).__doc__ or "").splitlines()[0]


def load_space(name_or_path: str, task: Task | None = None) -> SearchSpace:
    """Load a space by its name, or from a `.py` file that defines `space()` or `space(task)`.

    Args:
        name_or_path: Name of the space, or path of the file.
        task: Task of the user's data, for which the space is made; None for the tasks that ship.
            A file whose `space()` takes no argument has its own.

    Raises:
        UserError: If there is no such space or file, the file is broken, or the space does not
            support the task.
    """
    if name_or_path.endswith(".py"):
        return _load_file(Path(name_or_path), task)
    if task is not None and name_or_path in ANY_TASK:
        return ANY_TASK[name_or_path](task)
    if task is None and name_or_path in SPACES:
        return SPACES[name_or_path]()
    spaces = ANY_TASK if task is not None else TUNED
    name, known, hint = name_or_path, ", ".join(spaces), nearest(name_or_path, spaces)
    if name in ANY_TASK:
        raise UserError.of("loading.space-for-own-data", space=name, known=known)
    if name in SPACES:
        raise UserError.of("loading.space-for-shipped-task", space=name, known=known)
    if task is None:
        raise UserError.of("loading.space-unknown", space=name, known=known, hint=hint)
    raise UserError.of("loading.space-unknown-for-data", space=name, known=known, hint=hint)


def takes_task(path: str) -> bool:
    """Whether a user's file defines `space(task)`, for the task of any data.

    Raises:
        UserError: If the file does not exist or is broken.
    """
    return _requires_argument(_function_of(Path(path)))


def load_variant(space: str, name: str, task: Task | None = None) -> Variant:
    """Load a variant by name: one that ships, one for any task, or one of a user's file.

    Args:
        space: Name of its space, or path of the user's file.
        name: Name of the variant, alone or as `task/variant`.
        task: Task of the user's data; None for variants that ship or whose file has its own task.

    Raises:
        UserError: If there is no such variant or file, or the file is broken.
    """
    if not space.endswith(".py") and task is None:
        return variant_named(name)
    variant = load_space(space, task).variant
    if name not in (variant.name, variant.full_name):
        raise UserError.of(
            "loading.other-variant", space=space, found=variant.full_name, wanted=name
        )
    return variant


def _load_file(path: Path, task: Task | None) -> SearchSpace:
    make = _function_of(path)
    for_any = _requires_argument(make)
    if for_any and task is None:
        raise UserError.of("loading.task-missing", path=path)
    with _running(path):
        space = make(task) if for_any else make()
    if not isinstance(space, SearchSpace):
        raise UserError.of("loading.not-a-space", path=path, found=type(space).__name__)
    if for_any and space.variant.task is not task:
        raise UserError.of("loading.other-task", path=path, found=space.variant.task.name)
    if space.name in {**SPACES, **ANY_TASK}:
        raise UserError.of("loading.name-taken", path=path, name=space.name)
    return replace(space, file=str(path))


def _function_of(path: Path) -> Callable[..., object]:
    """Return the function `space` of a user's file."""
    if not path.is_file():
        raise UserError.of("loading.file-missing", path=path)
    with _running(path):
        return _import_by_value(path).space


@contextmanager
def _running(path: Path) -> Iterator[None]:
    """Context in which a user's file is executed: its exceptions become errors that name it."""
    try:
        yield
    except UserError as error:
        raise UserError.of("loading.file-cannot-be-used", path=path, reason=error) from None
    except (Exception, SystemExit) as error:
        file = os.path.abspath(path)
        in_file = any(f.filename == file for f in traceback.extract_tb(error.__traceback__))
        if isinstance(error, AttributeError) and not in_file:
            raise UserError.of("loading.function-missing", path=path) from None
        raise code_error(error, str(path), "space file") from error


def _requires_argument(function: Callable[..., object]) -> bool:
    """Whether a function has an argument that has no default."""
    return callable(function) and any(
        one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        for one in inspect.signature(function).parameters.values()
    )


def _import_by_value(path: Path) -> ModuleType:
    """Import a user's file and register it for pickling by value, since workers may lack it."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    name = f"{USER_MODULE}{digest}"
    find_beside(str(path.resolve()))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    cloudpickle.register_pickle_by_value(module)
    return module
