"""What we touch of other products is what they document.

Private are modules that a product does not document, and names that begin with an underscore: of
an imported name, and anywhere in what is reached from one by attributes.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_architecture import ROOT, tracked_files

PRIVATE_MODULES = {
    "mlflow": (
        "mlflow.protos",
        "mlflow.server",
        "mlflow.store",
        "mlflow.telemetry",
        "mlflow.tracking",
        "mlflow.utils",
    ),
}
"""By product, the modules of it that are not in its API reference."""
PRIVATE_NAMES = {"mlflow": ("_tracking_client", "_registry_client", "dbmodels", "SqlAlchemyStore")}
"""Private attributes that are reached from objects of unknown origin, and classes behind them."""


def private_uses(product: str, tree: ast.AST) -> Iterator[str]:
    """Private parts of a product that a module imports, touches or names in a string."""
    imported: dict[str, str] = {}
    names: list[tuple[str, int]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == product:
                    names.append((alias.name, node.lineno))
                    imported[alias.asname or product] = alias.name if alias.asname else product
        elif isinstance(node, ast.ImportFrom) and not node.level:
            if (node.module or "").split(".")[0] == product:
                for alias in node.names:
                    imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                    names.append((f"{node.module}.{alias.name}", node.lineno))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            first, _, rest = dotted_name(node).partition(".")
            if first in imported:
                names.append((f"{imported[first]}.{rest}", node.lineno))
            if node.attr in PRIVATE_NAMES[product]:
                names.append((f"{product}.{node.attr}", node.lineno))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value.startswith(f"{product}.") and node.value.isascii():
                names.append((node.value, node.lineno))
    for name, line in names:
        parts = name.split(".")
        is_module = any(f"{name}.".startswith(f"{m}.") for m in PRIVATE_MODULES[product])
        is_underscored = any(part.startswith("_") and part[1:2] != "_" for part in parts)
        if is_module or is_underscored or set(parts) & set(PRIVATE_NAMES[product]):
            yield f"{name} in line {line}"


def dotted_name(node: ast.expr) -> str:
    """`a.b.c`; calls and indices on the way are left out."""
    if isinstance(node, ast.Attribute):
        return f"{dotted_name(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return dotted_name(node.func)
    if isinstance(node, ast.Subscript):
        return dotted_name(node.value)
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("product", PRIVATE_MODULES)
def test_only_public_interfaces_are_used(product: str) -> None:
    found = {
        str(path.relative_to(ROOT)): uses
        for path in tracked_files()
        if path.suffix == ".py" and path != Path(__file__)
        for uses in [list(private_uses(product, ast.parse(path.read_text("utf-8"))))]
        if uses
    }
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        "from mlflow.store.tracking.dbmodels import models",
        "from mlflow import store",
        "import mlflow.utils.validation",
        "import mlflow as m\nm.utils.uri.append('a')",
        "from mlflow import MlflowClient as C\nC(tracking_uri='')._tracking_client.store",
        "def f(client):\n    return client._tracking_client",
        "monkeypatch.setattr('mlflow.store.db.utils.MAX_RETRY_COUNT', 1)",
        "from mlflow.entities import _private",
    ],
)
def test_private_parts_are_seen(code: str) -> None:
    assert list(private_uses("mlflow", ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "from mlflow import MlflowClient\nMlflowClient(tracking_uri='').create_run('1')",
        "from mlflow.entities import Metric\nprint(Metric.__name__, 'mlflow.db')",
        "tags = {'mlflow.parentRunId': 1}\nself._client.log_batch(tags)",
    ],
)
def test_public_parts_pass(code: str) -> None:
    assert not list(private_uses("mlflow", ast.parse(code)))
