"""Small tasks of every kind and a model of each, as cases for the contract of kept models."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from foldsweep.recipe import Recipe
from search_spaces.loading import load_space
from trainables.config import TrialConfig
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.keep.fit import fit
from trainables.keep.model import KeptModel
from trainables.models.disc import DISC_VARIANTS
from trainables.models.pairs.variants import MLP
from trainables.tasks import disc
from trainables.tasks.kinds import classification, regression
from trainables.tasks.record import task_record
from trainables.tasks.samples import Data, Samples
from trainables.tasks.shapes import inputs_record
from trainables.tasks.tables import TableOptions, table_task
from trainables.tasks.task import Task, Variant

SMALL = {"epochs": 2, "batch_size": 20}


def recipe_of(variant: Variant, config: Any, data: Data, **values: Any) -> Recipe:
    """Recipe as exported for a trial of `config` on `data`, with data drawn by seed 0."""
    task = variant.task
    key = f"val_{task.objective}"
    # file names without folders, as sweeps record them
    origin = {k: Path(v).name if k == "data" else v for k, v in data.origin.items()}
    record = task_record(task, data) | inputs_record(task, data) | {"origin": origin}
    given: dict[str, Any] = {
        "space": variant.name,
        "variant": variant.full_name,
        "task": task.name,
        "config": config.to_dict(),
        "objective": task.objective,
        "score": {key: 0.5, f"{key}_std": 0.1},
        "fold_scores": {},
        "num_params": 1,
        "dataset": data.name,
        "data_digest": data.digest,
        "origin": origin,
        "record": record,
        "folds": 3,
        "seed": 0,
        "trial": 0,
    }
    return Recipe(**{**given, **values})


def customers(rows: int = 160, seed: int = 0) -> pd.DataFrame:
    """A table with an identifier, numbers, missing values, categories, booleans and dates."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, rows).astype(float)
    plan = rng.choice(["basic", "größer", 'the "best"'], rows)
    days = pd.to_timedelta(rng.integers(0, 900, rows), unit="D")
    left = (age > 50) ^ (plan == "basic") ^ (rng.random(rows) < 0.1)
    bill = 0.5 * age + 10 * (plan == "basic") + rng.normal(0, 2, rows)
    age[3:9] = np.nan
    return pd.DataFrame(
        {
            "customer id": np.arange(rows) + 1000,
            "age in years": age,
            "plan": plan,
            "active": rng.random(rows) > 0.5,
            "since": (pd.Timestamp("2020-01-01") + days).strftime("%Y-%m-%d"),
            "left": np.where(left, "yes", "no"),
            "bill": bill,
        }
    )


def table(folder: Path, target: str, objective: str | None = None, **options: Any) -> Task:
    """Task of a CSV file of customers."""
    path = folder / "customers.csv"
    if not path.exists():
        customers().to_csv(path, index=False)
    other = {"left": "bill", "bill": "left"}[target]
    asked = TableOptions(data=str(path), target=target, drop=(other,), **options)
    return table_task(asked, seed=0, objective=objective)


def of_space(space: str, task: Task, **config: Any) -> tuple[Variant, Any]:
    """Variant of a space for any task, and a small configuration."""
    variant = load_space(space, task).variant
    small = SMALL if "batch_size" in variant.config().to_dict() else {}
    return variant, variant.config.from_dict({**small, **config})


def task_data(task: Task) -> Data:
    """Data of a task that was created with its data."""
    assert isinstance(task.data, Data)
    return task.data


# User-defined networks ---------------------------------------------------------------------------


class Two(nn.Module):
    """Network with two inputs, one of them integer codes."""

    def __init__(self, config: TrialConfig, shapes: Any):
        super().__init__()
        self.codes = nn.Embedding(5, 3)
        self.output = nn.Linear(3 + 4, shapes.outputs)

    def forward(self, numbers: Any, code: Any) -> Any:
        from torch import cat

        return self.output(cat([self.codes(code), numbers], -1))


