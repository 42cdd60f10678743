"""The thin layer of Ray Tune on top: a Trainable class for each variant."""

import time
from pathlib import Path
from typing import Any, ClassVar

import torch
from ray import tune

from foldsweep import names as metrics
from trainables.checkpoints import load_checkpoint, save_checkpoint
from trainables.trial import CrossValidation, Task, summary
from trainables.variants import (
    CNN,
    CNN_AUX,
    CNN_DIGIT,
    CNN_DISTANCE,
    CNN_SPLIT,
    CNN_TRANSFER,
    CNN_WS,
    CNN_WS_AUX,
    DISC_LEAKY_RELU,
    DISC_RELU,
    DISC_RELU_SIGMOID,
    DISC_SIGMOID,
    DISC_TANH,
    MLP,
    MLP_AUX,
    MLP_BACKPROP,
    MLP_SPLIT,
    MLP_WS,
    MLP_WS_AUX,
    Variant,
)

TRIAL_NUMBER = "trial_number"
"""Key that the searcher adds to a configuration: the trial's number in its study."""
HISTORY = "history"
"""Key of a result: the epochs since the last one, see `CrossValidation.history`."""
BY_FOLD = "by_fold"
"""Key of a result: pairs of a metric and its values by fold (Ray would flatten a dict)."""
DIVERGED = "diverged"
"""Key of a result: whether a loss became non-finite."""


class FoldTrainable(tune.Trainable):
    """Trains all folds of one configuration; subclasses only bind `variant`.

    One `step()` trains up to the next epoch of `task.report_at`, or for `task.report_every_s`, and
    returns the cross-validated mean, standard deviation and per-fold values. An actor may be
    reused for any configuration: all state is made anew and re-seeded.
    """

    variant: ClassVar[Variant]
    num_reported: int

    def setup(self, config: dict[str, Any], task: Task) -> None:  # type: ignore[override]
        """Build the folds, and continue from the trial's checkpoint where there is one."""
        self.task = task
        torch.set_num_threads(task.threads)
        self._start(config)

    def step(self) -> dict[str, Any]:
        """Train to the next report and return its result."""
        report_at = (*self.task.report_at, self.trial.config.epochs)
        until = next((e for e in report_at if e > self.trial.stack.epoch), report_at[-1])
        late = time.monotonic() + self.task.report_every_s
        while self.trial.stack.epoch < until and not self.trial.finished:
            self.trial.advance(self.trial.stack.epoch + 1, after_epoch=self._save_now_and_then)
            if time.monotonic() >= late:
                break
        history = self.trial.history[self.num_reported :]
        self.num_reported = len(self.trial.history)
        return {
            **summary(self.trial.by_fold),
            BY_FOLD: list(self.trial.by_fold.items()),
            HISTORY: history,
            DIVERGED: self.trial.diverged,
            metrics.EPOCH: self.trial.stack.epoch,
            metrics.NUM_PARAMS: self.trial.stack.num_params,
            metrics.TRAIN_TIME: self.trial.train_time_s,
            "done": self.trial.finished,
        }

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial in the same process."""
        self._start(new_config)
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save where Ray asks, for schedulers that pause trials."""
        torch.save(self.trial.state_dict(), Path(checkpoint_dir) / "trial.pt")

    def load_checkpoint(self, checkpoint_dir: str) -> None:  # type: ignore[override]
        """Continue from where Ray saved."""
        path = Path(checkpoint_dir) / "trial.pt"
        self.trial.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))

    def _start(self, config: dict[str, Any]) -> None:
        values = dict(config)
        number = values.pop(TRIAL_NUMBER)
        trial_config = self.variant.config.from_dict(values)
        self.trial = CrossValidation(self.variant, trial_config, self.task, number)
        self.num_reported = 0
        self.saved_at = time.monotonic()
        if self.task.checkpoint_folder is not None:
            state = load_checkpoint(self.task.checkpoint_folder, number)
            if state is not None:
                self.trial.load_state_dict(state)

    def _save_now_and_then(self) -> None:
        """Checkpoint at most every `task.checkpoint_every_s`, so that short trials pay nothing."""
        folder = self.task.checkpoint_folder
        due = time.monotonic() - self.saved_at >= self.task.checkpoint_every_s
        if folder is not None and due and not self.trial.finished:
            save_checkpoint(folder, self.trial.number, self.trial.state_dict())
            self.saved_at = time.monotonic()


