"""The library differentiates by hand: it neither imports nor uses PyTorch's differentiation."""

import ast
from pathlib import Path

import pytest
import torch

import trainables.backprop
from tests.trainables.backprop.reference import our_network
from trainables.backprop.activations import ACTIVATIONS
from trainables.backprop.layers import BatchNorm, Linear
from trainables.backprop.losses import CRITERIA, l2_penalty, make_criterion
from trainables.backprop.optimisers import OPTIMISERS, make_optimiser
from trainables.backprop.sequential import Sequential
from trainables.backprop.training import train

FILES = sorted(Path(trainables.backprop.__file__).parent.glob("*.py"))
ALLOWED_IMPORTS = {
    *("abc", "collections.abc", "copy", "dataclasses", "math", "typing"),
    *("jaxtyping", "torch", "trainables.data.batches", "foldsweep.errors"),
}
FORBIDDEN = {
    *("nn", "autograd", "optim", "func", "requires_grad", "requires_grad_", "grad_fn"),
    *("enable_grad", "set_grad_enabled", "vmap", "vjp", "jvp", "retain_grad", "_C", "ops"),
}
OWN_BACKWARDS = {"self", "network", "loss"}
"""Names of modules and criteria in the code, whose `backward` is handwritten."""


def offences(source: str) -> set[str]:
    """Forbidden imports and names in the source of a file."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                imported = {alias.name for alias in names}
            case ast.ImportFrom(module="torch", names=names):
                imported = {"torch"}
                found |= {alias.name for alias in names} - {"Tensor"}
            case ast.ImportFrom(module=module):
                imported = {module or "."}
            case _:
                imported = set()
        found |= {
            name
            for name in imported
            if name not in ALLOWED_IMPORTS and not name.startswith("trainables.backprop.")
        }
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr="backward"):
                found |= {f"{owner}.backward"} if owner not in OWN_BACKWARDS else set()
            case ast.Attribute(attr="backward"):
                found.add(ast.unparse(node))
            case ast.Attribute(attr=name) | ast.keyword(arg=str(name)) | ast.Name(id=name):
                found |= {name} & FORBIDDEN
            case ast.Constant(value=str(name)):
                found |= {name} & FORBIDDEN  # getattr(torch, "autograd")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_file_uses_what_differentiates_by_itself(path):
    assert not offences(path.read_text("utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "import torch.nn",
        "import torch.nn.functional as F",
        "from torch import nn",
        "from torch.autograd import grad",
        "import numpy",
        "from trainables import losses",
        "x = torch.nn.Linear(2, 2)",
        "x = torch.zeros(2, requires_grad=True)",
        "x.requires_grad = True",
        "x.requires_grad_()",
        "y.backward()",
        "(x * x).sum().backward()",
        "torch.func.grad(f)",
        "getattr(torch, 'autograd')",
        "torch.ops.aten.threshold_backward(g, x, 0)",
    ],
)
def test_what_differentiates_by_itself_would_be_seen(source):
    assert offences(source)
    assert not offences("import torch\nfrom torch import Tensor\nnetwork.backward(g)")


@pytest.fixture
def rows():
    """Inputs that require a gradient, and their classes."""
    torch.manual_seed(0)
    return torch.randn(6, 2, requires_grad=True), torch.randint(2, (6,))


def assert_no_graph(*tensors):
    assert tensors
    for tensor in tensors:
        assert not tensor.requires_grad
        assert tensor.grad_fn is None


MODULES = {
    **ACTIVATIONS,
    "linear": lambda: Linear(2, 2),
    "batch_norm": lambda: BatchNorm(2),
    "sequential": lambda: our_network([2, 3], batch_norm=True),
    "stack": lambda: Sequential.stack([our_network([2, 3]), our_network([2, 3])]),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules_record_no_graph(name, rows):
    module = MODULES[name]()
    for mode in (module.train, module.eval):
        mode()
        y = module.forward(rows[0])
        grad = module.backward(torch.randn(y.shape, requires_grad=True))
        module.step(make_optimiser("sgd"), torch.full(module.flat.shape[:-1], 0.1), 0.1)
        assert_no_graph(y, grad, module.flat, module.flat_gradients, *module.buffers().values())
        assert_no_graph(*module.parameters().values(), *module.gradients().values(), y)


@pytest.mark.parametrize("name", CRITERIA)
def test_criteria_record_no_graph(name, rows):
    criterion = make_criterion(name)
    weight = torch.ones(6, requires_grad=True)
    assert_no_graph(criterion.forward(*rows, weight), criterion.backward())
    assert_no_graph(l2_penalty([rows[0]], weight.sum()))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_record_no_graph(name):
    params = torch.ones(3)
    optimiser = make_optimiser(name)
    optimiser.update(params, torch.ones(3, requires_grad=True), 0.1)
    assert_no_graph(params, *optimiser.state_dict().values())


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_training_does_without_autograd(criterion, optimiser, rows, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("autograd was used")

    for owner, name in (
        (torch.Tensor, "backward"),
        (torch.autograd, "backward"),
        (torch.autograd, "grad"),
    ):
        monkeypatch.setattr(owner, name, refuse)
    network = our_network([2, 3], batch_norm=True)
    before = network.flat.clone()
    history = train(
        network,
        *rows,
        *rows,
        epochs=2,
        lr=0.1,
        weight_decay=0.1,
        criterion=criterion,
        optimiser=optimiser,
        train_history=True,
        test_history=True,
    )
    assert not torch.equal(network.flat, before)
    assert_no_graph(network.flat, history.train_loss, history.test_loss)
