"""Whether a value is of an annotated type, at run time: configurations, settings, recipes."""

from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type; a type that is not known here fits anything.

    A whole number fits `float`; a bool fits neither `int` nor `float`.
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
        return isinstance(value, numbers) and not isinstance(value, bool)
    known = hint in (bool, str, NoneType, dict, list) or isinstance(hint, type)
    return isinstance(value, hint) if known else True


def described(hint: Any) -> str:
    """A type in words, for messages."""
    if get_origin(hint) in (Union, UnionType, Literal):
        return " or ".join(described(choice) for choice in get_args(hint))
    if hint is NoneType:
        return "None"
    return hint.__name__ if type(hint) is type else str(hint)
