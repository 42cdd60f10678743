"""Finds a search space by name, or in a user's own file by path."""

import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

from ray import cloudpickle

from foldsweep.errors import UserError
from search_spaces import (
    cnn,
    cnn_aux,
    cnn_digit,
    cnn_distance,
    cnn_split,
    cnn_transfer,
    cnn_ws,
    cnn_ws_aux,
    disc,
    mlp,
    mlp_aux,
    mlp_backprop,
    mlp_split,
    mlp_ws,
    mlp_ws_aux,
)
from search_spaces.reports import grid_space
from search_spaces.space import SearchSpace
from trainables.presets.gervaise2020 import DISC
from trainables.presets.registry import GRIDS
from trainables.variants import Variant, variant_named

TUNED: dict[str, Callable[[], SearchSpace]] = {
    "mlp": mlp.space,
    "mlp_split": mlp_split.space,
    "mlp_ws": mlp_ws.space,
    "mlp_aux": mlp_aux.space,
    "mlp_ws_aux": mlp_ws_aux.space,
    "cnn": cnn.space,
    "cnn_split": cnn_split.space,
    "cnn_ws": cnn_ws.space,
    "cnn_aux": cnn_aux.space,
    "cnn_ws_aux": cnn_ws_aux.space,
    "cnn_distance": cnn_distance.space,
    "cnn_transfer": cnn_transfer.space,
    "cnn_digit": cnn_digit.space,
    "mlp_backprop": mlp_backprop.space,
    **{name: partial(disc.space, name) for name in DISC},
}
"""A space for each variant, so that all can be compared at equal budget."""

SPACES: dict[str, Callable[[], SearchSpace]] = {
    **TUNED,
    **{grid.space: partial(grid_space, grid) for grid in GRIDS.values()},
}
"""Those, and the grids of the reports."""


def load_space(name_or_path: str) -> SearchSpace:
    """A space by its name, or from a `.py` file that defines `space() -> SearchSpace`.

    Raises:
        UserError: If there is no such space or file, or the file is broken.
    """
    if name_or_path in SPACES:
        return SPACES[name_or_path]()
    if name_or_path.endswith(".py"):
        return _load_file(Path(name_or_path))
    raise UserError(
        f"unknown space {name_or_path!r}: known are {', '.join(TUNED)}, and the reports' grids"
        " (see --list-spaces); or give the path of a .py file of your own"
    )


def load_variant(space: str, name: str) -> Variant:
    """The variant called `name`: of the registry, or that of the user's file that `space` is.

    Raises:
        UserError: If there is no such variant or file, or the file is broken.
    """
    if not space.endswith(".py"):
        return variant_named(name)
    variant = load_space(space).trainable.variant
    if variant.name != name:
        raise UserError(f"{space} has variant {variant.name!r}, not {name!r}")
    return variant


def _load_file(path: Path) -> SearchSpace:
    if not path.is_file():
        raise UserError(f"space file {path} does not exist")
    try:
        module = _import_by_value(path)
        space = module.space()
    except UserError as error:
        raise UserError(f"space file {path}: {error}") from None
    except (Exception, SystemExit) as error:
        file = os.path.abspath(path)
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
        line = frames[-1].lineno if frames else getattr(error, "lineno", None)
        where = f" line {line}" if line else ""
        if isinstance(error, AttributeError) and not frames:
            raise UserError(
                f"space file {path} defines no function space(); see README, 'your own'"
            ) from None
        message = " ".join(str(error).split())
        raise UserError(f"space file {path}{where}: {type(error).__name__}: {message}") from error
    if not isinstance(space, SearchSpace):
        raise UserError(f"space file {path}: space() returned {type(space).__name__}")
    if space.name in SPACES:
        raise UserError(f"space file {path}: the name {space.name!r} is taken; choose another")
    return replace(space, file=str(path))


def _import_by_value(path: Path) -> ModuleType:
    """Import a file that workers need not have: its classes travel to them by value."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    name = f"foldsweep_user_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    cloudpickle.register_pickle_by_value(module)
    return module
