"""Sweeps that run no trials: the context of their trials, and their records."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search_spaces.space import SearchSpace
from sweeps import sweep as sweep_module
from sweeps.lifecycle import Lifecycle
from tests.sweeps.sweep.dry import Noted, NoTracker, sweep_in
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.tasks.options import TableOptions
from trainables.tasks.samples import Data
from trainables.tasks.tables import table_task
from trainables.tasks.task import Task
from trainables.trial import Context


@pytest.fixture(scope="module")
def data() -> Data:
    return draw_pairs(digits_source(), seed=0, train_pairs=20, test_pairs=5)


@pytest.fixture
def context_of(
    make_space: Callable[..., SearchSpace],
    data: Data,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Context]:
    """Returns the context of a sweep's trials, without running any."""

    def make(**settings: Any) -> Context:
        contexts: list[Context] = []

        def fit(lifecycle: Any, context: Context, *_: Any, **__: Any) -> bool:
            contexts.append(context)
            return False

        monkeypatch.setattr(sweep_module, "fit", fit)
        monkeypatch.setattr(sweep_module, "Tracker", NoTracker)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        sweep_in(folder, make_space(**settings.pop("space", {})), data, folds=3, **settings)
        return contexts[0]

    return make


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Noted]:
    """Starts or resumes a sweep without running trials; returns its records."""

    def run(space: SearchSpace, data: Data, *, resume: bool = False, **settings: Any) -> Noted:
        started: list[Any] = []
        lives: list[Lifecycle] = []

        class Noting(NoTracker):
            def start_sweep(self, name: str, params: Any, tags: Any, dataset: Any) -> None:
                started.append((params, tags))

        monkeypatch.setattr(sweep_module, "Tracker", Noting)
        monkeypatch.setattr(sweep_module, "fit", lambda life, *_, **__: bool(lives.append(life)))
        sweep_in(tmp_path, space, data, resume="first" if resume else None, **settings)
        return Noted(*started[0], lives[0].runs.tags)

    return run


@pytest.fixture(scope="module")
def table() -> Task:
    return table_task(TableOptions(data="wine"), seed=0, objective=None)
