"""Trials that are paused at a rung, and promoted later."""

import io

import pytest
from optuna.trial import TrialState
from rich.console import Console

from foldsweep import names
from sweeps import checkpoints
from sweeps.lifecycle import Lifecycle, tally
from sweeps.progress import Progress
from tests.refusals import text
from tests.sweeps.lifecycle.recorder import (
    MakeLifecycle,
    Recorder,
    result,
)
from trainables.checkpoints import checkpoint_sizes, load_checkpoint, save_checkpoint
from trainables.trainable import REPORTED_AT, TRIAL_NUMBER

TRIALS = 12
"""Number of trials; eleven of them are sampled, enough for early stopping."""


def paused(life: Lifecycle, key: str, accuracy: float) -> bool:
    """Whether a new trial is paused at the rung of 3 epochs with this accuracy."""
    config = life.start(key)
    assert config is not None
    report = result(accuracy, epoch=3)
    stops = life.result(key, report)
    if stops:
        life.end(key, report)
    return bool(stops)


@pytest.fixture
def life(make_lifecycle: MakeLifecycle) -> Lifecycle:
    return make_lifecycle(trials=TRIALS, scheduler="asha")


def test_the_baseline_continues_and_others_are_compared(life: Lifecycle) -> None:
    """Of the first three trials at the rung, the best is promoted."""
    assert not paused(life, "a", 0.1)
    assert paused(life, "b", 0.7)
    assert paused(life, "c", 0.6)
    assert life.ledger.paused() == {2: 3}
    assert life.num_paused == 1
    assert life.ledger.trials_left == 11  # the baseline, the promoted trial and nine new trials
    config = life.start("d")
    assert config is not None
    assert (config[TRIAL_NUMBER], config[REPORTED_AT]) == (1, 3)
    assert life.ended == {}


def test_the_number_of_tried_trials_never_falls(life: Lifecycle) -> None:
    shown = Progress(life, Console(file=io.StringIO()), time_budget=None)
    lines = []
    for step in (
        lambda: paused(life, "a", 0.1),  # the baseline trains on
        lambda: paused(life, "b", 0.7),
        lambda: paused(life, "c", 0.6),
        lambda: life.start("d"),  # trial 1 is promoted
        lambda: life.end("d", result(0.65, since=3)),
    ):
        step()
        lines.append(shown.line())
    shown.stop()
    for line, tried in zip(lines, (0, 1, 2, 2, 2), strict=True):
        assert text("progress.tried", space="small", tried=tried, budget=12) in line


def test_a_paused_trial_has_a_run_that_is_over_until_it_is_promoted(
    life: Lifecycle, recorder: Recorder
) -> None:
    paused(life, "a", 0.1)
    recorder.events.clear()
    assert paused(life, "b", 0.6)
    assert recorder.events == [
        ("start", 1),
        ("history", 1),
        ("metrics", 1),
        ("tags", 1),
        ("end", 1, "FINISHED"),
    ]
    assert recorder.tags[1][names.TAG_STATE] == names.PAUSED
    assert recorder.values[1]["fold_0/val_accuracy"] == pytest.approx(0.59)
    assert paused(life, "c", 0.5)
    assert life.start("d") is not None  # resumes trial 1
    assert recorder.tags[1][names.TAG_STATE] == "RUNNING"
    life.end("d", result(0.65, since=3))
    assert recorder.tags[1][names.TAG_STATE] == "COMPLETE"
    assert life.best is not None
    assert life.best.number == 1


