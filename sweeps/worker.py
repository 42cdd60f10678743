"""What every worker process of Ray does before it takes work.

Ray puts the driver's current folder first on the path of its workers: a file there that is named
like a module of a library would be imported instead of it. Here that folder comes off the path
again. Modules beside users' space files are found as in the driver.
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
    """Stands for a folder that will be put first on the path.

    When it is first asked for a module, it takes the folder off and lets Python search again.
    """

    def __init__(self, folder: str):
        self.folder = folder

    def find_spec(self, name: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module as it is found without the folder."""
        # another list: the importer is in the middle of this one
        sys.path = [place for place in sys.path if place != self.folder]
        del sys.path_importer_cache[self.folder]
        return PathFinder.find_spec(name, None, target)


def variables(folders: Sequence[str]) -> dict[str, str]:
    """What `prepare` reads from the environment of a worker.

    Args:
        folders: Folders of users' space files.
    """
    return {CURRENT: os.getcwd(), BESIDE: json.dumps(folders)}


def prepare() -> None:
    """Set up the search for modules."""
    current = os.environ.get(CURRENT)
    if current is not None and current not in sys.path:
        finder: Any = OffThePath(current)
        sys.path_importer_cache[current] = finder
    for folder in json.loads(os.environ.get(BESIDE, "[]")):
        beside.add(folder)
