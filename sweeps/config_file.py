"""Settings of a sweep in a YAML file: `--config FILE` and `--save-config FILE` of `run.py`.

A file holds settings under their names on the command line, and nothing else: search spaces are
Python, see docs/spaces.md.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path, PurePath
from typing import Any, get_type_hints

import yaml

from foldsweep.checks import MOST, brief, described, fits, meant, nearest
from foldsweep.errors import UserError
from foldsweep.files import parsed, write_whole
from foldsweep.texts import text
from sweeps.passwords import masked_url, refuse_password
from sweeps.settings import SweepSettings

NOT_KEPT = ("list_spaces", "resume", "trust")
"""Fields that select an action; they are not settings to keep in a file."""
KNOWN = [f.name for f in fields(SweepSettings) if f.name not in NOT_KEPT]
LONGEST = 100_000
"""Longest file, in characters; a sweep has about fifty settings."""


def config_words(path: Path) -> list[str]:
    """Command-line arguments that are equivalent to a file.

    Raises:
        UserError: If there is no such file, it is not YAML, or a key or value cannot be a setting.
    """
    return words_of(_values(path), where=f"{path}: ", seen=text("config-file.seen-by-readers"))


def words_of(values: Mapping[str, Any], *, where: str, seen: str) -> list[str]:
    """Command-line arguments that are equivalent to settings; a value of None is left out.

    Args:
        values: Settings by name.
        where: Origin of the settings, which error messages begin with.
        seen: Who would see a password in a URL, for the error message.

    Raises:
        UserError: If a value is not valid for its setting.
    """
    words: list[str] = []
    hints = get_type_hints(SweepSettings)
    for name, value in values.items():
        if value is None:
            continue
        value = _as_setting(value, hints[name])
        if not fits(value, hints[name]):
            raise _problem(where, name, value, hints[name])
        option = f"--{name.replace('_', '-')}"
        if name in ("study", "tracking_uri", "storage"):
            refuse_password(f"{where}{option}", value, seen=seen)
        if isinstance(value, tuple):
            if any(word.startswith("-") for word in map(str, value)):
                raise UserError.of(
                    "config-file.begins-with-dash", where=where, name=name, value=brief(value)
                )
            words += [option, *map(str, value)]
        elif isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        else:
            words.append(f"{option}={value}")
    return words


def save_config(path: Path, settings: SweepSettings) -> None:
    """Write the settings that differ from the defaults to a file for `--config`.

    A URL with a password is left out.

    Raises:
        UserError: If the file cannot be written.
    """
    default, kept = SweepSettings(), {}
    for name in KNOWN:
        value = getattr(settings, name)
        secret = isinstance(value, str) and "://" in value and masked_url(value) != value
        if value != getattr(default, name) and not secret:
            value = str(value) if isinstance(value, Path) else value
            kept[name] = [*value] if isinstance(value, tuple) else value
    head = "# settings of a foldsweep sweep: foldsweep run --config FILE\n"
    write_whole(path, head + (yaml.safe_dump(kept, sort_keys=False) if kept else ""))


def _values(path: Path) -> dict[str, Any]:
    """Values of a file, by field."""
    try:
        content = path.read_text("utf-8")
        if len(content) > LONGEST:
            raise ValueError(text("config-file.too-long", characters=LONGEST))
        node = parsed(content, lambda content: yaml.compose(content, yaml.SafeLoader))
        values = {} if node is None else parsed(content, yaml.safe_load)
    except OSError as error:
        raise UserError.of("config-file.cannot-be-read", path=path, why=error.strerror) from None
    # OverflowError, TypeError: dates and keys that Python cannot represent
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError.of("config-file.not-yaml", path=path, why=reason) from None
    if not isinstance(values, dict):
        raise UserError.of("config-file.no-settings", path=path)
    keys = [key.value for key, _ in getattr(node, "value", [])]
    found = {}
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in KNOWN:
            shown, hint = brief(key), nearest(name, KNOWN)
            if name in NOT_KEPT:
                raise UserError.of("config-file.is-an-action", path=path, key=shown, hint=hint)
            raise UserError.of("config-file.setting-unknown", path=path, key=shown, hint=hint)
        if name in found or keys.count(key) > 1:
            raise UserError.of("config-file.set-twice", path=path, key=key)
        found[name] = value
    return found


def _as_setting(value: Any, hint: Any) -> Any:
    """A value converted as on the command line: a word to a tuple or a path, 1e3 to 1000."""
    value = meant(str(value) if isinstance(value, PurePath) else value, hint)
    if isinstance(value, str) and not fits(value, hint):
        if fits((value,), hint):
            return (value,)
        if fits(Path(value), hint):
            return Path(value)
        with suppress(ValueError):  # YAML reads 1e3 as text
            return meant(float(value), hint)
    return value


def _problem(where: str, name: str, value: Any, hint: Any) -> UserError:
    if name == "space" and isinstance(value, dict):
        return UserError.of("config-file.ranges-of-a-space", where=where)
    is_number = isinstance(value, int | float) and abs(value) < MOST
    return UserError.of(
        "config-file.wrong-type",
        where=where,
        name=name,
        type=described(hint).replace(" or None", ""),
        value=brief(value),
        hint=text("config-file.quote") if is_number and fits("", hint) else "",
    )
