import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray import tune
from rich.console import Console

from foldsweep.errors import UserError
from search_spaces.loading import load_space
from search_spaces.space import SearchSpace
from sweeps import sweep as sweep_module
from sweeps.lifecycle import Lifecycle
from sweeps.pruning import RungRule
from sweeps.records import run_tags, write_task
from sweeps.resources import Allotment
from sweeps.settings import SweepSettings
from sweeps.sweep import _fingerprint, make_folds, sweep_space
from sweeps.tracking.spool import SPOOL_FILE
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.tasks.options import TableOptions
from trainables.tasks.samples import Data
from trainables.tasks.splits import Split
from trainables.tasks.tables import table_task
from trainables.tasks.task import DataRequest, Task
from trainables.trial import Context, CrossValidation

ALLOTMENT = Allotment(cpus=1, gpus=0, concurrency=1)


def sweep_in(folder: Path, space: SearchSpace, data: Data, /, **settings: Any) -> None:
    """Sweep one space, with all there is of it in a folder."""
    sweep_space(
        SweepSettings(space=(space.name,), storage=str(folder), **settings).for_task(
            space.variant.task
        ),
        space,
        data,
        name="first",
        folder=folder,
        checkpoint_root=str(folder),
        tracking_uri=f"sqlite:///{folder}/mlflow.db",
        allotment=ALLOTMENT,
        console=Console(quiet=True),
    )


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
        with pytest.raises(UserError, match=r"cannot be resumed: its study is gone") as no:
            sweep_in(folder, make_space(), data, folds=3, resume="first")
        assert str(tmp_path / "first") in str(no.value)
    assert (folder / SPOOL_FILE).read_text() == ""
    assert not (folder / "mlflow.db").exists()


class NoTracker:
    """Takes everything and keeps nothing."""

    problem = ""

    def __init__(self, *_: Any, **__: Any) -> None:
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


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, "val_accuracy"),
        ({"objective": ("val_loss", "num_params")}, "val_loss"),
        ({"select_on_test": True}, None),
    ],
)
def test_trials_keep_held_out_rows_of_the_first_objective_unless_these_are_test_rows(
    context_of: Callable[..., Context], settings: dict[str, Any], kept: str | None
) -> None:
    assert context_of(**settings).keep == kept


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
        ({"space": {"domains": {"epochs": tune.choice([2, 7])}}, "epochs": 4}, 4),
        ({"space": {"domains": {"epochs": tune.choice([2, 7])}}, "epochs": 50}, 7),
        ({"space": {"domains": {"epochs": tune.randint(2, 7)}}}, 6),
        ({"space": {"domains": {"epochs": tune.qrandint(2, 8, 2)}}}, 8),
    ],
)
def test_the_last_report_is_at_the_epochs_of_the_longest_trial(
    context_of: Callable[..., Context], settings: dict[str, Any], last: int
) -> None:
    assert context_of(**settings).report_at[-1] == last


# What its run in MLflow says --------------------------------------------------------------------


@dataclass
class Noted:
    """What a sweep logs of itself, and what its trials are tagged with."""

    params: dict[str, Any]
    tags: dict[str, str]
    trial_tags: dict[str, str]


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Noted]:
    """Sweeps, or resumes a sweep, none of whose trials is run."""

    def run(space: SearchSpace, data: Data, *, resume: bool = False, **settings: Any) -> Noted:
        started: list[Any] = []
        lives: list[Lifecycle] = []

        class Noting(NoTracker):
            def start_sweep(self, name: str, params: Any, tags: Any, dataset: Any) -> None:
                started.append((params, tags))

        monkeypatch.setattr(sweep_module, "Tracker", Noting)
        monkeypatch.setattr(sweep_module, "fit", lambda life, *_, **__: bool(lives.append(life)))
        sweep_in(tmp_path, space, data, resume="first" if resume else None, **settings)
        return Noted(*started[0], lives[0].tags)

    return run


def test_a_sweep_records_what_it_may_spend(
    noted: Callable[..., Noted], make_space: Callable[..., SearchSpace], data: Data
) -> None:
    found = noted(make_space(), data, epochs=50)
    assert found.tags["foldsweep.trials"] == "30"
    assert found.tags["foldsweep.resource"] == "50 epochs"
    assert (found.tags["foldsweep.scheduler"], found.params["scheduler"]) == ("asha", "asha")
    assert found.params["epochs"] == 50


