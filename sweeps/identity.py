"""Identity of a sweep, independent of its name and of the place of its folder."""

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from foldsweep.tracking import sqlite_path, with_path

HERE = "./"
"""Prefix of a stored path that is relative to the project."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Random UUID of a sweep, and the place of the sweep when the identity was recorded.

    The project is the folder that the user worked in. Paths inside it are stored relative to it:
    a project that is moved or copied resumes in its new place, and does not change the old one.
    """

    uuid: str
    """Empty for sweeps of versions without UUIDs."""
    folder: Path
    project: Path

    @classmethod
    def new(cls, folder: Path) -> Self:
        """Identity of a new sweep, with the current working directory as its project."""
        return cls(uuid=str(uuid.uuid4()), folder=folder.resolve(), project=Path.cwd())

    @classmethod
    def of(cls, values: dict[str, Any], folder: Path) -> Self:
        """Identity from the values of `to_dict`.

        Missing values are those of a sweep of an earlier version, without UUID, that was made in
        this folder from the current working directory.
        """
        return cls(
            uuid=str(values.get("uuid", "")),
            folder=Path(values.get("folder") or folder.resolve()),
            project=Path(values.get("project") or Path.cwd()),
        )

    def to_dict(self) -> dict[str, str]:
        """Plain values, for JSON."""
        return {"uuid": self.uuid, "folder": str(self.folder), "project": str(self.project)}

    def at(self, folder: Path) -> Self:
        """Identity of the same sweep in the folder where it is now."""
        now = folder.resolve()
        project = self.project
        if self.folder.is_relative_to(project) and not now.is_relative_to(project):
            way = os.path.relpath(project, self.folder)  # the project has moved, or is a copy
            project = Path(os.path.normpath(now / way))
        elif not project.is_dir():
            project = Path.cwd()
        return type(self)(uuid=self.uuid, folder=now, project=project)


def portable(value: str, project: Path) -> str:
    """Stored form of a path, or of the URI of a SQLite file: relative if inside the project."""
    database = sqlite_path(value)
    path = Path(os.path.normpath(database or value))  # `..` may leave it
    if not path.is_absolute() or not path.is_relative_to(project):
        return value
    place = f"{HERE}{path.relative_to(project)}"
    return place if database is None else with_path(value, place)


def resolved(value: str, project: Path) -> str:
    """Absolute form of a path or URI that `portable` returned."""
    database = sqlite_path(value)
    if not value.startswith(HERE) and (database is None or f"///{HERE}" not in value):
        return value
    return with_path(value, project / database) if database else str(project / value)
