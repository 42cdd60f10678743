"""A sweep has the same results, bit for bit, at any concurrency and after kills."""

import random
from typing import Any

import pytest

from tests.integration.user import User, until

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

SWEEP = ("sweeps/run.py", "--data", "iris", "--space", "mlp", "--epochs", 9, "--folds", 3)
TRIALS = 18
"""Number of trials, enough that the sampler models the last ones by results at the rung."""


def outcome(user: User, name: str) -> list[tuple[Any, ...]]:
    """Values that must be equal."""
    return [
        (t.number, t.state, t.params, t.values, t.intermediate_values)
        for t in user.study(f"{name}/mlp")
    ]


def test_a_sweep_is_the_same_at_any_concurrency_and_through_kills(user: User) -> None:
    draw = random.Random(3)
    sweep = (*SWEEP, "--trials", TRIALS)
    user.run(*sweep, "--name", "alone", "--concurrency", 1)
    expected = outcome(user, "alone")
    states = [state.name for _, state, *_ in expected]
    assert len(states) == TRIALS
    assert states.count("RUNNING") >= 5  # trials that stay paused
    user.run(*sweep, "--name", "four", "--concurrency", 4, "--cpus-per-trial", 0.5)
    assert outcome(user, "four") == expected

    process = user.start(*sweep, "--name", "killed", "--concurrency", 2)
    for concurrency in (1, 2):
        moment = draw.randint(3, 8) * (3 - concurrency)
        until(lambda at=moment: len(user.records("killed/mlp", "end")) >= at, process)
        user.kill(process)
        again = ("sweeps/run.py", "--resume", "killed", "--concurrency", concurrency)
        process = user.start(*again)
    process.wait()
    assert process.returncode == 0
    assert outcome(user, "killed") == expected
    states = {
        r["tags"]["foldsweep.state"]
        for r in user.records("killed/mlp", "tags")
        if "foldsweep.state" in r["tags"]
    }
    assert "PAUSED" in states
