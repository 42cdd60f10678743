"""Messages about early stopping before a sweep starts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.launch import launch
from sweeps.settings_file import load_settings
from tests.sweeps.launch.launches import Given, Waiting


def test_each_space_of_few_trials_says_before_it_starts_that_none_is_stopped_early(
    launched: Callable[..., Given], capsys: pytest.CaptureFixture[str]
) -> None:
    spaces = ("mlp", "random_forest", "logistic")
    launched(data="iris", space=spaces, name="first", trials=4, scheduler="hyperband")
    lines = capsys.readouterr().out.splitlines()
    (start,) = (i for i, line in enumerate(lines) if line.startswith("sweep first starts: "))
    assert lines[start + 1].startswith("watch it: ")
    assert lines[start + 2 :] == [
        "mlp: 3 sampled trials: no early stopping (hyperband needs 9)",
        "random_forest: 3 sampled trials: no early stopping (hyperband needs 9)",
    ]
    launched(data="iris", space=("mlp",), name="second")
    assert "early stopping" not in capsys.readouterr().out


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
    assert said[0][1] == "mlp: 3 sampled trials: no early stopping (asha needs 9)"
    assert said[1][1] == "mlp: 29 sampled trials: early stopping from here on (asha)"
    assert said[2][0].startswith("sweep first resumes: mlp; 30 trials")
    assert said[2][1].startswith("watch it: ")
