"""The fold stack: order, noise and metrics of members that train in lockstep.

Legend of shapes: m members, b rows in a batch, t training rows of a member, n noise values.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import repeat
from typing import Any, Literal, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from foldsweep.errors import UserError
from foldsweep.recipe import Mode
from trainables.backprop.sequential import Sequential
from trainables.config import BaseConfig, TrialConfig
from trainables.data.batches import batches
from trainables.models.layers import Dropout, num_params
from trainables.seeds import derive_seed
from trainables.stack.averages import Averages, EpochMetrics, averages, sum_of
from trainables.stack.batches import padded, uniform
from trainables.stack.engine import AbstractEngine, MemberValues, Sums, feed, require_inputs
from trainables.stack.fused import FusedEngine
from trainables.stack.graphed import GraphedEngine, cuda_graph
from trainables.stack.handwritten import HandwrittenEngine
from trainables.stack.looped import LoopedEngine
from trainables.stack.outputs import concatenated, members_of, parts_of
from trainables.stack.repeatable import repeatable
from trainables.stack.rows import MemberRows
from trainables.stack.scoring import LOSS, Scorer
from trainables.tasks.samples import Samples
from trainables.tasks.task import Task

TINY_BATCH = 400
"""Limit of channels times batch size up to which convolutions are fused on a CPU too."""
TINY_MODEL = 100_000
"""Limit of parameters up to which convolutions are fused on a CPU too: the optimiser of larger
stacks is bound by memory."""
EVALUATION_BATCH = 500
"""Rows per member in one evaluation call; bounds memory, does not change results."""
ORDER, OWN_LAYERS, NOISE = 1, 2, 3
"""Streams of a member's seed in an epoch: order and augmentation, a user's layers, dropout."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """Configuration, rows and seed of one member.

    `train` and `held_out` index the stack's rows; `seed` decides initialisation, shuffling,
    augmentation and dropout.
    """

    config: BaseConfig
    train: Int[np.ndarray, " t"]
    held_out: Int[np.ndarray, " v"]
    seed: int


class FoldStack:
    """Trains members of one shape in lockstep, fused into one network or one after another.

    Members may differ in everything that does not change shapes or the number of steps: data,
    seed, learning rate, weight decay, dropout rate (above 0), values of the loss, augmentation.
    All modes give the same numbers up to rounding.

    A member's numbers do not depend on the other members, with one exception: if another member
    has one training row more, the last batch repeats a row with weight 0, which batch-norm sees
    and dropout draws noise for. Members that differ by more than one training row are trained one
    after another, each with its own batches.

    Every epoch is seeded from (member's seed, epoch). So the state after an epoch consists of
    parameters, buffers, optimiser moments and the number of the epoch: nothing else is random.

    Raises:
        ValueError: If members differ in batch size, epochs, precision or architecture.
        UserError: If members of unequal size have networks or a mode that cannot be looped.
    """

    def __init__(
        self,
        make_model: Callable[[Any], nn.Module | Sequential],
        members: Sequence[Member],
        samples: Samples,
        *,
        task: Task,
        device: torch.device | str = "cpu",
        mode: Mode = "auto",
    ):
        _require_alike(members)
        configs = tuple(cast(TrialConfig, m.config) for m in members)
        config = configs[0]
        self.task = task
        self.members = tuple(members)
        self.configs = configs
        self.epochs = config.epochs
        self.epoch = 0
        self.device = torch.device(device)
        sizes = [len(m.train) for m in members]
        self.unequal = max(sizes) - min(sizes) > 1
        self.rows = MemberRows(task, samples, [m.train for m in members], configs, self.device)
        self.scorer = Scorer(task)
        models = [_seeded_model(make_model, m).to(self.device) for m in self.members]
        if len({str(model) for model in models}) > 1:
            raise ValueError("members of one stack must share the architecture")
        self.noise_sizes: dict[str, int] = {}
        self.engine: AbstractEngine
        if isinstance(models[0], Sequential):
            if self.unequal:
                raise UserError.of("stack.folds-unequal")
            self.mode: Mode = "fused"
            self.num_params = models[0].num_params
            self.engine = HandwrittenEngine(models, self._values(0), self.scorer, configs)
        else:
            self.num_params = num_params(models[0])
            require_inputs(models[0], self.rows.two())
            self.noise_sizes = _noise_sizes(models[0], self.rows.two())
            self.mode = resolve_mode(mode, models[0], self.device, config.batch_size)
            if self.unequal:
                self.mode = "looped"
            self._make_engine(models, auto=mode == "auto")
        self.frozen: tuple[str, ...] = ()
        self._enter(0)

    def train_epoch(self) -> EpochMetrics:
        """Train every member for one epoch and measure it."""
        return self.measured(self.train())

    def measured(self, train: Averages) -> EpochMetrics:
        """Metrics of the last epoch; `train` holds its averages over training batches."""
        part = self.scorer.main_part
        return EpochMetrics(
            epoch=self.epoch, train=train, held_out=self.evaluate(), main_part=part
        )

    @repeatable()
    def train(self) -> Averages:
        """Train every member for one epoch; return averages over its batches while trained on."""
        self._enter(self.epoch)
        # for layers that draw their own random numbers, such as a user's
        torch.manual_seed(derive_seed(self.members[0].seed, OWN_LAYERS, self.epoch))
        if self.unequal:
            each = [self._pass((m,)) for m in range(len(self.members))]
            sums = {name: torch.cat([part[name] for part in each]) for name in each[0]}
        else:
            sums = self._pass(None)
        self.epoch += 1
        return averages(sums, np.array([len(m.train) for m in self.members]))

    @repeatable()
    def evaluate(self) -> Averages:
        """Averages over each member's held-out rows."""
        index, weight = self._held_out_rows
        sums: Sums = {}
        for start in range(0, index.shape[1], EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            batch = self.rows.batch(index[:, part], weight[:, part])
            sums = sum_of(sums, self.engine.evaluate(batch))
        return averages(sums, np.array([len(m.held_out) for m in self.members]))

    @repeatable()
    @torch.no_grad()
    def predict(self, rows: Int[np.ndarray, " v"] | None = None) -> list[dict[str, np.ndarray]]:
        """Each member's predictions on its held-out rows, or on given `rows` of the stack.

        Predictions are named as `Task.predict` names them.
        """
        wanted = [m.held_out if rows is None else rows for m in self.members]
        index, _ = padded(wanted, self.device)
        parts = []
        for start in range(0, index.shape[1], EVALUATION_BATCH):
            part = index[:, start : start + EVALUATION_BATCH]
            parts.append(self.engine.predict(self.rows.standardised(part)))
        whole = concatenated(parts, axis=1)
        found = []
        for m, output in enumerate(members_of(whole, len(self.members))):
            named = self.task.predict(output, **self._known(m))
            size = len(wanted[m])
            found.append({name: value[:size].cpu().numpy() for name, value in named.items()})
        return found

    @repeatable()
    @torch.no_grad()
    def row_values(self, name: str) -> list[Float[np.ndarray, " _"]] | None:
        """Each member's loss, or a metric of rows, on each of its held-out rows.

        Args:
            name: `loss`, or a metric's name.

        Returns:
            One array per member; None if there is no value by row, such as the loss of networks
            without autograd.
        """
        if name == LOSS and isinstance(self.engine, HandwrittenEngine):
            return None
        index, weight = self._held_out_rows
        parts = []
        for start in range(0, index.shape[1], EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            batch = self.rows.batch(index[:, part], weight[:, part])
            given = (self.engine.predict(batch.inputs), batch.targets, batch.weight)
            values = self.scorer.row_values(name, *given, self.engine.values.loss)
            if values is None:
                return None
            parts.append(values)
        whole = torch.cat(parts, 1).cpu().numpy()
        return [values[: len(m.held_out)] for values, m in zip(whole, self.members, strict=True)]

    def _known(self, m: int) -> dict[str, Tensor]:
        """Statistics of a member's training rows that predictions need, with an axis for rows."""
        statistics = self.rows.statistics[m]
        given = {name: statistics[name] for name in self.task.predicts_with}
        return {
            name: torch.as_tensor(value, dtype=torch.float32, device=self.device).unsqueeze(0)
            for name, value in given.items()
        }

    def weights(self, member: int) -> dict[str, Tensor]:
        """Copies of one member's parameters and buffers, by name, on the CPU."""
        return {
            name: stacked[member].detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, stacked in self.engine.weights().items()
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on besides the members.

        Consists of tensors and integers only.
        """
        return {"epoch": self.epoch, **self.engine.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`, which a stack in any mode may have saved."""
        self.epoch = state["epoch"]
        self._enter(max(self.epoch - 1, 0))
        self.engine.load_state_dict(state)

    def _pass(self, chosen: tuple[int, ...] | None) -> Sums:
        """Train one epoch of all members in lockstep, or of `chosen` with batches of its own."""
        places = range(len(self.members)) if chosen is None else chosen
        members = [self.members[m] for m in places]
        # dropout has its own generators, so it does not depend on whether another member augments
        generators = self._generators(members, ORDER)
        lr = torch.tensor([self.configs[m].lr_at(self.epoch) for m in places], device=self.device)
        order, weight = self._order(members, generators, chosen)
        parts = list(batches(order.shape[1], self.configs[0].batch_size))
        moves: Iterable[Tensor | None] = repeat(None)
        noises: Iterable[Tensor | None] = repeat(None)
        if self.rows.draws:
            moves = uniform(generators, parts, self.rows.draws)
        if self.noise_sizes:
            drawn = self._generators(members, NOISE)
            noises = uniform(drawn, parts, sum(self.noise_sizes.values()))
        sums: Sums = {}
        for part, move, noise in zip(parts, moves, noises, strict=False):
            batch = self.rows.batch(order[:, part], weight[:, part], move, noise, chosen)
            if chosen is None:
                step = self.engine.step(batch, lr)
            else:
                assert isinstance(self.engine, LoopedEngine)
                step = self.engine.step(batch, lr, chosen)
            sums = sum_of(sums, step)
        return sums

    def _make_engine(self, models: list[nn.Module], *, auto: bool) -> None:
        """Builds the engine; `auto` falls back to looped if `vmap` cannot run the model."""
        precision = self.configs[0].precision
        given = (self._values(0), self.scorer, self.noise_sizes, precision)
        if self.mode != "looped":
            fused = FusedEngine(models, *given)
            self.engine = fused
            if self.mode == "graphed":
                self.engine = GraphedEngine(fused, partial(cuda_graph, self.device))
            if auto and not self._fuses():
                self.mode = "looped"
        if self.mode == "looped":
            self.engine = LoopedEngine(models, *given)

    def _enter(self, epoch: int) -> None:
        """Set an epoch's values and frozen parts; a change of frozen parts begins a new phase."""
        self.engine.values = self._values(epoch)
        frozen = self.configs[0].frozen_at(epoch)
        if frozen != self.frozen:
            self.engine.freeze(frozen)
            self.frozen = frozen

    def _values(self, epoch: int) -> MemberValues:
        statistics, names = self.rows.statistics, self.scorer.keywords
        return MemberValues.of(self.configs, statistics, names, self.device, epoch=epoch)

    def _generators(self, members: Sequence[Member], stream: int) -> list[torch.Generator]:
        """A fresh generator for each member, seeded from its seed, the stream and the epoch."""
        return [
            torch.Generator(self.device).manual_seed(derive_seed(m.seed, stream, self.epoch))
            for m in members
        ]

    def _order(
        self,
        members: Sequence[Member],
        generators: list[torch.Generator],
        chosen: tuple[int, ...] | None,
    ) -> tuple[Int[Tensor, "m t"], Float[Tensor, "m t"]]:
        """Members' training rows and weights, padded to equal length.

        The order is random if `shuffle` is set, and new in each epoch.
        """
        if chosen is None:
            index, weight = self._train_rows
        else:
            index, weight = padded([m.train for m in members], self.device)
        places = []
        configs = self.configs if chosen is None else [self.configs[m] for m in chosen]
        for member, config, generator in zip(members, configs, generators, strict=True):
            size = len(member.train)
            if config.shuffle:
                place = torch.randperm(size, generator=generator, device=self.device)
            else:
                place = torch.arange(size, device=self.device)
            places.append(place if size == index.shape[1] else torch.cat([place, place[:1]]))
        return index.gather(1, torch.stack(places)), weight

    @cached_property
    def _train_rows(self) -> tuple[Int[Tensor, "m t"], Float[Tensor, "m t"]]:
        return padded([m.train for m in self.members], self.device)

    @cached_property
    def _held_out_rows(self) -> tuple[Int[Tensor, "m v"], Float[Tensor, "m v"]]:
        return padded([m.held_out for m in self.members], self.device)

    def _fuses(self) -> bool:
        """Whether `vmap` has a rule for every layer; recurrent layers, for example, have none."""
        size = len(self.members)
        two = {k: v.expand(size, *v.shape) for k, v in self.rows.two().items()}
        try:
            self.engine.predict(two)
        except RuntimeError:
            return False
        return True


def _require_alike(members: Sequence[Member]) -> None:
    """Refuse members that cannot train in lockstep.

    Raises:
        ValueError: Naming what they must share.
    """
    config = members[0].config
    for name in ("batch_size", "epochs", "precision"):
        if len({getattr(m.config, name) for m in members}) > 1:
            raise ValueError(f"members of one stack must share {name}")
    if any(m.config.pretrain_epochs != config.pretrain_epochs for m in members):
        raise ValueError("members of one stack must share the length of their phases")


def resolve_mode(
    mode: Mode, model: nn.Module, device: torch.device, batch_size: int
) -> Literal["fused", "looped", "graphed"]:
    """Choose a mode by device and model: looped for convolutions on a CPU unless they are tiny.

    Tiny convolutions are bound by the number of calls on a CPU too (measured, docs/decisions.md).
    Without a CUDA device `graphed` becomes `fused`, which computes the same, so that the recipe of
    a sweep on a GPU can be measured again on any machine.
    """
    if mode == "graphed" and device.type != "cuda":
        return "fused"
    if mode != "auto":
        return mode
    channels = [layer.out_channels for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    tiny = max(channels, default=0) * batch_size <= TINY_BATCH and num_params(model) <= TINY_MODEL
    return "looped" if device.type == "cpu" and channels and not tiny else "fused"


def _seeded_model(make_model: Callable[[Any], Any], member: Member) -> Any:
    """Build a member's model on the CPU from its seed, independent of earlier draws."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(member.seed, 0))
        return make_model(member.config)


def _noise_sizes(model: nn.Module, two: dict[str, Tensor]) -> dict[str, int]:
    """Noise values per row that each dropout layer needs, by the name of its noise buffer.

    Found by one forward pass of two rows, in the order in which the layers run. A layer that runs
    twice in a pass is left out, and draws its own noise.
    """
    sizes: dict[str, int] = {}
    twice: set[str] = set()
    handles = []
    for name, layer in model.named_modules():
        if isinstance(layer, Dropout):

            def record(layer: Any, args: tuple[Tensor], key: str = f"{name}.noise") -> None:
                if key in sizes:
                    twice.add(key)
                sizes[key] = layer.noise_shape(args[0].shape).numel() // 2

            handles.append(layer.register_forward_pre_hook(record))
    was_training = model.training
    with torch.no_grad():
        parts_of(feed(model.eval(), two))  # raises for unsupported outputs
    model.train(was_training)
    for handle in handles:
        handle.remove()
    return {name: size for name, size in sizes.items() if name not in twice}
