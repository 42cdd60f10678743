"""The code of docs/spaces.md is complete, and does what the page says."""

import re
from pathlib import Path
from typing import Any

import pytest

from search_spaces.space import SearchSpace

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "spaces.md"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Variables that the code blocks of the page define, run one after another."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))
    named: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), named)
    return named


def test_code_of_the_page_makes_spaces_of_their_names(made: dict[str, Any]) -> None:
    spaces = {key: of for key, of in made.items() if isinstance(of, SearchSpace)}
    assert [*spaces] == ["plain", "shapes", "tree", "same_tree", "small", "light"]
    for key, space in spaces.items():
        assert space.name == key
        for seed in range(5):
            space.complete(space.draw(seed))


def test_both_ways_to_write_a_tree_are_one(made: dict[str, Any]) -> None:
    tree, same = made["tree"], made["same_tree"]
    for conv in (True, False):
        for pool in ("none", "max"):
            values = {"conv": conv, "kernel": 5, "pool": pool, "side": 4}
            assert tree.active(values) == same.active(values)
            assert ("side" in tree.active(values)) == (conv and pool == "max")
