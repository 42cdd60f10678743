"""A tracker that records its calls, and results as a Trainable returns them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ray import tune

from foldsweep import names
from sweeps.lifecycle import Lifecycle
from trainables.models.pairs.variants import CNN_TRANSFER
from trainables.models.perceptron import PerceptronClassifierConfig

Event = tuple[Any, ...]
MakeLifecycle = Callable[..., Lifecycle]
ENOUGH = 10
"""Number of trials, the baseline included, that is enough for early stopping."""


class Recorder:
    """Stand-in for the tracker that records its calls and, by `noting`, calls of other objects."""

    def __init__(self, *, still_open: set[int] | None = None) -> None:
        self.events: list[Event] = []
        self.still_open = still_open or set()
        self.params: dict[int, dict[str, Any]] = {}
        self.tags: dict[int, dict[str, str]] = {}
        self.values: dict[int, dict[str, float]] = {}
        self.steps: dict[int, list[int]] = {}
        self.artifacts: list[tuple[int, Path]] = []
        self.secured: list[int] = []

    def start_trial(
        self, number: int, name: str, params: Mapping[str, Any], tags: Any, dataset: Any
    ) -> None:
        self.events.append(("start", number))
        self.params[number] = dict(params)
        self.tags[number] = dict(tags)

    def log_history(self, number: int, points: list[tuple[str, float, int, int]]) -> None:
        self.events.append(("history", number))
        self.steps.setdefault(number, []).extend(
            step for key, _, step, _ in points if key == names.val_key("accuracy")
        )

    def log_metrics(self, number: int, values: Mapping[str, float], step: int) -> None:
        self.events.append(("metrics", number))
        self.values.setdefault(number, {}).update(values)

    def log_node(self, number: int, node: str) -> None:
        self.events.append(("node", number, node))

    def log_artifact(self, number: int, path: Path, to: str = "") -> None:
        self.events.append(("artifact", number))
        self.artifacts.append((number, path))

    def set_tags(self, number: int, tags: Mapping[str, str]) -> None:
        self.events.append(("tags", number))
        self.tags.setdefault(number, {}).update(tags)

    def end_trial(self, number: int, status: str) -> None:
        self.events.append(("end", number, status))

    def open_trials(self) -> set[int]:
        return self.still_open

    def secure(self) -> None:
        self.secured.append(len(self.events))

    def noting(self, name: str, do: Callable[..., None]) -> Callable[..., None]:
        def noted(*args: Any) -> None:
            number = next(arg for arg in args if isinstance(arg, int))
            self.events.append((name.partition("_")[0], number))
            do(*args)

        return noted


@dataclass(frozen=True, kw_only=True)
class EqualConfig(PerceptronClassifierConfig):
    """Configuration that half of all combinations violate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        equal = self.hidden_layers == self.embedding
        self.require("hidden_layers", equal, f"equal to embedding, {self.embedding}")


EQUAL: dict[str, Any] = {
    "variant": replace(CNN_TRANSFER, config=EqualConfig),
    "domains": {"hidden_layers": tune.choice([1, 2]), "embedding": tune.choice([1, 2])},
    "points": (),
}


def result(
    accuracy: float = 0.5, epoch: int = 9, since: int = 0, loss: float = 1.0, params: int = 100
) -> dict[str, Any]:
    """Result of a Trainable; the epochs between `since` and `epoch` were slightly better."""
    history = [
        {
            "epoch": e,
            "time": 1000 + e,
            "val_accuracy": accuracy if e == epoch else accuracy + 0.1,
            "val_loss": loss if e == epoch else loss - 0.1,
        }
        for e in range(since + 1, epoch + 1)
    ]
    return {
        "val_accuracy": accuracy,
        "val_loss": loss,
        "by_fold": [
            ("val_accuracy", [accuracy - 0.01, accuracy + 0.01]),
            ("val_loss", [loss, loss]),
        ],
        "history": history,
        "diverged": not math.isfinite(loss),
        "epoch": epoch,
        "num_params": params,
        "train_time_s": 1.5,
    }


def run(life: Lifecycle, key: str, **values: Any) -> int:
    """Train a trial to its end; return its number."""
    config = life.start(key)
    assert config is not None
    life.end(key, result(**values))
    return int(config["trial_number"])
