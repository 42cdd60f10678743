"""Nodes that leave and join: no trial fails by a lost node, and each joined node is used."""

import os
import re
import signal
import tomllib
from collections import Counter
from collections.abc import Callable

import pytest

from foldsweep.names import TAG_NODES
from tests.cluster.bench import Bench, CheckWhole, Undisturbed, new, trial_processes
from tests.cluster.nodes import Node
from tests.integration.user import REPOSITORY, RunRow, scores
from tests.refusals import said_as, text

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

ARGS = ("--trials", 8, "--epochs", 20)
THREE = text("machines.at-a-time", trials="3 trials")


def nodes_of(run: RunRow) -> list[str]:
    """Nodes of a trial's attempts, in order."""
    return run.tags[TAG_NODES].split("; ")


def waiting(bench: Bench, *nodes: Node) -> Callable[[], bool]:
    """Return a condition: exactly one trial per listed node waits at the gate."""
    return lambda: bench.gate.waiting() == [node.name for node in nodes]


def test_a_machine_that_is_killed_fails_no_trial_and_one_that_joins_is_used(
    bench: Bench, check_whole: CheckWhole
) -> None:
    cluster = bench.ray()
    node = cluster.add(cpus=2)
    bench.gate.close()
    sweep = bench.start(bench.user("a"), *new("killed", *ARGS), "--max-failures", 0, on=cluster)
    sweep.until(waiting(bench, cluster.head, node, node))
    node.kill()
    joined = cluster.add(cpus=2)
    sweep.until(waiting(bench, cluster.head, joined, joined))
    bench.gate.open()
    said = sweep.end().out
    assert text("machines.begins", nodes="2 nodes", room=THREE) in said
    assert said_as("scheduling.machine-lost").search(said)
    assert not said_as("messages.last-error").search(said)
    check_whole(bench, "killed", *ARGS)
    runs = bench.runs("killed")
    attempts = Counter(len(nodes_of(run)) for number, run in runs.items() if number)
    assert attempts == {1: 6, 2: 2}


def test_a_machine_that_is_cut_off_fails_no_trial(
    far_bench: Bench, check_whole: CheckWhole
) -> None:
    bench = far_bench
    cluster = bench.ray()
    node = cluster.add(cpus=2)
    bench.gate.close()
    sweep = bench.start(bench.user("a"), *new("off", *ARGS), "--max-failures", 0, on=cluster)
    sweep.until(lambda: len(bench.gate.waiting()) == 3)
    cluster.cut_off(node)
    bench.gate.open()
    sweep.end()
    check_whole(bench, "off", *ARGS)


@pytest.mark.parametrize(
    ("option", "wanted", "most"),
    [("--cpus-per-trial", 3, "2 CPUs"), ("--gpus-per-trial", 2, "1 GPU")],
)
def test_a_trial_that_fits_no_node_is_refused(
    bench: Bench, option: str, wanted: int, most: str
) -> None:
    """All nodes together have enough; GPUs of nodes count for any build of torch on the driver."""
    cluster = bench.ray(cpus=2)
    for _ in range(2):
        cluster.add(cpus=2, gpus=1)
    said = bench.start(bench.user("a"), *new("large", *ARGS), option, wanted, on=cluster).refused()
    values = {"option": option, "wanted": wanted, "largest": "LARGEST", "most": most}
    expected = re.escape(f"error: {text('resources.no-node-fits', **values)}\n")
    assert re.match(expected.replace("LARGEST", r"\S+ \(.*\)"), said)
    assert not bench.states("large")


def running(out: str) -> int | None:
    """Number of running trials, from the last line of progress that has it; None if none has."""
    counted = re.escape(text("progress.running", trials="COUNT")).replace("COUNT", r"(\d+)")
    found = re.findall(counted, out)
    return int(found[-1]) if found else None


def test_what_has_no_process_does_not_count_as_running(bench: Bench) -> None:
    cluster = bench.ray()
    node = cluster.add(cpus=2)
    bench.gate.close()
    sweep = bench.start(bench.user("a"), *new("count", *ARGS), on=cluster)
    sweep.until(lambda: running(sweep.out) == 3)
    node.kill()
    sweep.until(lambda: running(sweep.out) == 1)
    bench.gate.open()
    sweep.end()


