"""Rounds and folds without a sweep: members trained in lockstep, measured once at the end.

Whole stacks are distributed over processes (`sweeps.spread`): the results of a stack do not depend
on anything outside it.
"""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from foldsweep import names
from foldsweep.recipe import Mode
from foldsweep.user_code import users_code
from sweeps.spread import Spread, places
from trainables.checkpoints import delete_checkpoint, load_checkpoint, save_checkpoint
from trainables.config import BaseConfig
from trainables.data.folds import Fold
from trainables.models.estimators.config import EstimatorConfig
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
    """Results of each member on its held-out rows, and in its last epoch of training."""

    held_out: dict[str, Values]
    """Loss and metrics by short name."""
    train: dict[str, Values]
    """The same on the training batches of the last epoch, as far as measured there."""
    predictions: tuple[dict[str, np.ndarray], ...]
    """Each member's predictions on its held-out rows."""
    num_params: int
    train_time_s: float
    """Seconds of training, all members together."""
    curves: dict[str, list[list[float]]]
    """Values by name, epoch and member; empty unless training was called with `curves`."""
    probe_predictions: tuple[dict[str, np.ndarray], ...] = ()
    """Each member's predictions on the probe rows; empty if there are none."""

    @classmethod
    def of_all(cls, stacks: Sequence["Scores"]) -> "Scores":
        """Scores of the members of all stacks, without curves and probes."""
        first = stacks[0]
        return cls(
            held_out={n: np.concatenate([s.held_out[n] for s in stacks]) for n in first.held_out},
            train={n: np.concatenate([s.train[n] for s in stacks]) for n in first.train},
            predictions=tuple(said for stack in stacks for said in stack.predictions),
            num_params=first.num_params,
            train_time_s=sum(stack.train_time_s for stack in stacks),
            curves={},
        )


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Members of one stack, and the rows that they index."""

    members: tuple[Member, ...]
    data: Data
    """Data whose training rows the members index, both to train and to measure on."""
    probes: Int[np.ndarray, " p"] | None = None
    """Rows that are predicted but not scored, such as a grid of points; None for none."""

    @property
    def samples(self) -> Samples:
        """The rows that members index."""
        return self.data.train

    def held_out(self) -> list[Samples]:
        """Each member's held-out rows."""
        return [self.samples.take(member.held_out) for member in self.members]

    def stacks(
        self, variant: Variant, *, mode: Mode = "auto", device: str = "cpu"
    ) -> list["Cohort"]:
        """Split the cohort into parts that may be trained at the same time, each as one stack.

        The parts depend on what is trained, never on the number of processes. Members that would
        be trained one after another become separate parts, with the same results. Fused members,
        and all members on a GPU, stay one part, as rounding depends on the size of a stack.
        """
        if device != "cpu":
            return [self]
        one = make_stack(variant, [self.members[0]], self.data, mode=mode)
        if isinstance(one, FoldStack) and one.mode != "looped":
            return [self]
        return [replace(self, members=(member,)) for member in self.members]

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
        """Train all epochs, and measure once at the end.

        With a checkpoint folder, an interrupted training resumes when it is called again. With
        `curves`, the held-out rows are also measured after every epoch, which does not affect the
        results.

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


@dataclass(frozen=True, kw_only=True)
class Training:
    """A cohort to train as one stack, in any process."""

    variant: Variant
    cohort: Cohort
    mode: Mode
    threads: int
    device: str

    @property
    def is_fit(self) -> bool:
        """Whether the members are estimators, which are fitted in one step."""
        return isinstance(self.cohort.members[0].config, EstimatorConfig)

    @property
    def steps(self) -> int:
        """Number of steps: the epochs, or 1 for estimators."""
        return 1 if self.is_fit else self.cohort.members[0].config.epochs

    def run(self, after_step: Callable[[int], None]) -> Scores:
        """Train and measure the cohort.

        Raises:
            UserError: If a loss becomes infinite or NaN, or the user's code fails.
        """
        torch.set_num_threads(self.threads)  # small networks gain nothing from more
        given: dict[str, Any] = {"mode": self.mode, "device": self.device}
        if not self.is_fit:
            given["after_epoch"] = after_step
        with users_code("training fails in"):
            return self.cohort.train(self.variant, **given)


def spread(
    trainings: Sequence[Training], concurrency: int | None
) -> Generator[Scores, None, None]:
    """Yield the scores of each training, in order, using all processes that there is room for.

    Args:
        trainings: What to train, all on one device.
        concurrency: Most processes at a time [as many as there is room for].

    Raises:
        UserError: As from `Training.run`, once the scores of all earlier trainings are yielded.
    """
    helpers = places(
        device=trainings[0].device,
        threads=max(training.threads for training in trainings),
        concurrency=concurrency,
    )
    what = "fit" if all(training.is_fit for training in trainings) else "epoch"
    return Spread(trainings, helpers, what).results()


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
    """Cohort with a member for each fold of the training rows."""
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
    """Cohort with a member for each of `data`, which trains and is measured on that data.

    A member trains on all training rows and is measured on the test rows. Every round has its own
    initialisation; rounds with the same data share the rows.

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
