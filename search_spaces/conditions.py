"""Conditional parameters, which are active only if another parameter has certain values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

from ray.tune.search.sample import Categorical, Domain, Integer

from foldsweep.checks import brief
from foldsweep.choices import tupled
from foldsweep.errors import UserError
from search_spaces.domains import bounds

MOST_WAYS = 64
"""Most assignments of parents tried per parameter when a space is made, see `Tree.ways`."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition: another parameter, the parent, has one of the given values."""

    parent: str
    values: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.parent} is {' or '.join(map(str, self.values))}"

    def holds(self, value: Any) -> bool:
        """Whether the condition holds for a value of the parent."""
        return tupled(value) in self.values


@dataclass(frozen=True, slots=True)
class When:
    """A domain, value or groups under a condition; made by `when`."""

    condition: Condition
    then: Any


@dataclass(frozen=True, slots=True)
class Groups:
    """A categorical parameter whose values each have parameters of their own; made by `groups`."""

    by_choice: tuple[tuple[Any, Mapping[str, Any]], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One parameter of a space: its domain and its conditions."""

    domain: Any
    """A domain of `ray.tune`, or a fixed value."""
    conditions: tuple[Condition, ...] = ()
    """The parameter is active if all conditions hold and all parents are active."""


def when(parent: str, value: Any, then: Any) -> When:
    """Make a parameter conditional: active only if another one has a value, else at its default.

    Args:
        parent: The parameter that it depends on: categorical, an integer, or fixed.
        value: The value of the parent; a set or `range` for any of several values.
        then: A domain of `ray.tune`, a fixed value, `groups(...)` or another `when(...)`.
    """
    several = isinstance(value, set | frozenset | range)
    values = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
    return When(Condition(parent, tuple(map(tupled, values if several else (value,)))), then)


def groups(by_choice: Mapping[Any, Mapping[str, Any]]) -> Groups:
    """Make a categorical parameter whose values each have parameters of their own.

    Args:
        by_choice: For each value, its parameters as in `domains`; these may contain groups, too.
    """
    return Groups(tuple(by_choice.items()))


def flattened(domains: Mapping[str, Any]) -> dict[str, Part]:
    """Return the parameters of a space by name, each with all its conditions.

    Raises:
        UserError: If a parameter is defined twice.
    """
    parts: dict[str, Part] = {}
    for key, part in _flat(domains, ()):
        if key in parts:
            raise UserError.of("conditions.defined-twice", key=key)
        parts[key] = part
    return parts


def _flat(
    domains: Mapping[str, Any], conditions: tuple[Condition, ...]
) -> Iterator[tuple[str, Part]]:
    for key, given in domains.items():
        then, under = given, conditions
        while isinstance(then, When):
            then, under = then.then, (*under, then.condition)
        if not isinstance(then, Groups):
            yield key, Part(then, under)
            continue
        yield key, Part(Categorical([choice for choice, _ in then.by_choice]), under)
        for choice, more in then.by_choice:
            if not isinstance(more, Mapping):
                raise UserError.of("conditions.group-not-a-mapping", key=key, choice=brief(choice))
            yield from _flat(more, (*under, Condition(key, (tupled(choice),))))


class Tree:
    """The dependencies between the parameters of a space.

    Args:
        parts: The parameters by name.
        grid: Values of a grid by key. A key without a domain can be a parent, too.
        defaults: Default values by parameter, for all that have one.

    Raises:
        UserError: If a parent is unknown or can never have the value, a parameter depends on
            itself, or a conditional one has no default.
    """

    def __init__(
        self,
        parts: Mapping[str, Part],
        grid: Mapping[str, Sequence[Any]],
        defaults: Mapping[str, Any],
    ):
        self.conditions = {k: p.conditions for k, p in parts.items() if p.conditions}
        self._parts = parts
        self._defaults = defaults
        for key, conditions in self.conditions.items():
            if key not in defaults:
                raise UserError.of(
                    "conditions.default-missing", key=key, parent=conditions[0].parent
                )
            for condition in conditions:
                self._check(key, condition, grid)
        self._ordered = self._in_order([*parts, *(key for key in grid if key not in parts)])

    def _check(self, key: str, condition: Condition, grid: Mapping[str, Sequence[Any]]) -> None:
        parent = condition.parent
        if parent not in self._parts and parent not in grid:
            others = ", ".join(k for k in [*self._parts, *grid] if k != key)
            raise UserError.of("conditions.parent-unknown", key=key, parent=parent, known=others)
        domain = self._parts[parent].domain if parent in self._parts else Categorical(grid[parent])
        if isinstance(domain, Categorical):
            there = [tupled(choice) for choice in domain.categories]
            possible = lambda value: value in there
            known = f"one of {', '.join(map(brief, there))}"
        elif isinstance(domain, Integer):
            low, high = bounds(domain)
            possible = lambda value: isinstance(value, int) and low <= value <= high
            known = f"from {low} to {high}"
        elif isinstance(domain, Domain):
            raise UserError.of("conditions.parent-is-a-float", key=key, parent=parent)
        else:
            return  # a fixed value, which switches parts of a space on or off
        for value in condition.values:
            if not possible(value):
                raise UserError.of(
                    "conditions.value-never-there",
                    key=key,
                    parent=parent,
                    value=brief(value),
                    range=known,
                )
        if not condition.values:
            raise UserError.of("conditions.value-missing", key=key, parent=parent)

    def _in_order(self, keys: Sequence[str]) -> list[str]:
        """Sort keys so that each comes after its parents; otherwise the order is kept."""
        ordered: dict[str, None] = {}

        def add(key: str, below: tuple[str, ...]) -> None:
            if key in below:
                circle = " -> ".join([*below[below.index(key) :], key])
                raise UserError.of("conditions.depends-on-itself", key=key, circle=circle)
            for condition in self.conditions.get(key, ()):
                add(condition.parent, (*below, key))
            ordered.setdefault(key)

        for key in keys:
            add(key, ())
        return list(ordered)

    def in_order(self, keys: Sequence[str]) -> list[str]:
        """Sort some keys so that each comes after its parents."""
        if not self.conditions:
            return list(keys)
        place = {key: i for i, key in enumerate(self._ordered)}
        return sorted(keys, key=lambda key: place[key])

    def is_active(self, key: str, values: Mapping[str, Any]) -> bool:
        """Whether a parameter is active.

        Args:
            key: Name of the parameter.
            values: Values of other parameters; those left out have their fixed value or default.
        """
        return all(
            self.is_active(c.parent, values) and c.holds(self._value(c.parent, values))
            for c in self.conditions.get(key, ())
        )

    def _value(self, key: str, values: Mapping[str, Any]) -> Any:
        if key in values:
            return values[key]
        part = self._parts.get(key)
        is_fixed = part is not None and not isinstance(part.domain, Domain)
        return part.domain if part is not None and is_fixed else self._defaults.get(key)

    def active(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return only the values of active parameters."""
        if not self.conditions:
            return dict(values)
        return {key: value for key, value in values.items() if self.is_active(key, values)}

    def ways(self, key: str) -> list[dict[str, Any]]:
        """Return assignments of its parents with which a parameter is active, at most `MOST_WAYS`.

        For an unconditional parameter, this is one empty assignment.
        """
        chain: dict[str, list[Any]] = {}
        waiting = [key]
        while waiting:
            for condition in self.conditions.get(waiting.pop(), ()):
                known = chain.get(condition.parent, list(condition.values))
                chain[condition.parent] = [v for v in known if v in condition.values]
                waiting.append(condition.parent)
        found = islice(product(*chain.values()), MOST_WAYS)
        return [dict(zip(chain, values, strict=True)) for values in found]
