"""Modules, tests and examples use public interfaces of other products only (see PRODUCTS)."""

import ast
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.test_architecture import ROOT, tracked_files

pytestmark = pytest.mark.slow
PRODUCTS: dict[str, tuple[str, ...]] = {
    "ray": ("ray.tune.execution", "ray.core"),
    "optuna": (),
    "pyarrow": (),
    "torch": (),
    "mlflow": (
        *("mlflow.protos", "mlflow.server", "mlflow.store", "mlflow.telemetry"),
        *("mlflow.tracking", "mlflow.utils"),
    ),
}
"""Private modules by product; names with an underscore are private anyway."""
PRIVATE_ARGUMENTS = {"_temp_dir", "_system_config", "_memory", "_node_name"}
"""Arguments that Ray calls hidden and unstable."""
HANDED_OUT = {
    "_backend": "optuna",
    "_storage": "optuna",
    "_study_id": "optuna",
    "_trial_id": "optuna",
    "_trials_to_cache": "ray",
    "_tracking_client": "mlflow",
    "_registry_client": "mlflow",
}
"""Private attributes of objects that a product returns and whose class is not visible here."""


EXCEPTIONS = {
    # records every operation of a step, for which torch has no public interface
    "tests/trainables/stack/recorded.py": "torch.utils._",
}
"""Files with checks that no public interface allows, and the private name that each uses."""


def is_private(dotted: str, product: str) -> bool:
    """Whether a dotted name of a product is private."""
    top, *rest = dotted.split(".")
    underscored = any(part.startswith("_") and not part.endswith("__") for part in rest)
    inside = any(f"{dotted}.".startswith(f"{name}.") for name in PRODUCTS[product])
    return top == product and (underscored or inside)


def imported(tree: ast.AST) -> Iterator[tuple[ast.stmt, str, str]]:
    """Yield each import of a module: the statement, the local name, and the imported name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield node, alias.asname or top, alias.name if alias.asname else top
                yield node, "", alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield node, alias.asname or alias.name, f"{node.module}.{alias.name}"


def dotted_name(node: ast.expr, names: dict[str, str]) -> str | None:
    """Resolve a chain of attributes of an imported name to the product's dotted name, or None."""
    if isinstance(node, ast.Attribute):
        owner = dotted_name(node.value, names)
        return None if owner is None else f"{owner}.{node.attr}"
    return names.get(node.id) if isinstance(node, ast.Name) else None


def private_parts(source: str, product: str) -> list[tuple[int, str]]:
    """Uses of a product's private parts, as line number and name."""
    tree = ast.parse(source)
    everything = list(imported(tree))
    names = {here: there for _, here, there in everything if here}
    found = [(node.lineno, there) for node, _, there in everything if is_private(there, product)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            whole = dotted_name(node, names)
            if whole is not None and is_private(whole, product):
                found.append((node.lineno, whole))
            elif whole is None and HANDED_OUT.get(node.attr) == product and not _is_self(node):
                found.append((node.lineno, node.attr))
        elif isinstance(node, ast.Call):
            found += [(node.lineno, what) for what in _handed_in(node, names, product)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if " " not in node.value and is_private(node.value, product):
                found.append((node.lineno, node.value))  # import_module, monkeypatch
    return sorted(set(found))


def _is_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def _handed_in(call: ast.Call, names: dict[str, str], product: str) -> Iterator[str]:
    """Private arguments of a call, and private attributes that `getattr` or `setattr` names."""
    function = dotted_name(call.func, names) or ""
    if function.startswith(f"{product}."):
        yield from (word.arg for word in call.keywords if word.arg in PRIVATE_ARGUMENTS)
    if isinstance(call.func, ast.Name | ast.Attribute) and len(call.args) > 1:
        name = call.func.id if isinstance(call.func, ast.Name) else call.func.attr
        owner, attribute = call.args[:2]
        if name in ("getattr", "setattr") and isinstance(attribute, ast.Constant):
            whole = f"{dotted_name(owner, names)}.{attribute.value}"
            if is_private(whole, product) or HANDED_OUT.get(attribute.value) == product:
                yield whole


def programs() -> Iterable[tuple[Path, str]]:
    """Yield every Python file, and the code of every notebook."""
    for path in tracked_files():
        if path.suffix == ".py" and path != Path(__file__):
            yield path, path.read_text("utf-8")
        elif path.suffix == ".ipynb":
            cells = json.loads(path.read_text("utf-8"))["cells"]
            code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
            yield (
                path,
                "\n".join(
                    line
                    for cell in code
                    for line in cell.splitlines(True)
                    if not line.startswith(("%", "!"))
                ),
            )


@pytest.mark.parametrize("product", PRODUCTS)
def test_only_public_interfaces_are_used(product: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for path, source in programs()
        for line, what in private_parts(source, product)
        if not what.startswith(EXCEPTIONS.get(str(path.relative_to(ROOT)), "\0"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("product", "source"),
    [
        ("ray", "from ray._private import node"),
        ("ray", "from ray.tune.execution.tune_controller import TuneController"),
        ("ray", "import ray\nray._private.worker.x = 1"),
        ("ray", "import ray as r\nr.util._x()"),
        ("ray", "import ray\nray.init(num_cpus=1, _temp_dir='/x')"),
        ("ray", "import ray\nsetattr(ray.util, '_x', 1)"),
        ("ray", "import_module('ray._private.node')"),
        ("ray", "controller._trials_to_cache.clear()"),
        ("optuna", "from optuna.storages.journal._file import Lock"),
        ("optuna", "number = study._study_id"),
        ("optuna", "number = study.trials[0]._trial_id"),
        ("optuna", "getattr(study, '_storage', None)"),
        ("torch", "import torch.optim._functional"),
        ("torch", "from torch import Tensor, _foreach_add_"),
        ("torch", "import torch\ntorch._foreach_add_(a, b)"),
        ("pyarrow", "import pyarrow._s3fs as s3"),
        ("mlflow", "from mlflow.store.tracking.dbmodels import models"),
        ("mlflow", "from mlflow import store"),
        ("mlflow", "import mlflow as m\nm.utils.uri.append('a')"),
        ("mlflow", "from mlflow import MlflowClient as C\nC()._tracking_client.store"),
        ("mlflow", "monkeypatch.setattr('mlflow.store.db.utils.MAX_RETRY_COUNT', 1)"),
    ],
)
def test_what_is_private_would_be_seen(product: str, source: str) -> None:
    assert private_parts(source, product)[0][0] == source.count("\n") + 1


@pytest.mark.parametrize(
    "source",
    [
        "from ray import tune\nfrom sweeps._own import x\nself._storage = tune.run",
        "import torch\ntorch.optim.Adam.__init__",
        "print('see ray._private for that')",
        "from mlflow import MlflowClient\nMlflowClient(tracking_uri='').create_run('1')",
        "tags = {'mlflow.parentRunId': 1}\nself._client.log_batch(tags)",
    ],
)
def test_what_is_public_or_our_own_is_not(source: str) -> None:
    assert not [part for product in PRODUCTS for part in private_parts(source, product)]


def test_an_exception_is_still_needed() -> None:
    used = {str(path.relative_to(ROOT)): source for path, source in programs()}
    for path, what in EXCEPTIONS.items():
        parts = [name for product in PRODUCTS for _, name in private_parts(used[path], product)]
        assert any(name.startswith(what) for name in parts), path
