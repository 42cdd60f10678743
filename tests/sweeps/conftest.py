"""Fixtures: a small space, settings of a short sweep, and ledgers over a study."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from ray import tune

from search_spaces.space import Point, SearchSpace
from sweeps import spread
from sweeps.gate import Gate
from sweeps.ledger import Ledger
from sweeps.reproduction.rows import Job
from sweeps.settings import SweepSettings
from sweeps.spread import Spread
from sweeps.study import open_storage
from trainables.data.digits import digits_source
from trainables.data.source import ImageSource
from trainables.models.pairs.variants import MLP
from trainables.presets.preset import Preset, Protocol
from trainables.variants import VARIANTS

BASELINE = {"lr": 0.5, "batch_size": 7, "dropout": 0.9, "hidden": 13, "weight_decay": 0.25}
"""Initial point outside all domains of the small space, and with a key that the space fixes."""
DOMAINS: dict[str, Any] = {
    "lr": tune.loguniform(1e-4, 1e-2),
    "batch_size": tune.lograndint(16, 65),
    "dropout": tune.uniform(0.0, 0.6),
    "hidden": tune.qrandint(8, 32, 8),
    "lr_schedule": tune.choice(["constant", "cosine"]),
    "weight_decay": 0.0,
    "epochs": 9,
}
"""Domains of the small space."""


@pytest.fixture(scope="session")
def make_space() -> Callable[..., SearchSpace]:
    def make(**changes: Any) -> SearchSpace:
        values: dict[str, Any] = {
            "name": "small",
            "variant": MLP,
            "domains": DOMAINS,
            "points": (Point(name="report/row", config=BASELINE),),
        }
        return SearchSpace(**(values | changes))

    return make


@pytest.fixture(scope="session")
def space(make_space: Callable[..., SearchSpace]) -> SearchSpace:
    return make_space()


@pytest.fixture
def storage() -> InMemoryStorage:
    return InMemoryStorage()


@pytest.fixture(scope="session")
def empty_study_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with Optuna's tables, for copying: creating them takes most of a second."""
    path = tmp_path_factory.mktemp("optuna") / "study.db"
    RDBStorage(f"sqlite:///{path}").engine.dispose()
    return path


@pytest.fixture(params=["journal", pytest.param("sqlite", marks=pytest.mark.slow)])
def reopen(
    request: pytest.FixtureRequest, tmp_path: Path, empty_study_database: Path
) -> Iterator[Callable[[], BaseStorage]]:
    """Opens the same study as another process would."""
    url = f"sqlite:///{tmp_path}/study.db" if request.param == "sqlite" else None
    if url:
        shutil.copy(empty_study_database, tmp_path / "study.db")
    opened: list[BaseStorage] = []

    def open_again() -> BaseStorage:
        opened.append(open_storage(url, tmp_path / "study.journal"))
        return opened[-1]

    yield open_again
    for storage in opened:
        if isinstance(storage, RDBStorage):
            storage.engine.dispose()


@pytest.fixture
def make_ledger(space: SearchSpace, storage: InMemoryStorage) -> Callable[..., Ledger]:
    """Makes the ledger of a sweep with early stopping; `resume=True` continues its study."""

    def make(
        *,
        over: BaseStorage | None = None,
        space: SearchSpace = space,
        resume: bool = False,
        digest: str = "0123",
        task: str = "4567",
        gate: Gate | None = None,
        epochs: int = 9,
        **settings: Any,
    ) -> Ledger:
        return Ledger(
            storage if over is None else over,
            f"first/{space.name}",
            space,
            SweepSettings(
                **{
                    "space": (space.name,),
                    "trials": 6,
                    "sampler": "random",
                    "scheduler": "asha-stop",
                    "resume": "first" if resume else None,
                    **settings,
                }
            ).for_task(space.variant.task),
            epochs=epochs,
            identity={"data": digest, "task": task},
            gate=gate,
        )

    return make


@pytest.fixture(scope="session")
def source() -> ImageSource:
    return digits_source()


@pytest.fixture(scope="session")
def make_job() -> Callable[..., Job]:
    """Makes a row with two rounds on few pairs; `**config` is its configuration."""

    def make(
        variant: str = "mlp",
        *,
        name: str = "report/row",
        tuned_by: str | None = None,
        seed: int = 0,
        dataset: str = "digits",
        protocol: dict[str, Any] | None = None,
        **config: Any,
    ) -> Job:
        small = {"batch_size": 8, "epochs": 2, "hidden": 8, "lr": 0.01}
        if variant.startswith("cnn"):
            small |= {"channels": (2, 3), "dropout": 0.3}
        values = {**small, **config}
        measured: dict[str, Any] = {
            "kind": "rounds",
            "count": 2,
            "fresh_data": False,
            "train_pairs": 24,
            "test_pairs": 20,
        }
        return Job(
            preset=Preset(name=name, variant=variant, config=values, tuned_by=tuned_by),
            protocol=Protocol(**{**measured, **(protocol or {})}),
            config=VARIANTS[variant].config.from_dict(values),
            dataset=dataset,
            seed=seed,
        )

    return make


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretends that there are two CPUs, and lets the helper process do all the training."""
    own = Spread._next

    def of_a_helper(self: Spread[Any]) -> int | None:
        program = threading.current_thread() is threading.main_thread()
        return None if program and self._places else own(self)

    monkeypatch.setattr(Spread, "_next", of_a_helper)
    monkeypatch.setattr(spread, "HELP_AFTER_S", 0.0)
    monkeypatch.setattr(spread, "available_cpus", lambda: 2)
