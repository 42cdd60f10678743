"""Limits, by `--limit`, on outcomes that are known before training, such as `num_params`."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from foldsweep.errors import UserError
from foldsweep.names import NUM_PARAMS

_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on an outcome that is known before a trial is trained."""

    sign: str
    bound: float

    def holds(self, value: int) -> bool:
        """Whether a value is within the bound."""
        return _COMPARED[self.sign](value, self.bound)

    def __str__(self) -> str:
        return f"{NUM_PARAMS} {self.sign} {self.bound:,.12g}"


def parsed_limit(text: str) -> Limit:
    """Parse a limit of the command line, such as `num_params <= 100000`.

    Raises:
        UserError: If the text is no limit, or limits another outcome.
    """
    found = re.fullmatch(r"\s*(\w+)\s*(<=|>=|<|>)\s*([\d_.,]+(?:e\d+)?)\s*", text)
    if found is None:
        raise UserError.of("limits.not-a-limit", limit=text)
    name, sign, number = found.groups()
    if name != NUM_PARAMS:
        raise UserError.of("limits.metric-not-limited", limit=text, metric=name, known=NUM_PARAMS)
    try:
        return Limit(sign, float(number.replace(",", "")))
    except ValueError:
        raise UserError.of("limits.not-a-number", limit=text, number=number) from None
