"""Database outages: the sweep waits, or ends with one line that says how to resume."""

import re

import pytest

from tests.cluster.bench import Bench, CheckWhole, Undisturbed, new
from tests.cluster.services import PASSWORD
from tests.integration.user import scores
from tests.refusals import said_as, text

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

ARGS = ("--trials", 10, "--epochs", 40)
AWAY = said_as("outages.away", service="study")


@pytest.mark.parametrize("how", ["cut", "killed"])
def test_a_database_that_comes_back_costs_a_sweep_nothing(
    bench: Bench, check_whole: CheckWhole, how: str
) -> None:
    name = f"away-{how}"
    sweep = bench.start(bench.user("a"), *new(name, *ARGS))
    sweep.until(lambda: bench.ended(name) >= 2)
    before = bench.study.refused
    if how == "cut":
        bench.study.cut()
    else:
        bench.postgres.kill()
    sweep.until(lambda: bench.study.refused >= before + 3 and AWAY.search(sweep.out))
    bench.postgres.start()
    bench.study.restore()
    assert sweep.end().err == ""
    check_whole(bench, name, *ARGS)


def test_trials_train_on_while_the_database_is_away(bench: Bench) -> None:
    """After its start, a trial needs the database only when it ends."""
    bench.gate.close()
    way = ("--checkpoint-every-s", 0, "--concurrency", 1)
    sweep = bench.start(bench.user("a"), *new("on", *ARGS, *way))
    sweep.until(lambda: bench.gate.waiting())
    bench.study.cut()
    bench.gate.open()
    sweep.until(lambda: bench.study.refused)
    assert any("checkpoints/trial_" in key for key in bench.objects.keys(bench.bucket))
    bench.study.restore()
    sweep.end()
    assert bench.states("on") == {"COMPLETE": 10}


def test_a_database_that_hangs_is_one_that_is_away(bench: Bench, undisturbed: Undisturbed) -> None:
    """The database accepts connections, but does not answer."""
    sweep = bench.start(bench.user("a"), *new("hung", *ARGS))
    sweep.until(lambda: bench.ended("hung") >= 2)
    bench.study.hold()
    sweep.until(lambda: AWAY.search(sweep.out))
    bench.study.restore()
    assert sweep.end().err == ""
    assert scores(bench.trials("hung")) == scores(undisturbed(*ARGS))


@pytest.mark.parametrize("service", ["study", "storage"])
def test_a_service_that_stays_away_ends_a_sweep_in_one_line_with_the_command_that_resumes(
    bench: Bench, check_whole: CheckWhole, service: str
) -> None:
    user, name = bench.user("a"), f"gone-{service}"
    sweep = bench.start(user, *new(name, *ARGS), "--outage-patience", 1)
    sweep.until(lambda: bench.ended(name) >= 2)
    getattr(bench, service).cut()
    lost = re.escape(text("commands.service-lost", why="WHY", resume="RESUME"))
    why = said_as("outages.lost", service=service, seconds="1").pattern
    line = lost.replace("WHY", why).replace("RESUME", r"python (\S+) (.*)")
    said = re.fullmatch(rf"error: {line}\n", sweep.refused(1))
    assert said is not None
    assert PASSWORD not in said[0]
    getattr(bench, service).restore()
    bench.start(user, *said[2].split(), *bench.options()).end()
    check_whole(bench, name, *ARGS)
