"""Suggestions at the end of a sweep, and whether a user can type them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from optuna.storages import InMemoryStorage

from search_spaces.space import SearchSpace
from sweeps.commands import (
    Audience,
    resume_command,
    say_how_to_go_on,
    say_what_next,
    watch,
)
from sweeps.settings import SweepSettings
from tests.refusals import text
from tests.sweeps.messages.said import MakeEnd, MakeEnded, Said, suggested


def test_what_can_be_typed_next_is_said(
    settings: SweepSettings, make_end: MakeEnd, said: Said, here: Path
) -> None:
    (here / "Makefile").touch()
    say_what_next(settings, "first", [make_end()])
    out = said()
    where = text("commands.results-in-mlflow-too", folder="runs/first", experiment="foldsweep")
    assert where in out.splitlines()
    commands = suggested(out)
    assert list(commands) == [
        *("report", "compare", "export", "then measure", "register", "look", "more")
    ]
    assert commands["look"] == "make ui"
    assert commands["compare"].endswith("analysis/compare.py --sweep first")
    assert commands["report"].endswith("analysis/report.py --sweep first --out first.html")
    assert commands["export"].endswith("analysis/export.py --sweep first")
    assert commands["then measure"].endswith("evaluate.py best-first-small.yaml")
    assert commands["register"].endswith("export.py --sweep first/small --register first")
    assert commands["more"].endswith("sweeps/run.py --resume first --trials 12")


def test_a_program_is_told_where_results_are_and_which_call_gives_more(
    settings: SweepSettings, make_end: MakeEnd, said: Said, here: Path
) -> None:
    called = Audience(by_call=True)
    say_what_next(settings, "first", [make_end()], called)
    out = said()
    where = text("commands.results-in-mlflow-too", folder="runs/first", experiment="foldsweep")
    assert where in out.splitlines()
    assert suggested(out) == {"more": "fs.sweep(resume='first', trials=12)"}
    say_how_to_go_on(settings, "first", called)  # since the raised error says it
    assert said() == ""
    elsewhere = replace(settings, tracking_uri="sqlite:///other.db")
    assert watch(settings, called) == text("commands.watch", look="foldsweep ui")
    assert watch(elsewhere, called) == text(
        "commands.watch", look="foldsweep ui --tracking-uri sqlite:///other.db"
    )


def test_data_of_ones_own_is_named_where_it_is_needed_again(
    settings: SweepSettings, make_end: MakeEnd, said: Said, here: Path
) -> None:
    (here / "my table.csv").touch()
    end = make_end()
    for data, option in ((str(here / "my table.csv"), True), ("iris", False)):
        say_what_next(replace(settings, data=data), "first", [end])
        commands = suggested(said())
        named = f" --data '{here}/my table.csv'" if option else ""
        assert commands["then measure"].endswith(f"evaluate.py best-first-small.yaml{named}")
        assert commands["register"].endswith(f" --register first{named}")


def test_the_best_space_of_several_is_measured_and_registered(
    settings: SweepSettings,
    make_end: MakeEnd,
    make_ended: MakeEnded,
    make_space: Callable[..., SearchSpace],
    said: Said,
) -> None:
    worse = make_ended("ends", space=make_space(name="worse"), over=InMemoryStorage())
    better = make_end()
    for ends in ([worse, better], [better, worse]):
        say_what_next(settings, "first", ends)
        commands = suggested(said())
        assert commands["then measure"].endswith("evaluate.py best-first-small.yaml")
        assert " --sweep first/small " in commands["register"]
    expected = [replace(worse, expected_score=0.7), replace(better, expected_score=0.6)]
    say_what_next(settings, "first", expected)
    assert " --sweep first/worse " in suggested(said())["register"]


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
    assert list(suggested(said())) == ["look"]  # more trials would fail like all so far
    asked = end.ledger.ask()
    assert asked is not None
    end.ledger.prune(asked.number, {"by_fold": {}})
    say_what_next(settings, "first", [end])
    assert list(suggested(said())) == ["look", "more"]
    say_what_next(settings, "first", [replace(end, hopeless=True)])
    assert list(suggested(said())) == ["look"]


def test_nothing_is_exported_that_was_selected_on_test_pairs(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    say_what_next(replace(settings, select_on_test=True), "first", [make_end()])
    assert list(suggested(said())) == ["report", "compare", "look", "more"]


def test_nothing_is_exported_while_records_wait(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    say_what_next(settings, "first", [make_end(waiting_records=3)])
    out = said()
    assert list(suggested(out)) == ["more"]
    assert text("commands.results-in", folder="runs/first") in out.splitlines()


def test_a_grid_has_no_more(settings: SweepSettings, make_end: MakeEnd, said: Said) -> None:
    say_what_next(replace(settings, sampler="grid"), "first", [make_end()])
    assert "more" not in suggested(said())


def test_a_sweep_of_a_program_is_resumed_by_a_call() -> None:
    settings = SweepSettings(space=("python:mine",), storage="my runs")
    called = "fs.sweep(SPACES, resume='first', storage='my runs', trials=60)"
    assert resume_command(settings, "first", trials=60) == called
    of_file = Audience(by_call=True, gave_task=True)
    file = SweepSettings(space=("net.py",))
    assert resume_command(file, "first", of_file) == "fs.sweep(TASK, resume='first')"
    typed = resume_command(replace(settings, space=("mlp",)), "first", trials=60)
    assert typed.endswith("--resume first --storage 'my runs' --trials 60")
