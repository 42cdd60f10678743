import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray import tune
from rich.console import Console

from foldsweep.errors import UserError
from search_spaces.space import SearchSpace
from sweeps import sweep as sweep_module
from sweeps.resources import Allotment
from sweeps.settings import SweepSettings
from sweeps.sweep import run_tags, sweep_space
from sweeps.tracking.spool import SPOOL_FILE
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.tasks.larger_digit import TASK
from trainables.tasks.samples import Data
from trainables.trial import Context, CrossValidation

ALLOTMENT = Allotment(cpus=1, gpus=0, concurrency=1)


@pytest.fixture(scope="module")
def data() -> Data:
    return draw_pairs(digits_source(), seed=0, train_pairs=20, test_pairs=5)


@pytest.mark.parametrize("times", [1, 2])
def test_a_sweep_whose_study_is_gone_does_not_start_over(
    make_space: Callable[..., SearchSpace], data: Data, tmp_path: Path, times: int
) -> None:
    """Its runs in MLflow would be those of other trials; neither Ray nor a tracker starts."""
    folder = tmp_path / "first" / "small"
    folder.mkdir(parents=True)
    (folder / SPOOL_FILE).write_text("")
    for _ in range(times):
        with pytest.raises(UserError, match=r"sweep first cannot go on: its study is gone") as no:
            sweep_space(
                SweepSettings(
                    space=("small",), folds=3, storage=str(tmp_path), resume="first"
                ).for_task(TASK),
                make_space(),
                data,
                name="first",
                folder=folder,
                checkpoint_root=str(tmp_path / "first"),
                tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
                allotment=ALLOTMENT,
                console=Console(),
            )
        assert str(tmp_path / "first") in str(no.value)
    assert (folder / SPOOL_FILE).read_text() == ""
    assert not (tmp_path / "mlflow.db").exists()


class NoTracker:
    """Takes everything and keeps nothing."""

    problem = ""

    def __init__(self, *_: Any) -> None:
        pass

    def open_trials(self) -> set[int]:
        return set()

    def close(self, wait_s: float) -> int:
        return 0

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


@pytest.fixture
def context_of(
    make_space: Callable[..., SearchSpace],
    data: Data,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Context]:
    """What the trials of a sweep are given; none is run."""

    def make(**settings: Any) -> Context:
        contexts: list[Context] = []

        def fit(lifecycle: Any, context: Context, *_: Any) -> bool:
            contexts.append(context)
            return False

        monkeypatch.setattr(sweep_module, "_fit", fit)
        monkeypatch.setattr(sweep_module, "Tracker", NoTracker)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        space = make_space(**settings.pop("space", {}))
        sweep_space(
            SweepSettings(space=("small",), folds=3, storage=str(tmp_path), **settings).for_task(
                TASK
            ),
            space,
            data,
            name="first",
            folder=folder,
            checkpoint_root=str(folder),
            tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
            allotment=ALLOTMENT,
            console=Console(),
        )
        return contexts[0]

    return make


def test_trials_are_cross_validated_and_never_see_a_test_pair(
    context_of: Callable[..., Context], data: Data
) -> None:
    context = context_of()
    assert context.data is data
    validated = np.concatenate([fold.val for fold in context.folds])
    assert sorted(validated) == list(range(len(data.train)))


def test_a_selection_on_test_trains_on_all_training_pairs_and_scores_all_test_pairs(
    context_of: Callable[..., Context], data: Data, make_space: Callable[..., SearchSpace]
) -> None:
    context = context_of(select_on_test=True)
    assert len(context.folds) == 3
    images = context.data.train.inputs["images"]
    for fold in context.folds:
        assert np.array_equal(images[fold.train], data.train.inputs["images"])
        assert np.array_equal(images[fold.val], data.test_rows.inputs["images"])
    space = make_space()
    config = space.complete({"lr": 0.01, "batch_size": 8, "hidden": 8}, epochs=1)
    trial = CrossValidation(space.variant, config, context, 0)
    assert len({member.seed for member in trial.stack.members}) == 3


@pytest.mark.parametrize("on_test", [False, True])
def test_every_run_of_a_selection_on_test_says_so(
    make_space: Callable[..., SearchSpace], data: Data, on_test: bool
) -> None:
    settings = SweepSettings(space=("small",), select_on_test=on_test)
    tags = run_tags(settings, make_space(), data, "first/small", ALLOTMENT)
    assert tags.get("foldsweep.selected_on") == ("test" if on_test else None)


@pytest.mark.parametrize(
    ("settings", "last"),
    [
        ({}, 9),
        ({"epochs": 4}, 4),
        ({"space": {"domains": {"lr": 0.1}, "grid": {"epochs": (2, 5)}}, "sampler": "grid"}, 5),
        ({"space": {"domains": {"epochs": tune.choice([2, 7])}}}, 7),
    ],
)
def test_the_last_report_is_at_the_epochs_of_the_longest_trial(
    context_of: Callable[..., Context], settings: dict[str, Any], last: int
) -> None:
    assert context_of(**settings).report_at[-1] == last


def test_ctrl_c_after_a_sweep_is_not_swallowed(
    make_space: Callable[..., SearchSpace],
    data: Data,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tune takes the signal to end its run, and keeps it when that has ended."""
    handler = signal.getsignal(signal.SIGINT)
    ran = []

    def run(*_: Any, **__: Any) -> None:
        ran.append(signal.signal(signal.SIGINT, lambda *_: None))

    monkeypatch.setattr(tune, "run", run)
    monkeypatch.setattr(tune, "with_parameters", lambda trainable, **_: trainable)
    monkeypatch.setattr(sweep_module, "Tracker", NoTracker)
    try:
        sweep_space(
            SweepSettings(space=("small",), folds=3, storage=str(tmp_path)).for_task(TASK),
            make_space(),
            data,
            name="first",
            folder=tmp_path,
            checkpoint_root=str(tmp_path),
            tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
            allotment=ALLOTMENT,
            console=Console(quiet=True),
        )
        assert ran == [handler]
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, handler)
