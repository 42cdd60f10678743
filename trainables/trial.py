"""A trial without Ray: one configuration, cross-validated as one fold stack."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldsweep import names
from foldsweep.recipe import Mode
from foldsweep.retrying import PATIENCE_S
from trainables.config import BaseConfig
from trainables.data.folds import Fold
from trainables.models.estimators.config import EstimatorConfig
from trainables.seeds import Stream, derive_seed
from trainables.stack.averages import EpochMetrics
from trainables.stack.held_out import HeldOut, held_out
from trainables.stack.memory import check_size
from trainables.stack.passes import Stack, measured, passes
from trainables.stack.scoring import is_part, part_name
from trainables.stack.stack import FoldStack, Member
from trainables.tasks.samples import Data, Samples
from trainables.tasks.task import Task, Variant

MEASURED = 10
"""About how many times a trial measures metrics over all held-out rows, at equal intervals."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """Data and settings that all trials of a sweep share."""

    data: Data
    folds: tuple[Fold, ...]
    seed: int
    report_at: tuple[int, ...] = ()
    """Epochs after which a trial reports, the last one included."""
    report_every_s: float = math.inf
    """Most seconds between two reports; for live figures only, since it depends on the machine."""
    checkpoint_folder: str | None = None
    checkpoint_every_s: float = 20.0
    """Fewest seconds between two checkpoints of a trial, apart from those of `save_at`."""
    save_at: tuple[int, ...] = ()
    """Epochs after which a trial is always checkpointed, since it may be paused there."""
    patience_s: float = PATIENCE_S
    """Seconds that a trial waits for its checkpoint before it starts again from epoch 0."""
    threads: int = 1
    device: str = "cpu"
    mode: Mode = "auto"
    keep: str | None = None
    """Objective whose values or predictions a trial keeps for each held-out row after its last
    epoch; None keeps nothing."""


def fold_metrics(values: EpochMetrics) -> dict[str, list[float]]:
    """Each metric's values by fold: all on held-out rows, and those measured on training batches.

    If the loss has several parts, the training loss of each part is included; the first part is
    the loss minus the others.
    """
    by_fold = {names.val_key(k): v for k, v in values.held_out.items() if not is_part(k)}
    parts: dict[str, Any] = {}
    for name, value in values.train.items():
        if is_part(name):
            parts[names.train_key(part_name(name))] = value
        else:
            by_fold[names.train_key(name)] = value
    if values.main_part is not None:
        rest = by_fold[names.TRAIN_LOSS] - sum(parts.values())
        by_fold[names.train_key(part_name(values.main_part))] = rest
    return {name: np.asarray(v, dtype=float).tolist() for name, v in (by_fold | parts).items()}


def summary(by_fold: dict[str, list[float]]) -> dict[str, float]:
    """Mean and sample standard deviation over folds of each metric."""
    flat: dict[str, float] = {}
    for name, values in by_fold.items():
        finite = all(map(math.isfinite, values))  # `stdev` fails on values of a diverged fold
        std = statistics.stdev(values) if len(values) > 1 and finite else 0.0
        flat[name] = float(np.mean(values))
        flat[names.std_key(name)] = std if finite else math.nan
    return flat


def over_all(stack: FoldStack, samples: Samples, task: Task) -> dict[str, list[float]]:
    """Metrics over all held-out rows of each member, by key."""
    wanted = {name: metric for name, metric in task.metrics.items() if metric.over == "all"}
    if not wanted:
        return {}
    predictions = stack.predict()
    targets = [samples.targets[task.target][m.held_out] for m in stack.members]
    return {
        names.val_key(name): [
            float(metric.of(target, said[metric.needs]))
            for target, said in zip(targets, predictions, strict=True)
        ]
        for name, metric in wanted.items()
    }


def check_model_size(
    variant: Variant, config: BaseConfig, data: Data, *, members: int, device: str = "cpu"
) -> None:
    """Refuse a network whose members cannot fit into memory.

    Raises:
        UserError: Naming the number of parameters, the memory needed and the memory available.
    """
    if issubclass(variant.config, EstimatorConfig):
        return
    shapes = variant.task.shapes(data)
    check_size(lambda: variant.model(config, shapes), members=members, device=device)


def fold_members(
    config: BaseConfig, folds: Sequence[Fold], *, seed: int, number: int
) -> list[Member]:
    """A member for each fold of a trial.

    Args:
        config: Configuration of the trial.
        folds: Its folds.
        seed: Seed of the sweep.
        number: Number of the trial.
    """
    return [
        Member(
            config=config,
            train=fold.train,
            held_out=fold.val,
            seed=derive_seed(seed, Stream.MEMBER, number, i),
        )
        for i, fold in enumerate(folds)
    ]


def make_stack(
    variant: Variant,
    members: list[Member],
    data: Data,
    *,
    device: str = "cpu",
    mode: Mode = "auto",
) -> Stack:
    """The stack of a variant's members on the data's training rows.

    Raises:
        UserError: If the data or a configuration does not suit the variant, or the networks do
            not fit into memory.
    """
    task, shapes = variant.task, variant.task.shapes(data)
    if issubclass(variant.config, EstimatorConfig):
        from trainables.stack.estimators import EstimatorStack  # scikit-learn, which takes seconds

        return EstimatorStack(variant.model, members, data.train, task=task, shapes=shapes)
    check_model_size(variant, members[0].config, data, members=len(members), device=device)
    return FoldStack(
        lambda config: variant.model(config, shapes),
        members,
        data.train,
        task=task,
        device=device,
        mode=mode,
    )


class CrossValidation:
    """Trains all folds of one configuration in lockstep and keeps the history of epochs.

    Everything random derives from (`context.seed`, `number`, fold): the same trial gives the same
    numbers in any process, at any time, interrupted or not.

    Attributes:
        history: For each epoch a dict of `epoch`, `time` (ms since 1970) and the summary metrics.
        by_fold: Each metric's values by fold after the last epoch.
        diverged: Whether a loss has become non-finite; no further epoch is trained.
    """

    def __init__(self, variant: Variant, config: BaseConfig, context: Context, number: int):
        self.variant = variant
        self.config = config
        self.context = context
        self.number = number
        self.history: list[dict[str, float]] = []
        self.by_fold: dict[str, list[float]] = {}
        self.train_time_s = 0.0
        self.diverged = False
        members = fold_members(config, context.folds, seed=context.seed, number=number)
        self.stack = make_stack(
            variant, members, context.data, device=context.device, mode=context.mode
        )

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to train."""
        return self.diverged or self.stack.epoch >= self.config.epochs

    def advance(self, until: int, *, after_epoch: Callable[[], None] = lambda: None) -> None:
        """Train up to epoch `until`, stopping early if a loss is not finite."""
        if self.diverged:
            return
        for done in passes(self.stack, min(until, self.config.epochs)):
            start = time.perf_counter()
            values = measured(self.stack, done)
            # includes validation, but not metrics over all rows, which are for reports
            self.train_time_s += done.seconds + time.perf_counter() - start
            task = self.variant.task
            by_fold = fold_metrics(values)
            whole = values.finite and done.epoch in self.measured_at
            if whole and isinstance(self.stack, FoldStack):
                by_fold |= over_all(self.stack, self.context.data.train, task)
            # the objective first, as MLflow's comparisons begin with what was logged first
            first = names.val_key(task.objective)
            self.by_fold = {k: by_fold[k] for k in (first,) if k in by_fold} | by_fold
            row = {names.EPOCH: done.epoch, "time": int(time.time() * 1000)}
            self.history.append({**row, **summary(self.by_fold)})
            self.diverged = not values.finite
            after_epoch()
            if self.diverged:
                return

    def held_out(self) -> HeldOut | None:
        """The objective `context.keep`, or the predictions that it takes, by held-out row.

        None if nothing is to be kept, or the objective has no values by row.
        """
        if self.context.keep is None:
            return None
        given = (self.stack, self.context.data.train, self.variant.task)
        return held_out(*given, self.context.keep)

    @property
    def measured_at(self) -> set[int]:
        """Epochs after which metrics over all held-out rows are measured."""
        if not isinstance(self.stack, FoldStack):
            return set()  # a stack of estimators measures these metrics itself
        every = math.ceil(self.config.epochs / MEASURED)
        own = range(every, self.config.epochs, every)
        return {*own, *self.context.report_at, self.config.epochs}

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue, for `torch.save`."""
        return {
            "config": self.config.to_dict(),
            "history": list(self.history),
            "by_fold": dict(self.by_fold),
            "train_time_s": self.train_time_s,
            "diverged": self.diverged,
            "stack": self.stack.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`.

        Raises:
            ValueError: If the state belongs to another configuration.
        """
        if state["config"] != self.config.to_dict():
            raise ValueError(f"the checkpoint of trial {self.number} has another configuration")
        self.history = list(state["history"])
        self.by_fold = dict(state["by_fold"])
        self.train_time_s = state["train_time_s"]
        self.diverged = state["diverged"]
        self.stack.load_state_dict(state["stack"])
