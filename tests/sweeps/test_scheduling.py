"""What Ray Tune is given. What it makes of it is tested in tests/integration."""

from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from sweeps.lifecycle import Lifecycle
from sweeps.scheduling import HeldOutTaker, LifecycleScheduler


def test_an_idle_process_is_not_offered_to_a_trial_whose_own_is_starting() -> None:
    """Ray's scheduler does offer it: the trial waits while its process starts."""
    starting = SimpleNamespace(status=Trial.PENDING)
    controller: Any = SimpleNamespace(get_trials=lambda: [starting])
    assert FIFOScheduler().choose_trial_to_run(controller) is starting
    scheduler = LifecycleScheduler(cast(Lifecycle, None))
    assert scheduler.choose_trial_to_run(controller) is None


def test_no_record_is_kept_of_trials_that_the_study_has() -> None:
    """Ray would write all of them out at the end, 80 KB of JSON each."""
    trial = Mock(spec=Trial, trial_id="1", **{"get_json_state.return_value": "80 KB"})
    controller: Any = SimpleNamespace(_trials_to_cache=set(), _trial_metadata={})
    TuneController._mark_trial_to_checkpoint(controller, trial)
    LifecycleScheduler(cast(Lifecycle, None)).on_trial_complete(controller, trial, {})
    assert TuneController._get_trial_checkpoints(controller) == {}
    TuneController._mark_trial_to_checkpoint(controller, trial)
    assert TuneController._get_trial_checkpoints(controller) == {"1": "80 KB"}


def test_held_out_rows_are_taken_out_of_a_result_before_loggers_see_it() -> None:
    taken: dict[str, bytes] = {}
    life: Any = SimpleNamespace(take_held_out=taken.__setitem__)
    trial = Mock(spec=Trial, trial_id="1")
    for result in ({"epoch": 3}, {"epoch": 9, "held_out": b"rows"}):
        HeldOutTaker(life).on_trial_result(1, [trial], trial, result)
        assert set(result) == {"epoch"}
    assert taken == {"1": b"rows"}
