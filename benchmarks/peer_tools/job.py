"""Jobs, which one tool does once, and the events by which all tools are measured alike."""

import json
import os
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice, product
from pathlib import Path
from typing import Any

from trainables.config import TrialConfig
from trainables.data.folds import Fold, stratified_folds
from trainables.data.images import load_images
from trainables.data.pairs import draw_pairs
from trainables.tasks.samples import Data
from trainables.tasks.task import Variant
from trainables.variants import VARIANTS

JOB_VARIABLE = "PEERS_JOB"
"""Environment variable with the path of the job's file."""
EVENTS_FILE = "events.jsonl"

Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Range:
    """Range of a numeric hyperparameter, independent of any tool; both ends are inclusive."""

    low: float
    high: float
    log: bool = False
    step: int | None = None
    """Step of an integer; None for a real number."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One workload, with the seed of one repeat, for one tool.

    It has either `axes` or `ranges`. With `axes`, every combination of their values is a trial.
    With `ranges`, the tool searches them in its own way until it is stopped.
    """

    workload: str
    variant: str
    fixed: Values
    axes: dict[str, list[Any]] = field(default_factory=dict)
    ranges: dict[str, Range] = field(default_factory=dict)
    space: str | None = None
    """Path of the space of foldsweep that has the same domains as `ranges`."""
    trials: int
    folds: int
    epochs: int
    dataset: str
    data_dir: str | None = None
    train_pairs: int | None = None
    seed: int = 0
    """Seed of pairs, folds and all random numbers."""
    processes: int = 2
    folder: str = "."
    """Folder in which the tool may write; a new one for each run."""

    @property
    def configs(self) -> list[Values]:
        """The values of the trials, in order; empty if the tool searches `ranges`."""
        if not self.axes:
            return []
        keys = sorted(self.axes)
        every = product(*(self.axes[key] for key in keys))
        return [dict(zip(keys, values, strict=True)) for values in islice(every, self.trials)]

    @property
    def network(self) -> Variant:
        """The variant to train."""
        return VARIANTS[self.variant]

    @property
    def tracking_uri(self) -> str:
        """Tracking URI of an MLflow store in the folder, whose tables exist already."""
        return f"sqlite:///{self.folder}/mlflow.db"

    def config(self, values: Mapping[str, Any]) -> TrialConfig:
        """Return the whole configuration for the values of a trial."""
        return self.network.config.from_dict({**self.fixed, "epochs": self.epochs, **values})

    def seed_of(self, values: Mapping[str, Any], fold: object) -> int:
        """Return the seed for a fold of a trial, which does not depend on the process.

        Each trial has its own seed. Otherwise torch would start every process from the same seed,
        and with one initialisation for all trials the errors of their scores would be the same.
        """
        return zlib.crc32(
            json.dumps([self.seed, dict(values), str(fold)], sort_keys=True).encode()
        )

    def load_data(self) -> tuple[Data, tuple[Fold, ...]]:
        """Return the pairs and folds of a sweep with this seed."""
        data_dir = None if self.data_dir is None else Path(self.data_dir)
        source, _ = load_images(self.dataset, data_dir=data_dir)
        data = draw_pairs(source, seed=self.seed, train_pairs=self.train_pairs)
        target = data.train.targets["target"]
        return data, stratified_folds(target, num_folds=self.folds, seed=self.seed)

    def save(self) -> Path:
        """Write the job to its folder; returns the path of the file."""
        path = Path(self.folder) / "job.json"
        path.write_text(json.dumps(asdict(self), indent=2))
        return path

    @classmethod
    def load(cls) -> "Job":
        """Load the job from the file that the environment names."""
        values = json.loads(Path(os.environ[JOB_VARIABLE]).read_text())
        values["ranges"] = {key: Range(**value) for key, value in values["ranges"].items()}
        return cls(**values)


class Recorder:
    """Writes events to the job's folder, from any process that trains."""

    def __init__(self, folder: str):
        self.path = Path(folder) / EVENTS_FILE

    @contextmanager
    def training(self) -> Iterator[None]:
        """Record the start, end and duration of training and validation, which all tools must do.

        The building of networks and loaders is not part of it.
        """
        start = time.time()
        self._write({"kind": "start", "time": start})
        yield
        end = time.time()
        self._write({"kind": "trained", "time": end, "seconds": end - start})

    def scores(self, values: Mapping[str, Any], scores: Sequence[float]) -> None:
        """Record validation accuracies of a configuration, for all folds or some."""
        self._write(
            {
                "kind": "scores",
                "time": time.time(),
                "values": dict(values),
                "scores": [float(score) for score in scores],
            }
        )

    def _write(self, event: Mapping[str, Any]) -> None:
        line = json.dumps(event) + "\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line.encode())  # one call, so that lines of processes do not mix
        finally:
            os.close(handle)


def read_events(folder: Path) -> list[dict[str, Any]]:
    """Read all events so far, without a last line that is not complete."""
    path = folder / EVENTS_FILE
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]
