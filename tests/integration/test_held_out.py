"""With early stopping, a sweep keeps the held-out rows of the trials that it trains to the end."""

import numpy as np
import pytest

from tests.integration.user import TINY, User
from tests.refusals import said_as
from trainables.stack.held_out import HeldOut

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(120)]


def test_complete_trials_keep_their_rows_and_the_sweep_says_what_to_expect(user: User) -> None:
    said = user.run(
        *("sweeps/run.py", "--space", "mlp", "--name", "halved", *TINY, "--trials", 12),
        *("--epochs", 9, "--sampler", "random", "--seed", 3),
    ).stdout
    trials = user.study("halved/mlp")
    complete = [t for t in trials if t.state.name == "COMPLETE"]
    assert 2 <= len(complete) < len(trials)
    files = user.held_out("halved/mlp")
    assert set(files) == {t.number for t in complete}
    runs = user.mlflow("halved/mlp")
    for trial in trials:
        attached = user.artifacts(runs[str(trial.number)], "held_out")
        assert attached == ([files[trial.number]] if trial in complete else [])
    for trial in complete:
        held = HeldOut.from_bytes(files[trial.number])
        scores = trial.user_attrs["result"]["by_fold"]["val_accuracy"]
        assert [held.values[held.fold == k].mean() for k in range(3)] == pytest.approx(scores)
    own = runs[""]
    value, low, high = (own.last(f"bootstrap_val_accuracy{end}") for end in ("", "_low", "_high"))
    assert own.last("bootstrap_val_accuracy_trials") == len(complete)
    assert low <= value <= max(np.mean(t.values) for t in complete)
    shown = {"value": f"{value:.4f}", "low": f"{low:.4f}", "high": f"{high:.4f}"}
    expected = {"metric": "accuracy", "complete": len(complete), **shown}
    assert said_as("expectation.score", **expected).search(said)
