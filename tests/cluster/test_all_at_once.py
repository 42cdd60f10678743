"""One sweep that loses each machine and service once, with the results of an undisturbed one."""

import pytest

from tests.cluster.bench import Bench, CheckWhole, new
from tests.cluster.nodes import Node
from tests.refusals import said_as

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(3600)]

ARGS = ("--trials", 200, "--epochs", 12)
NAME = "all"


def test_a_sweep_that_loses_each_machine_and_service_once_loses_nothing(
    far_bench: Bench, check_whole: CheckWhole
) -> None:
    bench, user = far_bench, far_bench.user("a")
    cluster = bench.ray()
    killed, cut_off = cluster.add(), cluster.add()
    sweep = bench.start(
        *(user, *new(NAME, *ARGS), "--max-failures", 0, "--checkpoint-every-s", 0),
        on=cluster,
    )

    def after(more: int) -> None:
        """Wait until `more` further trials have ended."""
        number = bench.ended(NAME) + more
        sweep.until(lambda: bench.ended(NAME) >= number)

    def hold_up(*nodes: Node) -> None:
        """Close the gate, and wait until trials on these nodes have reached it."""
        bench.gate.close()
        sweep.until(lambda: {node.name for node in nodes} <= set(bench.gate.waiting()))

    def said(kind: str, **values: str) -> None:
        """Wait until the program has printed a text of this kind."""
        sweep.until(lambda: said_as(kind, **values).search(sweep.out))

    after(10)
    hold_up(killed, cut_off)
    killed.kill()
    said("scheduling.machine-lost", node=killed.shown)
    joined = cluster.add()
    hold_up(joined, cut_off)
    cluster.cut_off(cut_off)
    said("scheduling.machine-lost", node=cut_off.shown)
    bench.gate.open()
    after(10)
    services = {"study": bench.postgres, "storage": bench.objects, "MLflow": bench.mlflow}
    for shown, service in services.items():
        service.kill()
        said("outages.away", service=shown)
        service.start()
        after(10)
    sweep.kill()
    assert bench.ended(NAME) < 200
    bench.leave(user)
    other = bench.user("b")
    (other.folder / "gated.py").unlink()
    bench.start(other, "--resume", NAME, "--trust", *bench.options(), on=cluster).end()
    check_whole(bench, NAME, *ARGS)
