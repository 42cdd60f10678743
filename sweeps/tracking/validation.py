"""Validation of a spool's records: a damaged disk, or an editor, may leave any JSON in it."""

import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from foldsweep.texts import text

_MOST = 2**63
"""Bound of a database's integers, exclusive."""
_DATASET = {"name", "digest", "source_type", "source"}
_DATASET_MORE = {"schema", "profile", "context"}
_STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def is_texts(value: object) -> TypeGuard[dict[str, str]]:
    """Whether a value is a dict of texts by text."""
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MOST


def _is_time(value: object) -> bool:
    return _is_integer(value) and value >= 0


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        math.isnan(value)  # converts it to a float
    except OverflowError:
        return False
    return True


def _is_point(value: object) -> bool:
    checks: tuple[Callable[[object], bool], ...] = (_is_text, _is_number, _is_integer, _is_time)
    if not isinstance(value, list) or len(value) != len(checks):
        return False
    return all(check(part) for check, part in zip(checks, value, strict=True))


def are_points(value: object) -> bool:
    """Whether a value is a list of metric points, `[key, value, step, time]` each."""
    return isinstance(value, list) and all(map(_is_point, value))


def is_run(value: object) -> TypeGuard[str]:
    """Whether a value names a run: a trial's number, or the empty text for the sweep itself."""
    return isinstance(value, str) and re.fullmatch(r"[0-9]{0,18}", value) is not None


def _is_dataset(value: object) -> bool:
    if not value:
        return value is None
    if not isinstance(value, dict) or not is_texts(value):
        return False
    return _DATASET <= value.keys() <= _DATASET | _DATASET_MORE


def _is_path(value: object) -> bool:
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


_FIELDS: Mapping[str, Mapping[str, Callable[[object], bool]]] = {
    "start": {
        "time": _is_time,
        "name": _is_text,
        "params": is_texts,
        "tags": is_texts,
        "dataset": _is_dataset,
    },
    "metrics": {"points": are_points},
    "tags": {"tags": is_texts},
    "artifact": {"path": _is_path, "to": _is_path},
    "end": {"status": lambda value: value in _STATUSES, "time": _is_time},
}
"""Required fields of each operation on a run, with their checks."""


def problem_of(record: Any) -> str:
    """Problem of a record, in a few words; empty if it is valid."""
    op = record.get("op") if isinstance(record, dict) else "unreadable"
    if op == "unreadable":
        return text("validation.not-an-object")
    if op in ("open", "close"):
        return "" if "run" not in record else text("validation.needless-run", op=op)
    if not isinstance(op, str) or op not in _FIELDS:
        return text("validation.op-unknown")
    if not is_run(record.get("run")):
        return text("validation.not-a-run")
    for name, is_right in _FIELDS[op].items():
        if name not in record:
            return text("validation.field-missing", field=name)
        if not is_right(record[name]):
            return text("validation.field-wrong", field=name)
    return ""
