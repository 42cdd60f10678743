"""Results of a trial depend only on the sweep's seed and the trial's number."""

import pytest

from tests.integration.user import User, repeatable_points, scores

# slow: test_tracking_server_stops compares scores at two concurrencies too, in less detail
pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180)]


def test_two_trials_at_a_time_are_what_one_at_a_time_is(
    user: User, reference: User, reference_args: tuple[object, ...]
) -> None:
    """Run the reference sweep again, in another folder and with a different number of workers."""
    user.run(
        *("sweeps/run.py", "--space", "mlp", "--name", "twice", "--concurrency", 2),
        *reference_args,
    )
    trials = user.study("twice/mlp")
    assert len({t.user_attrs["result"]["num_params"] for t in trials}) == 6
    assert scores(trials) == scores(reference.study("reference/mlp"))
    runs, wanted = user.mlflow("twice/mlp"), reference.mlflow("reference/mlp")
    for number in map(str, range(6)):
        assert repeatable_points(runs[number]) == repeatable_points(wanted[number])
        assert runs[number].params == wanted[number].params
        assert runs[number].tags["foldsweep.config"] == wanted[number].tags["foldsweep.config"]
