"""Tests of the documentation site: its navigation and reference pages."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import foldsweep

ROOT = Path(__file__).parents[2]
REFERENCE = "\n".join(path.read_text() for path in (ROOT / "docs" / "reference").glob("*.md"))
DOCUMENTED = re.findall(r"^::: (\S+)$", REFERENCE, re.MULTILINE)


def pages(nav: list[dict[str, Any]]) -> set[str]:
    """All pages of a navigation of MkDocs, whose entries are pages or lists of entries."""
    found = set()
    for entry in nav:
        for value in entry.values():
            found |= {value} if isinstance(value, str) else pages(value)
    return found


@pytest.mark.parametrize("name", sorted(set(foldsweep.__all__) - {"tune"}))
def test_every_public_name_has_a_reference(name: str) -> None:
    assert name in {path.rpartition(".")[2] for path in DOCUMENTED}


@pytest.mark.parametrize("path", DOCUMENTED)
def test_what_the_reference_names_is_there(path: str) -> None:
    module, _, name = path.rpartition(".")
    assert getattr(importlib.import_module(module), name).__doc__


def test_every_page_is_in_the_navigation() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    docs = ROOT / "docs"
    written = {
        p.relative_to(docs).as_posix() for p in docs.rglob("*") if p.suffix in (".md", ".ipynb")
    }
    assert written
    assert written <= pages(nav)
