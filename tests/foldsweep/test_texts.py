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


def raised_kinds() -> Iterator[tuple[str, str, set[str]]]:
    """Place, kind and values of each call of `of`, as the code writes them."""
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if _makes_error(node):
                    assert isinstance(node, ast.Call)
                    kind, place = node.args[0], f"{file.relative_to(ROOT)}:{node.lineno}"
                    assert isinstance(kind, ast.Constant), f"{place}: the kind is not written out"
                    yield place, kind.value, {str(word.arg) for word in node.keywords}


def _makes_error(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "of"
        and len(node.args) == 1
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
        and "." in node.args[0].value
    )


def named_values(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


RAISED = list(raised_kinds())


def test_each_error_has_a_text_with_its_values() -> None:
    assert RAISED
    assert [error for error in RAISED if error[1] not in texts()] == []
    assert [
        (place, kind) for place, kind, values in RAISED if named_values(texts()[kind]) != values
    ] == []


def test_each_text_is_used() -> None:
    assert texts().keys() - {kind for _, kind, _ in RAISED} == set()


def test_an_error_keeps_its_kind_and_values_in_another_process() -> None:
    error = UserError.of("splits.more-folds-than-rows", rows=3, folds=Path("five"))

    again = pickle.loads(pickle.dumps(error))

    assert (again.kind, again.values) == (error.kind, {"rows": 3, "folds": "five"})
    assert str(again) == text("splits.more-folds-than-rows", rows=3, folds="five")


def test_a_message_of_the_user_s_own_code_has_no_kind() -> None:
    assert UserError("this network needs a GPU").kind == ""
