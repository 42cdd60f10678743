"""Modules beside a user's file: found by that file and by those that it imports, by nobody else.

The folder is on no path of Python. So a file in it that is named like a module of a library, or
like one that a library would use if it were installed, is never taken for that.
"""

import dis
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FrameType, ModuleType

from foldsweep.errors import UserError

UNPICKLERS = ("ray.", "sweeps.given", "sweeps.helper")
"""Where the objects of a user's file arrive, and with them imports of what it has imported. What
is imported there by a statement or by `import_module` is the library's own."""


class Beside(MetaPathFinder):
    """Finds modules in `folders`, after every other finder."""

    def __init__(self) -> None:
        self.folders: list[str] = []

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module beside the file that imports it; None if the import is not a user's."""
        if path is not None:  # a part of a package, which is found as such
            return None
        return PathFinder.find_spec(name, self._for(*_importer()), target)

    def add(self, folder: str) -> None:
        """Find modules in one more folder."""
        if folder not in self.folders:
            self.folders.append(folder)
        if self not in sys.meta_path:
            sys.meta_path.append(self)

    def _for(self, frame: FrameType | None, unpickles: bool) -> list[str]:
        """Where what runs in a frame may find modules."""
        if frame is None:
            return []
        if unpickles and frame.f_globals.get("__name__", "").startswith(UNPICKLERS):
            return self.folders
        file = os.path.abspath(frame.f_code.co_filename)
        around = [folder for folder in self.folders if file.startswith(folder + os.sep)]
        return sorted(around, key=len, reverse=True)


def _importer() -> tuple[FrameType | None, bool]:
    """The frame with the import in it, and whether it unpickles.

    It is the one that called Python's import system; by a statement, by `import_module`, or by
    neither, as `pickle` does, whose code is no Python.
    """
    frame: FrameType | None = sys._getframe()
    inner = frame
    for inside in (False, True):
        while frame is not None and inside == _is_importlib(frame):
            inner, frame = frame, frame.f_back
    if frame is None or inner is None or inner.f_globals["__name__"] == "importlib":
        return frame, False
    return frame, dis.opname[frame.f_code.co_code[frame.f_lasti]] != "IMPORT_NAME"


def _is_importlib(frame: FrameType) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    return name.startswith(("importlib", "_frozen_importlib"))


beside = Beside()
"""The finder of this process."""


def find_beside(file: str) -> None:
    """Let a user's file import the modules beside it.

    Args:
        file: Absolute path of the file.

    Raises:
        UserError: If a file from another folder has imported another module of such a name.
    """
    folder = os.path.dirname(file)
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None) or ""
        other = any(origin.startswith(f + os.sep) for f in beside.folders if f != folder)
        own = (os.path.join(folder, f"{name}.py"), os.path.join(folder, name, "__init__.py"))
        if other and origin not in own and any(map(os.path.isfile, own)):
            raise UserError(
                f"two space files have a module {name} beside them, {origin} and one in {folder}:"
                " give each its own name"
            )
    beside.add(folder)
