"""Machines that come and go: no trial fails for want of one, and each that is there is used."""

import os
import re
import signal
import tomllib
from collections import Counter

import pytest

from foldsweep.names import TAG_NODES
from tests.cluster.bench import SHORT, Bench, Undisturbed, trial_processes
from tests.cluster.gate import SPACE
from tests.integration.user import REPOSITORY, RunRow, check_mlflow, scores

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

ARGS = ("--trials", 8, "--epochs", 20)


def new(name: str, *args: object) -> tuple[object, ...]:
    return ("--space", "gated.py", "--name", name, *SHORT, *(args or ARGS))


def nodes_of(run: RunRow) -> list[str]:
    """The node of each attempt of a trial."""
    return run.tags[TAG_NODES].split("; ")


def test_a_machine_that_is_killed_fails_no_trial_and_one_that_joins_is_used(
    bench: Bench, undisturbed: Undisturbed
) -> None:
    cluster = bench.ray()
    node = cluster.add(cpus=2)
    bench.gate.close()
    sweep = bench.start(bench.user("a"), *new("killed"), "--max-failures", 0, on=cluster)
    sweep.until(lambda: bench.gate.waiting() == [cluster.head.name, node.name, node.name])
    node.kill()
    joined = cluster.add(cpus=2)
    sweep.until(lambda: bench.gate.waiting() == [cluster.head.name, joined.name, joined.name])
    bench.gate.open()
    said = sweep.end().out
    assert "2 nodes: 3 trials at a time" in said
    assert "lost with its machine, " in said
    assert "last error" not in said
    trials, runs = bench.trials(f"killed/{SPACE}"), bench.runs(f"killed/{SPACE}")
    assert scores(trials) == scores(undisturbed(*ARGS))
    check_mlflow(runs, trials)
    attempts = Counter(len(nodes_of(run)) for number, run in runs.items() if number)
    assert attempts == {1: 6, 2: 2}


def test_a_machine_that_is_cut_off_fails_no_trial(
    far_bench: Bench, undisturbed: Undisturbed
) -> None:
    cluster = far_bench.ray()
    node = cluster.add(cpus=2)
    far_bench.gate.close()
    sweep = far_bench.start(far_bench.user("a"), *new("off"), "--max-failures", 0, on=cluster)
    sweep.until(lambda: len(far_bench.gate.waiting()) == 3)
    cluster.cut_off(node)
    far_bench.gate.open()
    sweep.end()
    trials = far_bench.trials(f"off/{SPACE}")
    assert scores(trials) == scores(undisturbed(*ARGS))
    check_mlflow(far_bench.runs(f"off/{SPACE}"), trials)


@pytest.mark.parametrize(
    ("option", "has"), [("--cpus-per-trial 3", "2 CPUs"), ("--gpus-per-trial 2", "1 GPU")]
)
def test_a_trial_that_fits_no_node_is_refused(bench: Bench, option: str, has: str) -> None:
    """Though all together have enough; GPUs of nodes count, whatever torch the driver has."""
    cluster = bench.ray(cpus=2)
    for _ in range(2):
        cluster.add(cpus=2, gpus=1)
    said = bench.start(bench.user("a"), *new("large"), *option.split(), on=cluster).refused()
    assert re.match(rf"error: {option} fits no node: the largest, \S+ \(.*\), has {has}\n", said)
    assert not bench.states(f"large/{SPACE}")


def running(text: str) -> int:
    """How many trials run, by the last line of progress that says so."""
    return int(re.findall(r"(\d+) running", text)[-1])


def test_what_has_no_process_does_not_count_as_running(bench: Bench) -> None:
    cluster = bench.ray()
    node = cluster.add(cpus=2)
    bench.gate.close()
    sweep = bench.start(bench.user("a"), *new("count"), on=cluster)
    sweep.until(lambda: "running" in sweep.out and running(sweep.out) == 3)
    node.kill()
    sweep.until(lambda: running(sweep.out) == 1)
    bench.gate.open()
    sweep.end()


LACKS = "cannot import foldsweep (ModuleNotFoundError: No module named "
BLIND = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"foldsweep", "sweeps", "search_spaces", "trainables"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


