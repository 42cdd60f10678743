"""Scripts that run sweeps with `import foldsweep as fs`; Ray is in a process of its own."""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.user import User, until
from tests.refusals import text

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]

MADE = """
import json, sys
import numpy as np
import torch
from torch import nn
import foldsweep as fs
from beside_the_script import activation

x = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
task = fs.table(x, np.where(x[:, 0] + x[:, 1] > 0, "up", "down"))

class Net(nn.Module):
    def __init__(self, config, shapes):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, shapes.outputs))

    def forward(self, rows):
        first, last = self.layers
        return last(activation(first(rows)))

LEAST = 1e-3
space = fs.SearchSpace(
    name="mine",
    variant=fs.variant("mine", task, Net, fs.TrialConfig),
    domains={"lr": fs.tune.loguniform(LEAST, 1e-1), "epochs": EPOCHS},
    constraint=lambda config: config.lr > LEAST,
)
"""


@pytest.fixture
def script(user: User) -> Callable[..., Any]:
    """Runs a user's script in a subfolder; returns its last printed line, parsed as JSON."""
    folder = user.folder / "project"
    folder.mkdir()
    (folder / "beside_the_script.py").write_text("from torch import tanh as activation\n")

    def run(lines: str) -> Any:
        file = folder / "script.py"
        file.write_text(MADE.replace("EPOCHS", "3") + lines)
        process = user.start_command(sys.executable, file)
        return json.loads(user.end(process).stdout.splitlines()[-1])

    return run


def test_what_a_script_defines_reaches_the_workers_and_gives_the_same_as_without_ray(
    script: Callable[..., Any], user: User
) -> None:
    """The script runs two sweeps one after the other in one process."""
    apart, here, ray = script(
        "settings = dict(trials=4, folds=3, sampler='random')\n"
        "apart = fs.sweep(space, name='apart', workers=2, **settings)\n"
        "here = fs.sweep(space, name='here', workers=0, **settings)\n"
        "names = ['trial', 'state', 'score', 'std', 'fold_0', 'fold_1', 'fold_2', 'lr']\n"
        "scores = [result.trials[names].to_dict('records') for result in (apart, here)]\n"
        "import ray\n"
        "print(json.dumps([*scores, ray.is_initialized()]))"
    )
    assert [trial["state"] for trial in apart] == ["COMPLETE"] * 4
    assert apart == here
    assert not ray
    user.is_gone(within_s=90)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 0), pytest.param(signal.SIGTERM, -15, marks=pytest.mark.slow)],
)
def test_a_session_without_a_file_is_interrupted_or_ended(
    number: int, code: int, user: User
) -> None:
    """As in a notebook, its classes are in no file; its modules are in the current folder."""
    (user.folder / "beside_the_script.py").write_text("from torch import tanh as activation\n")
    process = user.start_command(
        *(sys.executable, "-c"),
        MADE.replace("EPOCHS", "20_000") + "try:\n"
        "    fs.sweep(space, name='long', trials=4, folds=3, workers=1)\n"
        "except KeyboardInterrupt as stop:\n"
        "    print('alive:', stop, fs.load('long'), flush=True)\n",
    )
    study = user.folder / "runs" / "long" / "mine" / "study.journal"
    until(lambda: study.exists() and "trial_id" in study.read_text(), process)
    process.send_signal(number)
    said = user.end(process, code).stdout.splitlines()[-1]
    resume = "fs.sweep(SPACES, resume='long')"
    if number == signal.SIGINT:
        assert said.startswith(f"alive: resume with {resume} <Result of sweep long: mine")
    else:
        assert said == text("commands.interrupted", resume=resume)
    user.is_gone(within_s=90)
    told = user.run("sweeps/run.py", "--resume", "long", code=2).stderr
    assert told.startswith(f"error: {text('handover.space-of-a-program', space='mine')}")


WRONG = {
    "fs.sweep(space, folds=200)": ("UserError", "splits.more-folds-than-rows"),
    "fs.sweep('nowhere.py')": ("UserError", "loading.file-missing"),
    "space.variant.model.forward = lambda self, rows: rows.nothing; fs.sweep(space)": (
        "AttributeError: 'Tensor' object has no attribute 'nothing'",
        "",
    ),
    "import threading; space.variant.model.lock = threading.Lock(); fs.sweep(space)": (
        "UserError",
        "handover.cannot-be-sent",
    ),
}
"""Lines of a script, the exception that they raise, and its kind if it is a mistake."""


def test_what_is_wrong_is_an_exception(script: Callable[..., Any], user: User) -> None:
    errors = script(
        f"errors = []\nfor line in {[*WRONG]!r}:\n"
        "    try:\n        exec(line)\n"
        "    except Exception as error:\n"
        "        kind = getattr(error, 'kind', '')\n"
        "        errors.append((f'{type(error).__name__}: {error}', kind))\n"
        "print(json.dumps(errors))"
    )
    assert len(errors) == len(WRONG)
    for (error, kind), (said, expected) in zip(errors, WRONG.values(), strict=True):
        assert said in error, error
        assert kind == expected, error
    assert not (Path(user.folder) / "runs").exists()
