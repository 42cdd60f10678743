import math
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from optuna.trial import TrialState
from ray import tune

from search_spaces.space import SearchSpace
from sweeps import checkpoints
from sweeps.gate import Gate
from sweeps.lifecycle import runs
from sweeps.messages import failed_apart
from sweeps.outcomes import RESULT_ATTR, failure_of
from sweeps.sampling import MOST_REDRAWS
from tests.refusals import said_as, text
from tests.sweeps.lifecycle.recorder import (
    ENOUGH,
    EQUAL,
    Event,
    MakeLifecycle,
    Recorder,
    result,
    run,
)
from trainables.checkpoints import load_checkpoint, save_checkpoint
from trainables.models.pairs.variants import CNN_TRANSFER
from trainables.tasks.samples import Data


def test_the_study_is_told_of_its_epochs_only(make_lifecycle: MakeLifecycle) -> None:
    """Other epochs are left out; the last one is stored as the trial's values only."""
    life = make_lifecycle()
    life.start("a")
    life.result("a", result(epoch=2))
    life.result("a", result(epoch=5, since=2))
    assert set(life.ledger.frozen(0).intermediate_values) == {3}
    life.end("a", result(epoch=9, since=5))
    assert set(life.ledger.frozen(0).intermediate_values) == {3}


def test_a_report_without_the_objective_passes_on_those_before_it(
    make_lifecycle: MakeLifecycle,
) -> None:
    """A metric over all held-out rows is measured at some epochs only."""
    life = make_lifecycle()
    life.start("a")
    report = result(0.7, epoch=4)
    for row in (report, report["history"][0], report["history"][1], report["history"][3]):
        del row["val_accuracy"]
    life.result("a", report)
    assert life.ledger.frozen(0).intermediate_values == {3: pytest.approx(0.8)}


def test_a_trial_starts_with_a_whole_configuration(
    make_lifecycle: MakeLifecycle, recorder: Recorder
) -> None:
    life = make_lifecycle()
    config = life.start("a")
    assert config is not None
    assert config.pop("trial_number") == 0
    assert (config["epochs"], config["lr"], config["batch_size"]) == (9, 0.5, 7)
    assert life.space.complete(config).to_dict() == config
    assert recorder.params[0] == config
    tags = recorder.tags[0]
    assert (tags["foldsweep.kind"], tags["foldsweep.trial"]) == ("trial", "0")
    assert tags["foldsweep.origin"] == "report/row"
    assert tags["foldsweep.sweep"] == "first/small"
    life.start("b")
    assert "foldsweep.origin" not in recorder.tags[1]


