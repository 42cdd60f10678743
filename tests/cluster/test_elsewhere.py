"""A sweep lives where its stores are: resumed from any machine, run by one driver at a time."""

import pytest

from tests.cluster.bench import SHORT, STUDIES, Bench, Undisturbed
from tests.cluster.gate import SPACE
from tests.cluster.proxy import Proxy
from tests.cluster.services import USER
from tests.integration.user import check_mlflow, scores

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

ARGS = ("--trials", 10, "--epochs", 20)
NEW = ("--space", "gated.py", *SHORT, *ARGS)


def test_a_sweep_is_resumed_from_a_folder_that_has_nothing_of_it(
    bench: Bench, undisturbed: Undisturbed
) -> None:
    first, second = bench.user("a"), bench.user("b")
    (second.folder / "gated.py").unlink()
    sweep = bench.start(first, *NEW, "--name", "moved")
    sweep.until(lambda: bench.ended(f"moved/{SPACE}") >= 3)
    sweep.interrupt()
    bench.leave(first)
    bench.start(second, "--resume", "moved", *bench.options()).end()
    trials = bench.trials(f"moved/{SPACE}")
    assert scores(trials) == scores(undisturbed(*ARGS))
    check_mlflow(bench.runs(f"moved/{SPACE}"), trials)


def test_the_sweep_of_a_machine_that_has_burnt_is_resumed_from_another(
    bench: Bench, undisturbed: Undisturbed
) -> None:
    """A driver that was killed holds nothing, and what it had not sent is in the stores."""
    first, second = bench.user("a"), bench.user("b")
    (second.folder / "gated.py").unlink()
    bench.tracking.cut()
    sweep = bench.start(first, *NEW, "--name", "burnt")
    sweep.until(lambda: bench.ended(f"burnt/{SPACE}") >= 3)
    bench.leave(first)
    bench.tracking.restore()
    bench.start(second, "--resume", "burnt", *bench.options()).end()
    trials = bench.trials(f"burnt/{SPACE}")
    assert scores(trials) == scores(undisturbed(*ARGS))
    check_mlflow(bench.runs(f"burnt/{SPACE}"), trials)


def test_a_name_that_is_taken_in_the_stores_says_how_to_resume_and_that_works(
    bench: Bench,
) -> None:
    first, second = bench.user("a"), bench.user("b")
    bench.start(first, *NEW, "--name", "taken").end()
    bench.leave(first)
    said = bench.start(second, *NEW, "--name", "taken").refused()
    assert "--resume taken" in said
    more = ("--resume", "taken", "--trials", 11)
    bench.start(second, *more, *bench.options()).end()
    assert bench.states(f"taken/{SPACE}") == {"COMPLETE": 11}


def test_a_sweep_that_runs_elsewhere_is_refused_with_its_holder(bench: Bench) -> None:
    first, second = bench.user("a"), bench.user("b")
    bench.gate.close()
    sweep = bench.start(first, *NEW, "--name", "held")
    sweep.until(lambda: bench.gate.waiting())
    said = bench.start(second, "--resume", "held", *bench.options()).refused()
    assert "sweep held is being run by another process" in said
    bench.gate.open()
    sweep.end()
    assert bench.states(f"held/{SPACE}") == {"COMPLETE": 10}


def test_a_driver_that_has_lost_the_lock_gives_way_to_the_one_that_has_it(
    bench: Bench, undisturbed: Undisturbed
) -> None:
    """Each reaches the database its own way; the first one's fails, and comes back too late."""
    stores = bench.options(study=f"postgresql://{USER}@/{STUDIES}")
    first, second = bench.user("a"), bench.user("b")
    with Proxy(bench.postgres.port) as other:

        def way(proxy: Proxy) -> dict[str, str]:
            return {"PGHOST": proxy.host, "PGPORT": str(proxy.port)}

        sweep = bench.start(first, *NEW, "--name", "lock", *stores, **way(bench.study))
        sweep.until(lambda: bench.ended(f"lock/{SPACE}") >= 2)
        bench.gate.close()
        sweep.until(lambda: bench.gate.waiting())
        bench.study.cut()
        taken = bench.start(second, "--resume", "lock", *stores, **way(other))
        taken.until(lambda: "sweep lock resumes" in taken.out)
        bench.study.restore()
        bench.gate.open()
        taken.end()
        sweep.process.wait(600)
    assert "Traceback" not in sweep.err
    trials = bench.trials(f"lock/{SPACE}")
    assert scores(trials) == scores(undisturbed(*ARGS))
    check_mlflow(bench.runs(f"lock/{SPACE}"), trials)
