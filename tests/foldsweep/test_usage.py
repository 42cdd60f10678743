from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import pytest
from tyro.conf import Positional

from foldsweep.checks import nearest
from foldsweep.usage import options_of, usage
from sweeps.run import RunOptions
from tests.refusals import text


@dataclass(frozen=True, kw_only=True)
class Base:
    """Settings of all programs."""

    seed: int = 0
    """Everything random
    derives from it."""


@dataclass(frozen=True, kw_only=True)
class Settings(Base):
    """Do something.

    In several ways.
    """

    files: Annotated[tuple[Path, ...], Positional]
    """Files to read."""
    rate: float | None = None
    """A rate [1]."""
    kinds: tuple[Literal["first", "second"], ...] = ("first",)
    """Kinds of it."""
    url: str = "http://user:secret@host"
    """Where it is."""
    loud: bool = False
    """Say more."""

    GROUPS = {"what": ("kinds", "rate"), "where": ("url",)}


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


HELP = """\
usage: x.py [FILES ...] [options]

Do something.

In several ways.

arguments:
  FILES                 Files to read.

what:
  --kinds {first,second} ...
                        Kinds of it. (default: first)
  --rate FLOAT          A rate [1].

where:
  --url STR             Where it is. (default: http://***@host)

options:
  --seed INT            Everything random derives from it. (default: 0)
  --loud                Say more.
  -h, --help            Show this and stop."""


def test_help_has_options_in_their_groups(wide: None) -> None:
    assert usage(Settings, "x.py") == HELP


def test_defaults_may_be_those_of_settings(wide: None) -> None:
    default = Settings(files=(Path("a"), Path("b")), rate=0.5, seed=3)
    text = usage(Settings, "x.py", replace(default, kinds=()))
    for line in (
        "Files to read. (default: a b)",
        "A rate [1]. (default: 0.5)",
        "it. (default: 3)",
    ):
        assert line in text
    assert "Kinds of it.\n" in text


def test_each_option_of_a_sweep_is_in_one_group() -> None:
    named = [name for group in RunOptions.GROUPS.values() for name in group]
    assert {"search", "data", "resources", "storage", "tracking"} <= set(RunOptions.GROUPS)
    rest = {option.field for option in options_of(RunOptions)} - set(named)
    assert len(named) == len(set(named))
    assert rest == {"list_spaces", "config", "save_config", "dry_run"}


def test_no_name_is_broken_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    text = usage(RunOptions, "foldsweep run")
    for option in options_of(RunOptions):
        assert f"\n  {option.name} {option.takes}".rstrip() + "\n" in text


def test_the_nearest_word_is_the_one_that_is_meant() -> None:
    assert nearest("trails", ["folds", "trials"]) == text("checks.did-you-mean", word="trials")
    assert nearest("x", ["folds", "trials"]) == ""
