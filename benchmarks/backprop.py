"""Speed of hand-written derivatives and of autograd, in member-epochs per second; see `--help`.

The network of the disc experiment, 2-25-25-25-2 with ReLU, SGD, cross-entropy and an L2 penalty,
is trained by (a) `trainables.backprop`, all members at once; (b) `torch.nn` with autograd, all
members at once by `torch.func`; (c) `torch.nn` with autograd and `torch.optim`, one member after
another. All three start from the same parameters and use the same batches, so their losses after
the first epoch must be equal.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.optim.sgd import sgd

from foldsweep.programs import console, parse, run_program
from trainables.backprop.activations import ReLU
from trainables.backprop.layers import Linear
from trainables.backprop.losses import CrossEntropy
from trainables.backprop.optimisers import SGD
from trainables.backprop.sequential import Sequential
from trainables.data.images import load_images
from trainables.data.pairs import draw_pairs

WIDTHS = (2, 25, 25, 25, 2)
LR, WEIGHT_DECAY = 0.2, 1e-5
PLAIN = {"momentum": 0.0, "dampening": 0.0, "nesterov": False, "maximize": False}


@dataclass(frozen=True, kw_only=True)
class BenchmarkSettings:
    """Compare hand-written derivatives with autograd on the disc network."""

    members: tuple[int, ...] = (1, 5, 10, 50)
    """Numbers of members trained at once, one row each."""
    batch_size: int = 20
    epochs: int = 3
    """Epochs per repeat."""
    repeats: int = 7
    """Repeats, in each of which the three take turns; the table has medians."""
    threads: int = 1


def main() -> int:
    """Measure and print the table in Markdown; returns the exit code."""
    settings = parse(BenchmarkSettings, sys.argv[1:], prog="benchmarks/backprop.py")
    torch.set_num_threads(settings.threads)
    console.print(
        f"torch {torch.__version__}, {settings.threads} thread, batches of {settings.batch_size};"
        f" member-epochs of 1000 points per second, medians of {settings.repeats} repeats\n"
    )
    console.print(
        "| members | hand-written | autograd, fused | autograd, looped | hand-written / fused |"
    )
    console.print("|---:|---:|---:|---:|---:|")
    for members in settings.members:
        console.print(_row(settings, members))
    return 0


def _row(settings: BenchmarkSettings, members: int) -> str:
    source, _ = load_images("disc")
    data = draw_pairs(source, seed=0).train
    x = torch.tensor(data.inputs["images"]).flatten(1)
    target = torch.tensor(data.targets["target"])
    models = [_torch_net(i) for i in range(members)]
    runs = (_handwritten(models), _fused(models), _looped(models))
    generator = torch.Generator().manual_seed(0)
    rates: list[list[float]] = [[], [], []]
    for repeat in range(settings.repeats + 1):
        epochs = settings.epochs if repeat else 1
        orders = [torch.randperm(len(x), generator=generator) for _ in range(epochs)]
        losses = []
        for run, rate in zip(runs, rates, strict=True):
            start = time.perf_counter()
            for order in orders:
                for index in order.split(settings.batch_size):
                    loss = run(x[index], target[index])
            spent = time.perf_counter() - start
            losses.append(loss)
            if repeat:  # the first repeat is a warm-up
                rate.append(members * epochs / spent)
        if not repeat:  # in later repeats, training has amplified rounding errors
            for other in losses[1:]:
                torch.testing.assert_close(other, losses[0], rtol=1e-2, atol=1e-3)
    ratios = [a / b for a, b in zip(rates[0], rates[1], strict=True)]
    medians = " | ".join(f"{statistics.median(rate):.0f}" for rate in rates)
    spread = f"{min(ratios):.1f} to {max(ratios):.1f}"
    return f"| {members} | {medians} | {statistics.median(ratios):.1f} ({spread}) |"


def _torch_net(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for before, after in zip(WIDTHS[:-1], WIDTHS[1:], strict=True):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


Step = Callable[[Tensor, Tensor], Tensor]
"""Trains all members on one batch (inputs, target); returns their losses before the step."""


def _handwritten(models: list[nn.Sequential]) -> Step:
    networks = []
    for model in models:
        parts: list = []
        for before, after in zip(WIDTHS[:-1], WIDTHS[1:], strict=True):
            parts += [Linear(before, after), ReLU()]
        network = Sequential(parts[:-1])
        network.load_state_dict(model.state_dict())
        networks.append(network)
    stacked = Sequential.stack(networks)
    criterion, optimiser = CrossEntropy(), SGD()

    def step(x: Tensor, target: Tensor) -> Tensor:
        scores = stacked.forward(x.expand(len(models), *x.shape))
        loss = criterion.forward(scores, target.expand(len(models), -1))
        stacked.backward(criterion.backward())
        stacked.step(optimiser, LR, WEIGHT_DECAY)
        return loss

    return step


def _fused(models: list[nn.Sequential]) -> Step:
    params, _ = stack_module_state(models)
    skeleton = models[0]
    decayed = [p for name, p in params.items() if name.endswith("weight")]
    others = [p for name, p in params.items() if not name.endswith("weight")]

    def member(params: dict[str, Tensor], x: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(skeleton, params, (x,)), target)

    batched = vmap(member, in_dims=(0, None, None))

    def step(x: Tensor, target: Tensor) -> Tensor:
        loss = batched(params, x, target)
        loss.sum().backward()
        with torch.no_grad():
            for which, decay in ((decayed, 2 * WEIGHT_DECAY), (others, 0.0)):
                grads = [p.grad for p in which if p.grad is not None]
                nothing: list[Tensor | None] = [None] * len(which)  # no momentum buffers
                sgd(which, grads, nothing, foreach=True, weight_decay=decay, lr=LR, **PLAIN)
            for p in params.values():
                p.grad = None
        return loss.detach()

    return step


def _looped(models: list[nn.Sequential]) -> Step:
    copies = [_torch_net(seed) for seed in range(len(models))]
    optimisers = [
        torch.optim.SGD(
            [
                {
                    "params": [p for p in model.parameters() if p.ndim == 2],
                    "weight_decay": 2 * WEIGHT_DECAY,
                },
                {"params": [p for p in model.parameters() if p.ndim == 1]},
            ],
            lr=LR,
        )
        for model in copies
    ]

    def step(x: Tensor, target: Tensor) -> Tensor:
        losses = []
        for model, optimiser in zip(copies, optimisers, strict=True):
            loss = nn.functional.cross_entropy(model(x), target)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            losses.append(loss.detach())
        return torch.stack(losses)

    return step


if __name__ == "__main__":
    run_program(main)