class MlpTrainable(FoldTrainable):
    """Perceptron on the flattened pair."""

    variant = MLP


class MlpSplitTrainable(FoldTrainable):
    """Perceptron on each image, then a head."""

    variant = MLP_SPLIT


class MlpWsTrainable(FoldTrainable):
    """Perceptron on each image with shared weights."""

    variant = MLP_WS


class MlpAuxTrainable(FoldTrainable):
    """Perceptron on each image with auxiliary digit losses."""

    variant = MLP_AUX


class MlpWsAuxTrainable(FoldTrainable):
    """Perceptron on each image with shared weights and auxiliary digit losses."""

    variant = MLP_WS_AUX


class CnnTrainable(FoldTrainable):
    """Convolutional net on the pair as two channels."""

    variant = CNN


class CnnSplitTrainable(FoldTrainable):
    """Convolutional net on each image, then a head."""

    variant = CNN_SPLIT


class CnnWsTrainable(FoldTrainable):
    """Siamese convolutional net with shared weights."""

    variant = CNN_WS


class CnnAuxTrainable(FoldTrainable):
    """Convolutional net on each image with auxiliary digit losses."""

    variant = CNN_AUX


class CnnWsAuxTrainable(FoldTrainable):
    """Siamese convolutional net with shared weights and auxiliary digit losses."""

    variant = CNN_WS_AUX


class CnnDistanceTrainable(FoldTrainable):
    """Siamese convolutional net that compares by a directed distance."""

    variant = CNN_DISTANCE


class CnnTransferTrainable(FoldTrainable):
    """Siamese convolutional net trained on digits first and on comparisons then."""

    variant = CNN_TRANSFER


class CnnDigitTrainable(FoldTrainable):
    """Convolutional classifier of digits; the comparison is outside the network."""

    variant = CNN_DIGIT


class MlpBackpropTrainable(FoldTrainable):
    """Perceptron on the flattened pair, without autograd."""

    variant = MLP_BACKPROP


class DiscReluTrainable(FoldTrainable):
    """Perceptron on points, ReLU, without autograd."""

    variant = DISC_RELU


class DiscLeakyReluTrainable(FoldTrainable):
    """Perceptron on points, LeakyReLU, without autograd."""

    variant = DISC_LEAKY_RELU


class DiscTanhTrainable(FoldTrainable):
    """Perceptron on points, tanh, without autograd."""

    variant = DISC_TANH


class DiscSigmoidTrainable(FoldTrainable):
    """Perceptron on points, sigmoid, without autograd."""

    variant = DISC_SIGMOID


class DiscReluSigmoidTrainable(FoldTrainable):
    """Perceptron on points, ReLU and a sigmoid at the end, without autograd."""

    variant = DISC_RELU_SIGMOID


TRAINABLES: dict[str, type[FoldTrainable]] = {
    trainable.variant.name: trainable
    for trainable in (
        MlpTrainable,
        MlpSplitTrainable,
        MlpWsTrainable,
        MlpAuxTrainable,
        MlpWsAuxTrainable,
        CnnTrainable,
        CnnSplitTrainable,
        CnnWsTrainable,
        CnnAuxTrainable,
        CnnWsAuxTrainable,
        CnnDistanceTrainable,
        CnnTransferTrainable,
        CnnDigitTrainable,
        MlpBackpropTrainable,
        DiscReluTrainable,
        DiscLeakyReluTrainable,
        DiscTanhTrainable,
        DiscSigmoidTrainable,
        DiscReluSigmoidTrainable,
    )
}
"""The Trainable of each variant, by the variant's name."""
