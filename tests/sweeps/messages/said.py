"""Types of these tests' fixtures, and the commands in a text."""

from collections.abc import Callable

from sweeps.sweep import SweepEnd

MakeEnd = Callable[..., SweepEnd]
MakeEnded = Callable[..., SweepEnd]
Said = Callable[[], str]


def suggested(text: str) -> dict[str, str]:
    """Return the suggested commands by purpose."""
    lines = [line for line in text.splitlines() if line.startswith("  ")]
    return {line[2:14].strip(): line[15:] for line in lines}
