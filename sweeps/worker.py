"""What every worker process of Ray does before it takes work.

Ray puts the driver's current folder first on the path of its workers: a file there that is named
like a module of a library would be imported instead of it. Here that folder comes
off the path again. The folders of users' space files come last on it, for the modules beside them.
"""

import json
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

CURRENT = "FOLDSWEEP_CURRENT_FOLDER"
BESIDE = "FOLDSWEEP_BESIDE"
HOOK = "sweeps.worker.prepare"


class Last:
    """Stands for a folder that has been put first on the path, until it is asked for a module.

    Then it takes the folder off the path, or puts it last, and lets Python search again.
    """

    def __init__(self, folder: str, *, wanted: bool):
        self.folder = folder
        self.wanted = wanted

    def find_spec(self, name: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module as it is found with the folder in its place."""
        # another list: the importer is in the middle of this one
        sys.path = [place for place in sys.path if place != self.folder]
        if self.wanted:
            sys.path.append(self.folder)
        sys.path_importer_cache.pop(self.folder, None)
        return PathFinder.find_spec(name, None, target)


def variables(folders: Sequence[str]) -> dict[str, str]:
    """What `prepare` reads from the environment of a worker.

    Args:
        folders: Folders of users' files.
    """
    return {CURRENT: os.getcwd(), BESIDE: json.dumps(folders)}


def prepare() -> None:
    """Set up the search for modules."""
    folders = json.loads(os.environ.get(BESIDE, "[]"))
    current = os.environ.get(CURRENT)
    if current is not None and current not in sys.path:
        last: Any = Last(current, wanted=current in folders)
        sys.path_importer_cache[current] = last
    sys.path += [folder for folder in folders if folder not in (*sys.path, current)]
