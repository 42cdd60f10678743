"""Sweeps in shared stores can be resumed on any machine, but only by one driver at a time."""

import re
from collections.abc import Callable
from hashlib import sha256

import pytest

from tests.cluster.bench import STUDIES, Bench, CheckWhole, new
from tests.cluster.gate import SPACE
from tests.cluster.proxy import Proxy
from tests.cluster.services import USER
from tests.integration.user import User, check_mlflow
from tests.refusals import said_as, text

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

ARGS = ("--trials", 10, "--epochs", 20)


def test_a_sweep_is_resumed_from_a_folder_that_has_nothing_of_it(
    bench: Bench, check_whole: CheckWhole
) -> None:
    first, second = bench.user("a"), bench.user("b")
    sweep = bench.start(first, *new("moved", *ARGS))
    sweep.until(lambda: bench.ended("moved") >= 3)
    sweep.interrupt()
    bench.leave(first)
    out = bench.start(second, "--resume", "moved", *bench.options()).end().out
    assert said_as("database.restored", name="moved").search(out)
    check_whole(bench, "moved", *ARGS)


@pytest.mark.parametrize("sent", [False, True], ids=["unsent", "sent"])
def test_the_sweep_of_a_machine_that_has_burnt_is_resumed_from_another(
    bench: Bench, in_peace: Callable[..., User], check_whole: CheckWhole, sent: bool
) -> None:
    """A killed driver holds no lock, and the records that it had not sent are in the stores."""
    first, second, third = map(bench.user, "abc")
    name = f"burnt-{sent}"
    if not sent:
        bench.tracking.cut()
    sweep = bench.start(first, *new(name, *ARGS))
    sweep.until(lambda: bench.ended(name) >= 3)
    if sent:  # MLflow then has points of trials in training that no stored copy has
        sweep.until(lambda: "2" in bench.runs(name))
    bench.leave(first)
    bench.tracking.restore()
    bench.start(second, "--resume", name, *bench.options()).end()
    check_whole(bench, name, *ARGS)
    held_out = in_peace(*ARGS).held_out(f"peace/{SPACE}")
    assert second.held_out(f"{name}/{SPACE}") == held_out
    # resume again on a third machine, where all trials are complete
    out = bench.start(third, "--resume", name, *bench.options()).end().out
    assert said_as("messages.ended-pausing", space=SPACE, complete=10).search(out)
    check_whole(bench, name, *ARGS)


def test_code_in_the_study_is_run_only_if_it_is_trusted(bench: Bench) -> None:
    first, second = bench.user("a"), bench.user("b")
    bench.start(first, *new("code", "--epochs", 2, "--trials", 2)).end()
    here = second.folder / "gated.py"
    source = here.read_text()
    digest = sha256(source.encode()).hexdigest()[:16]
    refusal = text("database.space-file-changed", file="gated.py", name="code", digest=digest)
    again = ("--resume", "code", "--trials", 3, *bench.options())
    for other in (None, source + "# changed"):
        here.unlink(missing_ok=True)
        if other is not None:
            here.write_text(other)
        said = bench.start(second, *again).refused()
        assert refusal in said
        assert not (second.folder / "runs").exists()
    bench.start(second, *again, "--trust").end()
    (restored,) = (second.folder / "runs/code/spaces").glob("*/gated.py")
    assert restored.read_text() == source
    assert bench.states("code") == {"COMPLETE": 3}


def test_a_name_that_is_taken_in_the_stores_says_how_to_resume_and_that_works(
    bench: Bench,
) -> None:
    """The first user's folder is then outdated, and gets the sweep's current settings."""
    first, second = bench.user("a"), bench.user("b")
    taken = new("taken", "--epochs", 2, "--trials", 3)
    bench.start(first, *taken).end()
    said = bench.start(second, *taken).refused()
    assert text("home.name-taken", name="taken") in said
    assert not list((second.folder / "runs").glob("*"))
    bench.start(second, "--resume", "taken", "--trials", 5, *bench.options()).end()
    out = bench.start(first, "--resume", "taken").end().out
    assert said_as("messages.ended-pausing", space=SPACE, complete=5).search(out)
    assert bench.states("taken") == {"COMPLETE": 5}
    check_mlflow(bench.runs("taken"), bench.trials("taken"))


def test_two_drivers_never_run_one_sweep_and_a_dead_one_is_taken_over(
    bench: Bench, check_whole: CheckWhole
) -> None:
    first, second = bench.user("a"), bench.user("b")
    bench.gate.close()
    sweep = bench.start(first, *new("held", *ARGS))
    sweep.until(lambda: bench.gate.waiting())
    again = ("--resume", "held", *bench.options())
    said = bench.start(second, *new("held", *ARGS)).refused()
    assert text("home.name-taken", name="held") in said
    said = bench.start(second, *again).refused()
    held = re.escape(text("ownership.sweep-in-use", sweep="held", holder="HOLDER"))
    assert re.search(held.replace("HOLDER", r"process \d+ on \S+ since .*"), said)
    first.kill(sweep.process)  # kills the driver: its lock is free at once, its trials wait
    bench.gate.open()
    bench.start(second, *again).end()
    check_whole(bench, "held", *ARGS)


def test_a_driver_that_has_lost_the_lock_gives_way_to_the_one_that_has_it(
    bench: Bench, check_whole: CheckWhole
) -> None:
    """Each driver has its own proxy; the first one's comes back after the second has the lock."""
    stores = bench.options(study=f"postgresql://{USER}@/{STUDIES}")
    first, second = bench.user("a"), bench.user("b")
    with Proxy(bench.postgres.port) as other:

        def way(proxy: Proxy) -> dict[str, str]:
            return {"PGHOST": proxy.host, "PGPORT": str(proxy.port)}

        sweep = bench.start(first, *new("lock", *ARGS), *stores, **way(bench.study))
        sweep.until(lambda: bench.ended("lock") >= 2)
        bench.gate.close()
        sweep.until(lambda: bench.gate.waiting())
        bench.study.cut()
        taken = bench.start(second, "--resume", "lock", *stores, **way(other))
        taken.until(lambda: said_as("launch.resumes", name="lock").search(taken.out))
        bench.study.restore()
        bench.gate.open()
        taken.end()
        sweep.process.wait(600)
    assert "Traceback" not in sweep.err
    check_whole(bench, "lock", *ARGS)
