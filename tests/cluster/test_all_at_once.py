"""One sweep that loses everything once, and ends with the results of one in peace."""

import pytest

from tests.cluster.bench import SHORT, Bench, Undisturbed
from tests.cluster.gate import SPACE
from tests.integration.user import check_mlflow, scores

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]

ARGS = ("--trials", 200, "--epochs", 12)
NAME = f"all/{SPACE}"


def test_a_sweep_that_loses_each_machine_and_service_once_loses_nothing(
    far_bench: Bench, undisturbed: Undisturbed
) -> None:
    bench, user = far_bench, far_bench.user("a")
    cluster = bench.ray()
    killed, cut_off = cluster.add(), cluster.add()
    sweep = bench.start(
        *(user, "--space", "gated.py", "--name", "all", *SHORT, *ARGS),
        *("--max-failures", 0, "--checkpoint-every-s", 0),
        on=cluster,
    )

    def after(more: int) -> None:
        """Wait until more trials have ended."""
        number = bench.ended(NAME) + more
        sweep.until(lambda: bench.ended(NAME) >= number)

    after(10)
    bench.gate.close()
    sweep.until(lambda: {killed.name, cut_off.name} <= set(bench.gate.waiting()))
    killed.kill()
    bench.gate.open()
    after(10)
    joined = cluster.add()
    sweep.until(lambda: joined.name in bench.gate.seen())
    bench.gate.close()
    sweep.until(lambda: cut_off.name in bench.gate.waiting())
    cluster.cut_off(cut_off)
    bench.gate.open()
    after(10)
    bench.postgres.kill()
    bench.postgres.start()
    after(10)
    bench.objects.kill()
    bench.objects.start()
    after(10)
    bench.mlflow.kill()
    bench.mlflow.start()
    after(10)
    sweep.kill()
    assert bench.ended(NAME) < 200
    bench.leave(user)
    other = bench.user("b")
    (other.folder / "gated.py").unlink()
    bench.start(other, "--resume", "all", "--trust", *bench.options(), on=cluster).end()
    trials = bench.trials(NAME)
    assert scores(trials) == scores(undisturbed(*ARGS))
    check_mlflow(bench.runs(NAME), trials)
