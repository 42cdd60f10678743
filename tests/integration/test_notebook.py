"""Sweeps in notebook cells, in a real kernel: shown, interrupted, resumed, and run after edits."""

from collections.abc import Iterator

import pytest

from tests.integration.kernel import Kernel, Outputs, private_places
from tests.integration.user import User, until
from tests.refusals import said_as, text

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

CELL = """
import os, time
import numpy as np
from torch import nn
import foldsweep as fs

x = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
task = fs.table(x, np.where(x[:, 0] + x[:, 1] > 0, "up", "down"))
SLOW = os.path.abspath("slow")

class Net(nn.Module):
    def __init__(self, config, shapes):
        super().__init__()
        self.layer = nn.Linear(4, shapes.outputs)

    def forward(self, rows):
        if os.path.exists(SLOW):
            time.sleep(0.1)
        return self.layer(rows)

def make():
    return fs.SearchSpace(
        name="mine",
        variant=fs.variant("mine", task, Net, fs.TrialConfig),
        domains={"lr": fs.tune.loguniform(1e-3, 1e-1), "epochs": 12},
    )

space = make()
"""
SWEEP = "result = fs.sweep(space, {}, trials=3, folds=3, workers={})"

WRONG = """class Net(Net):
    def forward(self, rows):
        return rows.nothing

space = make()"""
MENDED = """class Net(nn.Module):
    def __init__(self, config, shapes):
        super().__init__()
        self.layer = nn.Linear(4, shapes.outputs)
        self.more = nn.Parameter(self.layer.bias.detach().clone())

    def forward(self, rows):
        return self.layer(rows) + self.more

space = make()"""


@pytest.fixture
def kernel(user: User) -> Iterator[Kernel]:
    with private_places() as env:
        kernel = Kernel(user, env)
        yield kernel
        kernel.end()


def require_quiet(outputs: Outputs) -> None:
    assert outputs.error == ""
    assert outputs.errors == ""


def require_in_place(outputs: Outputs) -> None:
    """Check that a single output has shown the progress and then the summary."""
    ((*before, last),) = outputs.shown.values()
    assert before
    assert last["text/plain"].startswith(
        text("messages.ended-pausing", space="mine", complete=3, paused=0, failed=0)
    )
    assert text("summary.best", space="mine") in last["text/html"]
    assert "background" not in last["text/html"]  # fits light and dark notebooks
    assert last["text/html"].count("\n") < 30
    assert not said_as("progress.tried", space="mine").search(outputs.text)
    assert len(said_as("commands.results-in-mlflow-too").findall(outputs.text)) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sweep_is_shown_in_place_interrupted_and_resumed(
    workers: int, kernel: Kernel, user: User
) -> None:
    require_quiet(kernel.run(CELL))
    slow = user.folder / "slow"
    slow.touch()
    sweep = kernel.run(SWEEP.format("name='long'", workers), until=Outputs.is_training)
    kernel.manager.interrupt_kernel()
    kernel.follow(sweep)
    assert sweep.error == "KeyboardInterrupt: resume with fs.sweep(SPACES, resume='long')"
    assert sweep.errors == ""
    assert not said_as("commands.interrupted").search(sweep.text)  # since the error says it
    slow.unlink()
    loaded = kernel.run("print(set(fs.load('long').trials['state']))")
    require_quiet(loaded)
    assert "RUNNING" in loaded.text
    until(lambda: len(user.left_running()) == 1)

    require_quiet(kernel.run(CELL))  # a user who resumes runs the cell again; it gets a new number
    resumed = kernel.run(SWEEP.format("resume='long'", workers))
    require_quiet(resumed)
    require_in_place(resumed)
    best = kernel.run("print([*result.trials['state']])\nresult.best")
    assert best.text == "['COMPLETE', 'COMPLETE', 'COMPLETE']\n"


def test_an_error_names_its_cell_and_line_and_a_cell_that_is_mended_counts(
    kernel: Kernel, user: User
) -> None:
    require_quiet(kernel.run(CELL))
    require_quiet(kernel.run(WRONG))
    failed = kernel.run(SWEEP.format("name='own'", 1))
    assert "has no attribute 'nothing'" in failed.error
    assert 'File "Cell In[2]", line 3, in forward' in failed.traceback
    require_quiet(kernel.run(MENDED))
    require_quiet(kernel.run(SWEEP.format("name='own'", 1)))
    assert kernel.run("print(result.best.num_params)").text == "12\n"


def test_a_kernel_that_is_restarted_leaves_no_process_and_a_resumable_sweep(
    kernel: Kernel, user: User
) -> None:
    kernel.run(CELL)
    slow = user.folder / "slow"
    slow.touch()
    kernel.run(SWEEP.format("name='long'", 1), until=Outputs.is_training)
    kernel.restart()
    until(lambda: len(user.left_running()) == 1)
    slow.unlink()
    kernel.run(CELL)
    require_quiet(kernel.run(SWEEP.format("resume='long'", 1)))
    assert kernel.run("print(len(result.trials))").text == "3\n"
