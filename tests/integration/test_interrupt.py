"""A sweep stopped by Ctrl-C, by its time budget or by SIGTERM can be resumed each time."""

import os
import signal
from pathlib import Path

import pytest

from tests.integration.user import RunRow, User, check_mlflow, scores, until
from tests.refusals import text

# four program starts: nearly a minute on 2 idle cores
pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]

SWEEP = "stopped/slow_mlp"
SLOW = "FOLDSWEEP_TEST_SLOW"
SPACE = f"""
import os, time
from dataclasses import replace
from search_spaces.larger_digit import mlp

def space():
    known = mlp.space()

    def slow(config, shapes):
        \"\"\"Each of three folds' networks takes a third of the time.\"\"\"
        time.sleep(float(os.environ.get({SLOW!r}, 0)) / 3)
        return known.variant.model(config, shapes)

    return replace(known, name="slow_mlp", variant=replace(known.variant, model=slow))
"""


def check_nothing_runs(user: User) -> None:
    """Check that no process is left, and that no run is RUNNING."""
    user.is_gone()
    assert "RUNNING" not in statuses(user.mlflow(SWEEP))


def statuses(runs: dict[str, RunRow]) -> set[str]:
    return {run.status for run in runs.values()}


def num_ended(user: User) -> int:
    return len([t for t in user.study(SWEEP) if t.state.is_finished()])


def test_a_sweep_stopped_in_every_polite_way_ends_as_one_that_was_not(
    user: User, reference: User, reference_args: tuple[object, ...], tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text(SPACE)
    again = f"{User.shown('sweeps/run.py')} --resume stopped"
    go_on = text("commands.interrupted", resume=again)

    # Ctrl-C reaches every process of the terminal's process group
    process = user.start(
        *("sweeps/run.py", "--space", "slow.py", "--name", "stopped", "--concurrency", 2),
        *reference_args,
        **{SLOW: "0.1"},
    )
    until(lambda: user.records(SWEEP, "end"), process)
    os.killpg(process.pid, signal.SIGINT)
    end = user.end(process, code=130)
    assert end.stdout.splitlines()[-1] == go_on
    assert end.stderr == ""
    check_nothing_runs(user)
    assert statuses(user.mlflow(SWEEP)) == {"FINISHED", "KILLED"}
    assert 1 <= num_ended(user) < 6

    # the time budget ends while trials are still slow
    resume = ("sweeps/run.py", "--resume", "stopped")
    before = scores([t for t in user.study(SWEEP) if t.state.is_finished()])
    end = user.run(*resume, "--time-budget", 5, **{SLOW: "3"})
    left = 6 - num_ended(user)
    assert left == 6 - len(before)
    resume_later = f"{again} --time-budget SECONDS"
    assert text("messages.out-of-time", left=left, resume=resume_later) in end.stdout
    assert end.stderr == ""
    check_nothing_runs(user)

    # a batch system sends SIGTERM to the driver only
    num_points = len(user.records(SWEEP, "metrics"))
    process = user.start(*resume, "--time-budget", 1000, **{SLOW: "0.5"})
    until(lambda: len(user.records(SWEEP, "metrics")) > num_points, process)
    process.terminate()
    end = user.end(process, code=130)
    assert end.stdout.splitlines()[-1] == go_on
    assert end.stderr == ""
    check_nothing_runs(user)

    said = user.run(*resume).stdout
    assert text("messages.ended-pausing", space="slow_mlp", complete=6, paused=0, failed=0) in said
    trials = user.study(SWEEP)
    assert {n: trial for n, trial in scores(trials).items() if n in before} == before
    assert scores(trials) == scores(reference.study("reference/mlp"))
    check_mlflow(user.mlflow(SWEEP), trials)