def test_a_whole_grid_records_its_size_and_longest_trial(
    noted: Callable[..., Noted], make_space: Callable[..., SearchSpace], data: Data
) -> None:
    space = make_space(domains={}, grid={"lr": (0.1, 0.2), "epochs": (3, 6)})
    tags = noted(space, data, sampler="grid").tags
    assert (tags["foldsweep.trials"], tags["foldsweep.resource"]) == ("5", "6 epochs")


@pytest.mark.parametrize(
    ("name", "resource", "scheduler"),
    [("random_forest", "300 n_estimators", "asha"), ("logistic", "", "none")],
)
def test_an_estimator_records_its_own_resource_if_it_has_one(
    noted: Callable[..., Noted], table: Task, name: str, resource: str, scheduler: str
) -> None:
    data = table.load(DataRequest(seed=0))
    tags = noted(load_space(name, table), data, epochs=2).tags
    assert tags["foldsweep.resource"] == resource
    assert tags["foldsweep.scheduler"] == scheduler


def test_a_small_sweep_records_that_nothing_is_stopped_until_it_is_extended(
    noted: Callable[..., Noted], make_space: Callable[..., SearchSpace], data: Data
) -> None:
    few = noted(make_space(), data, trials=4)
    assert (few.tags["foldsweep.scheduler"], few.params["scheduler"]) == ("none", "none")
    assert few.tags["foldsweep.trials"] == "4"
    more = noted(make_space(), data, trials=20, resume=True)
    assert more.tags["foldsweep.scheduler"] == "asha"
    assert more.tags["foldsweep.trials"] == "20"


def test_every_run_records_how_much_its_folds_overlap(
    noted: Callable[..., Noted], table: Task, data: Data, make_space: Callable[..., SearchSpace]
) -> None:
    found = noted(make_space(), data)
    assert found.tags["foldsweep.overlap"] == found.trial_tags["foldsweep.overlap"] == "0.25"


def test_folds_in_time_overlap_otherwise(
    noted: Callable[..., Noted], table: Task, tmp_path: Path
) -> None:
    in_time = replace(table, split=Split(kind="time"))
    data = table.load(DataRequest(seed=0))
    tags = noted(load_space("logistic", in_time), data, folds=3).trial_tags
    folds = in_time.split.folds(data.train, target=table.target, num_folds=3, seed=0)
    expected = np.mean([len(fold.val) / len(fold.train) for fold in folds])
    assert float(tags["foldsweep.overlap"]) == pytest.approx(expected)
    assert expected > 0.5


