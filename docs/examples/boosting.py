"""Gradient boosting by LightGBM, as an estimator of your own.

    pip install -e ".[boosting]"
    python sweeps/run.py --space docs/examples/boosting.py

Any class with scikit-learn's interface works the same way, such as `XGBClassifier` of XGBoost.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from sklearn.datasets import load_breast_cancer

import foldsweep as fs

x, y = load_breast_cancer(return_X_y=True, as_frame=True)
data = fs.Data.of(x, y, name="breast_cancer", holdout=0.2)
task = fs.classification("breast_cancer", data, objective="roc_auc")


@dataclass(frozen=True, kw_only=True)
class BoostingConfig(fs.EstimatorConfig):
    """Parameters of the estimator, which are keys of the space."""

    n_estimators: int = 100
    learning_rate: float = 0.1
    num_leaves: int = 31


def booster(config: BoostingConfig, shapes: Any) -> Any:
    """An unfitted estimator; missing values are NaN, and `random_state` is set for each fold."""
    from lightgbm import LGBMClassifier

    return LGBMClassifier(**config.parameters, n_jobs=1, verbose=-1)


def space() -> fs.SearchSpace:
    """Two domains, with LightGBM's defaults as the baseline."""
    if find_spec("lightgbm") is None:
        raise fs.UserError("this example needs LightGBM: pip install -e '.[boosting]'")
    return fs.SearchSpace(
        name="lightgbm",
        variant=fs.variant("lightgbm", task, booster, BoostingConfig),
        domains={
            "learning_rate": fs.tune.loguniform(0.01, 0.5),
            "num_leaves": fs.tune.lograndint(4, 129),
        },
        points=[
            fs.Point(name="LightGBM default", config={"learning_rate": 0.1, "num_leaves": 31})
        ],
    )