def test_what_was_measured_is_where_the_sweep_lives_before_the_study_pauses_a_trial(
    life: Lifecycle, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused(life, "a", 0.1)
    life.start("b")

    def told(number: int, *args: object, **options: object) -> bool:
        recorder.events.append(("report", number))
        return True

    monkeypatch.setattr(life.ledger, "report", told)
    recorder.secured.clear()
    recorder.events.clear()
    assert life.result("b", result(0.6, epoch=3))
    assert recorder.events == [("history", 1), ("metrics", 1), ("report", 1)]
    assert recorder.secured == [2]


def test_a_kill_leaves_paused_trials_paused_and_ends_their_runs(
    make_lifecycle: MakeLifecycle, life: Lifecycle
) -> None:
    paused(life, "a", 0.1)
    paused(life, "b", 0.7)
    paused(life, "c", 0.6)
    again = Recorder(still_open={0, 1, 2})
    resumed = make_lifecycle(trials=TRIALS, scheduler="asha", resume=True, tracker=again)
    assert resumed.paused == {2: 3}
    assert again.events == [("tags", 2), ("end", 2, "FINISHED")]
    assert again.tags[2] == {names.TAG_STATE: names.PAUSED}
    assert [resumed.start(key)[TRIAL_NUMBER] for key in "de"] == [0, 1]  # type: ignore[index]


def test_a_promoted_trial_that_crashes_is_trained_again_from_its_rung(life: Lifecycle) -> None:
    paused(life, "a", 0.1)
    paused(life, "b", 0.7)
    paused(life, "c", 0.6)
    assert life.start("d")[TRIAL_NUMBER] == 1
    life.crashed("d", "broken")
    life.attempts.max_failures = 1
    life.lost("d")
    config = life.start("e")
    assert (config[TRIAL_NUMBER], config[REPORTED_AT]) == (1, 3)
    assert not life.result("e", result(0.7, epoch=3))  # it started again at its first epoch
    life.end("e", result(0.8))
    assert life.ended == {TrialState.COMPLETE: 1}


def test_the_best_paused_ones_are_trained_until_three_are_complete(
    life: Lifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example if all other trials have failed."""
    monkeypatch.setattr(tally, "LEAST_ENDED_TO_GIVE_UP", 100)
    paused(life, "a", 0.1)
    life.end("a", result(0.2))
    for i in range(11):
        config = life.start("b")
        if config.get(REPORTED_AT):
            life.fail("b")
        elif life.result("b", result(0.5 - i / 100, epoch=3)):
            life.end("b", result(0.5 - i / 100, epoch=3))
        else:
            life.fail("b")
    while (config := life.start("b")) is not None:
        assert life.ledger.trials_left
        life.end("b", result(0.6))
    assert life.ledger.trials_left == 0
    sampled = [t for t in life.ledger.ended() if t.is_sampled]
    assert sum(t.state == TrialState.COMPLETE for t in sampled) >= 3


def test_checkpoints_of_the_worst_paused_trials_go_first(
    life: Lifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "MOST_BYTES", 250)
    folder = life.checkpoint_folder
    for number, (epoch, score) in enumerate([(3, 0.5), (9, 0.1), (3, 0.7), (3, 0.6)]):
        save_checkpoint(folder, number, {"epoch": epoch})
        life.saved.pause(number, epoch, score, 100)
    kept = [number for number in range(4) if load_checkpoint(folder, number) is not None]
    assert kept == [1, 2]
    life.saved.resume(1)
    life.saved.pause(4, 3, 0.1, 100)
    assert load_checkpoint(folder, 1) is not None
    assert load_checkpoint(folder, 2) is not None


def test_checkpoints_from_before_a_resumption_count(
    make_lifecycle: MakeLifecycle, life: Lifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = life.checkpoint_folder
    for key, score in zip("abcde", (0.1, 0.7, 0.6, 0.4, 0.5), strict=True):
        paused(life, key, score)
    numbers = sorted(life.ledger.paused())
    assert len(numbers) >= 2
    for number in numbers:
        save_checkpoint(folder, number, {"epoch": 3})
    size = checkpoint_sizes(folder)[numbers[0]]
    monkeypatch.setattr(checkpoints, "MOST_BYTES", len(numbers) * size)
    resumed = make_lifecycle(trials=TRIALS, scheduler="asha", resume=True, tracker=Recorder())
    assert sorted(checkpoint_sizes(folder)) == numbers
    resumed.saved.pause(99, 3, 0.9, size)
    worst = min(numbers, key=lambda n: resumed.ledger.frozen(n).intermediate_values[3])
    assert sorted(checkpoint_sizes(folder)) == [n for n in numbers if n != worst]


def test_the_checkpoint_of_an_ended_trial_goes_when_a_sweep_is_resumed(
    make_lifecycle: MakeLifecycle, life: Lifecycle
) -> None:
    """A driver was killed after the study had the trial's end, before it deleted the file."""
    folder = life.checkpoint_folder
    paused(life, "a", 0.1)
    life.end("a", result(0.5))
    paused(life, "b", 0.7)
    for number in (0, 1):
        save_checkpoint(folder, number, {"epoch": 3})
    make_lifecycle(trials=TRIALS, scheduler="asha", resume=True, tracker=Recorder())
    assert sorted(checkpoint_sizes(folder)) == [1]


def test_a_sweep_resumed_without_a_scheduler_trains_all_paused_trials(
    make_lifecycle: MakeLifecycle, life: Lifecycle
) -> None:
    paused(life, "a", 0.1)
    paused(life, "b", 0.7)
    paused(life, "c", 0.6)
    resumed = make_lifecycle(trials=3, scheduler="none", resume=True, tracker=Recorder())
    configs = [resumed.start(key) for key in "def"]
    assert [(c[TRIAL_NUMBER], c[REPORTED_AT]) for c in configs if c] == [(0, 3), (1, 3), (2, 3)]
    assert resumed.start("g") is None
