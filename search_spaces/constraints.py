"""Constraints on configurations: functions that say which may be trained at all."""

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
    """Whether a constraint takes the number of parameters besides the configuration.

    Raises:
        UserError: If it is no function of these.
    """
    called = "it is called with a configuration and, if it takes it, num_params"
    if not callable(constraint):
        raise UserError(f"the constraint is {brief(constraint)}, not a function; {called}")
    try:
        signature = inspect.signature(constraint)
        counts = NUM_PARAMS in signature.parameters
        signature.bind(None, **({NUM_PARAMS: 0} if counts else {}))
    except (TypeError, ValueError) as error:
        raise UserError(f"the constraint cannot be called ({error}): {called}") from None
    return counts


def holds(
    constraint: Constraint,
    config: BaseConfig,
    num_params: int | None = None,
    *,
    searched: Iterable[str] = (),
) -> bool:
    """Whether a configuration may be trained.

    Args:
        constraint: The constraint.
        config: The configuration.
        num_params: Its number of parameters, if the constraint takes it.
        searched: Fields that a message shows.

    Raises:
        UserError: If the constraint fails or gives no answer.
    """
    more = {} if num_params is None else {NUM_PARAMS: num_params}
    try:
        answer = constraint(config, **more)
    except Exception as error:  # a function of the user's may raise anything
        with_ = _shown(config, searched)
        raise UserError(f"the constraint fails with {with_}: {shown_error(error)}") from error
    if not isinstance(answer, bool | np.bool_):
        raise UserError(
            f"the constraint gives {brief(answer)} for {_shown(config, searched)}; it must give"
            " True or False"
        )
    return bool(answer)


def _shown(config: BaseConfig, names: Iterable[str]) -> str:
    return " ".join(f"{name}={brief(getattr(config, name))}" for name in names)


def source_of(constraint: Constraint) -> str:
    """What a constraint is known by: its text, or where there is none its code or name.

    A process that has the function from a notebook has no text.
    """
    try:
        return " ".join(inspect.getsource(constraint).split())
    except (OSError, TypeError):
        code = getattr(constraint, "__code__", None)
        if isinstance(code, CodeType):
            return repr(_code(code))
        return str(getattr(constraint, "__qualname__", type(constraint).__qualname__))


def _code(code: CodeType) -> tuple[Any, ...]:
    """What a function does, wherever it is."""

    def known(constant: Any) -> Any:
        if isinstance(constant, frozenset):  # whose order differs between processes
            return sorted(map(repr, constant))
        return _code(constant) if isinstance(constant, CodeType) else constant

    return code.co_code.hex(), code.co_names, [*map(known, code.co_consts)]