def test_the_overlap_is_no_part_of_what_a_sweep_is(
    noted: Callable[..., Noted],
    make_space: Callable[..., SearchSpace],
    data: Data,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted(make_space(), data)
    monkeypatch.setattr(sweep_module, "overlap", lambda folds: 0.5)
    assert noted(make_space(), data, resume=True).tags["foldsweep.overlap"] == "0.5"


# Any task ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> Task:
    return table_task(TableOptions(data="wine"), seed=0, objective=None)


def swept(
    task: Task, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> tuple[Lifecycle, Context]:
    """What trials of a space of the user's data would get."""
    given: list[Any] = []
    monkeypatch.setattr(sweep_module, "Tracker", NoTracker)

    def fit(life: Lifecycle, context: Context, *_: Any, **__: Any) -> bool:
        given.append((life, context))
        return False

    monkeypatch.setattr(sweep_module, "fit", fit)
    sweep_in(folder, load_space(name, task), task.load(DataRequest(seed=0)), **settings)
    return given[0]


@pytest.mark.parametrize(
    ("name", "epochs", "report_at"),
    [
        ("random_forest", None, (33, 100, 300)),
        ("hist_gradient_boosting", None, None),
        ("logistic", None, (1,)),
        ("svm", None, (1,)),
        ("mlp", 9, (3, 9)),
    ],
)
def test_only_what_trains_in_steps_is_stopped_early_at_its_own_rungs(
    name: str,
    epochs: int | None,
    report_at: tuple[int, ...] | None,
    table: Task,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life, context = swept(table, name, tmp_path, monkeypatch, epochs=epochs, folds=3)
    if report_at is None:
        most = life.space.most_epochs()
        report_at = (round(round(most / 3) / 3), round(most / 3), most)
    assert life.report_at == context.report_at == report_at
    assert isinstance(life.ledger.rule, RungRule)
    assert life.ledger.rule.rungs == report_at[:-1]


@pytest.mark.parametrize("name", ["logistic", "random_forest", "hist_gradient_boosting"])
def test_epochs_are_for_networks(
    name: str, table: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life, _ = swept(table, name, tmp_path, monkeypatch, epochs=2)
    assert life.epochs == life.space.most_epochs()
    config = life.start("a")
    assert config is not None
    resource = life.space.resource
    if resource is not None:
        assert config[resource] == life.epochs > 2


def test_repeats_are_folds_of_every_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"data": "wine", "repeats": 2}
    task = table_task(TableOptions(**options), seed=0, objective=None)
    _, context = swept(task, "logistic", tmp_path, monkeypatch, folds=3, **options)
    assert len(context.folds) == 6
    assert not np.array_equal(context.folds[0].val, context.folds[3].val)


def test_a_task_s_fingerprint_is_of_its_metrics_loss_and_folds(table: Task) -> None:
    data = table.load(DataRequest(seed=0))
    settings = SweepSettings(space=("mlp",))
    folds = make_folds(table, data, settings)
    other_folds = make_folds(table, data, replace(settings, seed=1))
    same = _fingerprint(table, folds)
    assert same == _fingerprint(replace(table), folds)
    accuracy = replace(table.metrics["accuracy"], equal=0.5)
    changed = [
        _fingerprint(table, other_folds),
        _fingerprint(table, folds[:-1]),
        _fingerprint(replace(table, name="wines"), folds),
        _fingerprint(replace(table, metrics={**table.metrics, "accuracy": accuracy}), folds),
        _fingerprint(replace(table, loss=torch.nn.functional.cross_entropy), folds),
    ]
    assert len({same, *changed}) == 1 + len(changed)


PRINTS = """
from dataclasses import replace
from functools import partial
from torch import nn
from torch.nn.functional import cross_entropy
from sweeps.sweep import _fingerprint
from trainables.tasks.larger_digit import TASK

class Loss:
    def __call__(self, output, target):
        pass

for loss in (
    partial(cross_entropy, reduction="none"),
    partial(cross_entropy, reduction="none", label_smoothing=0.1),
    nn.CrossEntropyLoss(reduction="none"),
    Loss(),
    lambda output, target: 0,
):
    print(_fingerprint(replace(TASK, loss=loss), ()))
"""


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    """A function's address is not part of it."""
    found = [
        subprocess.run([sys.executable, "-c", PRINTS], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert found[0].stdout == found[1].stdout
    assert len(set(found[0].stdout.split())) == 5


def test_runs_are_tagged_with_the_task(table: Task) -> None:
    data = table.load(DataRequest(seed=0))
    settings = SweepSettings(space=("logistic",), repeats=2, data="wine")
    tags = run_tags(settings, load_space("logistic", table), data, "first/logistic", ALLOTMENT)
    assert (tags["task"], tags["variant"], tags["dataset"]) == ("wine", "wine/logistic", "wine")
    assert (tags["train_rows"], tags["test_rows"], tags["repeats"]) == ("142", "36", "2")
    metrics = json.loads(tags["foldsweep.metrics"])
    assert metrics["val_accuracy"]["better"] == "higher"
    assert metrics["val_log_loss"]["better"] == "lower"
    assert "val_roc_auc" not in metrics


def test_the_record_of_a_task_says_what_its_data_was_and_names_no_folder(tmp_path: Path) -> None:
    rows = "\n".join(f"{i},{i % 7},{'yes' if i % 2 else 'no'}" for i in range(60))
    (tmp_path / "table.csv").write_text(f"size,age,left\n{rows}\n")
    options = TableOptions(data=str(tmp_path / "table.csv"), target="left")
    task = table_task(options, seed=3, objective="roc_auc")
    file = write_task(tmp_path, task, task.load(DataRequest(seed=3)))
    text = file.read_text()
    assert str(tmp_path) not in text
    kept = json.loads(text)
    assert kept["origin"]["data"] == "table.csv"
    assert (
        kept["origin"]["sha256"]
        == hashlib.sha256((tmp_path / "table.csv").read_bytes()).hexdigest()
    )
    assert kept["record"]["objective"] == "roc_auc"
    assert kept["record"]["classes"] == ["no", "yes"]


# After a sweep ----------------------------------------------------------------------------------


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
        sweep_in(tmp_path, make_space(), data, folds=3)
        assert ran == [handler]
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, handler)
