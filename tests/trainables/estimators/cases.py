"""Tasks, stacks and tables that the tests of estimators share."""

from functools import cache

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold
from torch import Tensor

from trainables.models.estimators.catalogue import ESTIMATORS, estimator_variant
from trainables.stack.estimators import EstimatorStack
from trainables.stack.stack import Member
from trainables.tasks.metrics import Metric
from trainables.tasks.samples import Data, Samples
from trainables.tasks.task import Shapes, Task, Variant

VARIANTS = [(name, kind) for name, kinds in ESTIMATORS.items() for kind in kinds]
RESUMED = [
    (name, kind) for name, kind in VARIANTS if ESTIMATORS[name][kind][1].RESOURCE is not None
]
SMALL = {"n_estimators": 18, "max_iter": 18}
"""Resource of an estimator that keeps tests short."""


def hits(output: Tensor, target: Tensor) -> Tensor:
    return (output.argmax(-1) == target).float()


def area(target: np.ndarray, probability: np.ndarray) -> float:
    return roc_auc_score(target, probability[:, 1])


def squares(output: Tensor, target: Tensor) -> Tensor:
    return (output - target) ** 2


METRICS = {
    "classification": {
        "accuracy": Metric(of=hits, better="higher", equal=0.01),
        "roc_auc": Metric(of=area, better="higher", equal=0.01, over="all", needs="probability"),
        "exact": Metric(of=accuracy_score, better="higher", equal=0.01, over="all"),
    },
    "regression": {
        "mse": Metric(of=squares, better="lower", equal=1.0, train=False),
        "r2": Metric(of=r2_score, better="higher", equal=0.01, over="all", needs="value"),
    },
}


def task_of(kind: str, samples: Samples, *, outputs: int | None = None) -> Task:
    objective = {"classification": "roc_auc", "regression": "r2"}[kind]
    return Task(
        name="test",
        data=Data(name="test", train=samples, test=None),
        loss=squares,
        metrics=METRICS[kind],
        objective=objective,
        kind=kind,
        outputs=outputs or (2 if kind == "classification" else 1),
    )


@cache
def plain(kind: str) -> Task:
    """Task of scikit-learn's breast cancer or diabetes data."""
    load = load_breast_cancer if kind == "classification" else load_diabetes
    x, y = load(return_X_y=True)
    return task_of(kind, Samples(inputs={"numeric": x}, targets={"target": y}))


@cache
def mixed(kind: str) -> Task:
    """Task of a table: missing numbers, a nearly empty column, rare and missing categories."""
    rng = np.random.default_rng(5)
    numeric = rng.normal(size=(120, 4))
    numeric[rng.random((120, 4)) < 0.1] = np.nan
    numeric[1:, 3] = np.nan
    categories = rng.integers(-1, 4, size=(120, 2))
    categories[7, 0] = 9
    signal = np.nan_to_num(numeric[:, 0]) + categories[:, 1] + rng.normal(size=120) / 3
    target = (signal > 1).astype(np.int64) if kind == "classification" else signal
    inputs = {"numeric": numeric, "categories": categories}
    return task_of(kind, Samples(inputs=inputs, targets={"target": target}))


def variant_of(name: str, task: Task) -> Variant:
    return estimator_variant(name, task)


def folds_of(task: Task, num_folds: int = 3) -> list[tuple[np.ndarray, np.ndarray]]:
    splitter = StratifiedKFold if task.kind == "classification" else KFold
    rows = task.data.train.targets["target"]
    return list(splitter(num_folds, shuffle=True, random_state=1).split(rows, rows))


def stack_of(variant: Variant, **values: object) -> EstimatorStack:
    """Estimator stack of three folds, with small resources."""
    defaults = variant.config()
    small = {key: value for key, value in SMALL.items() if key == variant.config.RESOURCE}
    config = type(defaults).from_dict({**defaults.to_dict(), **small, **values})
    samples = variant.task.data.train
    members = [
        Member(config=config, train=train, held_out=held_out, seed=2**40 + i)
        for i, (train, held_out) in enumerate(folds_of(variant.task))
    ]
    shapes = Shapes(inputs={"encoded": (999,)}, outputs=variant.task.outputs)
    return EstimatorStack(variant.model, members, samples, task=variant.task, shapes=shapes)


def same(a: list[dict[str, np.ndarray]], b: list[dict[str, np.ndarray]]) -> bool:
    """Whether predictions are equal to the last bit."""
    return all(
        x.keys() == y.keys() and all(np.array_equal(x[key], y[key]) for key in x)
        for x, y in zip(a, b, strict=True)
    )