class Recurrent(nn.Module):
    """Recurrent network for sequences."""

    def __init__(self, config: TrialConfig, shapes: Any):
        super().__init__()
        self.layers = nn.GRU(2, 6, batch_first=True)
        self.output = nn.Linear(6, shapes.outputs)

    def forward(self, x: Any) -> Any:
        return self.output(self.layers(x)[0][:, -1])


def two_inputs() -> Task:
    """Regression task with two named inputs, float64 and int64, and two target values."""
    rng = np.random.default_rng(1)
    rows = 80
    samples = Samples(
        inputs={"numbers": rng.normal(size=(rows, 4)), "code": rng.integers(0, 5, rows)},
        targets={"target": 40 + 9 * rng.normal(size=(rows, 2))},
    )
    data = Data(
        name="two", train=samples.take(np.arange(60)), test=samples.take(np.arange(60, 80))
    )
    return regression("two", data)


def sequences() -> Task:
    """Task of sequences of shape (7, 2) with three named classes and without test rows."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(60, 7, 2)).astype(np.float32)
    y = np.array(["up", "down", "flat"])[np.digitize(x.sum((1, 2)), [-1, 1])]
    return classification("sequences", Data.of(x, y, holdout=0.0, name="sequences"))


# A model of each task ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Case:
    """A variant with its configuration and data."""

    variant: Variant
    config: Any
    data: Data

    @property
    def recipe(self) -> Recipe:
        """Recipe of the case."""
        return recipe_of(self.variant, self.config, self.data)

    @property
    def rows(self) -> Samples:
        """Rows to predict: the test rows, or the training rows if there are none."""
        return self.data.train if self.data.test is None else self.data.test

    def fit(self, **values: Any) -> KeptModel:
        """Train a model of the case; `values` replace fields of its recipe."""
        return fit(replace(self.recipe, **values), self.variant, self.data)


def _of_table(space: str, target: str, **config: Any) -> Callable[[Path], Case]:
    def build(folder: Path) -> Case:
        task = table(folder, target)
        variant, full = of_space(space, task, **config)
        return Case(variant=variant, config=full, data=task_data(task))

    return build


def _of_own(make_task: Callable[[], Task], network: type) -> Callable[[Path], Case]:
    def build(_: Path) -> Case:
        task = make_task()
        variant = Variant(name="own", task=task, model=network, config=TrialConfig)
        return Case(variant=variant, config=TrialConfig(**SMALL), data=task_data(task))

    return build


def _larger_digit(_: Path) -> Case:
    data = draw_pairs(digits_source(), seed=0, train_pairs=41, test_pairs=10)
    config = MLP.config.from_dict({**SMALL, "hidden": 8, "batch_norm": True})
    return Case(variant=MLP, config=config, data=data)


def _disc(_: Path) -> Case:
    (variant, *_others) = DISC_VARIANTS
    config = variant.config.from_dict({**SMALL, "hidden": 8, "hidden_layers": 1})
    return Case(variant=variant, config=config, data=disc.draw(0, 41, 10))


def _embedded(_: Path) -> Case:
    """Table without missing values and categories: it needs no indicators and no codes."""
    task = table_task(TableOptions(data="wine"), seed=0, objective=None)
    variant, config = of_space("mlp", task)
    return Case(variant=variant, config=config, data=task_data(task))


CASES: dict[str, Callable[[Path], Case]] = {
    "larger_digit": _larger_digit,
    "disc": _disc,
    "table classes": _of_table("mlp", "left", embedding=2, batch_norm=True, dropout=0.2),
    "table numbers": _of_table("mlp", "bill", hidden=8, hidden_layers=1),
    "embedded": _embedded,
    "two inputs": _of_own(two_inputs, Two),
    "sequences": _of_own(sequences, Recurrent),
    "estimator classes": _of_table("random_forest", "left", n_estimators=7),
    "estimator numbers": _of_table("ridge", "bill"),
}
NETWORKS = tuple(name for name in CASES if not name.startswith("estimator"))
ESTIMATORS = tuple(name for name in CASES if name.startswith("estimator"))
