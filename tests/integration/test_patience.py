"""A sweep that no longer improves stops by itself, and can be resumed with more patience."""

import pytest

from tests.integration.user import TINY, User
from tests.refusals import text

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]

ARGS = (*TINY, "--trials", 40, "--epochs", 1, "--sampler", "random", "--scheduler", "none")


def test_it_stops_with_the_same_trials_and_resumes_with_more_patience(user: User) -> None:
    for name, workers in (("one", 1), ("two", 2)):
        args = ("--space", "mlp", "--name", name, *ARGS, "--patience", 2)
        said = user.run("sweeps/run.py", *args, "--concurrency", workers).stdout
        line = " ".join(said.split())
        resume = f"{User.shown('sweeps/run.py')} --resume {name} --patience 4"
        stop = text("messages.out-of-patience", trials="2 trials", patience=2, resume=resume)
        assert stop in line
    one, two = (user.study(f"{name}/mlp") for name in ("one", "two"))
    assert {trial.state.name for trial in one + two} == {"COMPLETE"}
    # two workers also finish the trials that they have already started
    assert len(one) <= len(two) < 40
    assert [t.values for t in two[: len(one)]] == [t.values for t in one]

    user.run("sweeps/run.py", "--resume", "one", "--patience", len(one) + 2)
    assert len(user.study("one/mlp")) > len(one)
    assert user.mlflow("one/mlp")[""].status == "FINISHED"
