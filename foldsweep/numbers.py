"""Formatting of numbers for people: means with standard deviations, differences, durations."""

import math

from foldsweep.names import NUM_PARAMS

_PLACES = 4
"""Decimal places of numbers below 10, such as accuracies."""
_FIGURES = 3
"""Significant figures of numbers that need more than `_PLACES` places."""
_MOST_PLACES = 7
"""Numbers that need more places are shown with an exponent."""


def places_of(size: float) -> int:
    """Return the number of decimal places to show for numbers of this size.

    >>> [places_of(size) for size in (0.95, 53.2, 1234.5, 1e6, 0.00123)]
    [4, 3, 1, 0, 5]
    """
    if size == 0 or not math.isfinite(size):
        return _PLACES
    exponent = math.floor(math.log10(abs(size)))
    if exponent >= 0:
        return max(0, _PLACES - exponent)
    return max(_PLACES, _FIGURES - 1 - exponent)


def shown(value: float, *, places: int | None = None) -> str:
    """Format a number with the given decimal places, or with those that suit its size.

    >>> shown(0.95), shown(1234.5), shown(1.5e-9)
    ('0.9500', '1,234.5', '1.50e-09')
    """
    places = places_of(value) if places is None else places
    if not math.isfinite(value):
        return f"{value:g}"
    if places > _MOST_PLACES:
        return f"{value:.{_FIGURES - 1}e}"
    return f"{round(value, places) + 0.0:,.{places}f}"  # + 0.0 turns -0.0 into 0.0


def shown_spread(mean: float, std: float | None) -> str:
    """Format a mean and its standard deviation with the same number of decimal places.

    >>> shown_spread(0.95, 0.0071), shown_spread(53.21, 2.5), shown_spread(0.95, None)
    ('0.9500 ± 0.0071', '53.210 ± 2.500', '0.9500')
    """
    if std is None:
        return shown(mean)
    finite = [abs(value) for value in (mean, std) if math.isfinite(value)]
    places = places_of(max(finite, default=0.0))
    return f"{shown(mean, places=places)} ± {shown(std, places=places)}"


def shown_score(key: str, mean: float, std: float | None = None) -> str:
    """Format a metric by its key: numbers of parameters as integers, others with their std.

    >>> shown_score("num_params", 1234.0), shown_score("val_accuracy", 0.95, 0.01)
    ('1,234', '0.9500 ± 0.0100')
    """
    return f"{mean:,.0f}" if key == NUM_PARAMS else shown_spread(mean, std)


def shown_seconds(seconds: float) -> str:
    """Format a duration in seconds; below one second with more decimal places.

    >>> shown_seconds(111.52), shown_seconds(0.0312)
    ('111.5', '0.031')
    """
    return f"{seconds:,.{1 if seconds >= 1 else 3}f}"


def plural(number: int, thing: str) -> str:
    """Format a count of things, with the plural where needed.

    >>> plural(1, "trial"), plural(1234, "trial")
    ('1 trial', '1,234 trials')
    """
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def signed(value: float, *, places: int = _PLACES) -> str:
    """Format a difference with its sign.

    >>> signed(0.015), signed(-1e-9)
    ('+0.0150', '+0.0000')
    """
    if places > _MOST_PLACES:
        return f"{value:+.{_FIGURES - 1}e}"
    return f"{round(value, places) + 0.0:+,.{places}f}"
