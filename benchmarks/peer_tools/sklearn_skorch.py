"""scikit-learn's RandomizedSearchCV over a skorch net; HalvingRandomSearchCV if it may prune.

The resource of halving is the number of epochs. Nothing is tracked: scikit-learn keeps its results
in memory until the end.
"""

from typing import Any, cast

import numpy as np
import torch
from scipy import stats
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV, RandomizedSearchCV
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from peer_tools.job import Job, Range, Recorder, Values
from peer_tools.plain_loop import augmented, loss
from trainables.models.pairs.scores import Scores
from trainables.variants import VARIANTS

NET_KEYS = {"lr": "lr", "weight_decay": "optimizer__weight_decay", "batch_size": "batch_size"}
"""Hyperparameters of the net, by our names; all others are those of the module."""
FACTOR = 3
CANDIDATES = 27


class Network(nn.Module):
    """The network as a module for skorch, made from keyword arguments."""

    def __init__(self, variant: str, mean: float = 0.0, std: float = 1.0, **config: Any):
        super().__init__()
        self.config = VARIANTS[variant].config.from_dict(config)
        self.network = cast(nn.Module, VARIANTS[variant].model(self.config))
        self.mean, self.std = mean, std

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the scores of the comparison, and of the digits if the network has them."""
        if self.training:
            images = augmented(images, self.config)
        scores = self.network((images - self.mean) / self.std)
        return tuple(part for part in scores if part is not None)


class Net(NeuralNetClassifier):
    """Classifier that standardises by its training pairs; `y` has target and digits of pairs."""

    def fit(self, X: np.ndarray, y: np.ndarray, **fit_params: Any) -> "Net":
        """Train on the training part of a fold."""
        torch.set_num_threads(1)
        job = Job.load()
        torch.manual_seed(job.seed_of(searched(self, job), X.sum()))
        self.set_params(module__mean=float(X.mean()), module__std=float(X.std()))
        super().fit(X, y, **fit_params)
        return self

    def fit_loop(self, X: np.ndarray, y: np.ndarray, **fit_params: Any) -> "Net":
        """Train the net after it has been built, and record the time."""
        with Recorder(Job.load().folder).training():
            super().fit_loop(X, y, **fit_params)
        return self

    def get_loss(self, y_pred: Any, y_true: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return the loss that all tools use."""
        return loss(Scores(*y_pred), y_true[:, 1:], y_true[:, 0], self.module_.config)


def accuracy(net: Net, images: np.ndarray, y: np.ndarray) -> float:
    """Return the accuracy of comparisons, and record it."""
    job = Job.load()
    recorder = Recorder(job.folder)
    with recorder.training():
        score = float((net.predict(images) == y[:, 0]).mean())
    recorder.scores(searched(net, job), [score])
    return score


def searched(net: Net, job: Job) -> Values:
    """Return the searched hyperparameters of a net; with halving also its number of epochs."""
    params = net.get_params()
    values = {key: params[_param(key)] for key in job.axes or job.ranges}
    return {**values, "epochs": params["max_epochs"]} if job.ranges else values


def distribution(of: Range) -> Any:
    """Convert a range to a distribution of scipy or a list, from which scikit-learn samples."""
    if of.step is None:
        return (
            stats.loguniform(of.low, of.high)
            if of.log
            else stats.uniform(of.low, of.high - of.low)
        )
    if of.log:
        return [int(x) for x in np.unique(np.geomspace(of.low, of.high, 1000).round())]
    return list(range(int(of.low), int(of.high) + 1, of.step))


def _param(key: str) -> str:
    return NET_KEYS.get(key, f"module__{key}")


def main() -> None:
    """Run all trials."""
    job = Job.load()
    data, folds = job.load_data()
    callbacks = []
    if job.fixed.get("lr_schedule") == "cosine":
        callbacks = [("lr", LRScheduler(policy=CosineAnnealingLR, T_max=job.epochs))]
    net = Net(
        Network,
        module__variant=job.variant,
        optimizer=torch.optim.Adam,
        max_epochs=job.epochs,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=callbacks,
        verbose=0,
    )
    fixed = {key: tuple(x) if isinstance(x, list) else x for key, x in job.fixed.items()}
    net.set_params(
        **{_param(key): value for key, value in fixed.items() if key != "epochs"},
        module__epochs=job.epochs,
    )
    torch.manual_seed(job.seed)
    space = {_param(key): values for key, values in job.axes.items()}
    space |= {_param(key): distribution(of) for key, of in job.ranges.items()}
    common = {
        "scoring": accuracy,
        "cv": [(fold.train, fold.val) for fold in folds],
        "n_jobs": job.processes,
        "refit": False,
        "error_score": "raise",
    }
    targets, images = data.train.targets, data.train.inputs["images"]
    y = np.column_stack([targets["target"], targets["classes"]])
    if not job.ranges:
        grid = [{_param(key): [value] for key, value in values.items()} for values in job.configs]
        search = RandomizedSearchCV(net, grid, n_iter=len(grid), **common)
        search.fit(images, y)
        print(search.cv_results_["mean_test_score"].max())
        return
    for again in range(job.trials):  # as a user would start another search, until stopped
        search = HalvingRandomSearchCV(
            net,
            space,
            resource="max_epochs",
            max_resources=job.epochs,
            min_resources=max(1, job.epochs // FACTOR**2),
            n_candidates=min(CANDIDATES, job.trials),
            factor=FACTOR,
            random_state=1000 * job.seed + again,
            **common,
        )
        search.fit(images, y)


if __name__ == "__main__":
    main()
