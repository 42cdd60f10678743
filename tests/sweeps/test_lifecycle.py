import math
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sqlalchemy
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.trial import TrialState
from ray import tune

from foldsweep import names
from foldsweep.errors import UserError
from search_spaces.space import SearchSpace
from sweeps import lifecycle as lifecycle_module
from sweeps.ended import ERROR_ATTR, RESULT_ATTR
from sweeps.gate import Gate
from sweeps.ledger import Ledger
from sweeps.lifecycle import (
    LEAST_ENDED_TO_GIVE_UP,
    MOST_LOST,
    REFUSED_TO_GIVE_UP,
    Lifecycle,
)
from sweeps.messages import failed_apart
from sweeps.sampling import MOST_REDRAWS
from sweeps.scheduling import StudySearcher
from sweeps.tracking.spool import SPOOL_FILE, TrackingTarget, read_records
from sweeps.tracking.tracker import Tracker
from trainables.checkpoints import load_checkpoint, save_checkpoint
from trainables.models.pairs.variants import CNN_TRANSFER
from trainables.models.perceptron import PerceptronClassifierConfig
from trainables.tasks.samples import Data

Event = tuple[Any, ...]
MakeLifecycle = Callable[..., Lifecycle]
ENOUGH = 10
"""Trials, the baseline included, that are enough for early stopping."""


class Recorder:
    """Stands in for the tracker and notes what is called, beside what the study is told."""

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
    """Half of all combinations make no configuration."""

    def __post_init__(self) -> None:
        super().__post_init__()
        equal = self.hidden_layers == self.embedding
        self.require("hidden_layers", equal, f"equal to embedding, {self.embedding}")


EQUAL: dict[str, Any] = {
    "variant": replace(CNN_TRANSFER, config=EqualConfig),
    "domains": {"hidden_layers": tune.choice([1, 2]), "embedding": tune.choice([1, 2])},
    "points": (),
}


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def make_lifecycle(
    make_ledger: Callable[..., Ledger], recorder: Recorder, tmp_path: Path
) -> MakeLifecycle:
    def make(
        *,
        tracker: Any = recorder,
        objective: tuple[str, ...] = (names.val_key("accuracy"),),
        time_budget: float | None = None,
        max_failures: int = 0,
        **ledger: Any,
    ) -> Lifecycle:
        ledger = make_ledger(objective=objective, **ledger)
        return Lifecycle(
            ledger,
            tracker,
            space=ledger.space,
            objective=objective,
            epochs=9,
            report_at=(3, 9),
            tags={names.TAG_SWEEP: "first/small"},
            dataset={"name": "digits", "digest": "0123"},
            checkpoint_folder=str(tmp_path / "checkpoints"),
            error_folder=tmp_path / "errors",
            held_out_folder=tmp_path / "held_out",
            time_budget=time_budget,
            max_failures=max_failures,
        )

    return make


def result(
    accuracy: float = 0.5, epoch: int = 9, since: int = 0, loss: float = 1.0, params: int = 100
) -> dict[str, Any]:
    """What a Trainable returns; the epochs between `since` and `epoch` were a little better."""
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
    """Train a trial to its end."""
    config = life.start(key)
    assert config is not None
    life.end(key, result(**values))
    return int(config["trial_number"])


# One trial --------------------------------------------------------------------------------------


