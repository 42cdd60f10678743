"""Machines that come and go: no trial fails for want of one, and each that is there is used."""

import os
import re
import signal
import tomllib

import pytest

from tests.cluster.bench import SHORT, Bench, Undisturbed, trial_processes
from tests.cluster.gate import SPACE
from tests.cluster.nodes import Node
from tests.integration.user import REPOSITORY, check_mlflow, scores

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

ARGS = ("--trials", 8, "--epochs", 20)


def new(name: str, *args: object) -> tuple[object, ...]:
    return ("--space", "gated.py", "--name", name, *SHORT, *(args or ARGS))


def named(node: Node, text: str) -> bool:
    """Whether a text names a node that has an address of its own."""
    return node.name in text or node.address in text


def test_a_machine_that_is_killed_fails_no_trial(bench: Bench, undisturbed: Undisturbed) -> None:
    cluster = bench.ray()
    node = cluster.add(cpus=2)
    bench.gate.close()
    sweep = bench.start(bench.user("a"), *new("killed"), "--max-failures", 0, on=cluster)
    sweep.until(lambda: len(bench.gate.waiting()) == 3)
    node.kill()
    bench.gate.open()
    sweep.end()
    trials = bench.trials(f"killed/{SPACE}")
    assert scores(trials) == scores(undisturbed(*ARGS))
    check_mlflow(bench.runs(f"killed/{SPACE}"), trials)


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


@pytest.mark.xfail(strict=True, reason="allot compares with the cluster's total")
def test_a_trial_that_fits_no_node_is_refused(bench: Bench) -> None:
    cluster = bench.ray(cpus=2)
    cluster.add(cpus=2)
    sweep = bench.start(bench.user("a"), *new("large"), "--cpus-per-trial", 3, on=cluster)
    sweep.until(lambda: not sweep.lives or bench.states(f"large/{SPACE}"))
    assert not sweep.lives, "its trials were begun"
    said = sweep.refused()
    assert "--cpus-per-trial 3" in said
    assert re.search(r"\b2\b", said)


@pytest.mark.xfail(strict=True, reason="CPU-only torch hides the cluster's GPUs")
def test_gpus_that_no_node_has_together_are_refused_by_what_nodes_have(bench: Bench) -> None:
    """Those of the cluster count, whatever torch the driver's machine has."""
    cluster = bench.ray()
    cluster.add(gpus=1)
    cluster.add(gpus=1)
    sweep = bench.start(bench.user("a"), *new("gpus"), "--gpus-per-trial", 2, on=cluster)
    sweep.until(lambda: not sweep.lives or bench.states(f"gpus/{SPACE}"))
    assert not sweep.lives, "its trials were begun"
    said = sweep.refused()
    assert "--gpus-per-trial 2" in said
    assert "0 GPUs" not in said
    assert re.search(r"\b1\b|node1", said)


def test_a_node_that_joins_is_used(bench: Bench, undisturbed: Undisturbed) -> None:
    cluster = bench.ray()
    bench.gate.close()
    sweep = bench.start(bench.user("a"), *new("joins"), on=cluster)
    sweep.until(lambda: bench.gate.waiting() == [cluster.head.name])
    node = cluster.add(cpus=2)
    sweep.until(lambda: bench.gate.waiting().count(node.name) == 2, within_s=120)
    bench.gate.open()
    sweep.end()
    assert scores(bench.trials(f"joins/{SPACE}")) == scores(undisturbed(*ARGS))


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


BLIND = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"foldsweep", "sweeps", "search_spaces", "trainables"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


def test_a_node_without_the_product_is_named_and_not_used(
    far_bench: Bench, undisturbed: Undisturbed
) -> None:
    bench = far_bench
    cluster = bench.ray()
    blind = bench.folder / "blind"
    blind.mkdir()
    (blind / "sitecustomize.py").write_text(BLIND)
    node = cluster.add(cpus=2, PYTHONPATH=str(blind))
    sweep = bench.start(bench.user("a"), *new("blind"), "--max-failures", 0, on=cluster).end()
    assert any(named(node, line) and "foldsweep" in line for line in sweep.out.splitlines())
    assert scores(bench.trials(f"blind/{SPACE}")) == scores(undisturbed(*ARGS))


def test_every_run_says_on_which_node_it_was_trained(far_bench: Bench) -> None:
    bench = far_bench
    cluster = bench.ray()
    nodes = [cluster.head, cluster.add()]
    bench.gate.close()
    sweep = bench.start(bench.user("a"), *new("where"), on=cluster)
    sweep.until(lambda: bench.gate.waiting() == [node.name for node in nodes])
    bench.gate.open()
    sweep.end()
    runs = bench.runs(f"where/{SPACE}")
    found = {
        number: [n.name for n in nodes if any(named(n, tag) for tag in run.tags.values())]
        for number, run in runs.items()
        if number
    }
    assert {len(names) for names in found.values()} == {1}, found
    assert {name for names in found.values() for name in names} == {n.name for n in nodes}


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


def test_a_head_that_is_killed_ends_the_sweep_in_one_line_with_the_command_that_resumes(
    bench: Bench, undisturbed: Undisturbed
) -> None:
    cluster, user = bench.ray(), bench.user("a")
    sweep = bench.start(user, *new("head"), on=cluster)
    sweep.until(lambda: bench.ended(f"head/{SPACE}"))
    cluster.head.kill()
    said = sweep.refused(code=1)
    assert "--resume head" in said
    again = bench.ray()
    bench.start(user, "--resume", "head", *bench.options(), on=again).end()
    assert scores(bench.trials(f"head/{SPACE}")) == scores(undisturbed(*ARGS))


def test_a_driver_on_a_machine_that_is_no_node_is_told_so(far_bench: Bench) -> None:
    cluster = far_bench.ray()
    said = far_bench.start(
        *(far_bench.user("a"), *new("outside"), "--address", cluster.address),
        **cluster.environment,
    ).refused()
    assert f"--address {cluster.address}" in said
    assert re.search(r"no node|not a node|ray start", said)


def test_the_extra_cluster_has_what_a_cluster_needs() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extra = " ".join(project["optional-dependencies"]["cluster"])
    assert "psycopg" in extra
    assert "boto3" in extra
