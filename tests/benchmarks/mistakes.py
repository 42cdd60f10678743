"""Kinds and values of mistakes in the options of several benchmarks."""

from tests.refusals import text


def below(option: str, least: int, value: str) -> tuple[str, dict[str, str]]:
    """Kind and values of the mistake that an option is below its least value."""
    rule = text("rules.at-least", least=least)
    return "programs.option-out-of-range", {"option": option, "rule": rule, "value": value}


NO_DOCUMENT = (
    "reproduction-tables.file-unreadable",
    {"path": "nowhere.md", "reason": "No such file or directory"},
)
