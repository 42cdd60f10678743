"""Whether values are what they must be, at run time: configurations, recipes, command lines."""

import math
import os
import reprlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from foldsweep.errors import UserError

MOST = 10**9
"""The largest count that can be meant: of trials, epochs, rounds, simulations."""
MOST_FOLDS = 10_000
MOST_THREADS = 4096
LARGEST = 2**64
"""Whole numbers are below this in size: no seed, count or width is larger."""


def refuse_empty(args: Sequence[str]) -> None:
    """Refuse a command line with an empty value: it would mean "none" here and "all" there.

    Raises:
        UserError: At the first, with its option.
    """
    option = ""
    for arg in args:
        if arg.startswith("--"):
            option, equals, value = arg.partition("=")
            given = value if equals else arg
        else:
            given = arg
        if not given.strip():
            where = f"{option} has an empty value" if option else "an argument is empty"
            raise UserError(f"{where}: give one or leave it out (see --help)")


def refuse_no_text(values: Mapping[str, object]) -> None:
    """Refuse bytes that are no UTF-8, which reach a program as lone surrogates.

    Only the name of a file may have them, where a file is called so.

    Raises:
        UserError: At the first option, with its value.
    """
    for name, value in values.items():
        for word in value if isinstance(value, tuple) else (value,):
            no_text = isinstance(word, str) and not is_text(word) and not os.path.exists(word)
            if no_text or (isinstance(word, Path) and not _can_be_a_name(word)):
                raise UserError(f"--{name.replace('_', '-')} {str(word)!r} is no text in UTF-8")


def _can_be_a_name(path: Path) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def is_text(word: str) -> bool:
    """Whether a string has no lone surrogates, which no encoding can write."""
    return not any("\ud800" <= character <= "\udfff" for character in word)


def require_local(folder: Path) -> None:
    """Refuse a URI where only a folder of this machine will do.

    Raises:
        UserError: If it is one.
    """
    if folder.parts and folder.parts[0].endswith(":"):
        raise UserError(f"--storage {folder} must be a folder of this machine, not a URI")


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type; a type that is not known here fits anything.

    A whole number fits `float`; a bool fits neither `int` nor `float`. A whole number of
    `LARGEST` or more fits no number: what computes with it fails, each in its own way.
    """
    args = get_args(hint)
    match get_origin(hint):
        case origin if origin in (Union, UnionType):
            return any(fits(value, choice) for choice in args)
        case origin if origin is Literal:
            return any(type(value) is type(choice) and value == choice for choice in args)
        case origin if origin is tuple and args[-1] is Ellipsis:
            return isinstance(value, tuple) and all(fits(v, args[0]) for v in value)
        case origin if origin is list:
            return isinstance(value, list) and all(fits(v, args[0]) for v in value)
        case origin if origin is dict:
            return isinstance(value, dict) and all(
                fits(k, args[0]) and fits(v, args[1]) for k, v in value.items()
            )
    if hint is Any:
        return True
    if hint in (int, float):
        numbers = int if hint is int else (int, float)
        return isinstance(value, numbers) and not isinstance(value, bool) and not is_huge(value)
    known = hint in (bool, str, NoneType, dict, list) or isinstance(hint, type)
    return isinstance(value, hint) if known else True


def is_huge(value: Any) -> bool:
    """Whether a value is a whole number that nothing here can compute with."""
    return isinstance(value, int) and abs(value) >= LARGEST


def meant(value: Any, hint: Any) -> Any:
    """What a value of another type means where it should be of an annotated one.

    NumPy's numbers become Python's, and a whole float becomes an `int` where no float fits.
    Everything else, and what has no such meaning, stays as it is.

    >>> meant(4.0, int), meant(4.5, int), meant(4.0, float), meant([2.0, 3], tuple[int, ...])
    (4, 4.5, 4.0, (2, 3))
    """
    numpy = sys.modules.get("numpy")  # who has its numbers has imported it
    if numpy is not None and isinstance(value, numpy.generic | numpy.ndarray):
        value = value.tolist()
    if fits(value, hint):
        return value
    args = get_args(hint)
    match get_origin(hint):
        case origin if origin in (Union, UnionType):
            whole = ((choice, meant(value, choice)) for choice in args)
            return next((as_meant for choice, as_meant in whole if fits(as_meant, choice)), value)
        case origin if origin is Literal:
            return meant(value, int) if meant(value, int) in args else value
        case origin if origin is tuple and args[-1] is Ellipsis:
            return tuple(meant(v, args[0]) for v in value) if _is_row(value) else value
        case origin if origin is list:
            return [meant(v, args[0]) for v in value] if _is_row(value) else value
        case origin if origin is dict and isinstance(value, dict):
            return {meant(k, args[0]): meant(v, args[1]) for k, v in value.items()}
    if hint is list and isinstance(value, tuple):
        return list(value)
    is_whole = isinstance(value, float) and math.isfinite(value) and value == int(value)
    return int(value) if hint is int and is_whole else value


def _is_row(value: Any) -> bool:
    return isinstance(value, list | tuple)


def nearest(word: str, known: Iterable[str]) -> str:
    """What a misspelt word was meant to be, as the end of a message; empty where nothing is near.

    >>> nearest("trails", ["trials", "folds"])
    '; did you mean trials?'
    """
    found = get_close_matches(word, [*known], n=1)
    return f"; did you mean {found[0]}?" if found else ""


class _Brief(reprlib.Repr):
    """Writes no more of a value than fits a line, however large or deep it is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = 20
        self.maxstring = self.maxother = 300

    def repr_int(self, value: int, level: int) -> str:
        if abs(value) < 10**40:
            return repr(value)
        figures = int(abs(value).bit_length() * math.log10(2)) + 1  # Python refuses to write some
        return f"a whole number of about {figures:,} figures"


def brief(value: Any) -> str:
    """A value as a message shows it: its `repr`, shortened where that would be long.

    >>> brief((1, 2)), brief("a"), brief(10**400)
    ('(1, 2)', "'a'", 'a whole number of about 401 figures')
    """
    text = _BRIEF.repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


_BRIEF = _Brief()
_MOST_SHOWN = 400


def described(hint: Any) -> str:
    """A type in words, for messages."""
    if get_origin(hint) in (Union, UnionType, Literal):
        return " or ".join(described(choice) for choice in get_args(hint))
    if hint is NoneType:
        return "None"
    return hint.__name__ if type(hint) is type else str(hint)
