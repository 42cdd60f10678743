"""A trial without Ray: one configuration, cross-validated as one fold stack."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldsweep import names as metrics
from trainables.config import TrialConfig
from trainables.data.folds import Fold
from trainables.data.pairs import PairData
from trainables.seeds import Stream, derive_seed
from trainables.stack.averages import EpochMetrics
from trainables.stack.stack import FoldStack, Member, Mode
from trainables.variants import Variant


@dataclass(frozen=True, kw_only=True)
class Task:
    """What all trials of a sweep share."""

    data: PairData
    folds: tuple[Fold, ...]
    seed: int
    report_at: tuple[int, ...] = ()
    """Epochs after which a trial reports, the last one included."""
    report_every_s: float = math.inf
    """Longest time without a report; for live figures only, since it depends on the machine."""
    checkpoint_folder: str | None = None
    checkpoint_every_s: float = 20.0
    """Least time between two checkpoints of a trial."""
    threads: int = 1
    device: str = "cpu"
    mode: Mode = "auto"


def fold_metrics(values: EpochMetrics, *, auxiliary: bool) -> dict[str, list[float]]:
    """Each metric's value for every fold."""
    by_fold = {
        metrics.VAL_ACCURACY: values.held_out_accuracy,
        metrics.VAL_LOSS: values.held_out_loss,
        metrics.TRAIN_ACCURACY: values.train_accuracy,
        metrics.TRAIN_LOSS: values.train_loss,
    }
    if auxiliary:
        by_fold[metrics.VAL_DIGIT_ACCURACY] = values.held_out_digit_accuracy
        by_fold[metrics.TRAIN_MAIN_LOSS] = values.train_loss - values.train_digit_loss
        by_fold[metrics.TRAIN_AUX_LOSS] = values.train_digit_loss
    return {name: np.asarray(v, dtype=float).tolist() for name, v in by_fold.items()}


def summary(by_fold: dict[str, list[float]]) -> dict[str, float]:
    """Mean and sample standard deviation over folds of each metric."""
    flat: dict[str, float] = {}
    for name, values in by_fold.items():
        finite = all(map(math.isfinite, values))  # `stdev` cannot take what a diverged fold has
        std = statistics.stdev(values) if len(values) > 1 and finite else 0.0
        flat[name] = float(np.mean(values))
        flat[metrics.std_key(name)] = std if finite else math.nan
    return flat


class CrossValidation:
    """Trains all folds of one configuration in lockstep and keeps the history of epochs.

    Everything random derives from (`task.seed`, `number`, fold): the same trial gives the same
    numbers in any process, at any time, interrupted or not.

    Attributes:
        history: For each epoch a dict of `epoch`, `time` (ms since 1970) and the summary metrics.
        by_fold: Each metric's values by fold after the last epoch.
        diverged: Whether a loss has become non-finite; no further epoch is trained.
    """

    def __init__(self, variant: Variant, config: TrialConfig, task: Task, number: int):
        self.variant = variant
        self.config = config
        self.task = task
        self.number = number
        self.history: list[dict[str, float]] = []
        self.by_fold: dict[str, list[float]] = {}
        self.train_time_s = 0.0
        self.diverged = False
        members = [
            Member(
                config=config,
                train=fold.train,
                held_out=fold.val,
                seed=derive_seed(task.seed, Stream.MEMBER, number, i),
            )
            for i, fold in enumerate(task.folds)
        ]
        self.stack = FoldStack(
            variant.model, members, task.data.train, device=task.device, mode=task.mode
        )

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to train."""
        return self.diverged or self.stack.epoch >= self.config.epochs

    def advance(self, until: int, *, after_epoch: Callable[[], None] = lambda: None) -> None:
        """Train up to epoch `until`, stopping early where a loss is not finite."""
        while self.stack.epoch < min(until, self.config.epochs) and not self.diverged:
            start = time.perf_counter()
            values = self.stack.train_epoch()
            self.train_time_s += time.perf_counter() - start
            self.by_fold = fold_metrics(values, auxiliary=self.variant.auxiliary)
            self.history.append(
                {
                    metrics.EPOCH: values.epoch,
                    "time": int(time.time() * 1000),
                    **summary(self.by_fold),
                }
            )
            self.diverged = not values.finite
            after_epoch()

    def state_dict(self) -> dict[str, Any]:
        """All that continuing needs, for `torch.save`."""
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
