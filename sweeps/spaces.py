"""Show search spaces: `python sweeps/spaces.py`, `python sweeps/spaces.py cnn_ws_aux`."""

if __name__ == "__main__":
    import foldsweep.early  # noqa: F401

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional

from foldsweep.errors import UserError
from foldsweep.programs import console, parse, run_program
from foldsweep.texts import text

if TYPE_CHECKING:
    from search_spaces.space import SearchSpace
    from trainables.tasks.task import Task

MADE_UP = "made_up"
"""Name of the task that stands in for a user's own task."""


@dataclass(frozen=True, kw_only=True)
class SpacesSettings:
    """List all search spaces, or show parameters and ranges of some, with both bounds included."""

    space: Annotated[tuple[str, ...], Positional] = ()
    """Spaces by name, or paths of your own .py files [all, a line each]."""
    data: str | None = None
    """Your own data: its columns and classes may determine ranges [made-up data]."""
    target: str | None = None
    """Column to predict."""
    task: Literal["classification", "regression"] | None = None
    """Kind of task [inferred from the target; without data classification, if possible]."""


def main() -> int:
    """Print the spaces of the command line; return the exit code."""
    settings = parse(SpacesSettings, sys.argv[1:], prog="sweeps/spaces.py")
    if settings.target is not None and settings.data is None:
        raise UserError.of("spaces.target-without-data")
    lines = shown(settings) if settings.space else listed()
    for line in lines:
        console.print(line)
    return 0


def listed() -> Iterator[str]:
    """Yield a line for each space. Names are not shortened, so that they can be copied."""
    from search_spaces.loading import ANY_TASK, SPACES, load_space, summary_of  # Ray, torch

    width = max(map(len, [*ANY_TASK, *SPACES]))
    yield text("spaces.of-built-in-tasks")
    for name in SPACES:
        space = load_space(name)
        baseline = f"; baseline: {space.points[0].name}" if space.points else ""
        task = space.variant.task.name
        yield f"  {name:{width}}  {task}: {' '.join(space.searched or space.grid)}{baseline}"
    yield text("spaces.for-own-data")  # last, since a screen shows the end
    for name in ANY_TASK:
        yield f"  {name:{width}}  {summary_of(name)}"
    yield text("spaces.ranges")


def shown(settings: SpacesSettings) -> Iterator[str]:
    """Yield the lines on each space: its ranges and initial points.

    Raises:
        UserError: If there is no such space.
    """
    for i, space in enumerate(s for name in settings.space for s in _spaces(name, settings)):
        if i:
            yield ""
        made_up = space.variant.task.name == MADE_UP
        whose = "for your own data" if made_up else f"task {space.variant.task.name}"
        yield f"{space.name} ({whose}):"
        yield from ranges(space)


def ranges(space: "SearchSpace") -> Iterator[str]:
    """Yield a line for each key and its range, then for grid, constraint and initial points."""
    found = space.ranges()
    width = max(map(len, found), default=0)
    for key, words in found.items():
        yield f"  {key:{width}}  {words}{'' if key in space.searched else ' (fixed)'}"
    for key, values in space.grid.items():
        yield f"  {text('spaces.grid', key=key, values=', '.join(map(str, values)))}"
    if space.constraint is not None:
        yield f"  {text('spaces.constraint')}"
    if space.points:
        points = ", ".join(point.name for point in space.points)
        yield f"  {text('spaces.tried-first', points=points)}"


def _spaces(name: str, settings: SpacesSettings) -> "Iterator[SearchSpace]":
    """Yield the spaces of a name; a space for any data and one of a shipped task may share it."""
    from search_spaces.loading import ANY_TASK, SPACES, load_space, takes_task

    if settings.data is not None:
        from trainables.tasks.options import TableOptions
        from trainables.tasks.tables import table_task

        options = TableOptions(data=settings.data, target=settings.target, task=settings.task)
        yield load_space(name, table_task(options, seed=0, objective=None))
        return
    if name.endswith(".py") and takes_task(name):
        yield load_space(name, next(_made_up(settings.task)))
        return
    if name in ANY_TASK:
        for task in _made_up(settings.task):
            with suppress(UserError):  # the space is for regression or images only
                yield load_space(name, task)
                break
        else:
            raise UserError.of("spaces.not-for-task", space=name, task=settings.task)
    if name not in ANY_TASK or name in SPACES:
        yield load_space(name)


def _made_up(kind: str | None) -> "Iterator[Task]":
    """Yield tasks on a few made-up rows, for spaces that need a task."""
    import numpy as np
    import pandas as pd

    from trainables.tasks.kinds import classification, regression
    from trainables.tasks.samples import Data

    rows = 20
    table = pd.DataFrame({"number": np.arange(rows) / 3, "word": ["a", "b"] * (rows // 2)})
    images = np.zeros((rows, 1, 28, 28), dtype=np.float32)
    for inputs in (table, images):
        if kind != "regression":
            yield classification(MADE_UP, Data.of(inputs, np.arange(rows) % 2))
        if kind != "classification":
            yield regression(MADE_UP, Data.of(inputs, np.arange(rows) / 2))


if __name__ == "__main__":
    run_program(main)
