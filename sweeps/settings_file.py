"""The file `settings.json` in a sweep's folder: settings and identity of the sweep."""

import json
import re
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

from foldsweep.checks import brief, fits
from foldsweep.errors import UserError
from foldsweep.files import parsed, write_whole
from foldsweep.texts import text
from sweeps.identity import Identity, portable, resolved
from sweeps.settings import SweepSettings

SETTINGS_FILE = "settings.json"
FORMAT = 6
"""Number of the file's format. A file has all settings, so a new setting raises the number.
Format 1 had no number and no identity, and may lack settings."""
ADDED = {
    3: ("outage_patience", "trust"),
    4: ("limit",),
    5: ("order", "lag", "patience"),
    6: ("warm_start",),
}
"""New settings by format. Files of an earlier format lack them, and their sweeps get defaults."""
RENAMED = {5: {"patience": "outage_patience"}}
"""New names of renamed settings by their old names, by the format that renamed them."""
IDENTITY = ("uuid", "folder", "project")
PLACES = ("data", "test", "data_dir", "study", "tracking_uri")
"""Settings that may name a file or folder, besides the spaces."""


def recorded(settings: SweepSettings, identity: Identity) -> dict[str, Any]:
    """Content of `settings.json`: format, identity and settings, as plain values."""
    values = {"format": FORMAT, **identity.to_dict()}
    return values | _places(settings.to_dict(), partial(portable, project=identity.project))


def save_settings(settings: SweepSettings, folder: Path, identity: Identity | None = None) -> None:
    """Write `settings.json` to a sweep's folder, atomically.

    Args:
        settings: The settings.
        folder: The sweep's folder.
        identity: Identity of the sweep [that in the file, or a new one].
    """
    if identity is None:
        known = recorded_identity(folder)
        identity = Identity.new(folder) if known is None else known.at(folder)
    text = json.dumps(recorded(settings, identity), indent=2) + "\n"
    # a study's URL may hold a password
    write_whole(folder / SETTINGS_FILE, text, private=True)


def load_settings(folder: Path) -> SweepSettings:
    """The settings of the sweep in `folder`.

    Raises:
        UserError: If there is no sweep or its settings cannot be read.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        known = sorted(p.parent.name for p in folder.parent.glob(f"*/{SETTINGS_FILE}"))
        raise UserError.of(
            "settings-file.no-sweep",
            name=folder.name,
            storage=folder.parent,
            latest=", ".join(known[-5:]) or "none",
        )
    try:
        values = _with_names_of_today(parsed(path.read_bytes()))
        _check_keys(values)
        project = Identity.of(values, folder).at(folder).project
        places = _places(_migrated(values), partial(resolved, project=project))
        settings = SweepSettings.from_dict(places)
        for key, kind in get_type_hints(SweepSettings).items():
            if not fits(getattr(settings, key), kind):
                raise TypeError(f"{key} cannot be {brief(getattr(settings, key))}")
        return settings
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise UserError.of(
            "settings-file.broken", sweep=folder.name, path=path, error=error
        ) from None


def _form(values: dict[str, Any]) -> Any:
    """Number of a file's format.

    A file without a number is of format 1, unless it has an identity: it is then a damaged file of
    the current format.
    """
    return values.get("format", FORMAT if set(IDENTITY) & set(values) else 1)


def _with_names_of_today(values: dict[str, Any]) -> dict[str, Any]:
    """The content of a file, with settings under their current names."""
    form = _form(values)
    for at, renamed in RENAMED.items():
        if isinstance(form, int) and form < at:
            values = {renamed.get(key, key): value for key, value in values.items()}
    return values


def _check_keys(values: dict[str, Any]) -> None:
    """Refuse a file with missing or unknown keys: a missing setting would get its default.

    Raises:
        ValueError: With the names of the keys, or if the format or identity is invalid.
    """
    form = _form(values)
    if form == 1:
        return
    if form not in range(2, FORMAT + 1):
        raise ValueError(
            f"format is {form!r}, which this version does not know; use the one that wrote it"
        )
    known = {"format", *IDENTITY, *(field.name for field in fields(SweepSettings))}
    later = {name for at, names in ADDED.items() if form < at for name in names}
    missing, unknown = sorted(known - later - set(values)), sorted(set(values) - known)
    if missing or unknown:
        parts = [text("settings-file.missing", names=", ".join(missing))] * bool(missing)
        parts += [text("settings-file.unknown", names=", ".join(unknown))] * bool(unknown)
        raise ValueError("; ".join(parts))
    wrong = [key for key in IDENTITY if not isinstance(values[key], str)]
    if not wrong and not re.fullmatch(r"[0-9a-f-]{0,36}", values["uuid"]):
        wrong = ["uuid"]
    if wrong:
        raise ValueError(f"{wrong[0]} cannot be {values[wrong[0]]!r}")


def _migrated(values: dict[str, Any]) -> dict[str, Any]:
    """The content of a file, with values changed so that a sweep of an earlier format is the same.

    Before format 5, results counted by arrival, and `asha` ended trials instead of pausing them.
    """
    if _form(values) >= 5:
        return values
    stopped = values.get("scheduler", "asha") == "asha"
    return values | {"order": "arrival"} | ({"scheduler": "asha-stop"} if stopped else {})


def _places(values: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """The values, with `change` applied to paths and to URIs of files."""
    paths: dict[str, Any] = {
        key: change(value) for key in PLACES if isinstance(value := values.get(key), str)
    }
    if isinstance(values.get("space"), list | tuple):
        own = (isinstance(s, str) and s.endswith(".py") for s in values["space"])
        spaces = zip(values["space"], own, strict=True)
        paths["space"] = [change(space) if is_own else space for space, is_own in spaces]
    return values | paths


def recorded_identity(folder: Path) -> Identity | None:
    """Identity of the sweep in a folder, from its file; None if that is missing or damaged."""
    try:
        values = parsed((folder / SETTINGS_FILE).read_bytes())
        return Identity.of(values, folder)
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def is_copy(folder: Path) -> bool:
    """Whether a folder is a copy: its sweep is also in the folder that its file names."""
    known = recorded_identity(folder)
    if known is None or not known.uuid or known.folder == folder.resolve():
        return False
    there = recorded_identity(known.folder)
    if there is None or there.uuid != known.uuid:
        return False
    return not known.folder.samefile(folder)


def check_place(folder: Path) -> Identity:
    """Identity of the sweep in a folder, adapted to the folder if that was moved.

    Raises:
        UserError: If the folder is a copy, whose results would be mistaken for the original's.
    """
    known = recorded_identity(folder)
    if known is None:
        return Identity(uuid="", folder=folder.resolve(), project=Path.cwd())
    if is_copy(folder):
        raise UserError.of(
            "settings-file.copy", folder=folder, original=known.folder, name=folder.name
        )
    return known.at(folder)
