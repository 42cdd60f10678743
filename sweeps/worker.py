"""Setup hook of Ray's worker processes: makes them find modules as the driver does.

Ray puts the driver's working directory first on the path of its workers. A file there with the
name of a library's module would be imported instead of that module, so the hook removes the folder
from the path. It also adds the folders of users' space files, whose modules are then found.
"""

import json
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from foldsweep.beside import beside

CURRENT = "FOLDSWEEP_CURRENT_FOLDER"
BESIDE = "FOLDSWEEP_BESIDE"
HOOK = "sweeps.worker.prepare"


class OffThePath:
    """Path entry finder for a folder that Ray will put first on the path.

    When Python first asks it for a module, it removes the folder from the path and searches again.
    """

    def __init__(self, folder: str):
        self.folder = folder

    def find_spec(self, name: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """Remove the folder and find the module on the other paths."""
        # a new list, as the importer is iterating over the old one
        sys.path = [place for place in sys.path if place != self.folder]
        del sys.path_importer_cache[self.folder]
        return PathFinder.find_spec(name, None, target)


def variables(folders: Sequence[str]) -> dict[str, str]:
    """Environment variables of a worker, which `prepare` reads.

    Args:
        folders: Folders of users' space files.
    """
    return {CURRENT: os.getcwd(), BESIDE: json.dumps(folders)}


def prepare() -> None:
    """Set up the search for modules, as configured by `variables`."""
    current = os.environ.get(CURRENT)
    if current is not None and current not in sys.path:
        finder: Any = OffThePath(current)
        sys.path_importer_cache[current] = finder
    for folder in json.loads(os.environ.get(BESIDE, "[]")):
        beside.add(folder)
