"""Runtime checks of types and values: of configurations, recipes and command lines."""

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
from foldsweep.texts import text

MOST = 10**9
"""Upper limit of counts: of trials, epochs, rounds, simulations."""
MOST_FOLDS = 10_000
MOST_THREADS = 4096
LARGEST = 2**64
"""Upper limit of the absolute value of integers, exclusive: no seed, count or width is larger."""


def refuse_empty(args: Sequence[str]) -> None:
    """Reject a command line with an empty value, which some options read as none, others as all.

    Raises:
        UserError: For the first empty value; the message names its option.
    """
    option = ""
    for arg in args:
        if arg.startswith("--"):
            option, equals, value = arg.partition("=")
            given = value if equals else arg
        else:
            given = arg
        if not given.strip() and option:
            raise UserError.of("checks.option-empty", option=option)
        if not given.strip():
            raise UserError.of("checks.argument-empty")


def refuse_no_text(values: Mapping[str, object]) -> None:
    """Reject values that are not valid UTF-8: Python decodes such bytes as lone surrogates.

    They are accepted in a `Path` that can be a file name, and in the path of an existing file.

    Raises:
        UserError: For the first such option; the message has its name and value.
    """
    for name, value in values.items():
        for word in value if isinstance(value, tuple) else (value,):
            no_text = isinstance(word, str) and not is_text(word) and not os.path.exists(word)
            if no_text or (isinstance(word, Path) and not _can_be_a_name(word)):
                option = name.replace("_", "-")
                raise UserError.of("checks.value-not-text", option=option, value=str(word))


def _can_be_a_name(path: Path) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def is_text(word: str) -> bool:
    """Whether a string has no lone surrogates, which UTF-8 cannot encode."""
    return not any("\ud800" <= character <= "\udfff" for character in word)


def require_local(folder: Path) -> None:
    """Reject a URI where a local folder is required.

    Raises:
        UserError: If `folder` is a URI.
    """
    if folder.parts and folder.parts[0].endswith(":"):
        raise UserError.of("checks.storage-not-local", folder=folder)


def fits(value: Any, hint: Any) -> bool:
    """Whether a value has an annotated type; True for types that this function cannot check.

    An `int` fits `float`; a `bool` fits neither `int` nor `float`. An integer of absolute value
    `LARGEST` or more fits neither: computations with it fail in different ways.
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
    """Whether a value is an integer of absolute value `LARGEST` or more."""
    return isinstance(value, int) and abs(value) >= LARGEST


def meant(value: Any, hint: Any) -> Any:
    """Convert a value to an annotated type if no information is lost; else return it unchanged.

    NumPy scalars and arrays become Python numbers and lists. A float without a fractional part
    becomes an `int` if the type accepts no float. Lists and tuples are converted to each other.

    >>> meant(4.0, int), meant(4.5, int), meant(4.0, float), meant([2.0, 3], tuple[int, ...])
    (4, 4.5, 4.0, (2, 3))
    """
    numpy = sys.modules.get("numpy")  # a NumPy value implies that NumPy has been imported
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
    """Suggest the known word nearest to a misspelt one, as the end of a message; empty if none is.

    >>> nearest("trails", ["trials", "folds"])
    '; did you mean trials?'
    """
    found = get_close_matches(word, [*known], n=1)
    return text("checks.did-you-mean", word=found[0]) if found else ""


class _Brief(reprlib.Repr):
    """`repr` that is cut so that large or deeply nested values fit a line."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = 20
        self.maxstring = self.maxother = 300

    def repr_int(self, value: int, level: int) -> str:
        if abs(value) < 10**40:
            return repr(value)
        figures = int(abs(value).bit_length() * math.log10(2)) + 1  # `repr` raises on huge ints
        return text("checks.huge-number", figures=figures)


def brief(value: Any) -> str:
    """Return the `repr` of a value for a message, shortened if it is long.

    >>> brief((1, 2)), brief("a"), brief(10**400)
    ('(1, 2)', "'a'", 'a whole number of about 401 figures')
    """
    shown = _BRIEF.repr(value)
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}..."


_BRIEF = _Brief()
_MOST_SHOWN = 400


def described(hint: Any) -> str:
    """Describe a type in words, for messages."""
    if get_origin(hint) in (Union, UnionType, Literal):
        return " or ".join(described(choice) for choice in get_args(hint))
    if hint is NoneType:
        return "None"
    return hint.__name__ if type(hint) is type else str(hint)
