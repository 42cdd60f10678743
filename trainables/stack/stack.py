"""The fold stack: data, order, noise and metrics of members that train in lockstep.

Legend of shapes: m members, b pairs in a batch, t training pairs of a member, n noise values.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import repeat
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trainables.backprop.sequential import Sequential
from trainables.config import TrialConfig
from trainables.data.augment import affine
from trainables.data.batches import batches
from trainables.data.folds import normalisation
from trainables.data.pairs import Pairs
from trainables.models.layers import Dropout, num_params
from trainables.seeds import derive_seed
from trainables.stack.averages import Averages, EpochMetrics, averages
from trainables.stack.batches import padded, uniform
from trainables.stack.engine import AbstractEngine, Batch, MemberVectors, Totals
from trainables.stack.fused import FusedEngine
from trainables.stack.graphed import GraphedEngine, cuda_graph
from trainables.stack.handwritten import HandwrittenEngine
from trainables.stack.looped import LoopedEngine

Mode = Literal["auto", "fused", "looped", "graphed"]

TINY_BATCH = 400
"""Channels times pairs of a batch up to which convolutions are fused on a CPU too."""
TINY_MODEL = 100_000
"""Parameters up to which they are: the optimiser of larger stacks is bound by memory."""
EVALUATION_BATCH = 500
"""Pairs per member and evaluation call; bounds memory, does not change results."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """What one member is trained and measured on.

    `train` and `held_out` index the stack's pairs; `seed` decides its initialisation, shuffling,
    augmentation and dropout.
    """

    config: TrialConfig
    train: Int[np.ndarray, " t"]
    held_out: Int[np.ndarray, " v"]
    seed: int


class FoldStack:
    """Trains members of one shape in lockstep, fused into one network or one after another.

    Members may differ in whatever does not change shapes or the number of steps: data, seed,
    learning rate, weight decay, dropout rate (above 0), loss weights, label smoothing,
    augmentation. All modes give the same numbers up to rounding. A member's numbers do
    not depend on the other members, but for one thing: where another has one training pair more,
    the last batch repeats a pair with weight 0, which batch-norm sees and dropout draws for.

    Every epoch is seeded anew from (member's seed, epoch), so the state after an epoch is the
    parameters, buffers, optimiser moments and the number of the epoch: nothing else is random.

    Raises:
        ValueError: If members differ in batch size, epochs, precision or architecture, or by more
            than one training pair.
    """

    def __init__(
        self,
        make_model: Callable[[Any], nn.Module | Sequential],
        members: Sequence[Member],
        pairs: Pairs,
        *,
        device: torch.device | str = "cpu",
        mode: Mode = "auto",
    ):
        config = members[0].config
        for name in ("batch_size", "epochs", "precision"):
            if len({getattr(m.config, name) for m in members}) > 1:
                raise ValueError(f"members of one stack must share {name}")
        if any(m.config.pretrain_epochs != config.pretrain_epochs for m in members):
            raise ValueError("members of one stack must share the length of their phases")
        sizes = [len(m.train) for m in members]
        if max(sizes) - min(sizes) > 1:
            raise ValueError(f"members of one stack may differ by one pair, but have {sizes}")
        self.members = tuple(members)
        self.epochs = config.epochs
        self.epoch = 0
        self.device = torch.device(device)
        self.images = torch.tensor(pairs.images, device=self.device)
        self.classes = torch.tensor(pairs.classes, device=self.device)
        self.target = torch.tensor(pairs.target, device=self.device)
        self.mean, self.std = self._member_normalisation(pairs)
        self.amplitudes = [self._amplitudes(name) for name in ("shift", "rotation", "scale")]
        self.augments = any(bool((a > 0).any()) for a in self.amplitudes)

        models = [_seeded_model(make_model, m).to(self.device) for m in self.members]
        if len({str(model) for model in models}) > 1:
            raise ValueError("members of one stack must share the architecture")
        self.noise_sizes: dict[str, int] = {}
        self.engine: AbstractEngine
        if isinstance(models[0], Sequential):
            self.mode: Mode = "fused"
            self.num_params = models[0].num_params
            self.engine = HandwrittenEngine(
                models, self._vectors(0), [m.config for m in self.members]
            )
        else:
            self.num_params = num_params(models[0])
            self.noise_sizes = _noise_sizes(models[0], self.images[:2])
            self.mode = resolve_mode(mode, models[0], self.device, config.batch_size)
            self._make_engine(models, auto=mode == "auto")
        self.frozen: tuple[str, ...] = ()
        self._enter(0)

    def train_epoch(self) -> EpochMetrics:
        """Train every member for one epoch and measure it."""
        train = self.train()
        held_out = self.evaluate()
        return EpochMetrics(
            epoch=self.epoch,
            train_loss=train.loss,
            train_digit_loss=train.digit_loss,
            train_accuracy=train.accuracy,
            held_out_loss=held_out.loss,
            held_out_accuracy=held_out.accuracy,
            held_out_digit_accuracy=held_out.digit_accuracy,
        )

    def train(self) -> Averages:
        """Train every member for one epoch; averages over its batches while trained on."""
        self._enter(self.epoch)
        # dropout has its own, so that it does not depend on whether another member augments
        generators, noise_generators = self._generators(1), self._generators(3)
        # layers that draw for themselves (a user's own) draw from here
        torch.manual_seed(derive_seed(self.members[0].seed, 2, self.epoch))
        lr = torch.tensor([m.config.lr_at(self.epoch) for m in self.members], device=self.device)
        order, weight = self._order(generators)
        parts = list(batches(order.shape[1], self.members[0].config.batch_size))
        moves: Iterable[Tensor | None] = repeat(None)
        noises: Iterable[Tensor | None] = repeat(None)
        if self.augments:
            moves = uniform(generators, parts, 2 * 4)
        if self.noise_sizes:
            noises = uniform(noise_generators, parts, sum(self.noise_sizes.values()))
        totals = self._zero_totals()
        for part, move, noise in zip(parts, moves, noises, strict=False):
            batch = self._batch(order[:, part], weight[:, part], move, noise)
            totals += self.engine.step(batch, lr)
        self.epoch += 1
        return averages(totals, np.array([len(m.train) for m in self.members]))

    def evaluate(self) -> Averages:
        """Averages over each member's held-out pairs."""
        index, weight = self._held_out_pairs
        totals = self._zero_totals()
        for start in range(0, index.shape[1], EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            totals += self.engine.evaluate(self._batch(index[:, part], weight[:, part]))
        return averages(totals, np.array([len(m.held_out) for m in self.members]))

    def predict(self, pairs: Int[np.ndarray, " v"] | None = None) -> list[Int[np.ndarray, " v"]]:
        """Each member's answers, 0 or 1, on its held-out pairs, or on others of the stack's."""
        rows = [m.held_out if pairs is None else pairs for m in self.members]
        index, _ = padded(rows, self.device)
        parts = []
        for start in range(0, index.shape[1], EVALUATION_BATCH):
            part = index[:, start : start + EVALUATION_BATCH]
            scores = self.engine.predict((self.images[part] - self.mean) / self.std)
            parts.append(scores[..., 0] > 0 if scores.shape[2] == 1 else scores.argmax(2) == 1)
        both = torch.cat(parts, dim=1).long().cpu().numpy()
        return [answers[: len(row)] for answers, row in zip(both, rows, strict=True)]

    def weights(self, member: int) -> dict[str, Tensor]:
        """Copies of one member's parameters and buffers, by name, on the CPU."""
        return {
            name: stacked[member].detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, stacked in self.engine.weights().items()
        }

    def state_dict(self) -> dict[str, Any]:
        """All that the next epoch depends on besides the members; tensors and integers only."""
        return {"epoch": self.epoch, **self.engine.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken, in any mode."""
        self.epoch = state["epoch"]
        self._enter(max(self.epoch - 1, 0))
        self.engine.load_state_dict(state)

    def _make_engine(self, models: list[nn.Module], *, auto: bool) -> None:
        """The mode's own; looped too where fused was the choice of `auto` and cannot be."""
        precision = self.members[0].config.precision
        if self.mode != "looped":
            fused = FusedEngine(models, self._vectors(0), self.noise_sizes, precision)
            self.engine = fused
            if self.mode == "graphed":
                self.engine = GraphedEngine(fused, partial(cuda_graph, self.device))
            if auto and not self._fuses():
                self.mode = "looped"
        if self.mode == "looped":
            self.engine = LoopedEngine(models, self._vectors(0), self.noise_sizes, precision)

    def _enter(self, epoch: int) -> None:
        """Set what an epoch trains, and with which weights; a phase begins where it differs."""
        self.engine.vectors = self._vectors(epoch)
        frozen = self.members[0].config.frozen_at(epoch)
        if frozen != self.frozen:
            self.engine.freeze(frozen)
            self.frozen = frozen

    def _vectors(self, epoch: int) -> MemberVectors:
        return MemberVectors.of([m.config for m in self.members], self.device, epoch=epoch)

    def _batch(
        self,
        index: Int[Tensor, "m b"],
        weight: Float[Tensor, "m b"],
        move: Float[Tensor, "m k"] | None = None,
        noise: Float[Tensor, "m n"] | None = None,
    ) -> Batch:
        """Gather, augment by `move`, four values in [0, 1) for each image, and normalise."""
        # rows in one piece each, which indexing by two axes does not copy as such
        images = self.images.index_select(0, index.flatten()).unflatten(0, index.shape)
        if move is not None:
            shift, rotation, scale = self.amplitudes
            draw = move.view(*index.shape, 2, 4) * 2 - 1
            images = affine(images, draw, shift=shift, rotation=rotation, scale=scale)
        return Batch(
            images=images.sub_(self.mean).div_(self.std),
            classes=self.classes[index],
            target=self.target[index],
            weight=weight,
            noise=noise,
        )

    def _generators(self, stream: int) -> list[torch.Generator]:
        """A fresh generator for each member, seeded from its seed, the stream and the epoch."""
        return [
            torch.Generator(self.device).manual_seed(derive_seed(m.seed, stream, self.epoch))
            for m in self.members
        ]

    def _order(
        self, generators: list[torch.Generator]
    ) -> tuple[Int[Tensor, "m t"], Float[Tensor, "m t"]]:
        """Each member's training pairs, as a rule in a fresh random order, evened out."""
        index, weight = self._train_pairs
        places = []
        for member, generator in zip(self.members, generators, strict=True):
            size = len(member.train)
            if member.config.shuffle:
                place = torch.randperm(size, generator=generator, device=self.device)
            else:
                place = torch.arange(size, device=self.device)
            places.append(place if size == index.shape[1] else torch.cat([place, place[:1]]))
        return index.gather(1, torch.stack(places)), weight

    @cached_property
    def _train_pairs(self) -> tuple[Int[Tensor, "m t"], Float[Tensor, "m t"]]:
        return padded([m.train for m in self.members], self.device)

    @cached_property
    def _held_out_pairs(self) -> tuple[Int[Tensor, "m v"], Float[Tensor, "m v"]]:
        return padded([m.held_out for m in self.members], self.device)

    def _fuses(self) -> bool:
        """Whether `vmap` has a rule for every layer; it has none for recurrent ones, say."""
        two_pairs = self.images[:2].expand(len(self.members), *self.images[:2].shape)
        try:
            self.engine.predict(two_pairs)
        except RuntimeError:
            return False
        return True

    def _member_normalisation(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Scalar mean and std of each member's training images, shaped to broadcast to a batch."""
        constants = [normalisation(pairs.images[m.train]) for m in self.members]
        both = torch.tensor(constants, dtype=torch.float32, device=self.device)
        mean, std = both.view(-1, 2, 1, 1, 1, 1).unbind(1)
        return mean, std

    def _amplitudes(self, name: str) -> Float[Tensor, "m 1 1"]:
        values = [float(getattr(m.config, name)) for m in self.members]
        return torch.tensor(values, device=self.device).view(-1, 1, 1)

    def _zero_totals(self) -> Totals:
        zeros = torch.zeros(len(self.members), device=self.device)
        return Totals(loss=zeros, hits=zeros, digit_hits=zeros, digit_loss=zeros)


def resolve_mode(
    mode: Mode, model: nn.Module, device: torch.device, batch_size: int
) -> Literal["fused", "looped", "graphed"]:
    """Choose by device and model: looped only for convolutions on a CPU that are worth it.

    Very small ones are bound by the number of calls there too (measured, docs/decisions.md).
    Without a CUDA device graphed is fused, which computes the same: a recipe of a sweep on a GPU
    is measured again on whatever there is.
    """
    if mode == "graphed" and device.type != "cuda":
        return "fused"
    if mode != "auto":
        return mode
    channels = [layer.out_channels for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    tiny = max(channels, default=0) * batch_size <= TINY_BATCH and num_params(model) <= TINY_MODEL
    return "looped" if device.type == "cpu" and channels and not tiny else "fused"


def _seeded_model(make_model: Callable[[Any], Any], member: Member) -> Any:
    """Initialise on the CPU from the member's seed, whatever has been drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(member.seed, 0))
        return make_model(member.config)


def _noise_sizes(model: nn.Module, two_pairs: Float[Tensor, "2 2 h w"]) -> dict[str, int]:
    """Noise values per pair that each dropout layer needs, by the name of its noise buffer.

    Found by one forward pass of two pairs, in the order in which the layers run. A layer that runs
    twice in a pass draws for itself.
    """
    sizes: dict[str, int] = {}
    twice: set[str] = set()
    handles = []
    for name, layer in model.named_modules():
        if isinstance(layer, Dropout):

            def record(layer: Any, args: tuple[Tensor], key: str = f"{name}.noise") -> None:
                if key in sizes:
                    twice.add(key)
                sizes[key] = layer.noise_shape(args[0].shape).numel() // len(two_pairs)

            handles.append(layer.register_forward_pre_hook(record))
    was_training = model.training
    with torch.no_grad():
        model.eval()(two_pairs)
    model.train(was_training)
    for handle in handles:
        handle.remove()
    return {name: size for name, size in sizes.items() if name not in twice}
