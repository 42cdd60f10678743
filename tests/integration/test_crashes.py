"""Processes killed at critical points: a reused worker in its reset, a driver before a pruning."""

import os

import pytest
from optuna.trial import TrialState

from tests.integration.user import REPOSITORY, TINY, User, scores
from tests.refusals import text

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

SPACE = '''
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from foldsweep import SearchSpace, Shapes, TrialConfig, tune, variant
from trainables.tasks.larger_digit import TASK

MARK = Path(__file__).with_suffix(".mark")
BUILT = []


@dataclass(frozen=True, kw_only=True)
class DyingConfig(TrialConfig):
    units: int = 8


class DyingNet(nn.Module):
    """Its constructor kills a worker that has built the folds of a trial before; once."""

    def __init__(self, config: DyingConfig, shapes: Shapes):
        super().__init__()
        BUILT.append(config.units)
        if len(BUILT) > 3 and "ray::" in Path("/proc/self/cmdline").read_text():
            if not MARK.exists():
                MARK.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(392, config.units), nn.Linear(config.units, shapes.outputs)
        )

    def forward(self, pair: Tensor) -> Tensor:
        return self.layers(pair)


def space() -> SearchSpace:
    return SearchSpace(
        name="dying",
        variant=variant("dying", TASK, DyingNet, DyingConfig),
        domains={"lr": tune.loguniform(1e-4, 1e-1), "units": tune.randint(4, 9), "epochs": 2},
    )
'''

KILLED = """
import os, signal, sys
from sweeps import driver, run, supervisor

def sweep(*settings):
    from sweeps.ledger import Ledger
    Ledger.prune = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
    return driver.sweep(*settings)

if __name__ == "__main__":
    run.apart = lambda _, *settings: supervisor.apart("killed.sweep", *settings)
    sys.exit(run.main())
"""


@pytest.mark.slow  # crashed processes are restarted
def test_a_worker_that_dies_in_a_reset_costs_one_try(user: User) -> None:
    (user.folder / "dying.py").write_text(SPACE)
    args = ("--space", "dying.py", "--name", "first", "--trials", 4, "--concurrency", 1)
    user.run("sweeps/run.py", *args, *TINY, "--sampler", "random", "--max-failures", 1)
    assert (user.folder / "dying.mark").exists()
    assert [t.state for t in user.study("first/dying")] == 4 * [TrialState.COMPLETE]


@pytest.mark.slow  # a sweep, and one that is resumed after each of its prunings
def test_a_driver_killed_in_front_of_each_pruning_prunes_as_one_left_in_peace(user: User) -> None:
    (user.folder / "killed.py").write_text(KILLED)
    args = (*TINY, "--space", "mlp", "--trials", 12, "--epochs", 9, "--concurrency", 1)
    args += ("--sampler", "random", "--seed", 3, "--scheduler", "asha-stop")
    user.run("sweeps/run.py", *args, "--name", "whole")
    killed = user.folder / "killed.py"
    again: tuple[object, ...] = (*args, "--name", "first")
    path = f"{REPOSITORY}{os.pathsep}{user.folder}"
    for _ in range(3):
        process = user.start_command("python", killed, *again, PYTHONPATH=path)
        _, err = process.communicate(timeout=100)
        assert process.returncode == 1
        assert text("supervisor.killed", signal="SIGKILL") in err
        again = ("--resume", "first")
    user.run("sweeps/run.py", "--resume", "first")
    whole, resumed = user.study("whole/mlp"), user.study("first/mlp")
    assert TrialState.PRUNED in {t.state for t in whole}
    assert scores(resumed) == scores(whole)
    runs = user.mlflow("first/mlp")
    assert set(runs) == {"", *(str(t.number) for t in whole)}
    states = {str(t.number): t.state.name for t in whole}
    assert {k: run.tags["foldsweep.state"] for k, run in runs.items() if k} == states