def test_a_node_without_the_product_is_named_and_no_trial_is_placed_on_it(
    far_bench: Bench, undisturbed: Undisturbed
) -> None:
    """Whether it is there at the start or joins, when trials wait for a place."""
    bench = far_bench
    cluster = bench.ray()
    path = bench.folder / "blind"
    path.mkdir()
    (path / "sitecustomize.py").write_text(BLIND)
    blind = [cluster.add(cpus=2, PYTHONPATH=str(path))]
    bench.gate.close()
    sweep = bench.start(
        *(bench.user("a"), *new("blind"), "--max-failures", 0, "--concurrency", 3), on=cluster
    )
    sweep.until(lambda: bench.gate.waiting() == [cluster.head.name])
    blind.append(cluster.add(cpus=2, PYTHONPATH=str(path)))
    sweep.until(lambda: sweep.out.count(LACKS) == 2)
    good = cluster.add()
    sweep.until(lambda: bench.gate.waiting() == [cluster.head.name, good.name])
    bench.gate.open()
    said = sweep.end().out
    named = [line for line in said.splitlines() if LACKS in line]
    assert [node.shown in line for node, line in zip(blind, named, strict=True)] == [True, True]
    assert scores(bench.trials(f"blind/{SPACE}")) == scores(undisturbed(*ARGS))


def test_a_node_that_joins_is_used_and_runs_say_on_which_node_they_were_trained(
    far_bench: Bench, undisturbed: Undisturbed
) -> None:
    bench = far_bench
    cluster = bench.ray()
    bench.gate.close()
    sweep = bench.start(bench.user("a"), *new("joins"), on=cluster)
    sweep.until(lambda: bench.gate.waiting() == [cluster.head.name])
    node = cluster.add(cpus=2)
    sweep.until(lambda: bench.gate.waiting() == [cluster.head.name, node.name, node.name])
    bench.gate.open()
    said = sweep.end().out
    assert f"joined: {node.shown}; 3 trials at a time" in said
    assert scores(bench.trials(f"joins/{SPACE}")) == scores(undisturbed(*ARGS))
    places = [nodes_of(run) for number, run in bench.runs(f"joins/{SPACE}").items() if number]
    assert {len(place) for place in places} == {1}
    assert {place[0] for place in places} == {cluster.head.shown, node.shown}


def test_an_error_that_was_overcome_is_not_the_last_word(bench: Bench) -> None:
    user = bench.user("a")
    bench.gate.close()
    sweep = bench.start(user, *new("over"), "--concurrency", 1)
    sweep.until(lambda: bench.gate.waiting())
    os.kill(trial_processes(user)[0], signal.SIGKILL)
    bench.gate.open()
    sweep.end()
    assert bench.states(f"over/{SPACE}") == {"COMPLETE": 8}
    assert "last error" not in sweep.out


@pytest.mark.parametrize(("name", "part"), [("server", "gcs_server"), ("head", "")])
def test_a_head_that_is_killed_ends_the_sweep_in_one_line_with_the_command_that_resumes(
    bench: Bench, undisturbed: Undisturbed, name: str, part: str
) -> None:
    """With its server alone, the driver's own raylet lives on, and Ray is silent for a minute."""
    cluster, user = bench.ray(), bench.user("a")
    sweep = bench.start(user, *new(name), on=cluster)
    sweep.until(lambda: bench.ended(f"{name}/{SPACE}"))
    bench.gate.close()
    sweep.until(bench.gate.waiting)
    cluster.head.kill_part(part)
    said = sweep.refused(code=1, within_s=50)
    assert said.startswith("error: Ray's head node, ") or not part
    assert "; nothing that has ended is lost. Continue with: " in said
    assert f"--resume {name}" in said
    bench.gate.open()
    again = bench.ray()
    bench.start(user, "--resume", name, *bench.options(), on=again).end()
    assert scores(bench.trials(f"{name}/{SPACE}")) == scores(undisturbed(*ARGS))


def test_a_driver_on_a_machine_that_is_no_node_is_told_so(far_bench: Bench) -> None:
    cluster = far_bench.ray()
    said = far_bench.start(
        *(far_bench.user("a"), *new("outside"), "--address", cluster.address),
        **cluster.environment,
    ).refused(within_s=50)
    assert f"--address {cluster.address} cannot be used: this machine is no node of that" in said


def test_the_extra_cluster_has_what_a_cluster_needs() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extra = " ".join(project["optional-dependencies"]["cluster"])
    assert "psycopg" in extra
    assert "boto3" in extra
