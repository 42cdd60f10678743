"""Task and spaces that a Python program passes to a sweep as objects instead of files.

They are sent to the process with Ray, and from there to the workers, by cloudpickle: classes and
functions of a script or a notebook by value, those of modules by name. They are not stored with
the sweep: to resume it, the program must pass the same objects again.
"""

import io
import os
import pickle
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import TYPE_CHECKING, Any

from foldsweep.beside import beside
from foldsweep.errors import UserError, first_line
from sweeps.cell import cell_name
from sweeps.settings import SweepSettings

if TYPE_CHECKING:
    from search_spaces.space import SearchSpace  # imports Ray and torch, which take seconds
    from trainables.tasks.task import Task

OF_PYTHON = "python:"
"""Prefix, in the settings, of the name of a space that cannot be loaded by its name alone."""


def of_python(settings: SweepSettings) -> bool:
    """Whether a sweep has spaces that only the Python program can provide."""
    return any(space.startswith(OF_PYTHON) for space in settings.space)


@dataclass(frozen=True, kw_only=True)
class Given:
    """Task and spaces made by a Python program."""

    task: "Task | None" = None
    """Task for built-in spaces; None for the task of the data that the settings name."""
    spaces: Mapping[str, "SearchSpace"] = field(default_factory=dict)

    def named(self, space: "str | SearchSpace") -> str:
        """Name of a space in the settings."""
        if not isinstance(space, str):
            return f"{OF_PYTHON}{space.name}"
        return space if self.task is None or space.endswith(".py") else f"{OF_PYTHON}{space}"

    def load(self, name: str, task: "Task | None") -> "SearchSpace":
        """Load a space that the settings name.

        Args:
            name: Name or path of the space, as returned by `named`.
            task: Task of the data that the settings name, for built-in spaces; None without data.

        Raises:
            UserError: If there is no such space, or a program made it and does not pass it here.
        """
        from search_spaces.loading import load_space  # imports Ray and torch

        own = name.removeprefix(OF_PYTHON)
        if own != name and own in self.spaces:
            return self.spaces[own]
        if own != name and self.task is None:
            raise UserError.of("handover.space-of-a-program", space=own)
        return load_space(own, self.task or task)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A `Given`, pickled for another process."""

    content: bytes
    folders: tuple[str, ...]
    """Folders of the program's own modules, in which its objects may be defined."""

    @classmethod
    def of(cls, given: Given) -> "Sent":
        """Pickle the task and spaces of a program.

        Raises:
            UserError: If an object cannot be sent.
        """
        try:
            content = _pickled(given)
        except Exception as error:  # pickling runs the user's code, which may raise anything
            raise UserError.of("handover.cannot-be-sent", why=first_line(error)) from error
        return cls(content=content, folders=_own_folders())

    def open(self) -> Given:
        """Unpickle the task and spaces.

        Raises:
            UserError: If a module is missing here.
        """
        for folder in self.folders:
            beside.add(folder)
        try:
            given = pickle.loads(self.content)
        except ImportError as error:
            raise UserError.of("handover.cannot-be-imported", error=error) from None
        assert isinstance(given, Given)
        return given


def _pickled(given: Given) -> bytes:
    """Pickle by cloudpickle; code of a notebook cell gets the cell's name, for its tracebacks."""
    import cloudpickle  # few programs need it

    class Pickler(cloudpickle.Pickler):
        def reducer_override(self, obj: Any) -> Any:
            name = cell_name(obj.co_filename) if isinstance(obj, CodeType) else None
            if name is None:
                return super().reducer_override(obj)
            return self.dispatch_table[CodeType](obj.replace(co_filename=name))

    content = io.BytesIO()
    Pickler(content).dump(given)
    return content.getvalue()


def _own_folders() -> tuple[str, ...]:
    """Folders from which the program imports its own modules, in search order."""
    main = getattr(sys.modules["__main__"], "__file__", None)
    first = os.path.dirname(os.path.abspath(main)) if main else os.getcwd()
    installed = tuple(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib"))
    places = (os.path.abspath(place or ".") for place in sys.path if isinstance(place, str))
    own = (p for p in places if os.path.isdir(p) and not p.startswith(installed))
    return tuple(dict.fromkeys([first, *own]))
