"""The table of texts and the code name the same kinds, with the same values."""

import ast
import pickle
import string
from collections.abc import Iterator
from pathlib import Path

from foldsweep.errors import UserError
from foldsweep.texts import text, texts

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("foldsweep", "trainables", "search_spaces", "sweeps", "analysis", "benchmarks")


def named_kinds() -> Iterator[tuple[str, str, set[str]]]:
    """Place, kind and values of each call of `of` and of `text`, as the code writes them."""
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _takes_kind(node):
                    place = f"{file.relative_to(ROOT)}:{node.lineno}"
                    for kind in _written(node.args[0]):
                        yield place, kind, {str(word.arg) for word in node.keywords}


def _takes_kind(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr == "of" and len(call.args) == 1
    return isinstance(call.func, ast.Name) and call.func.id == "text" and len(call.args) == 1


def _written(kind: ast.expr) -> list[str]:
    """The kind, or both kinds of `one if condition else other`."""
    if isinstance(kind, ast.IfExp):
        return [*_written(kind.body), *_written(kind.orelse)]
    found = kind.value if isinstance(kind, ast.Constant) else None
    return [found] if isinstance(found, str) and "." in found else []


def named_values(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


NAMED = list(named_kinds())


def test_each_message_has_a_text_with_its_values() -> None:
    assert NAMED
    assert [message for message in NAMED if message[1] not in texts()] == []
    assert [
        (place, kind) for place, kind, values in NAMED if named_values(texts()[kind]) != values
    ] == []


def test_each_text_is_used() -> None:
    assert texts().keys() - {kind for _, kind, _ in NAMED} == set()


def test_an_error_keeps_its_kind_and_values_in_another_process() -> None:
    error = UserError.of("splits.more-folds-than-rows", rows=3, folds=Path("five"))

    again = pickle.loads(pickle.dumps(error))

    assert (again.kind, again.values) == (error.kind, {"rows": 3, "folds": "five"})
    assert str(again) == text("splits.more-folds-than-rows", rows=3, folds="five")


def test_a_message_of_the_user_s_own_code_has_no_kind() -> None:
    assert UserError("this network needs a GPU").kind == ""
