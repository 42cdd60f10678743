"""A job: what one tool is to do once. And the events by which every tool is measured alike."""

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
    """What a hyperparameter may be, in no tool's own terms; both ends are included."""

    low: float
    high: float
    log: bool = False
    step: int | None = None
    """None for real numbers; integers come in steps of so much."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One workload, with the seed of one repeat, for one tool.

    Either `axes` are there, and every combination of their values is a trial, or `ranges`, which
    the tool searches in its own way until somebody stops it.
    """

    workload: str
    variant: str
    fixed: Values
    axes: dict[str, list[Any]] = field(default_factory=dict)
    ranges: dict[str, Range] = field(default_factory=dict)
    space: str | None = None
    """The space of foldsweep that `ranges` repeat."""
    trials: int
    folds: int
    epochs: int
    dataset: str
    data_dir: str | None = None
    train_pairs: int | None = None
    seed: int = 0
    """Of pairs, folds and everything random."""
    processes: int = 2
    folder: str = "."
    """Where the tool may write; fresh for each run."""

    @property
    def configs(self) -> list[Values]:
        """The trials' values in order; none where the tool searches."""
        if not self.axes:
            return []
        keys = sorted(self.axes)
        every = product(*(self.axes[key] for key in keys))
        return [dict(zip(keys, values, strict=True)) for values in islice(every, self.trials)]

    @property
    def network(self) -> Variant:
        """What is trained."""
        return VARIANTS[self.variant]

    @property
    def tracking_uri(self) -> str:
        """An MLflow store in the folder, whose tables are there already."""
        return f"sqlite:///{self.folder}/mlflow.db"

    def config(self, values: Mapping[str, Any]) -> TrialConfig:
        """The whole configuration that a trial's values mean."""
        return self.network.config.from_dict({**self.fixed, "epochs": self.epochs, **values})

    def seed_of(self, values: Mapping[str, Any], fold: object) -> int:
        """A seed for a fold of a trial, the same in whichever process it is trained.

        Each trial has its own: torch starts every process from one seed, and one initialisation
        for all trials would leave their scores' errors the same.
        """
        return zlib.crc32(
            json.dumps([self.seed, dict(values), str(fold)], sort_keys=True).encode()
        )

    def load_data(self) -> tuple[Data, tuple[Fold, ...]]:
        """Pairs and folds, as a sweep with this seed has them."""
        data_dir = None if self.data_dir is None else Path(self.data_dir)
        source, _ = load_images(self.dataset, data_dir=data_dir)
        data = draw_pairs(source, seed=self.seed, train_pairs=self.train_pairs)
        target = data.train.targets["target"]
        return data, stratified_folds(target, num_folds=self.folds, seed=self.seed)

    def save(self) -> Path:
        """Write to the folder; returns the file."""
        path = Path(self.folder) / "job.json"
        path.write_text(json.dumps(asdict(self), indent=2))
        return path

    @classmethod
    def load(cls) -> "Job":
        """The job that this process, or the one that started it, was given."""
        values = json.loads(Path(os.environ[JOB_VARIABLE]).read_text())
        values["ranges"] = {key: Range(**value) for key, value in values["ranges"].items()}
        return cls(**values)


class Recorder:
    """Writes events that the program reads, from whichever process trains."""

    def __init__(self, folder: str):
        self.path = Path(folder) / EVENTS_FILE

    @contextmanager
    def training(self) -> Iterator[None]:
        """Around training and validating, when all is built: what any tool has to do."""
        start = time.time()
        self._write({"kind": "start", "time": start})
        yield
        end = time.time()
        self._write({"kind": "trained", "time": end, "seconds": end - start})

    def scores(self, values: Mapping[str, Any], scores: Sequence[float]) -> None:
        """Validation accuracy of folds of a configuration, all of them or some."""
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
            os.write(handle, line.encode())  # one call, so that lines of processes never mix
        finally:
            os.close(handle)


def read_events(folder: Path) -> list[dict[str, Any]]:
    """All events so far; a line that is being written is left for later."""
    path = folder / EVENTS_FILE
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]
