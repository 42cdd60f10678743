"""Expected score of the best trial at the end of a sweep, from the held-out rows of trials."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from foldsweep import names
from search_spaces.loading import load_space
from sweeps import bootstrap
from sweeps.expectation import log_expected, units_of
from sweeps.ledger import Ledger
from sweeps.tracking.tracker import Tracker
from tests.refusals import said_as, text
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.stack.held_out import HeldOut, folds_by_row
from trainables.tasks.options import TableOptions
from trainables.tasks.samples import Data
from trainables.tasks.splits import Split
from trainables.tasks.tables import table_task
from trainables.tasks.task import DataRequest

ROWS = 60
FOLDS = [np.arange(ROWS)[k::3] for k in range(3)]


class Metrics:
    """Stand-in for the tracker."""

    __class__ = Tracker  # for the checker of signatures

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.step = -1

    def log_metrics(self, number: int | None, metrics: dict[str, float], step: int) -> None:
        assert number is None
        self.values |= metrics
        self.step = step


@pytest.fixture
def tracker() -> Metrics:
    return Metrics()


@pytest.fixture(scope="module")
def data() -> Data:
    return draw_pairs(digits_source(), seed=0, train_pairs=ROWS, test_pairs=5)


@pytest.fixture
def sweep(make_ledger: Callable[..., Ledger], tmp_path: Path) -> Callable[..., Ledger]:
    """Makes a sweep of complete trials with files, and of other trials."""

    def make(*states: str, objective: str = "val_accuracy", **options: Any) -> Ledger:
        ledger = make_ledger(trials=9, objective=(objective,), scheduler="none", **options)
        (tmp_path / "held_out").mkdir()
        rng = np.random.default_rng(0)
        for state in states:
            asked = ledger.ask()
            assert asked is not None
            number = asked.number
            right = (rng.random(ROWS) < 0.8).astype(np.float32)
            scores = [float(right[own].mean()) for own in FOLDS]
            kept = {"by_fold": {objective: scores}, "num_params": 1, "epoch": 9}
            if state == "PRUNED":
                ledger.report(number, 3, 0.5)
                ledger.prune(number, kept)
                continue
            ledger.complete(number, [float(np.mean(scores))], kept)
            if state == "COMPLETE":
                held = HeldOut(
                    key=objective,
                    kind="metric",
                    values=right[None],
                    fold=folds_by_row(FOLDS, ROWS),
                )
                path = tmp_path / "held_out" / f"trial_{number:05d}.npz"
                path.write_bytes(held.to_bytes())
        return ledger

    return make


def say(ledger: Ledger, tracker: Any, data: Data, folder: Path, **changes: Any) -> str:
    """The line about the expected score, which is returned and logged with the same value."""
    given = {"objective": "val_accuracy", "folder": folder, "seed": 1} | changes
    given["folder"] /= "held_out"
    line, score = log_expected(ledger, tracker, data, console=Console(file=io.StringIO()), **given)
    assert score == tracker.values.get(names.bootstrap_key(given["objective"]))
    return line


def test_estimate_and_interval_are_logged_and_said(
    sweep: Callable[..., Ledger], tracker: Metrics, data: Data, tmp_path: Path
) -> None:
    ledger = sweep("COMPLETE", "COMPLETE", "PRUNED", "COMPLETE")
    line = say(ledger, tracker, data, tmp_path)
    value, low, high, trials = (
        tracker.values[f"bootstrap_val_accuracy{end}"] for end in ("", "_low", "_high", "_trials")
    )
    assert 0.5 < low < value < high < 1
    assert value < max(t.values[0] for t in ledger.ended() if t.values)
    assert (trials, tracker.step) == (3, 4)
    assert line == text(
        "expectation.score",
        space="small",
        metric="accuracy",
        value=f"{value:.4f}",
        low=f"{low:.4f}",
        high=f"{high:.4f}",
        complete=3,
        caveat=text("expectation.stopping-not-corrected"),
    )
    before = dict(tracker.values)
    assert say(ledger, tracker, data, tmp_path) == line
    assert tracker.values == before


def test_nothing_was_selected_early_where_nothing_was_pruned(
    sweep: Callable[..., Ledger], tracker: Metrics, data: Data, tmp_path: Path
) -> None:
    line = say(sweep("COMPLETE", "COMPLETE"), tracker, data, tmp_path)
    assert said_as("expectation.score", complete=2, caveat="").fullmatch(line)


def test_a_trial_without_its_file_leaves_it_out(
    sweep: Callable[..., Ledger], tracker: Metrics, data: Data, tmp_path: Path
) -> None:
    """For example in a sweep that was started by a version without such files."""
    line = say(sweep("COMPLETE", "no file", "COMPLETE"), tracker, data, tmp_path)
    assert line == text("expectation.unknown", trials="trial 1")
    assert tracker.values == {}


@pytest.mark.parametrize("damage", ["cut off", "other folds", "other objective"])
def test_a_file_that_does_not_fit_is_as_none(
    sweep: Callable[..., Ledger], tracker: Metrics, data: Data, tmp_path: Path, damage: str
) -> None:
    ledger = sweep("COMPLETE", "COMPLETE")
    path = tmp_path / "held_out" / "trial_00001.npz"
    held = HeldOut.from_bytes(path.read_bytes())
    content = {
        "cut off": path.read_bytes()[:100],
        "other folds": replace(held, fold=held.fold[:, ::-1].copy()).to_bytes(),
        "other objective": replace(held, key="val_loss").to_bytes(),
    }[damage]
    path.write_bytes(content)
    unknown = text("expectation.unknown", trials="trial 1")
    assert say(ledger, tracker, data, tmp_path) == unknown


@pytest.mark.parametrize("states", [(), ("COMPLETE",), ("COMPLETE", "PRUNED")])
def test_fewer_than_two_complete_trials_say_nothing(
    sweep: Callable[..., Ledger],
    tracker: Metrics,
    data: Data,
    tmp_path: Path,
    states: tuple[str, ...],
) -> None:
    assert say(sweep(*states), tracker, data, tmp_path) == ""
    assert tracker.values == {}


def test_where_no_trial_keeps_rows_nothing_is_said(
    sweep: Callable[..., Ledger], tracker: Metrics, data: Data, tmp_path: Path
) -> None:
    ledger = sweep("no file", "no file")
    assert say(ledger, tracker, data, tmp_path / "absent") == ""


def test_a_metric_over_all_rows_is_computed_again_from_predictions(
    make_ledger: Callable[..., Ledger],
    tracker: Metrics,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With three classes; storing probabilities in half precision makes no relevant difference."""
    monkeypatch.setattr(bootstrap, "SAMPLES_OVER_ALL", 30)
    task = table_task(TableOptions(data="wine"), seed=0, objective="roc_auc")
    data = task.load(DataRequest(seed=0))
    ledger = make_ledger(
        space=load_space("logistic", task), objective=("val_roc_auc",), scheduler="none"
    )
    target = data.train.targets[task.target]
    folds = [np.arange(len(target))[k::3] for k in range(3)]
    rng = np.random.default_rng(0)
    (tmp_path / "held_out").mkdir()
    for number in range(2):
        asked = ledger.ask()
        assert asked is not None
        logits = rng.normal(size=(len(target), 3)) + 2 * np.eye(3)[target]
        said = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        measure = task.metrics["roc_auc"].of
        scores = [measure(target[own], said[own]) for own in folds]
        kept = {"by_fold": {"val_roc_auc": scores}, "num_params": 0, "epoch": 1}
        ledger.complete(number, [float(np.mean(scores))], kept)
        held = HeldOut(
            key="val_roc_auc",
            kind="log_probability",
            values=np.log(said).astype(np.float16)[None],
            fold=folds_by_row(folds, len(target)),
        )
        (tmp_path / "held_out" / f"trial_{number:05d}.npz").write_bytes(held.to_bytes())
    line = say(ledger, tracker, data, tmp_path, objective="val_roc_auc")
    found = tracker.values
    value = f"{found['bootstrap_val_roc_auc']:.4f}"
    assert said_as("expectation.score", metric="roc_auc", value=value).fullmatch(line)
    best = max(t.values[0] for t in ledger.ended())
    assert found["bootstrap_val_roc_auc"] == pytest.approx(best, abs=0.03)
    assert found["bootstrap_val_roc_auc_low"] < best < found["bootstrap_val_roc_auc_high"]


# What is drawn ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "units"),
    [
        (Split(kind="grouped"), 20),
        (Split(kind="own", function=lambda *_: []), 20),
        (Split(kind="given", fold_of=np.arange(ROWS) % 3), 20),
        (Split(kind="given"), ROWS),  # the groups are the folds
    ],
)
def test_rows_of_a_group_are_drawn_together(data: Data, split: Split, units: int) -> None:
    task = table_task(TableOptions(data="wine"), seed=0, objective=None)
    grouped = replace(data, train=replace(data.train, groups=np.arange(ROWS) // 3))
    assert len(np.unique(units_of(replace(task, split=split), grouped))) == units
    assert len(np.unique(units_of(replace(task, split=split), data))) == ROWS
