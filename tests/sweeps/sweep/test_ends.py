"""A missing study, and the state that a sweep leaves behind."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from search_spaces.space import SearchSpace
from sweeps import sweep as sweep_module
from sweeps.tracking.spool import SPOOL_FILE
from tests.refusals import refused
from tests.sweeps.sweep.dry import NoTracker, sweep_in
from trainables.tasks.samples import Data


@pytest.mark.parametrize("times", [1, 2])
def test_a_sweep_whose_study_is_gone_does_not_start_over(
    make_space: Callable[..., SearchSpace], data: Data, tmp_path: Path, times: int
) -> None:
    """The existing runs in MLflow belong to other trials; neither Ray nor a tracker is started."""
    folder = tmp_path / "first" / "small"
    folder.mkdir(parents=True)
    (folder / SPOOL_FILE).write_text("")
    for _ in range(times):
        with refused("sweep.study-missing", sweep="first", folder=tmp_path / "first"):
            sweep_in(folder, make_space(), data, folds=3, resume="first")
    assert (folder / SPOOL_FILE).read_text() == ""
    assert not (folder / "mlflow.db").exists()


def test_ctrl_c_after_a_sweep_is_not_swallowed(
    make_space: Callable[..., SearchSpace],
    data: Data,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The handler of Ctrl-C is the same before and after a sweep."""
    handler = signal.getsignal(signal.SIGINT)
    ran = []

    def run(*_: Any, **__: Any) -> None:
        ran.append(signal.signal(signal.SIGINT, lambda *_: None))

    monkeypatch.setattr(tune, "run", run)
    monkeypatch.setattr(tune, "with_parameters", lambda trainable, **_: trainable)
    monkeypatch.setattr(sweep_module, "Tracker", NoTracker)
    try:
        sweep_in(tmp_path, make_space(), data, folds=3)
        assert len(ran) == 1
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, handler)
