"""Scores: built-in metrics of classification and regression, by short name.

All of them are functions of scikit-learn, except `accuracy`, which is computed row by row.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from foldsweep import names
from foldsweep.errors import UserError
from trainables.tasks.metrics import Better, Metric, Needs
from trainables.tasks.table.targets import TaskKind


@dataclass(frozen=True, kw_only=True)
class Score:
    """A metric of scikit-learn, before the task is known."""

    kind: TaskKind
    function: str
    """Name in `sklearn.metrics`."""
    scorer: str
    """Name of the scikit-learn scorer for `cross_val_score`, which negates errors."""
    needs: Needs = "answer"
    better: Better = "higher"
    equal: float = 0.01
    """Region of practical equivalence; with `in_units`, as a multiple of the target's standard
    deviation."""
    options: Mapping[str, Any] = field(default_factory=dict)
    binary: bool = False
    """Whether the metric is defined for two classes only; the second class in sorted order is the
    positive one."""
    in_units: bool = False
    """Whether the metric is an error in units of the target."""


def _classes(function: str, scorer: str, **more: Any) -> Score:
    return Score(kind="classification", function=function, scorer=scorer, **more)


def _error(function: str, **more: Any) -> Score:
    values = {"scorer": f"neg_{function}", "better": "lower", "in_units": True, **more}
    return Score(kind="regression", function=function, needs="value", **values)


def _averaged(function: str, average: str) -> Score:
    options = {"average": average, "zero_division": 0}
    return _classes(f"{function}_score", f"{function}_{average}", options=options)


def _positive(function: str) -> Score:
    options = {"zero_division": 0}
    return _classes(f"{function}_score", function, options=options, binary=True)


SCORES: dict[str, Score] = {
    "accuracy": _classes("accuracy_score", "accuracy"),
    "balanced_accuracy": _classes("balanced_accuracy_score", "balanced_accuracy"),
    "f1": _positive("f1"),
    "f1_macro": _averaged("f1", "macro"),
    "f1_weighted": _averaged("f1", "weighted"),
    "precision": _positive("precision"),
    "precision_macro": _averaged("precision", "macro"),
    "recall": _positive("recall"),
    "recall_macro": _averaged("recall", "macro"),
    "matthews": _classes("matthews_corrcoef", "matthews_corrcoef", equal=0.02),
    "roc_auc": _classes("roc_auc_score", "roc_auc", needs="probability"),
    "average_precision": _classes(
        "average_precision_score", "average_precision", needs="probability", binary=True
    ),
    "log_loss": _classes("log_loss", "neg_log_loss", needs="probability", better="lower"),
    "brier": _classes(
        "brier_score_loss",
        "neg_brier_score",
        needs="probability",
        better="lower",
        equal=0.005,
        binary=True,
    ),
    "r2": Score(kind="regression", function="r2_score", scorer="r2", needs="value"),
    "explained_variance": Score(
        kind="regression",
        function="explained_variance_score",
        scorer="explained_variance",
        needs="value",
    ),
    "rmse": _error("root_mean_squared_error"),
    "mae": _error("mean_absolute_error"),
    "median_absolute_error": _error("median_absolute_error"),
    "max_error": _error("max_error", scorer="neg_max_error"),
    "mape": _error("mean_absolute_percentage_error", in_units=False),
}
"""Metrics by short name. `roc_auc` of more than two classes is the mean over one-vs-rest ROC AUCs,
scorer `roc_auc_ovr`."""


def scorer_name(name: str, num_classes: int = 0) -> str:
    """Return the name of the scikit-learn scorer for a short name."""
    return "roc_auc_ovr" if name == "roc_auc" and num_classes > 2 else SCORES[name].scorer


def score_names(kind: TaskKind, num_classes: int = 0) -> tuple[str, ...]:
    """Return the short names of the metrics that are available for a kind of task."""
    return tuple(
        name
        for name, score in SCORES.items()
        if score.kind == kind and (num_classes == 2 or not score.binary)
    )


def metric(name: str, *, kind: TaskKind, num_classes: int = 0, deviation: float = 1.0) -> Metric:
    """Return the metric with a short name.

    Args:
        name: Short name, with or without the prefix `val_`.
        kind: Kind of the task.
        num_classes: Number of classes; 0 for a regression.
        deviation: Standard deviation of the training target; scales the region of practical
            equivalence of errors in units of the target.

    Raises:
        UserError: If a task of this kind has no such metric; the message lists the available
            ones.
    """
    name = names.bare(name)
    known = score_names(kind, num_classes)
    if name not in known:
        what = f"{kind} of {num_classes} classes" if num_classes else kind
        raise UserError.of(
            "scores.objective-unknown", objective=name, task=what, known=", ".join(known)
        )
    score = SCORES[name]
    if name == "accuracy":
        return Metric(of=hits, better="higher", equal=score.equal)
    equal = score.equal * deviation if score.in_units else score.equal
    of = Measure(name=name, num_classes=num_classes)
    return Metric(of=of, better=score.better, equal=equal, over="all", needs=score.needs)


def hits(output: Tensor, target: Tensor) -> Tensor:
    """1 for each correctly classified row, else 0: (*m, b, k) and (*m, b) to (*m, b)."""
    return (output.argmax(-1) == target).to(output.dtype)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Score over all held-out rows: `(target, prediction)` to one number.

    The score is NaN if a prediction is not finite, as after training has diverged.

    Raises:
        UserError: If the score is not defined for the rows, such as ROC AUC of one class.
    """

    name: str
    num_classes: int = 0

    def __call__(self, target: np.ndarray, prediction: np.ndarray) -> float:
        if not np.isfinite(prediction).all():
            return float("nan")
        score = SCORES[self.name]
        self._require_classes(target)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a class that is never predicted scores 0
            value = float(_function(score)(target, self._part(prediction), **self._options()))
        if not np.isfinite(value):
            raise UserError.of("scores.score-undefined", score=self.name, rows=len(target))
        return value

    def _require_classes(self, target: np.ndarray) -> None:
        if self.name not in ("roc_auc", "average_precision"):
            return
        present = len(np.unique(target))
        if present < self.num_classes:
            raise UserError.of(
                "scores.class-missing", score=self.name, classes=self.num_classes, present=present
            )

    def _part(self, prediction: np.ndarray) -> np.ndarray:
        """Prediction that scikit-learn's function takes.

        For two classes these are the probabilities of the second class, except for `log_loss`.
        """
        two = SCORES[self.name].needs == "probability" and self.num_classes == 2
        return prediction[:, 1] if two and self.name != "log_loss" else prediction

    def _options(self) -> dict[str, Any]:
        options = dict(SCORES[self.name].options)
        if self.name == "log_loss" or (self.name == "roc_auc" and self.num_classes > 2):
            options["labels"] = np.arange(self.num_classes)
        if self.name == "roc_auc" and self.num_classes > 2:
            options["multi_class"] = "ovr"
        return options


def _function(score: Score) -> Callable[..., float]:
    from sklearn import metrics  # takes a second, which other tasks do not need

    function: Callable[..., float] = getattr(metrics, score.function)
    return function
