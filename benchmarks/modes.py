"""Speed of fold stacks in each mode, and of a plain loop: `python benchmarks/modes.py`, `--help`.

In each repeat, the same members train and validate one epoch in every mode in turn. They have the
baseline configuration of each network's space and train on pairs of the embedded digits.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import torch

from foldsweep.errors import UserError
from foldsweep.programs import parse, run_program
from peer_tools.checks import require_document
from peer_tools.plain_loop import train_fold
from peer_tools.report import here, publish
from peer_tools.results import spread
from search_spaces.loading import load_space
from search_spaces.space import SearchSpace
from sweeps.reproduction.tables import Cells
from trainables.config import TrialConfig
from trainables.data.folds import Fold, stratified_folds
from trainables.data.images import load_images
from trainables.data.pairs import draw_pairs
from trainables.stack.stack import FoldStack, Member, Mode
from trainables.tasks.samples import Data
from trainables.tasks.task import Variant
from trainables.trial import make_stack

FOLDS = 5
LOOP = "loop"
MODES: dict[str, tuple[Mode, ...]] = {
    "cpu": ("looped", "fused"),
    "cuda": ("looped", "fused", "graphed"),
}
MEMBERS = {"cpu": (1, 5, 10), "cuda": (1, 5, 10, 50, 200)}
Network = Literal["mlp", "cnn", "cnn_ws", "cnn_ws_aux"]


@dataclass(frozen=True, kw_only=True)
class ModesSettings:
    """Measure member-epochs per second, by mode, network and number of members.

    A member-epoch is one epoch of one member: training on four fifths of the pairs, validation on
    the rest.
    """

    device: Literal["cpu", "cuda"] = "cpu"
    members: tuple[int, ...] | None = None
    """Numbers of members of a stack, one row each [1 5 10, on a GPU also 50 200]."""
    networks: tuple[Network, ...] = get_args(Network)
    train_pairs: int | None = None
    """Pairs to split into folds [all]."""
    repeats: int = 7
    threads: int = 1
    write: Path | None = None
    """Document whose table is replaced, such as docs/performance.md."""


Rates = Mapping[str, Sequence[float]]
"""Member-epochs per second of the loop and of each mode, by repeat."""


def main() -> int:
    """Measure and print the table; returns the exit code."""
    settings = parse(ModesSettings, sys.argv[1:], prog="benchmarks/modes.py")
    members = MEMBERS[settings.device] if settings.members is None else settings.members
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UserError.of("modes.cuda-unavailable")
    if min(settings.repeats, settings.threads, *members) < 1 or not members:
        raise UserError.of("modes.counts-below-one")
    if not settings.networks:
        raise UserError.of("modes.networks-missing")
    mark = "modes" if settings.device == "cpu" else "modes-cuda"
    require_document(settings.write, [mark])
    torch.set_num_threads(settings.threads)
    data = draw_pairs(load_images("digits")[0], seed=0, train_pairs=settings.train_pairs)
    rates: dict[tuple[str, int], Rates] = {
        (name, count): measured(load_space(name), count, data, settings)
        for name in settings.networks
        for count in members
    }
    device = "1 thread" if settings.threads == 1 else f"{settings.threads} threads"
    if settings.device == "cuda":
        device = torch.cuda.get_device_name()
    head = f"{here()}; torch {torch.__version__}, {device}; {len(data.train)} pairs,"
    head += f" median and range of {settings.repeats} repeats"
    publish({mark: modes_cells(rates)}, settings.write, head)
    return 0


def measured(space: SearchSpace, count: int, data: Data, settings: ModesSettings) -> Rates:
    """Measure the loop and each mode in turn, in each repeat; the first repeat is not counted."""
    variant = space.variant
    # searched fields that the point does not set have the defaults of the configuration class
    config = space.complete(space.points[0].config, epochs=settings.repeats + 1)
    folds = stratified_folds(data.train.targets["target"], num_folds=FOLDS, seed=0)
    ways: dict[str, Callable[[], float]] = {
        LOOP: lambda: _loop_s(variant, config, data, folds[0], settings.device) * count
    }
    for mode in MODES[settings.device]:
        members = [
            Member(config=config, train=fold.train, held_out=fold.val, seed=i)
            for i, fold in ((i, folds[i % FOLDS]) for i in range(count))
        ]
        stack = make_stack(variant, members, data, device=settings.device, mode=mode)
        assert isinstance(stack, FoldStack)
        ways[mode] = partial(_epoch_s, stack)
    turns = [{name: once() for name, once in ways.items()} for _ in range(settings.repeats + 1)]
    return {name: [count / turn[name] for turn in turns[1:]] for name in ways}


def _epoch_s(stack: FoldStack) -> float:
    """Return the seconds of the next epoch; its metrics are on the CPU, so a GPU has finished."""
    start = time.perf_counter()
    stack.train_epoch()
    return time.perf_counter() - start


def _loop_s(variant: Variant, config: TrialConfig, data: Data, fold: Fold, device: str) -> float:
    """Return the seconds of one epoch of one member in the plain loop, which trains one by one."""
    spent: list[float] = []

    @contextmanager
    def timed() -> Iterator[None]:
        start = time.perf_counter()
        yield
        spent.append(time.perf_counter() - start)

    train_fold(variant, replace(config, epochs=1), data, fold, seed=0, timed=timed, device=device)
    return spent[0]


def modes_cells(rates: Mapping[tuple[str, int], Rates]) -> Cells:
    """Make the table, one row per network and number of members; ratios are within repeats."""
    modes = [name for name in next(iter(rates.values())) if name != LOOP]
    rows = []
    for (name, count), of in rates.items():
        per_s = [spread(of[way]).shown(1) for way in (LOOP, *modes)]
        times = [
            spread(a / b for a, b in zip(of[mode], of[LOOP], strict=True)).shown(2)
            for mode in modes
        ]
        rows.append((name, str(count), *per_s, *times))
    return Cells(
        title="member-epochs per second",
        head=(
            "network",
            "members",
            "a user's loop",
            *modes,
            *(f"{mode} / loop" for mode in modes),
        ),
        rows=tuple(rows),
    )


if __name__ == "__main__":
    run_program(main)
