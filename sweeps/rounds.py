"""Rounds and folds without a sweep: members trained in lockstep, measured once at the end."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from foldsweep import names
from foldsweep.recipe import Mode
from trainables.checkpoints import delete_checkpoint, load_checkpoint, save_checkpoint
from trainables.config import BaseConfig
from trainables.data.folds import Fold
from trainables.seeds import Stream, derive_seed
from trainables.stack.averages import Averages, EpochMetrics
from trainables.stack.passes import Pass, measured, passes, predictions
from trainables.stack.scoring import is_part, part_name
from trainables.stack.stack import FoldStack, Member
from trainables.tasks.samples import Data, Samples, joined
from trainables.tasks.task import Variant
from trainables.trial import make_stack, over_all

CHECKPOINT_EVERY_S = 20.0

Values = Float[np.ndarray, " m"]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What each member came to on its held-out rows, and in its last epoch of training."""

    held_out: dict[str, Values]
    """Loss and metrics by short name."""
    train: dict[str, Values]
    """The same of the last epoch's training batches, as far as they are measured there."""
    predictions: tuple[dict[str, np.ndarray], ...]
    """Each member's predictions on its held-out rows."""
    num_params: int
    train_time_s: float
    """Seconds of training, all members together."""
    curves: dict[str, list[list[float]]]
    """By name, for each epoch a value of each member; empty unless asked for."""
    probe_predictions: tuple[dict[str, np.ndarray], ...] = ()
    """Predictions on the probes; empty if there are none."""


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Members of one stack, and the rows that they index."""

    members: tuple[Member, ...]
    data: Data
    """Its training rows are those that members index, whether to train or to measure on."""
    probes: Int[np.ndarray, " p"] | None = None
    """Rows to predict without being measured on them, such as a grid of points."""

    @property
    def samples(self) -> Samples:
        """The rows that members index."""
        return self.data.train

    def held_out(self) -> list[Samples]:
        """Each member's held-out rows."""
        return [self.samples.take(member.held_out) for member in self.members]

    def train(
        self,
        variant: Variant,
        *,
        mode: Mode = "auto",
        device: str = "cpu",
        checkpoint_folder: Path | None = None,
        curves: bool = False,
        after_epoch: Callable[[int], None] = lambda epoch: None,
    ) -> Scores:
        """Train all epochs and measure once; with a folder it can be cut off and called again.

        With `curves` the held-out rows are measured after every epoch; nothing depends on it.

        Raises:
            UserError: If a loss becomes infinite or NaN.
        """
        stack = make_stack(variant, list(self.members), self.data, device=device, mode=mode)
        spent_s = 0.0
        last: Pass | None = None
        drawn: dict[str, list[list[float]]] = {}
        folder = None if checkpoint_folder is None else str(checkpoint_folder.resolve())
        state = None if folder is None else load_checkpoint(folder, 0)
        if state is not None:
            stack.load_state_dict(state["stack"])
            spent_s, drawn = state["spent_s"], state["curves"]
            train = {name: np.asarray(values) for name, values in state["last"].items()}
            last = Pass(epoch=stack.epoch, train=train, seconds=0.0)
        saved_at = time.monotonic()
        for last in passes(stack, stack.epochs, finite=True):
            spent_s += last.seconds
            if curves:
                for name, values in _curve_points(measured(stack, last)).items():
                    drawn.setdefault(name, []).append(values.tolist())
            if folder is not None and time.monotonic() - saved_at >= CHECKPOINT_EVERY_S:
                kept = {name: values.tolist() for name, values in last.train.items()}
                state = {"stack": stack.state_dict(), "spent_s": spent_s, "last": kept}
                save_checkpoint(folder, 0, {**state, "curves": drawn})
                saved_at = time.monotonic()
            after_epoch(last.epoch)
        assert last is not None
        ended = measured(stack, last)
        held_out = _without_parts(ended.held_out)
        if isinstance(stack, FoldStack):
            whole = over_all(stack, self.samples, variant.task)
            held_out |= {names.bare(key): np.asarray(v) for key, v in whole.items()}
        if folder is not None:
            delete_checkpoint(folder, 0)
        probed: tuple[dict[str, np.ndarray], ...] = ()
        if self.probes is not None and isinstance(stack, FoldStack):
            probed = tuple(stack.predict(self.probes))
        return Scores(
            held_out=held_out,
            train=_without_parts(ended.train),
            predictions=tuple(predictions(stack)),
            num_params=stack.num_params,
            train_time_s=spent_s,
            curves=drawn,
            probe_predictions=probed,
        )


def _without_parts(values: Averages) -> Averages:
    """Averages without parts of the loss."""
    return {name: value for name, value in values.items() if not is_part(name)}


def _curve_points(values: EpochMetrics) -> Averages:
    """An epoch's averages by the names of curves."""
    train = {
        names.train_key(part_name(name) if is_part(name) else name): value
        for name, value in values.train.items()
    }
    return train | _without_parts(values.held_out)


def fold_cohort(config: BaseConfig, data: Data, folds: Sequence[Fold], *, seed: int) -> Cohort:
    """A member for each fold of the training rows."""
    members = [
        Member(
            config=config,
            train=fold.train,
            held_out=fold.val,
            seed=derive_seed(seed, Stream.ROUND, i),
        )
        for i, fold in enumerate(folds)
    ]
    return Cohort(members=tuple(members), data=data)


def round_cohort(
    config: BaseConfig, data: Sequence[Data], *, seed: int, held_back: int = 0
) -> Cohort:
    """A member for each of `data`: all its training rows to train on, its test rows to measure.

    Every round has an initialisation of its own; rounds with the same data share them.

    Args:
        config: Configuration of all rounds.
        data: Data of each round, with test rows.
        seed: Seed of the rounds.
        held_back: Training rows that each round leaves out, at random.

    Raises:
        UserError: If there are no test rows.
    """
    parts: list[Samples] = []
    starts: dict[str, int] = {}
    size = 0
    for d in data:
        if d.digest not in starts:
            starts[d.digest] = size
            parts += [d.train, d.test_rows]
            size += len(d.train) + len(d.test_rows)
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
                held_out=np.arange(middle, middle + len(d.test_rows)),
                seed=derive_seed(seed, Stream.ROUND, i),
            )
        )
    return Cohort(members=tuple(members), data=replace(data[0], train=joined(parts), test=None))


def on_test(data: Data, rounds: int) -> tuple[Data, tuple[Fold, ...]]:
    """Data and folds of a selection on test rows: train on all training rows, score on test."""
    num_train, num_all = len(data.train), len(data.train) + len(data.test_rows)
    fold = Fold(train=np.arange(num_train), val=np.arange(num_train, num_all))
    return replace(data, train=joined([data.train, data.test_rows])), (fold,) * rounds
