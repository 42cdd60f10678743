"""foldsweep: hyperparameter sweeps whose comparisons can be trusted.

This package has all names that a user's file imports. Each is loaded on first use, so importing
`foldsweep` imports neither torch nor Ray.
"""

import importlib
from typing import TYPE_CHECKING, Any

from foldsweep.hints import no_hints

if TYPE_CHECKING:
    from ray import tune

    from foldsweep.api.result import Result, load
    from foldsweep.api.sweeping import sweep
    from foldsweep.api.table import table
    from foldsweep.errors import UserError
    from search_spaces.conditions import groups, when
    from search_spaces.space import Point, SearchSpace
    from trainables.config import BaseConfig, ClassifierConfig, ImageConfig, TrialConfig
    from trainables.data.augment import Affine
    from trainables.models.estimators.config import EstimatorConfig
    from trainables.models.layers import Dropout
    from trainables.models.perceptron import Features
    from trainables.tasks.kinds import classification, regression
    from trainables.tasks.metrics import Metric
    from trainables.tasks.samples import Data, Samples
    from trainables.tasks.splits import Split
    from trainables.tasks.task import DataRequest, Shapes, Task, Variant, variant

_PLACES = {
    "Affine": "trainables.data.augment",
    "BaseConfig": "trainables.config",
    "ClassifierConfig": "trainables.config",
    "Data": "trainables.tasks.samples",
    "DataRequest": "trainables.tasks.task",
    "Dropout": "trainables.models.layers",
    "EstimatorConfig": "trainables.models.estimators.config",
    "Features": "trainables.models.perceptron",
    "ImageConfig": "trainables.config",
    "Metric": "trainables.tasks.metrics",
    "Point": "search_spaces.space",
    "Result": "foldsweep.api.result",
    "Samples": "trainables.tasks.samples",
    "SearchSpace": "search_spaces.space",
    "Shapes": "trainables.tasks.task",
    "Split": "trainables.tasks.splits",
    "Task": "trainables.tasks.task",
    "TrialConfig": "trainables.config",
    "UserError": "foldsweep.errors",
    "Variant": "trainables.tasks.task",
    "classification": "trainables.tasks.kinds",
    "groups": "search_spaces.conditions",
    "load": "foldsweep.api.result",
    "regression": "trainables.tasks.kinds",
    "sweep": "foldsweep.api.sweeping",
    "table": "foldsweep.api.table",
    "tune": "ray",
    "variant": "trainables.tasks.task",
    "when": "search_spaces.conditions",
}
"""Module that defines each public name."""

__all__ = [
    "Affine",
    "BaseConfig",
    "ClassifierConfig",
    "Data",
    "DataRequest",
    "Dropout",
    "EstimatorConfig",
    "Features",
    "ImageConfig",
    "Metric",
    "Point",
    "Result",
    "Samples",
    "SearchSpace",
    "Shapes",
    "Split",
    "Task",
    "TrialConfig",
    "UserError",
    "Variant",
    "classification",
    "groups",
    "load",
    "regression",
    "sweep",
    "table",
    "tune",
    "variant",
    "when",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module 'foldsweep' has no attribute {name!r}")
    with no_hints():
        value = getattr(importlib.import_module(_PLACES[name]), name, None)
    if value is None:  # the name is a submodule, such as `ray.tune`
        value = importlib.import_module(f"{_PLACES[name]}.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
