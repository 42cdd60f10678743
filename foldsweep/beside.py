"""Import of modules beside a user's file, by that file and by the modules beside it only.

The user's folder is not on `sys.path`. So a file in it with the name of a library's module, or of
an optional dependency of a library, never shadows that module for other importers.
"""

import dis
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FrameType, ModuleType

from foldsweep.errors import UserError

UNPICKLERS = ("ray.", "sweeps.handover", "sweeps.helper")
"""Prefixes of modules that unpickle objects of a user's file, which imports the modules beside it.
An import in these modules by a statement or by `import_module` is the library's own, not the
user's."""


class Beside(MetaPathFinder):
    """Import finder for the modules in `folders`, asked after all other finders."""

    def __init__(self) -> None:
        self.folders: list[str] = []

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module beside the importing file; None if no user's code imports it."""
        if path is not None:  # a submodule, which the finders of its package find
            return None
        return PathFinder.find_spec(name, self._for(*_importer()), target)

    def add(self, folder: str) -> None:
        """Add a folder to search, and install this finder if it is not installed."""
        if folder not in self.folders:
            self.folders.append(folder)
        if self not in sys.meta_path:
            sys.meta_path.append(self)

    def _for(self, frame: FrameType | None, unpickles: bool) -> list[str]:
        """Return the folders in which code of a frame may find modules, innermost first."""
        if frame is None:
            return []
        if unpickles and frame.f_globals.get("__name__", "").startswith(UNPICKLERS):
            return self.folders
        file = os.path.abspath(frame.f_code.co_filename)
        around = [folder for folder in self.folders if file.startswith(folder + os.sep)]
        return sorted(around, key=len, reverse=True)


def _importer() -> tuple[FrameType | None, bool]:
    """Return the frame that imports, and whether it does so by unpickling.

    This is the frame that called Python's import system: by an import statement, by
    `import_module`, or by neither. The last is unpickling: the code of `pickle` is in C and has no
    frame.
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
"""The import finder of this process."""


def find_beside(file: str) -> None:
    """Let a user's file import the modules beside it.

    Args:
        file: Absolute path of the file.

    Raises:
        UserError: If a module of the same name has been imported from another user's folder.
    """
    folder = os.path.dirname(file)
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None) or ""
        other = any(origin.startswith(f + os.sep) for f in beside.folders if f != folder)
        own = (os.path.join(folder, f"{name}.py"), os.path.join(folder, name, "__init__.py"))
        if other and origin not in own and any(map(os.path.isfile, own)):
            raise UserError.of(
                "beside.module-named-twice", module=name, origin=origin, folder=folder
            )
    beside.add(folder)
