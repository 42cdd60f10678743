"""Constraints: functions that decide whether a configuration may be trained."""

import inspect
from collections.abc import Callable, Iterable
from types import CodeType
from typing import Any

import numpy as np

from foldsweep.checks import brief
from foldsweep.errors import UserError, shown_error
from foldsweep.names import NUM_PARAMS
from trainables.config import BaseConfig

Constraint = Callable[..., bool]


def takes_count(constraint: Constraint) -> bool:
    """Whether a constraint takes the number of trainable parameters besides the configuration.

    Raises:
        UserError: If it cannot be called with these arguments.
    """
    if not callable(constraint):
        raise UserError.of("constraints.not-a-function", constraint=brief(constraint))
    try:
        signature = inspect.signature(constraint)
        counts = NUM_PARAMS in signature.parameters
        signature.bind(None, **({NUM_PARAMS: 0} if counts else {}))
    except (TypeError, ValueError) as error:
        raise UserError.of("constraints.wrong-arguments", reason=error) from None
    return counts


def holds(
    constraint: Constraint,
    config: BaseConfig,
    num_params: int | None = None,
    *,
    searched: Iterable[str] = (),
) -> bool:
    """Whether a configuration meets a constraint.

    Args:
        constraint: The constraint.
        config: The configuration.
        num_params: Number of trainable parameters, if the constraint takes it.
        searched: Fields to show in error messages.

    Raises:
        UserError: If the constraint raises an exception, or does not return a bool.
    """
    more = {} if num_params is None else {NUM_PARAMS: num_params}
    try:
        answer = constraint(config, **more)
    except Exception as error:  # the user's function may raise any exception
        raise UserError.of(
            "constraints.constraint-fails",
            config=_shown(config, searched),
            error=shown_error(error),
        ) from error
    if not isinstance(answer, bool | np.bool_):
        raise UserError.of(
            "constraints.not-true-or-false",
            answer=brief(answer),
            config=_shown(config, searched),
        )
    return bool(answer)


def _shown(config: BaseConfig, names: Iterable[str]) -> str:
    return " ".join(f"{name}={brief(getattr(config, name))}" for name in names)


def source_of(constraint: Constraint) -> str:
    """Return a text that identifies a constraint: its source, else its bytecode, else its name.

    The source is not available in a process that has received the function from a notebook.
    """
    try:
        return " ".join(inspect.getsource(constraint).split())
    except (OSError, TypeError):
        code = getattr(constraint, "__code__", None)
        if isinstance(code, CodeType):
            return repr(_code(code))
        return str(getattr(constraint, "__qualname__", type(constraint).__qualname__))


def _code(code: CodeType) -> tuple[Any, ...]:
    """Return the bytecode, names and constants of a function, without its file and lines."""

    def known(constant: Any) -> Any:
        if isinstance(constant, frozenset):  # its order differs between processes
            return sorted(map(repr, constant))
        return _code(constant) if isinstance(constant, CodeType) else constant

    return code.co_code.hex(), code.co_names, [*map(known, code.co_consts)]
