"""What is said at the end of a sweep, and whether what it suggests can be typed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import InMemoryStorage

from foldsweep.tracking import tracking_uri
from search_spaces.loading import load_space
from search_spaces.space import Point, SearchSpace
from sweeps.cell import Bundle, Cell
from sweeps.ledger import Ledger
from sweeps.messages import (
    Audience,
    described,
    resume_command,
    sampled_by,
    say_how_to_go_on,
    say_what_next,
    show_end,
    stopping,
    trained_to_the_end,
    watch,
)
from sweeps.settings import SweepSettings
from sweeps.sweep import SweepEnd
from tests.sweeps.ends import ended
from trainables.tasks.larger_digit import TASK, load
from trainables.tasks.options import ShippedOptions, TableOptions
from trainables.tasks.tables import table_task
from trainables.tasks.task import DataRequest

MakeEnd = Callable[..., SweepEnd]
Said = Callable[[], str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return lambda: capsys.readouterr().out


@pytest.fixture
def settings() -> SweepSettings:
    settings = SweepSettings(space=("small",), trials=6, tracking_uri=tracking_uri(None))
    return replace(settings, objective=("val_accuracy",))


@pytest.fixture
def make_end(make_ledger: Callable[..., Ledger]) -> MakeEnd:
    """The end of a sweep with one trial."""

    def make(*, complete: bool = True, **changes: Any) -> SweepEnd:
        ledger = make_ledger()
        asked = ledger.ask()
        assert asked is not None
        if complete:
            result = {"by_fold": {"val_accuracy": [0.7, 0.8]}, "num_params": 3, "epoch": 9}
            ledger.complete(asked.number, [0.75], {**result, "train_time_s": 1.0})
        else:
            ledger.fail(asked.number, "broken")
        return ended(ledger, **changes)

    return make


def suggested(text: str) -> dict[str, str]:
    """The commands by what they are for."""
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.startswith("  ")]
    return {what: line for what, line in lines}


def test_what_can_be_typed_next_is_said(
    settings: SweepSettings, make_end: MakeEnd, said: Said, here: Path
) -> None:
    (here / "Makefile").touch()
    say_what_next(settings, "first", [make_end()])
    text = said()
    assert "results are in runs/first and in MLflow, experiment 'foldsweep'" in text
    commands = suggested(text)
    assert list(commands) == ["look", "compare", "report", "export", "measure", "more"]
    assert commands["look"] == "make ui"
    assert commands["compare"].endswith("analysis/compare.py --sweep first")
    assert commands["report"].endswith("analysis/report.py --sweep first --out first.html")
    assert commands["export"].endswith("analysis/export.py --sweep first")
    assert commands["measure"].endswith("evaluate.py best-first-small.yaml")
    assert commands["more"].endswith("sweeps/run.py --resume first --trials 12")


def test_a_program_is_told_where_results_are_and_which_call_gives_more(
    settings: SweepSettings, make_end: MakeEnd, said: Said, here: Path
) -> None:
    called = Audience(by_call=True)
    say_what_next(settings, "first", [make_end()], called)
    text = said()
    assert "results are in runs/first and in MLflow, experiment 'foldsweep'" in text
    assert suggested(text) == {"more": "fs.sweep(resume='first', trials=12)"}
    say_how_to_go_on(settings, "first", called)  # what is raised says it
    assert said() == ""
    elsewhere = replace(settings, tracking_uri="sqlite:///other.db")
    assert watch(settings, called) == "watch it: foldsweep ui"
    assert watch(elsewhere, called).startswith("watch it: foldsweep ui --tracking-uri sqlite:")


def test_a_notebook_has_the_end_of_a_space_in_one_output(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    shown: list[Bundle] = []
    end = make_end()
    show_end(settings, end, "first", shown=Cell(shown.append))
    assert said() == ""
    (bundle,) = shown
    assert "small: best configurations" in bundle["text/plain"]
    show_end(settings, end, "first")
    assert bundle["text/plain"].splitlines()[0] == said().splitlines()[0]


def test_data_of_ones_own_is_named_where_it_is_needed_again(
    settings: SweepSettings, make_end: MakeEnd, said: Said, here: Path
) -> None:
    (here / "my table.csv").touch()
    end = make_end()
    for data, option in ((str(here / "my table.csv"), True), ("iris", False)):
        say_what_next(replace(settings, data=data), "first", [end])
        measure = suggested(said())["measure"]
        named = f" --data '{here}/my table.csv'" if option else ""
        assert measure.endswith(f"evaluate.py best-first-small.yaml{named}")


def test_what_is_swept_is_said_in_one_line(settings: SweepSettings) -> None:
    data = load(DataRequest(seed=0, options=ShippedOptions(dataset="digits", train_pairs=20)))
    assert described(settings, TASK, data) == (
        "small; 6 trials of 5 folds on 20 digits pairs; tpe with asha"
    )
    iris = table_task(TableOptions(data="iris"), seed=0, objective=None)
    changed = replace(settings, sampler="grid", trials=None, time_budget=5.0, space=("a/b.py",))
    assert described(changed, iris, iris.load(DataRequest(seed=0))) == (
        "b; the whole grid or 5 s of 5 folds on 120 iris rows; grid with asha"
    )


# Early stopping ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"trials": 5}, "small: 4 sampled trials: no early stopping (asha from 9 on)"),
        ({"trials": 2}, "small: 1 sampled trial: no early stopping (asha from 9 on)"),
        (
            {"trials": 9, "scheduler": "median"},
            "small: 8 sampled trials: no early stopping (median from 9 on)",
        ),
        ({"trials": 10}, None),
        ({"trials": None}, None),
        ({"trials": 5, "scheduler": "none"}, None),
        ({"trials": 5, "epochs": 1}, None),
        ({"trials": 5, "objective": ("val_accuracy", "num_params")}, None),
    ],
)
def test_a_space_of_few_trials_says_that_none_is_stopped_early(
    settings: SweepSettings, space: SearchSpace, values: dict[str, Any], said: str | None
) -> None:
    assert stopping(replace(settings, **values), space, None) == said


def test_so_does_a_small_grid(
    settings: SweepSettings, make_space: Callable[..., SearchSpace]
) -> None:
    space = make_space(domains={}, grid={"lr": (0.1, 0.2), "hidden": (8, 16)})
    said = stopping(replace(settings, sampler="grid", trials=None), space, None)
    assert said == "small: 4 points of the grid: no early stopping (asha from 9 on)"


def test_what_is_fitted_at_once_says_nothing_of_early_stopping(settings: SweepSettings) -> None:
    iris = table_task(TableOptions(data="iris"), seed=0, objective=None)
    few = replace(settings, trials=2)
    assert stopping(few, load_space("logistic", iris), None) is None
    assert stopping(few, load_space("random_forest", iris), None) is not None


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (5, 30, "small: 29 sampled trials: early stopping from here on (asha)"),
        (5, 6, "small: 5 sampled trials: no early stopping (asha from 9 on)"),
        (5, 5, "small: 4 sampled trials: no early stopping (asha from 9 on)"),
        (30, 30, None),
        (30, 60, None),
    ],
)
def test_a_resumed_sweep_says_from_where_trials_are_stopped_early(
    settings: SweepSettings, space: SearchSpace, before: int, now: int, said: str | None
) -> None:
    stored = replace(settings, trials=before)
    assert stopping(replace(settings, trials=now), space, stored) == said


@pytest.fixture
def make_ended(make_ledger: Callable[..., Ledger], make_end: MakeEnd) -> Callable[..., SweepEnd]:
    """The end of a sweep whose trials ended as the words say, those to try first included."""

    def make(*states: str, interrupted: bool = False, **ledger: Any) -> SweepEnd:
        made = make_ledger(trials=ledger.pop("trials", 30), **ledger)
        for state in states:
            asked = made.ask()
            assert asked is not None
            if state == "fails":
                made.fail(asked.number, "broken")
            elif state == "stops":
                made.report(asked.number, 3, 0.5)
                made.prune(asked.number, {})
            else:
                made.complete(asked.number, [0.5], {})
        return ended(made, interrupted=interrupted)

    return make


MakeEnded = Callable[..., SweepEnd]
BASELINE_ONLY = "warning: no sampled configurations trained to the end, so the best is"


@pytest.mark.parametrize(
    ("states", "counted"),
    [
        (["ends", "ends", "stops", "stops", "fails"], "1 of 4 {} (2 stopped early, 1 failed)"),
        (["fails", "ends", "stops"], "1 of 2 {} (1 stopped early)"),
        (["ends", "ends", "ends"], "2 of 2 {}"),
    ],
)
def test_the_end_says_how_many_sampled_configurations_trained_to_the_end(
    make_ended: MakeEnded, states: list[str], counted: str
) -> None:
    said = trained_to_the_end(make_ended(*states))
    assert said == "small: " + counted.format("sampled configurations trained to the end")


def test_it_is_said_above_the_best(make_end: MakeEnd, settings: SweepSettings, said: Said) -> None:
    show_end(settings, make_end(), "first")
    lines = said().splitlines()
    assert lines[0] == "small: 1 trials complete, 0 pruned, 0 failed"
    assert lines[1] == "small: 0 of 0 sampled configurations trained to the end"
    assert lines[2] == f"{BASELINE_ONLY} the baseline by default; try more trials (--trials)"
    assert lines[3] == "small: best configurations"


@pytest.mark.parametrize(
    ("states", "warned"),
    [
        (
            ["ends", "stops", "stops"],
            f"{BASELINE_ONLY} the baseline by default; try more trials (--trials) or"
            " --scheduler none",
        ),
        (["ends", "fails"], f"{BASELINE_ONLY} the baseline by default; see why they failed"),
        (
            ["fails", "stops"],
            "warning: no sampled configurations trained to the end, so there is no best; try more"
            " trials (--trials) or --scheduler none",
        ),
    ],
)
def test_where_none_did_a_warning_says_what_to_do(
    make_ended: MakeEnded, states: list[str], warned: str
) -> None:
    assert trained_to_the_end(make_ended(*states)).splitlines()[1:] == [warned]


def test_of_several_initial_points_any_may_be_the_best(
    make_ended: MakeEnded, make_space: Callable[..., SearchSpace]
) -> None:
    points = [Point(name=name, config={"lr": 0.1}) for name in "ab"]
    end = make_ended("ends", "ends", "stops", space=make_space(points=points))
    assert f"{BASELINE_ONLY} an initial point by default" in trained_to_the_end(end)


def test_a_grid_is_swept_anew(
    make_ended: MakeEnded, make_space: Callable[..., SearchSpace]
) -> None:
    space = make_space(domains={}, grid={"lr": (0.1, 0.2), "hidden": (8, 16)})
    end = make_ended("ends", "stops", "stops", space=space, sampler="grid", trials=None)
    assert trained_to_the_end(end).splitlines() == [
        "small: 0 of 2 configurations of the grid trained to the end (2 stopped early)",
        "warning: no configurations of the grid trained to the end, so the best is the baseline"
        " by default; start a sweep with --scheduler none",
    ]


def test_an_interrupted_sweep_is_not_warned_of(make_ended: MakeEnded) -> None:
    said = trained_to_the_end(make_ended("ends", "stops", interrupted=True))
    assert said == "small: 0 of 1 sampled configurations trained to the end (1 stopped early)"


# What is where ----------------------------------------------------------------------------------


def test_a_password_of_the_environment_is_neither_shown_nor_needed(
    settings: SweepSettings, make_end: MakeEnd, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:secret@host:5000")
    settings = replace(settings, tracking_uri=tracking_uri(None))
    end = make_end(waiting_records=3)
    show_end(settings, end, "first")
    say_what_next(settings, "first", [replace(end, waiting_records=0)])
    text = said()
    assert "secret" not in text
    assert "--tracking-uri" not in text
    assert "MLflow at https://***@host:5000 did not accept all records" in text
    assert suggested(text)["look"] == "open https://***@host:5000"


def test_a_password_that_was_given_is_masked(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    settings = replace(settings, tracking_uri="https://user:secret@host:5000")
    end = make_end(waiting_records=3)
    show_end(settings, end, "first")
    say_what_next(settings, "first", [replace(end, waiting_records=0)])
    text = said()
    assert "secret" not in text
    assert "--tracking-uri 'https://***@host:5000'" in suggested(text)["export"]


def test_another_store_and_experiment_are_among_the_options(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    settings = replace(settings, tracking_uri="sqlite:////a b/mlflow.db", experiment="my own")
    say_what_next(settings, "first", [make_end()])
    commands = suggested(said())
    options = " --tracking-uri 'sqlite:////a b/mlflow.db' --experiment 'my own'"
    assert commands["look"].endswith(f"analysis/ui.py{options}")
    assert commands["export"].endswith(f" --sweep first{options}")


def test_nothing_is_exported_where_no_trial_is_complete(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    end = make_end(complete=False)
    say_what_next(settings, "first", [end])
    assert list(suggested(said())) == ["look"]  # more would fail as all so far
    asked = end.ledger.ask()
    assert asked is not None
    end.ledger.prune(asked.number, {"by_fold": {}})
    say_what_next(settings, "first", [end])
    assert list(suggested(said())) == ["look", "more"]
    say_what_next(settings, "first", [replace(end, hopeless=True)])
    assert list(suggested(said())) == ["look"]


def test_refused_and_late_trials_are_counted_with_an_example(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    end = make_end()
    for kind, error in (
        ("refused", "block 2 leaves no image"),
        ("refused", "kernel must be odd"),
        ("timed out", "ended after 9 s (--trial-timeout)"),
    ):
        asked = end.ledger.ask()
        assert asked is not None
        end.ledger.fail(asked.number, error, kind)
    show_end(settings, end, "first")
    lines = said().splitlines()
    assert (
        "small: 2 configurations cannot be trained, 2 more were tried instead; for example trial"
        " 1: block 2 leaves no image"
    ) in lines
    assert (
        "small: 1 trial took too long; for example trial 3: ended after 9 s (--trial-timeout)"
    ) in lines


def test_the_end_says_what_more_trials_may_gain(
    settings: SweepSettings, make_ended: MakeEnded, said: Said
) -> None:
    show_end(settings, make_ended(*["ends"] * 20), "first")
    assert "may be expected" not in said()  # of nineteen sampled ones
    show_end(settings, make_ended(*["ends"] * 21, over=InMemoryStorage()), "first")
    line = "small: 20 more trials may be expected to gain about 0.0000 accuracy (by how the best"
    assert line in said()


def test_what_may_end_the_promise_of_the_same_sweep_is_said(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    end = make_end()
    asked = end.ledger.ask()
    assert asked is not None
    end.ledger.fail(asked.number, "broken", "crashed")
    line = "small: 1 trial crashed or took too long; the same sweep elsewhere may differ from"
    show_end(settings, end, "first")
    assert line in said()
    show_end(replace(settings, order="arrival"), end, "first")
    assert line not in said()


@pytest.mark.parametrize(
    ("changes", "concurrency", "expected"),
    [
        ({}, 4, None),
        ({}, 5, "cnn_aux: no more than 4 new trials at a time, so that the sweep is the same"),
        ({"lag": (16,)}, 5, None),
        ({"sampler": "random"}, 64, None),
        ({"order": "arrival"}, 64, None),
        ({"scheduler": "median"}, 1, "cnn_aux: results count by arrival, so another machine or"),
        ({"objective": ("val_accuracy", "num_params")}, 1, "cnn_aux: results count by arrival"),
    ],
)
def test_the_start_says_what_order_costs_and_where_there_is_none(
    settings: SweepSettings, changes: dict[str, Any], concurrency: int, expected: str | None
) -> None:
    line = sampled_by(replace(settings, **changes), load_space("cnn_aux"), concurrency)
    assert (line is None) == (expected is None)
    assert (line or "").startswith(expected or "")


def test_nothing_is_exported_that_was_selected_on_test_pairs(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    say_what_next(replace(settings, select_on_test=True), "first", [make_end()])
    assert list(suggested(said())) == ["look", "compare", "report", "more"]


def test_nothing_is_exported_while_records_wait(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    say_what_next(settings, "first", [make_end(waiting_records=3)])
    text = said()
    assert list(suggested(text)) == ["more"]
    assert "in MLflow" not in text


def test_a_grid_has_no_more(settings: SweepSettings, make_end: MakeEnd, said: Said) -> None:
    say_what_next(replace(settings, sampler="grid"), "first", [make_end()])
    assert list(suggested(said())) == ["look", "compare", "report", "export", "measure"]


@pytest.mark.parametrize(
    ("given", "folder", "option"),
    [
        ("runs", "runs/first", ""),
        ("s3://bucket/path", "runs/first", ""),
        ("my runs", "my runs/first", " --storage 'my runs'"),
    ],
)
def test_waiting_records_are_replayed_from_their_local_folder(
    settings: SweepSettings, make_end: MakeEnd, said: Said, given: str, folder: str, option: str
) -> None:
    settings = replace(settings, storage=given)
    show_end(settings, make_end(waiting_records=3, tracking_problem="refused"), "first")
    text = said()
    assert f"did not accept all records (refused): 3 records wait in {folder};" in text
    assert text.endswith(f"sweeps/replay.py first{option}\n")


@pytest.mark.parametrize("hopeless", [False, True])
def test_an_error_is_said_letter_by_letter(
    settings: SweepSettings, make_end: MakeEnd, said: Said, hopeless: bool
) -> None:
    error = "trial 3: ValueError: no [/such] layer [red] :warning:"
    show_end(settings, make_end(hopeless=hopeless, last_error=error), "first")
    assert error in said()


def test_what_mlflow_refused_is_said_at_the_end(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    settings = replace(settings, tracking_uri="http://host:5000")
    refused = "2 items, the last param lr: too long; see runs/first/small/uploader.log"
    show_end(settings, make_end(refused=refused), "first")
    assert f"MLflow at http://host:5000 refused {refused}; the study has everything" in said()


def test_a_sweep_of_a_program_is_resumed_by_a_call() -> None:
    settings = SweepSettings(space=("python:mine",), storage="my runs")
    called = "fs.sweep(SPACES, resume='first', storage='my runs', trials=60)"
    assert resume_command(settings, "first", trials=60) == called
    typed = resume_command(replace(settings, space=("mlp",)), "first", trials=60)
    assert typed.endswith("--resume first --storage 'my runs' --trials 60")
