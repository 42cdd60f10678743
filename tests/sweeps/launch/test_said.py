"""Messages about early stopping before a sweep starts."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.launch import launch
from sweeps.settings_file import load_settings
from tests.refusals import said_as, text
from tests.sweeps.launch.launches import Given, Waiting


def too_few(space: str, scheduler: str) -> str:
    return text(
        "messages.too-few-trials",
        space=space,
        trials="3 sampled trials",
        scheduler=scheduler,
        least=9,
    )


def test_each_space_of_few_trials_says_before_it_starts_that_none_is_stopped_early(
    launched: Callable[..., Given], capsys: pytest.CaptureFixture[str]
) -> None:
    spaces = ("mlp", "random_forest", "logistic")
    launched(data="iris", space=spaces, name="first", trials=4, scheduler="hyperband")
    lines = capsys.readouterr().out.splitlines()
    starts = said_as("launch.starts", name="first")
    (start,) = (i for i, line in enumerate(lines) if starts.fullmatch(line))
    assert said_as("commands.watch").fullmatch(lines[start + 1])
    assert lines[start + 2 :] == [
        too_few("mlp", "hyperband"),
        too_few("random_forest", "hyperband"),
    ]
    launched(data="iris", space=("mlp",), name="second")
    last = capsys.readouterr().out.splitlines()[-1]
    assert said_as("commands.watch").fullmatch(last)


def test_an_extended_sweep_says_that_trials_are_stopped_early_from_here_on(
    launched: Callable[..., Given], capsys: pytest.CaptureFixture[str]
) -> None:
    launched(data="iris", space=("mlp",), name="first", trials=4)
    said = []
    for trials in (4, 30, 30):
        capsys.readouterr()
        stored = load_settings(Path("runs/first"))
        settings = replace(stored, resume="first", trials=trials)
        assert launch(settings, stored, Waiting(settings)) == 0
        said.append(capsys.readouterr().out.splitlines()[-2:])
    assert said[0][1] == too_few("mlp", "asha")
    assert said[1][1] == text(
        "messages.stops-early-now", space="mlp", trials="29 sampled trials", scheduler="asha"
    )
    budget = text("messages.trials", trials=30)
    described = said_as("messages.described", spaces="mlp", budget=budget).pattern
    resumes = re.escape(text("launch.resumes", name="first", sweep="DESCRIBED"))
    assert re.fullmatch(resumes.replace("DESCRIBED", described), said[2][0])
    assert said_as("commands.watch").fullmatch(said[2][1])