def test_the_study_is_told_of_its_epochs_only(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle()
    life.start("a")
    life.result("a", result(epoch=2))
    life.result("a", result(epoch=5, since=2))
    assert set(life.ledger.frozen(0).intermediate_values) == {3}
    life.end("a", result(epoch=9, since=5))
    assert set(life.ledger.frozen(0).intermediate_values) == {3, 9}


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
        (lifecycle_module, "delete_checkpoint"),
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
        ("end", 2, "KILLED"),
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
    """Two of nine; the rung is at three."""
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
    """Four of nine; the rung is at three."""
    space = make_space(variant=CNN_TRANSFER, domains=TRANSFER, points=())
    life = make_lifecycle(space=space, trials=ENOUGH)
    for key, accuracy in (("a", 0.9), ("b", 0.1)):
        life.start(key)
        assert not life.result(key, result(accuracy, epoch=3))
    life.start("c")
    for key in "abc":
        life.end(key, result(0.75))
    assert [set(life.ledger.frozen(n).intermediate_values) for n in range(3)] == [{9}, {9}, {9}]


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
    reason = "a loss became infinite or NaN in epoch 4"
    assert (trial.state, trial.user_attrs[ERROR_ATTR]) == (TrialState.FAIL, reason)
    assert recorder.tags[0]["foldsweep.error"] == reason
    assert recorder.tags[0]["foldsweep.state"] == "FAIL"
    assert life.last_error == f"trial 0: {reason}"
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
    assert recorder.artifacts == []  # it may be tried again, and end well
    life.fail("a")
    error = f"ValueError: again; traceback in {kept}"
    assert life.last_error == f"trial 0: {error}"
    assert life.ledger.frozen(0).user_attrs[ERROR_ATTR] == error
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
    assert life.last_error == "trial 0: ValueError: no; traceback in errors/trial_00000.txt"


def test_a_crash_is_told_only_when_it_is_not_tried_again(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle()
    life.start("a")
    life.crashed("a", "out of memory")
    assert not life.ledger.ended()
    life.result("a", result(0.5, epoch=3))
    life.crashed("a", "out of memory again")
    life.fail("a")
    assert life.ledger.frozen(0).user_attrs[ERROR_ATTR] == "out of memory again"
    assert (life.running, life.last_error) == ({}, "trial 0: out of memory again")


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
    reason = life.ledger.frozen(refused.number).user_attrs[ERROR_ATTR]
    assert reason.startswith("not a valid configuration: hidden_layers must be equal to embedding")
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
        assert life.start("b") is None  # all that may be tried, and as many again
    assert life.failures == {"refused": 5}
    assert life.ledger.redraws == asked + 5 * MOST_REDRAWS
    refused = life.ledger.frozen(1).user_attrs
    assert refused[ERROR_ATTR] == (
        "not a valid configuration: no draw was found that meets its constraint"
    )
    end = SimpleNamespace(ledger=life.ledger)
    refusals, redraws = failed_apart(end, life.ledger.settings)  # type: ignore[arg-type]
    assert refusals.startswith("small: 5 configurations cannot be trained, 3 more were tried")
    assert redraws == f"small: {life.ledger.redraws} draws were drawn again to meet its constraint"


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

    monkeypatch.setattr(lifecycle_module, "delete_checkpoint", away)
    life.end("a", result())
    life.end("b", result())
    assert life.ended == {TrialState.COMPLETE: 2}
    assert not life.failures
    assert life.outages.shown().startswith("storage away for")
    assert asked == [0]  # it is left alone for a while, since each call takes time of all trials
    monkeypatch.undo()
    monkeypatch.setattr(lifecycle_module, "STORE_RESTS_S", 0.0)
    life.delete_left_over()
    assert [load_checkpoint(life.checkpoint_folder, n) for n in range(3)] == [
        None,
        None,
        {"epoch": 1},
    ]
    assert not life.left_over
    assert not life.outages.shown()


def test_what_workers_say_of_the_store_is_shown_as_long_as_any_says_so(
    make_lifecycle: MakeLifecycle,
) -> None:
    life = make_lifecycle(scheduler="none")
    for key in "ab":
        life.start(key)
    life.result("a", {**result(epoch=3), "unsaved": [40.0, "AWS Error SLOW_DOWN"]})
    life.result("b", {**result(epoch=3), "unsaved": [1.0, "AWS Error SLOW_DOWN"]})
    assert life.outages.shown() == "storage away for 40 s"
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
    """Neither a pruned, a diverged or a crashed one, nor one whose objective has no rows."""
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
    owner = {"write_whole": lifecycle_module, "log_artifact": recorder}.get(killed_in, life.ledger)
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


# The sweep --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "scores", "best"),
    [
        ("val_accuracy", [0.5, 0.7, 0.6, 0.7], [0, 1, 1, 1]),
        ("val_loss", [0.5, 0.7, 0.4, 0.4], [0, 0, 2, 2]),
    ],
)
def test_the_best_is_followed(
    make_lifecycle: MakeLifecycle, objective: str, scores: list[float], best: list[int]
) -> None:
    life = make_lifecycle(objective=(objective,))
    found = []
    for score in scores:
        run(life, "a", **({"loss": score} if objective == "val_loss" else {"accuracy": score}))
        assert life.best is not None
        found.append(life.best.number)
    assert found == best
    again = make_lifecycle(objective=(objective,), resume=True)
    assert again.best == life.best


def test_of_equals_the_first_asked_is_the_best_whoever_ends_first(
    make_lifecycle: MakeLifecycle,
) -> None:
    life = make_lifecycle()
    life.start("first")
    life.start("second")
    life.end("second", result(0.7))
    life.end("first", result(0.7))
    assert life.best is not None
    assert life.best.number == 0
    assert make_lifecycle(resume=True).best == life.best


def test_several_objectives_are_told_together(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle(objective=("val_accuracy", "num_params"))
    run(life, "a", accuracy=0.5, params=10)
    life.start("b")
    assert not life.result("b", result(0.0, epoch=3))
    life.end("b", result(0.75, since=3, params=1000))
    assert [t.values for t in life.ledger.ended()] == [(0.5, 10.0), (0.75, 1000.0)]
    assert life.best is not None
    assert life.best.number == 1


def test_most_trials_failing_is_hopeless(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle(trials=20)
    seen = []
    for _ in range(LEAST_ENDED_TO_GIVE_UP):
        life.start("a")
        life.fail("a")
        seen.append(life.hopeless)
    assert seen == [False] * (LEAST_ENDED_TO_GIVE_UP - 1) + [True]


def test_a_resumed_sweep_is_given_another_chance(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle(trials=20)
    for _ in range(LEAST_ENDED_TO_GIVE_UP):
        life.start("a")
        life.fail("a")
    again = make_lifecycle(trials=20, resume=True)
    assert (again.ended[TrialState.FAIL], again.hopeless) == (LEAST_ENDED_TO_GIVE_UP, False)
    for _ in range(LEAST_ENDED_TO_GIVE_UP):
        again.start("a")
        again.fail("a")
    assert again.hopeless


def test_half_of_the_trials_failing_is_not(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle(trials=20)
    for _ in range(6):
        run(life, "a")
        life.start("b")
        life.fail("b")
        assert not life.hopeless


def test_time_is_up_after_the_budget(
    make_lifecycle: MakeLifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(lifecycle_module.time, "monotonic", lambda: now)
    life, unlimited = make_lifecycle(time_budget=10.0), make_lifecycle(resume=True)
    now = 109.9
    assert not life.out_of_time
    now = 110.0
    assert life.out_of_time
    now = 1e9
    assert not unlimited.out_of_time


@pytest.mark.parametrize("reopen", ["sqlite"], indirect=True)
def test_a_database_is_asked_for_nothing_while_trials_run(
    make_lifecycle: MakeLifecycle, reopen: Callable[[], BaseStorage]
) -> None:
    """A transaction is a step of a trial: its start, two reports, its result and its end."""
    storage = reopen()
    assert isinstance(storage, RDBStorage)
    life = make_lifecycle(over=storage)
    commits: list[object] = []
    sqlalchemy.event.listen(storage.engine, "commit", commits.append)
    for accuracy in (0.5, 0.7, 0.6):
        commits.clear()
        run(life, "a", accuracy=accuracy)
        assert len(commits) == 5
    assert life.best is not None
    assert (life.best.number, life.best.values["lr"]) == (1, life.ledger.chosen(1)["lr"])


# After a kill -----------------------------------------------------------------------------------


def test_runs_of_trials_that_ended_just_before_a_kill_are_closed(
    make_lifecycle: MakeLifecycle,
) -> None:
    first = make_lifecycle()
    run(first, "a")
    for key in "bc":
        first.start(key)
    first.crashed("b", "broken")
    first.fail("b")
    recorder = Recorder(still_open={0, 1, 2})
    again = make_lifecycle(tracker=recorder, resume=True)
    assert recorder.events == [
        ("tags", 0),
        ("end", 0, "FINISHED"),
        ("tags", 1),
        ("end", 1, "FAILED"),
    ]
    assert recorder.tags == {
        0: {"foldsweep.state": "COMPLETE"},
        1: {
            "foldsweep.state": "FAIL",
            "foldsweep.error": "broken",
            "foldsweep.failure": "crashed",
        },
    }
    assert again.ended == {TrialState.COMPLETE: 1, TrialState.FAIL: 1}
    assert again.ended_here == 0
    config = again.start("c")
    assert config is not None
    assert config["trial_number"] == 2


@pytest.fixture
def open_tracker(tmp_path: Path) -> Iterator[Callable[[], Tracker]]:
    """Trackers of one folder, for a server that is not there."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    target = TrackingTarget(
        tracking_uri=f"http://127.0.0.1:{port}",
        experiment="digits",
        sweep="first/small",
        study_storage="study.journal",
        study_name="first/small",
    )
    opened: list[Tracker] = []

    def make() -> Tracker:
        opened.append(Tracker(tmp_path / "small", target))
        return opened[-1]

    yield make
    for tracker in opened:
        tracker.close(wait_s=0)


def test_a_repeated_trial_is_in_the_spool_once(
    make_lifecycle: MakeLifecycle, open_tracker: Callable[[], Tracker], tmp_path: Path
) -> None:
    """The real tracker; the first driver dies between the metrics and the end of its trial."""
    tracker = open_tracker()
    tracker.start_sweep("first/small", {}, {})
    first = make_lifecycle(tracker=tracker)
    first.start("a")
    first.result("a", result(0.7, epoch=3))
    first.ledger.complete = None  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError):
        first.end("a", result(0.75, since=3))
    tracker._spool.close()
    tracker._uploader.terminate()
    tracker._uploader.wait()
    tracker._lock.release()

    tracker = open_tracker()
    tracker.start_sweep("first/small", {}, {})
    assert tracker.open_trials() == {0}
    again = make_lifecycle(tracker=tracker, resume=True)
    again.start("x")
    again.result("x", result(0.7, epoch=3))
    again.end("x", result(0.75, since=3))
    assert tracker.open_trials() == set()

    records = [r for _, r in read_records(tmp_path / "small" / SPOOL_FILE) if r.get("run") == "0"]
    points = [tuple(p[:3]) for r in records if r["op"] == "metrics" for p in r["points"]]
    assert len(points) == len(set(points))
    assert [step for key, _, step in points if key == "val_accuracy"] == list(range(1, 10))
    assert [value for key, value, _ in points if key == "fold_0/val_accuracy"] == [0.74]
    assert [r["op"] for r in records if r["op"] != "metrics"] == ["start", "start", "tags", "end"]
    assert records[-1]["status"] == "FINISHED"


def test_a_checkpoint_past_a_rung_makes_up_for_its_report(make_lifecycle: MakeLifecycle) -> None:
    """A kill fell between the checkpoint and the report of the rung before it."""
    life = make_lifecycle()
    life.start("a")
    life.end("a", result(0.75))
    assert set(life.ledger.frozen(0).intermediate_values) == {3, 9}


def test_what_cannot_go_on_touches_no_run(
    make_lifecycle: MakeLifecycle, recorder: Recorder, storage: InMemoryStorage
) -> None:
    run(make_lifecycle(), "a")
    recorder.events.clear()
    with pytest.raises(UserError, match="exists already"):
        make_lifecycle()
    assert recorder.events == []


def test_refused_combinations_are_counted_and_replaced(
    make_lifecycle: MakeLifecycle, recorder: Recorder
) -> None:
    """Whether the driver or a worker refuses them; a resumed sweep counts on."""
    life = make_lifecycle(trials=4)
    run(life, "a")
    for key in ("b", "c"):
        assert life.start(key) is not None
        life.end(key, {"failed": ["refused", "block 1 leaves no image", ""], "done": True})
    assert (life.ledger.budget, life.ledger.trials_left) == (6, 3)
    assert recorder.tags[1]["foldsweep.failure"] == "refused"
    assert recorder.tags[1]["foldsweep.error"] == "block 1 leaves no image"
    again = make_lifecycle(trials=4, resume=True)
    assert (again.ledger.budget, again.failures) == (6, {"refused": 2})
    for key in ("d", "e", "f"):
        run(again, key)
    assert again.start("g") is None
    assert again.ended == {TrialState.COMPLETE: 4, TrialState.FAIL: 2}
    assert not again.hopeless


def test_a_space_of_which_nothing_can_be_trained_is_given_up(
    make_lifecycle: MakeLifecycle,
    make_space: Callable[..., SearchSpace],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Trials that never start count too, whatever `--trials`; a resumed sweep counts anew."""
    life = make_lifecycle(trials=300)
    for _ in range(REFUSED_TO_GIVE_UP - 1):
        life.start("a")
        life.end("a", {"failed": ["refused", "no image is left", ""], "done": True})
        assert not life.hopeless
    life.start("a")
    life.end("a", {"failed": ["refused", "no image is left", ""], "done": True})
    assert life.hopeless
    assert life.start("b") is None
    again = make_lifecycle(trials=300, resume=True)
    assert not again.hopeless

    def refuse(*_: Any, **__: Any) -> Any:
        raise UserError("nothing suits")

    monkeypatch.setattr(SearchSpace, "complete", refuse)
    assert again.start("c") is None
    assert again.hopeless
    assert again.ended == {TrialState.FAIL: 2 * REFUSED_TO_GIVE_UP}


def test_a_grid_has_no_replacements(
    make_lifecycle: MakeLifecycle, make_space: Callable[..., SearchSpace]
) -> None:
    grid = {"hidden_layers": [1, 2], "embedding": [1, 2]}
    space = make_space(**{**EQUAL, "domains": {}, "grid": grid})
    life = make_lifecycle(space=space, sampler="grid", trials=None)
    run(life, "a")
    run(life, "b")
    assert life.start("c") is None
    assert life.ended == {TrialState.COMPLETE: 2, TrialState.FAIL: 2}


def test_a_trial_that_took_too_long_says_so_and_not_that_its_process_died(
    make_lifecycle: MakeLifecycle, recorder: Recorder
) -> None:
    life = make_lifecycle()
    life.start("a")
    life.timed_out("a", 2.5)
    life.crashed("a", "the trial's process died", "ActorDiedError")
    life.fail("a")
    assert life.failures == {"timed out": 1}
    assert recorder.tags[0]["foldsweep.failure"] == "timed out"
    assert recorder.tags[0]["foldsweep.error"] == "ended after 2.5 s (--trial-timeout)"
    assert not life.error_folder.exists()


# Crashes ----------------------------------------------------------------------------------------


def test_a_trial_whose_process_dies_is_tried_again_as_often_as_it_may(
    make_lifecycle: MakeLifecycle, recorder: Recorder
) -> None:
    life = make_lifecycle(max_failures=2)
    first = life.start("a")
    for key in "ab":
        life.crashed(key, "the process died")
        life.lost(key)
        assert life.start({"a": "b", "b": "c"}[key]) == {**(first or {}), "reported_at": 0}
    life.crashed("c", "the process died")
    life.lost("c")
    assert life.ledger.frozen(0).state == TrialState.FAIL
    assert [event for event in recorder.events if event[0] == "end"] == [("end", 0, "FAILED")]
    second = life.start("d")
    assert second is not None
    assert second["trial_number"] == 1
    life.crashed("d", "the process died")
    life.lost("d")
    life.start("e")
    life.end("e", result())
    assert life.ledger.frozen(1).state == TrialState.COMPLETE


def test_the_next_attempt_knows_what_the_last_one_failed_of(
    make_lifecycle: MakeLifecycle,
) -> None:
    """Also if a process died without a word in between; another trial hears nothing of it."""
    life = make_lifecycle(max_failures=3)
    life.start("a")
    life.crashed("a", "RuntimeError: boom", "boom", "0123")
    life.lost("a")
    assert (life.start("b") or {})["last_error"] == "0123"
    life.crashed("b", "the trial's process died")
    life.lost("b")
    again = life.start("c")
    assert again is not None
    assert (again["trial_number"], again["last_error"]) == (0, "0123")
    assert "last_error" not in (life.start("d") or {})


def test_what_took_too_long_or_would_fail_again_is_not_tried_again(
    make_lifecycle: MakeLifecycle,
) -> None:
    life = make_lifecycle(max_failures=3)
    life.start("a")
    life.timed_out("a", 2.5)
    life.crashed("a", "the trial's process died", "ActorDiedError")
    life.lost("a")
    life.start("b")
    life.end("b", {"failed": ["crashed", "RuntimeError: boom", ""], "done": True})
    assert [t.state for t in life.ledger.ended()] == 2 * [TrialState.FAIL]
    assert life.failures == {"timed out": 1, "crashed": 1}
    assert (life.start("c") or {})["trial_number"] == 2


def test_ray_hears_that_all_is_asked_for_only_when_nothing_runs(
    make_lifecycle: MakeLifecycle,
) -> None:
    """Else the last trials could not be tried again."""
    life = make_lifecycle(max_failures=1, trials=2)
    searcher = StudySearcher(life, concurrency=lambda: 3)
    searcher.suggest("a")
    searcher.suggest("b")
    assert searcher.suggest("c") is None
    life.crashed("b", "the process died")
    searcher.on_trial_complete("b", error=True)
    again = searcher.suggest("c")
    assert isinstance(again, dict)
    assert again["trial_number"] == 1
    for key in "ac":
        searcher.on_trial_complete(key, result())
    assert searcher.suggest("d") == "FINISHED"


# Machines ---------------------------------------------------------------------------------------


def test_a_trial_that_loses_its_machine_has_not_crashed(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle(max_failures=0)
    life.start("a")
    life.machine_lost("a", "lost with its machine, b (10.0.0.2)")
    life.lost("a")
    assert (life.running, life.ended.total(), life.crashes.total()) == ({}, 0, 0)
    assert life.last_error == "trial 0: lost with its machine, b (10.0.0.2); it is tried again"
    assert (life.start("again") or {})["trial_number"] == 0
    life.end("again", result())
    assert life.ended[TrialState.COMPLETE] == 1


def test_a_trial_that_brings_its_machines_down_ends(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle(max_failures=0)
    for attempt in range(MOST_LOST):
        assert (life.start(str(attempt)) or {})["trial_number"] == 0
        life.machine_lost(str(attempt), "lost with its machine, b (10.0.0.2)")
        life.lost(str(attempt))
    trial = life.ledger.frozen(0)
    said = f"lost with its machine, b (10.0.0.2), {MOST_LOST} times"
    assert (trial.state, trial.user_attrs[ERROR_ATTR]) == (TrialState.FAIL, said)


def test_a_trial_that_took_too_long_is_not_tried_again_for_its_machine(
    make_lifecycle: MakeLifecycle,
) -> None:
    life = make_lifecycle(max_failures=9)
    life.start("a")
    life.timed_out("a", 2.5)
    life.machine_lost("a", "lost with its machine, b (10.0.0.2)")
    life.lost("a")
    assert life.failures == {names.TIMED_OUT: 1}


def test_a_failure_that_was_made_good_is_not_the_last_error(
    make_lifecycle: MakeLifecycle,
) -> None:
    life = make_lifecycle(max_failures=1)
    for key, error in (("a", "boom"), ("b", "out of memory")):
        life.start(key)
        life.crashed(key, error)
    life.fail("a")
    assert life.remaining_error == "trial 1: out of memory"
    life.lost("b")
    life.start("c")
    life.end("c", result())
    assert life.remaining_error == "trial 0: boom"


def test_a_trial_runs_once_it_has_a_process_and_its_node_is_logged(
    make_lifecycle: MakeLifecycle, recorder: Recorder
) -> None:
    life = make_lifecycle()
    life.start("a")
    life.start("b")
    assert life.num_training == 0
    life.placed("a")
    life.placed("a", "b (10.0.0.2)")
    life.placed("gone", "b (10.0.0.2)")
    assert life.num_training == 1
    assert [event for event in recorder.events if event[0] == "node"] == [
        ("node", 0, "b (10.0.0.2)")
    ]


def test_all_trials_are_given_back_where_what_ran_them_has_ended(
    make_lifecycle: MakeLifecycle,
) -> None:
    life = make_lifecycle(max_failures=0)
    for key in "ab":
        life.start(key)
    life.give_all_back()
    assert life.running == {}
    again = [life.start(key) for key in "ab"]
    assert {config["trial_number"] for config in again if config} == {0, 1}