LACKS = said_as("probe.cannot-import")
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
    """The node may be there at the start, or join while trials wait for a place."""
    bench = far_bench
    cluster = bench.ray()
    path = bench.folder / "blind"
    path.mkdir()
    (path / "sitecustomize.py").write_text(BLIND)
    blind = [cluster.add(cpus=2, PYTHONPATH=str(path))]
    bench.gate.close()
    way = ("--max-failures", 0, "--concurrency", 3)
    sweep = bench.start(bench.user("a"), *new("blind", *ARGS, *way), on=cluster)
    sweep.until(waiting(bench, cluster.head))
    blind.append(cluster.add(cpus=2, PYTHONPATH=str(path)))
    sweep.until(lambda: len(LACKS.findall(sweep.out)) == 2)
    good = cluster.add()
    sweep.until(waiting(bench, cluster.head, good))
    bench.gate.open()
    said = sweep.end().out
    named = [line for line in said.splitlines() if LACKS.search(line)]
    assert [node.shown in line for node, line in zip(blind, named, strict=True)] == [True, True]
    assert scores(bench.trials("blind")) == scores(undisturbed(*ARGS))


def test_a_node_that_joins_is_used_and_runs_say_on_which_node_they_were_trained(
    far_bench: Bench, undisturbed: Undisturbed
) -> None:
    bench = far_bench
    cluster = bench.ray()
    bench.gate.close()
    sweep = bench.start(bench.user("a"), *new("joins", *ARGS), on=cluster)
    sweep.until(waiting(bench, cluster.head))
    node = cluster.add(cpus=2)
    sweep.until(waiting(bench, cluster.head, node, node))
    bench.gate.open()
    said = sweep.end().out
    assert text("machines.joined", nodes=node.shown, room=THREE) in said
    assert scores(bench.trials("joins")) == scores(undisturbed(*ARGS))
    places = [nodes_of(run) for number, run in bench.runs("joins").items() if number]
    assert {len(place) for place in places} == {1}
    assert {place[0] for place in places} == {cluster.head.shown, node.shown}


def test_an_error_that_was_overcome_is_not_the_last_word(bench: Bench) -> None:
    user = bench.user("a")
    bench.gate.close()
    sweep = bench.start(user, *new("over", *ARGS), "--concurrency", 1)
    sweep.until(lambda: bench.gate.waiting())
    os.kill(trial_processes(user)[0], signal.SIGKILL)
    bench.gate.open()
    sweep.end()
    assert bench.states("over") == {"COMPLETE": 8}
    assert not said_as("messages.last-error").search(sweep.out)


@pytest.mark.parametrize(("name", "part"), [("server", "gcs_server"), ("head", "")])
def test_a_head_that_is_killed_ends_the_sweep_in_one_line_with_the_command_that_resumes(
    bench: Bench, undisturbed: Undisturbed, name: str, part: str
) -> None:
    """If only its GCS is killed, the driver's raylet runs on and Ray is silent for a minute."""
    cluster, user = bench.ray(), bench.user("a")
    sweep = bench.start(user, *new(name, *ARGS), on=cluster)
    sweep.until(lambda: bench.ended(name))
    bench.gate.close()
    sweep.until(bench.gate.waiting)
    cluster.head.kill_part(part)
    said = sweep.refused(code=1, within_s=50)
    no_answer = said_as("head.no-answer").pattern
    assert re.match(f"error: {no_answer}", said) or not part
    assert said_as("commands.service-lost").search(said)
    assert f"--resume {name}" in said
    bench.gate.open()
    again = bench.ray()
    bench.start(user, "--resume", name, *bench.options(), on=again).end()
    assert scores(bench.trials(name)) == scores(undisturbed(*ARGS))


def test_a_driver_on_a_machine_that_is_no_node_is_told_so(far_bench: Bench) -> None:
    cluster = far_bench.ray()
    said = far_bench.start(
        *(far_bench.user("a"), *new("outside", *ARGS), "--address", cluster.address),
        **cluster.environment,
    ).refused(within_s=50)
    refusal = text("head.not-a-node", address=cluster.address, others="OTHERS")
    assert refusal.partition("OTHERS")[0] in said


def test_the_extra_cluster_has_what_a_cluster_needs() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extra = " ".join(project["optional-dependencies"]["cluster"])
    assert "psycopg" in extra
    assert "boto3" in extra
