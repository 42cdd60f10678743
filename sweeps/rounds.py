"""Rounds and folds without a sweep: members trained in lockstep, measured once at the end."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from foldsweep import names as metrics
from trainables.checkpoints import delete_checkpoint, load_checkpoint, save_checkpoint
from trainables.config import TrialConfig
from trainables.data.folds import Fold
from trainables.data.pairs import PairData, Pairs
from trainables.keep.classifier import PairClassifier, network_of
from trainables.seeds import Stream, derive_seed
from trainables.stack.averages import require_finite
from trainables.stack.stack import FoldStack, Member, Mode
from trainables.variants import Variant

CHECKPOINT_EVERY_S = 20.0
CURVES = ("train_loss", "train_accuracy", "loss", "accuracy")


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What each member came to on its held-out pairs, and in its last epoch of training."""

    accuracy: Float[np.ndarray, " m"]
    loss: Float[np.ndarray, " m"]
    digit_accuracy: Float[np.ndarray, " m"]
    train_accuracy: Float[np.ndarray, " m"]
    train_loss: Float[np.ndarray, " m"]
    answers: tuple[Int[np.ndarray, " v"], ...]
    """The answer to each held-out pair, 0 or 1."""
    num_params: int
    train_time_s: float
    """Seconds of training, all members together."""
    curves: dict[str, list[list[float]]]
    """By metric, for each epoch a value of each member; empty unless asked for."""
    probe_answers: tuple[Int[np.ndarray, " p"], ...]
    """The answer to each probe; empty if there are none."""
    first: PairClassifier | None = None
    """The first member's network, if it was to be kept."""


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Members of one stack, and the pairs that they index."""

    members: tuple[Member, ...]
    pairs: Pairs
    probes: Int[np.ndarray, " p"] | None = None
    """Pairs to answer without being measured on them, such as a grid of points."""

    def train(
        self,
        variant: Variant,
        *,
        mode: Mode = "auto",
        device: str = "cpu",
        checkpoint_folder: Path | None = None,
        curves: bool = False,
        keep_first: bool = False,
        after_epoch: Callable[[int], None] = lambda epoch: None,
    ) -> Scores:
        """Train all epochs and measure once; with a folder it can be cut off and called again.

        With `curves` the held-out pairs are measured after every epoch; nothing depends on it.

        Raises:
            UserError: If a loss becomes infinite or NaN.
        """
        stack = FoldStack(variant.model, self.members, self.pairs, device=device, mode=mode)
        spent_s, last = 0.0, None
        drawn: dict[str, list[list[float]]] = {}
        folder = None if checkpoint_folder is None else str(checkpoint_folder.resolve())
        state = None if folder is None else load_checkpoint(folder, 0)
        if state is not None:
            stack.load_state_dict(state["stack"])
            spent_s, last, drawn = state["spent_s"], state["last"], state["curves"]
        saved_at = time.monotonic()
        for epoch in range(stack.epoch, stack.epochs):
            start = time.perf_counter()
            train = stack.train()
            spent_s += time.perf_counter() - start
            require_finite(train.loss, epoch + 1)
            last = [train.loss.tolist(), train.accuracy.tolist()]
            if curves:
                held_out = stack.evaluate()
                row = (train.loss, train.accuracy, held_out.loss, held_out.accuracy)
                by_name = dict(zip(CURVES, row, strict=True))
                if variant.auxiliary:
                    by_name[metrics.TRAIN_AUX_LOSS] = train.digit_loss
                for name, values in by_name.items():
                    drawn.setdefault(name, []).append(values.tolist())
            if folder is not None and time.monotonic() - saved_at >= CHECKPOINT_EVERY_S:
                state = {"stack": stack.state_dict(), "spent_s": spent_s, "last": last}
                save_checkpoint(folder, 0, {**state, "curves": drawn})
                saved_at = time.monotonic()
            after_epoch(epoch + 1)
        assert last is not None
        held_out = stack.evaluate()
        answers = tuple(stack.predict())
        if folder is not None:
            delete_checkpoint(folder, 0)
        return Scores(
            accuracy=held_out.accuracy,
            loss=held_out.loss,
            digit_accuracy=held_out.digit_accuracy,
            train_loss=np.asarray(last[0]),
            train_accuracy=np.asarray(last[1]),
            answers=answers,
            num_params=stack.num_params,
            train_time_s=spent_s,
            curves=drawn,
            probe_answers=() if self.probes is None else tuple(stack.predict(self.probes)),
            first=_first(stack, variant) if keep_first else None,
        )


def _first(stack: FoldStack, variant: Variant) -> PairClassifier:
    return PairClassifier(
        network_of(variant, stack.members[0].config, stack.weights(0)),
        mean=stack.mean[0].item(),
        std=stack.std[0].item(),
        names_only=variant.names_only,
    )


def fold_cohort(
    config: TrialConfig, data: PairData, folds: Sequence[Fold], *, seed: int
) -> Cohort:
    """A member for each fold of the training pairs."""
    members = [
        Member(
            config=config,
            train=fold.train,
            held_out=fold.val,
            seed=derive_seed(seed, Stream.ROUND, i),
        )
        for i, fold in enumerate(folds)
    ]
    return Cohort(members=tuple(members), pairs=data.train)


def round_cohort(
    config: TrialConfig, data: Sequence[PairData], *, seed: int, held_back: int = 0
) -> Cohort:
    """A member for each of `data`: all its training pairs to train on, its test pairs to measure.

    Every round has an initialisation of its own; rounds with the same pairs share them.

    Args:
        config: Configuration of all rounds.
        data: Pairs of each round.
        seed: Seed of the rounds.
        held_back: Training pairs that each round leaves out, at random.
    """
    parts: list[Pairs] = []
    starts: dict[str, int] = {}
    size = 0
    for d in data:
        if d.digest not in starts:
            starts[d.digest] = size
            parts += [d.train, d.test]
            size += len(d.train) + len(d.test)
    members = []
    for i, d in enumerate(data):
        start, middle = starts[d.digest], starts[d.digest] + len(d.train)
        train = np.arange(start, middle)
        if held_back:
            rng = np.random.default_rng(derive_seed(seed, Stream.HELD_BACK, i))
            train = np.sort(rng.permutation(train)[held_back:])
        members.append(
            Member(
                config=config,
                train=train,
                held_out=np.arange(middle, middle + len(d.test)),
                seed=derive_seed(seed, Stream.ROUND, i),
            )
        )
    return Cohort(members=tuple(members), pairs=joined(parts))


def joined(parts: Sequence[Pairs]) -> Pairs:
    """Several sets of pairs as one, in order."""
    return Pairs(
        images=np.concatenate([p.images for p in parts]),
        classes=np.concatenate([p.classes for p in parts]),
        target=np.concatenate([p.target for p in parts]),
    )


def on_test(data: PairData, rounds: int) -> tuple[PairData, tuple[Fold, ...]]:
    """Data and folds of a selection on test pairs: train on all training pairs, score on test."""
    num_train, num_all = len(data.train), len(data.train) + len(data.test)
    fold = Fold(train=np.arange(num_train), val=np.arange(num_train, num_all))
    return replace(data, train=joined([data.train, data.test])), (fold,) * rounds
