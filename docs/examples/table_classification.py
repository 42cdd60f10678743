"""A table with numbers, categories and missing values, and a perceptron that is swept on it.

    python sweeps/run.py --space docs/examples/table_classification.py --trials 20

Run by itself it writes the table, for sweeps without code:

    python docs/examples/table_classification.py
    python sweeps/run.py --data churn.csv --target left --space mlp logistic
"""

import numpy as np
import pandas as pd

from foldsweep import Data, Point, SearchSpace, classification, tune, variant
from foldsweep.models import Perceptron, PerceptronClassifierConfig


def customers(rows: int = 1000) -> pd.DataFrame:
    """Customers of a telephone company, made up; `left` says who cancelled."""
    rng = np.random.default_rng(0)
    plans = rng.choice(["basic", "family", "business"], rows, p=[0.6, 0.3, 0.1])
    table = pd.DataFrame({"customer": np.arange(rows) + 1001, "plan": plans})
    table["age"] = rng.normal(45, 12, rows).round()
    table["calls"] = rng.poisson(3, rows)
    trouble = (table["calls"] - 3) * np.where(plans == "basic", 1.2, -0.6)
    risk = trouble + (table["age"] - 45).abs() / 9  # the young and the old leave
    table["left"] = np.where(risk + rng.logistic(size=rows) > 1.5, "yes", "no")
    table.loc[rng.random(rows) < 0.1, "age"] = np.nan
    return table


table = customers()
data = Data.of(table.drop(columns="left"), table["left"], holdout=0.2)
task = classification("churn", data, objective="roc_auc")


def space() -> SearchSpace:
    """Width, dropout and learning rate; the first point is the baseline."""
    return SearchSpace(
        name="churn_mlp",
        variant=variant("churn_mlp", task, Perceptron, PerceptronClassifierConfig),
        domains={
            "lr": tune.loguniform(1e-4, 1e-1),
            "hidden": tune.lograndint(16, 257),
            "dropout": tune.uniform(0, 0.5),
            "class_weight": tune.choice(["none", "balanced"]),
            "epochs": 30,
        },
        points=[Point(name="plain", config={"lr": 1e-3, "hidden": 64, "dropout": 0.0})],
    )


if __name__ == "__main__":
    table.to_csv("churn.csv", index=False)
