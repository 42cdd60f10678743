from dataclasses import replace
from pathlib import Path

import pytest

from peer_tools.job import JOB_VARIABLE, Job, Range
from peer_tools.tools import BENCHMARKS, TOOLS
from peer_tools.workloads import workloads
from search_spaces.loading import load_space
from sweeps import fitting

NAMES = ("w1", "w2", "w3", "w4")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("quick", [False, True])
def test_every_trial_is_a_valid_configuration(name: str, quick: bool) -> None:
    job = workloads()[name].made(quick=quick, trials=None, seed=0)
    configs = job.configs or [{key: of.low for key, of in job.ranges.items() if of.step is None}]
    for values in configs:
        assert job.config(values).epochs == job.epochs
    if job.axes:
        assert len(configs) == job.trials
        assert len({str(values) for values in configs}) == job.trials


def test_the_workloads_are_those_that_were_promised() -> None:
    jobs = {name: workload.job for name, workload in workloads().items()}
    assert {n: (j.trials, j.folds, j.epochs) for n, j in jobs.items() if j.axes} == {
        "w1": (200, 3, 10),
        "w2": (24, 5, 10),
        "w3": (300, 3, 1),
    }
    assert jobs["w1"].variant == "mlp_split"
    assert jobs["w2"].variant == jobs["w4"].variant == "cnn_ws_aux"


@pytest.mark.parametrize("name", NAMES)
def test_foldsweep_is_given_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = workloads()[name].made(quick=False, trials=20, folder=str(tmp_path))
    monkeypatch.setenv(JOB_VARIABLE, str(job.save()))
    monkeypatch.setattr(
        fitting, "trainable_for", fitting.trainable_for
    )  # restored after the test, since the space replaces it
    assert Job.load() == Job.load()
    space = load_space(str(BENCHMARKS / "peer_tools" / "foldsweep_space.py"))
    assert space.variant == job.network
    if job.ranges:
        assert set(space.searched) == set(job.ranges)
        return
    configs = [space.complete(point.config, epochs=job.epochs) for point in space.points]
    assert configs == [job.config(values) for values in job.configs]


def test_ranges_are_those_of_the_space() -> None:
    ranges = workloads()["w4"].job.ranges
    assert ranges["lr"] == Range(low=3e-4, high=2e-2, log=True)
    assert ranges["batch_size"] == Range(low=32, high=128, log=True, step=1)
    assert ranges["channels"] == Range(low=16, high=64, step=8)


def test_every_fold_of_every_trial_has_a_seed_of_its_own() -> None:
    job = workloads()["w1"].job
    seeds = {job.seed_of(values, fold) for values in job.configs for fold in range(3)}
    assert len(seeds) == 600
    values = job.configs[0]
    assert job.seed_of(values, 0) == job.seed_of(dict(reversed(values.items())), 0)
    assert job.seed_of(values, 0) != replace(job, seed=1).seed_of(values, 0)


def test_tools_have_commands(tmp_path: Path) -> None:
    job = workloads()["w4"].made(quick=True, trials=None, folder=str(tmp_path))
    commands = {name: tool.command(job) for name, tool in TOOLS.items()}
    assert commands["foldsweep"][commands["foldsweep"].index("--scheduler") + 1] == "asha"
    assert "--data-dir" not in commands["foldsweep"]
    for command in commands.values():
        if command[1] == "-m":
            assert BENCHMARKS.joinpath(*command[2].split(".")).with_suffix(".py").is_file()
