"""What a sweep is known by, whatever it is called and wherever its folder is moved to."""

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from foldsweep.tracking import sqlite_path, with_path

HERE = "./"
"""Beginning of a stored path that is relative to the project."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A UUID that nobody chooses, and where the sweep was when this was written.

    Paths inside the project, the folder that the user worked in, are stored relative to it: a
    project that is moved or copied goes on in its new place, and leaves the old one alone.
    """

    uuid: str
    """Empty for sweeps that were made before there were UUIDs."""
    folder: Path
    project: Path

    @classmethod
    def new(cls, folder: Path) -> Self:
        """The identity of a sweep that is made now, from this working directory."""
        return cls(uuid=str(uuid.uuid4()), folder=folder.resolve(), project=Path.cwd())

    @classmethod
    def of(cls, values: dict[str, Any], folder: Path) -> Self:
        """As recorded by `to_dict`; without a record as a sweep of earlier versions, made here."""
        return cls(
            uuid=str(values.get("uuid", "")),
            folder=Path(values.get("folder") or folder.resolve()),
            project=Path(values.get("project") or Path.cwd()),
        )

    def to_dict(self) -> dict[str, str]:
        """Plain values, for JSON."""
        return {"uuid": self.uuid, "folder": str(self.folder), "project": str(self.project)}

    def at(self, folder: Path) -> Self:
        """The same sweep in the folder where it is now."""
        now = folder.resolve()
        project = self.project
        if self.folder.is_relative_to(project) and not now.is_relative_to(project):
            way = os.path.relpath(project, self.folder)  # the project has moved, or is a copy
            project = Path(os.path.normpath(now / way))
        elif not project.is_dir():
            project = Path.cwd()
        return type(self)(uuid=self.uuid, folder=now, project=project)


def portable(value: str, project: Path) -> str:
    """A path, or the URI of a SQLite file, as it is stored: relative if inside the project."""
    database = sqlite_path(value)
    path = Path(os.path.normpath(database or value))  # `..` may lead out of it
    if not path.is_absolute() or not path.is_relative_to(project):
        return value
    place = f"{HERE}{path.relative_to(project)}"
    return place if database is None else with_path(value, place)


def resolved(value: str, project: Path) -> str:
    """What `portable` stored, absolute."""
    database = sqlite_path(value)
    if not value.startswith(HERE) and (database is None or f"///{HERE}" not in value):
        return value
    return with_path(value, project / database) if database else str(project / value)