def test_what_was_measured_is_logged_before_the_study_is_told_and_the_end_after(
    make_lifecycle: MakeLifecycle, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = make_lifecycle(trials=ENOUGH)
    for owner, name in (
        (life.ledger, "complete"),
        (life.ledger, "prune"),
        (life.ledger, "fail"),
        (checkpoints, "delete_checkpoint"),
    ):
        monkeypatch.setattr(owner, name, recorder.noting(name, getattr(owner, name)))
    run(life, "a")
    expected: list[Event] = [("start", 0), ("history", 0), ("metrics", 0), ("complete", 0)]
    assert recorder.events == [
        *expected,
        ("tags", 0),
        ("end", 0, "FINISHED"),
        ("delete", 0),
    ]
    recorder.events.clear()
    life.start("b")
    life.start("c")
    assert not life.result("b", result(0.9, epoch=3))
    assert life.result("c", result(0.1, epoch=3))
    life.end("c", result(0.1, epoch=3))
    assert recorder.events[4:] == [
        ("history", 2),
        ("metrics", 2),
        ("prune", 2),
        ("tags", 2),
        ("end", 2, "FINISHED"),
        ("delete", 2),
    ]
    recorder.events.clear()
    life.end("b", result(math.nan, loss=math.nan))
    assert recorder.events == [
        ("history", 1),
        ("fail", 1),
        ("tags", 1),
        ("end", 1, "FAILED"),
        ("delete", 1),
    ]


def test_the_end_of_a_trial_is_logged_in_full(
    make_lifecycle: MakeLifecycle, recorder: Recorder
) -> None:
    life = make_lifecycle()
    life.start("a")
    life.result("a", result(0.7, epoch=3))
    life.end("a", result(0.75, since=3, loss=0.5))
    values = recorder.values[0]
    assert values["best_val_accuracy"] == pytest.approx(0.85)
    assert values["best_val_loss"] == pytest.approx(0.4)
    assert (values["fold_0/val_accuracy"], values["fold_1/val_accuracy"]) == (0.74, 0.76)
    assert (values["num_params"], values["train_time_s"]) == (100.0, 1.5)
    assert recorder.steps[0] == list(range(1, 10))
    assert recorder.tags[0]["foldsweep.state"] == "COMPLETE"
    trial = life.ledger.frozen(0)
    assert trial.values == [0.75]
    kept = trial.user_attrs[RESULT_ATTR]
    assert kept["by_fold"]["val_accuracy"] == [0.74, 0.76]
    assert (kept["epoch"], kept["num_params"], kept["train_time_s"]) == (9, 100, 1.5)


def test_a_stopped_trial_is_told_as_pruned(
    make_lifecycle: MakeLifecycle, recorder: Recorder
) -> None:
    life = make_lifecycle(trials=ENOUGH)
    run(life, "baseline")
    for key, accuracy, stops in (("a", 0.9, False), ("b", 0.1, True)):
        life.start(key)
        assert life.result(key, result(accuracy, epoch=3)) is stops
    life.end("b", result(0.1, epoch=3))
    trial = life.ledger.frozen(2)
    assert (trial.state, trial.value) == (TrialState.PRUNED, 0.1)
    assert trial.user_attrs[RESULT_ATTR]["epoch"] == 3
    assert recorder.tags[2]["foldsweep.state"] == "PRUNED"
    assert life.ended[TrialState.PRUNED] == 1


TRANSFER = {"lr": tune.loguniform(1e-4, 1e-2), "pretrain": 0.5}


def test_epochs_before_the_comparison_is_trained_are_logged_and_not_judged(
    make_lifecycle: MakeLifecycle, make_space: Callable[..., SearchSpace], recorder: Recorder
) -> None:
    """The first two of nine epochs pretrain; the rung is at three."""
    space = make_space(variant=CNN_TRANSFER, domains={**TRANSFER, "pretrain": 0.2}, points=())
    life = make_lifecycle(space=space, trials=ENOUGH)
    for key, accuracy in (("a", 0.9), ("b", 0.1)):
        life.start(key)
        assert not life.result(key, result(accuracy, epoch=1))
    assert recorder.steps == {0: [1], 1: [1]}
    assert life.ledger.frozen(1).intermediate_values == {}
    assert not life.result("a", result(0.9, epoch=3, since=1))
    assert life.result("b", result(0.1, epoch=3, since=1))
    assert life.ledger.frozen(1).intermediate_values == {3: 0.1}
    life.end("b", result(0.1, epoch=3, since=3))
    assert life.ledger.ended()[0].state == TrialState.PRUNED


def test_nor_are_they_at_a_rung_or_where_a_checkpoint_makes_up_for_their_report(
    make_lifecycle: MakeLifecycle, make_space: Callable[..., SearchSpace]
) -> None:
    """The first four of nine epochs pretrain; the rung is at three."""
    space = make_space(variant=CNN_TRANSFER, domains=TRANSFER, points=())
    life = make_lifecycle(space=space, trials=ENOUGH)
    for key, accuracy in (("a", 0.9), ("b", 0.1)):
        life.start(key)
        assert not life.result(key, result(accuracy, epoch=3))
    life.start("c")
    for key in "abc":
        life.end(key, result(0.75))
    assert [set(life.ledger.frozen(n).intermediate_values) for n in range(3)] == [set()] * 3


@pytest.mark.parametrize(("searched", "trained"), [((5, 7), {5, 7}), ((5, 20), {5, 9})])
def test_a_space_that_varies_the_epochs_trains_no_more_than_the_sweep(
    make_lifecycle: MakeLifecycle,
    make_space: Callable[..., SearchSpace],
    searched: tuple[int, int],
    trained: set[int],
) -> None:
    space = make_space(domains={}, grid={"epochs": searched}, points=())
    life = make_lifecycle(space=space, sampler="grid", trials=None)
    configs = [life.start(key) for key in "ab"]
    assert {config["epochs"] for config in configs if config} == trained


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_diverged_trial_fails_with_the_epoch(
    make_lifecycle: MakeLifecycle, recorder: Recorder, loss: float
) -> None:
    life = make_lifecycle()
    life.start("a")
    life.end("a", result(math.nan, epoch=4, loss=loss))
    trial = life.ledger.frozen(0)
    reason = text("trials.loss-not-finite", epoch=4)
    assert (trial.state, failure_of(trial)[1]) == (TrialState.FAIL, reason)
    assert recorder.tags[0]["foldsweep.error"] == reason
    assert recorder.tags[0]["foldsweep.state"] == "FAIL"
    assert life.attempts.last_error == text("attempts.of-trial", trial=0, error=reason)
    assert life.best is None


def test_the_traceback_of_a_crash_is_kept_and_named(
    make_lifecycle: MakeLifecycle, recorder: Recorder, tmp_path: Path
) -> None:
    life = make_lifecycle()
    kept = tmp_path / "errors" / "trial_00000.txt"
    life.start("a")
    life.crashed("a", "ValueError: no", "Traceback ...\nValueError: no\n")
    life.crashed("a", "ValueError: again", "Traceback ...\nValueError: again\n")
    assert kept.read_text() == "Traceback ...\nValueError: again\n"
    assert recorder.artifacts == []  # not yet: a retry may succeed
    life.fail("a")
    error = text("attempts.traceback", error="ValueError: again", file=kept)
    assert life.attempts.last_error == text("attempts.of-trial", trial=0, error=error)
    assert failure_of(life.ledger.frozen(0))[1] == error
    assert recorder.tags[0]["foldsweep.error"] == error
    assert recorder.artifacts == [(0, kept)]
    assert recorder.events.index(("artifact", 0)) < recorder.events.index(("end", 0, "FAILED"))


def test_a_trial_that_diverges_has_no_traceback(
    make_lifecycle: MakeLifecycle, recorder: Recorder, tmp_path: Path
) -> None:
    life = make_lifecycle()
    life.start("a")
    life.end("a", result(math.nan, loss=math.nan))
    assert recorder.artifacts == []
    assert not (tmp_path / "errors").exists()


def test_a_traceback_is_named_as_it_can_be_typed_here(
    make_lifecycle: MakeLifecycle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    life = make_lifecycle()
    life.start("a")
    life.crashed("a", "ValueError: no", "Traceback")
    file = "errors/trial_00000.txt"
    error = text("attempts.traceback", error="ValueError: no", file=file)
    assert life.attempts.last_error == text("attempts.of-trial", trial=0, error=error)


def test_a_crash_is_told_only_when_it_is_not_tried_again(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle()
    life.start("a")
    life.crashed("a", "out of memory")
    assert not life.ledger.ended()
    life.result("a", result(0.5, epoch=3))
    life.crashed("a", "out of memory again")
    life.fail("a")
    assert failure_of(life.ledger.frozen(0))[1] == "out of memory again"
    last_error = text("attempts.of-trial", trial=0, error="out of memory again")
    assert (life.running, life.attempts.last_error) == ({}, last_error)


def test_a_retried_trial_that_ends_well_is_complete(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle()
    life.start("a")
    life.crashed("a", "out of memory")
    life.end("a", result())
    assert life.ledger.ended()[0].state == TrialState.COMPLETE


def test_an_invalid_configuration_fails_and_the_next_is_asked(
    make_lifecycle: MakeLifecycle, make_space: Callable[..., SearchSpace], recorder: Recorder
) -> None:
    life = make_lifecycle(space=make_space(**EQUAL), trials=12)
    while life.start("a") is not None:
        life.end("a", result())
    assert life.running == {}
    assert life.ended == {TrialState.COMPLETE: 12, TrialState.FAIL: life.failures["refused"]}
    refused = next(t for t in life.ledger.ended() if t.state == TrialState.FAIL)
    reason = failure_of(life.ledger.frozen(refused.number))[1]
    error = text("config.value-refused", field="hidden_layers", rule="RULE", value="VALUE")
    invalid = re.escape(text("trials.not-valid", error=error))
    assert re.fullmatch(invalid.replace("RULE", ".*").replace("VALUE", r"\d"), reason)
    assert recorder.tags[refused.number]["foldsweep.error"] == reason
    assert ("end", refused.number, "FAILED") in recorder.events


def test_a_trial_of_which_no_draw_meets_the_constraint_is_refused_untrained(
    make_lifecycle: MakeLifecycle,
    make_space: Callable[..., SearchSpace],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    space = make_space(constraint=lambda config: config.dropout < 0.3, points=())
    gate = Gate(space, [], Data.of(np.arange(40.0).reshape(20, 2), np.arange(20.0)))
    life = make_lifecycle(space=space, gate=gate, trials=3)
    assert (life.start("a") or {})["dropout"] < 0.3
    asked = life.ledger.redraws
    with monkeypatch.context() as patch:
        patch.setattr(Gate, "passes", lambda self, config: False)
        assert life.start("b") is None  # all permitted trials, and as many again
    assert life.failures == {"refused": 5}
    assert life.ledger.redraws == asked + 5 * MOST_REDRAWS
    refusal = text("gate.no-configuration", conditions=text("gate.its-constraint"))
    error = text("trials.not-valid", error=refusal)
    assert failure_of(life.ledger.frozen(1))[1] == error
    end = SimpleNamespace(ledger=life.ledger)
    refusals, redraws = failed_apart(end, life.ledger.settings)  # type: ignore[arg-type]
    assert refusals == text(
        "messages.untrainable",
        space="small",
        configurations="5 configurations",
        instead=text("messages.tried-instead", more=3),
        trial=1,
        error=error,
    )
    assert redraws == text(
        "messages.redrawn",
        space="small",
        configurations=f"{life.ledger.redraws} configurations",
        conditions=text("gate.its-constraint"),
    )


def test_checkpoints_go_when_trials_end(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle()
    for key in "abc":
        life.start(key)
    for number in range(3):
        save_checkpoint(life.checkpoint_folder, number, {"epoch": 1})
    life.end("a", result())
    life.crashed("b", "broken")
    life.fail("b")
    left = [load_checkpoint(life.checkpoint_folder, number) for number in range(3)]
    assert left == [None, None, {"epoch": 1}]


def test_a_checkpoint_that_cannot_be_deleted_fails_nothing_and_goes_later(
    make_lifecycle: MakeLifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = make_lifecycle()
    for key in "abc":
        life.start(key)
        save_checkpoint(life.checkpoint_folder, life.running[key].asked.number, {"epoch": 1})
    asked: list[int] = []

    def away(folder: str, number: int) -> None:
        asked.append(number)
        raise OSError("AWS Error SLOW_DOWN")

    monkeypatch.setattr(checkpoints, "delete_checkpoint", away)
    life.end("a", result())
    life.end("b", result())
    assert life.ended == {TrialState.COMPLETE: 2}
    assert not life.failures
    assert said_as("outages.away", service="storage").fullmatch(life.outages.shown())
    assert asked == [0]  # no call for a while, since each one delays all trials
    monkeypatch.undo()
    monkeypatch.setattr(checkpoints, "STORE_RESTS_S", 0.0)
    life.saved.delete_left_over()
    assert [load_checkpoint(life.checkpoint_folder, n) for n in range(3)] == [
        None,
        None,
        {"epoch": 1},
    ]
    assert not life.saved.left_over
    assert not life.outages.shown()


def test_what_workers_say_of_the_store_is_shown_as_long_as_any_says_so(
    make_lifecycle: MakeLifecycle,
) -> None:
    life = make_lifecycle(scheduler="none")
    for key in "ab":
        life.start(key)
    life.result("a", {**result(epoch=3), "unsaved": [40.0, "AWS Error SLOW_DOWN"]})
    life.result("b", {**result(epoch=3), "unsaved": [1.0, "AWS Error SLOW_DOWN"]})
    assert life.outages.shown() == text("outages.away", service="storage", seconds=40)
    assert life.outages.why() == "storage: AWS Error SLOW_DOWN"
    life.result("a", result(epoch=4, since=3))
    assert life.outages.shown()
    life.end("b", result(since=3))
    assert not life.outages.shown()


def test_records_are_where_the_sweep_lives_before_the_study_has_the_end(
    make_lifecycle: MakeLifecycle, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = make_lifecycle(trials=ENOUGH)
    told: list[tuple[str, int]] = []
    for name in ("complete", "fail"):
        do = getattr(life.ledger, name)

        def tell(number: int, *args: Any, do: Any = do, name: str = name) -> None:
            assert recorder.secured[-1:] == [len(recorder.events)]
            told.append((name, number))
            do(number, *args)

        monkeypatch.setattr(life.ledger, name, tell)
    run(life, "a")
    life.start("b")
    life.end("b", result(math.nan, loss=math.nan))
    assert told == [("complete", 0), ("fail", 1)]


def test_held_out_rows_of_a_complete_trial_are_kept_and_attached(
    make_lifecycle: MakeLifecycle, recorder: Recorder, tmp_path: Path
) -> None:
    life = make_lifecycle()
    life.start("a")
    life.take_held_out("a", b"rows")
    life.end("a", result())
    kept = tmp_path / "held_out" / "trial_00000.npz"
    assert kept.read_bytes() == b"rows"
    assert recorder.artifacts == [(0, kept)]
    assert recorder.events.index(("artifact", 0)) < recorder.events.index(("end", 0, "FINISHED"))
    assert set(life.ledger.frozen(0).user_attrs[RESULT_ATTR]) == {
        *("by_fold", "epoch", "num_params", "train_time_s"),
    }


def test_other_trials_keep_no_held_out_rows(
    make_lifecycle: MakeLifecycle, recorder: Recorder, tmp_path: Path
) -> None:
    """Those are pruned, diverged and crashed trials, and those whose objective has no rows."""
    life = make_lifecycle(trials=ENOUGH)
    run(life, "a")
    for key, accuracy in (("b", 0.9), ("c", 0.1)):
        life.start(key)
        life.result(key, result(accuracy, epoch=3))
        life.take_held_out(key, b"rows")
    life.end("c", result(0.1, epoch=3))
    life.end("b", result(math.nan, epoch=4, loss=math.nan))
    life.start("d")
    life.take_held_out("d", b"rows")
    life.crashed("d", "out of memory")
    life.fail("d")
    assert [t.state.name for t in life.ledger.ended()] == ["COMPLETE", "FAIL", "PRUNED", "FAIL"]
    assert recorder.artifacts == []
    assert not (tmp_path / "held_out").exists()


@pytest.mark.parametrize("killed_in", ["write_whole", "log_artifact", "complete"])
def test_no_trial_is_complete_without_its_held_out_rows_whenever_the_driver_dies(
    make_lifecycle: MakeLifecycle,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    killed_in: str,
) -> None:
    def killed(*args: Any) -> None:
        raise SystemExit

    life = make_lifecycle()
    owner = {"write_whole": runs, "log_artifact": recorder}.get(killed_in, life.ledger)
    life.start("a")
    life.take_held_out("a", b"rows")
    with monkeypatch.context() as patch:
        patch.setattr(owner, killed_in, killed)
        with pytest.raises(SystemExit):
            life.end("a", result())
    assert not life.ledger.ended()
    again = make_lifecycle(resume=True)
    config = again.start("x")
    assert config is not None
    assert config["trial_number"] == 0
    again.take_held_out("x", b"rows")
    again.end("x", result())
    kept = tmp_path / "held_out" / "trial_00000.npz"
    assert recorder.artifacts[-1] == (0, kept)
    assert kept.read_bytes() == b"rows"
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
