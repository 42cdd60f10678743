import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.resources import TRIALS_PER_GPU, Allotment, Capacity, allot, num_fitting
from sweeps.settings import SweepSettings
from tests.refusals import refused


def one(cpus: float, gpus: float = 0) -> list[Capacity]:
    return [Capacity(node="here", cpus=cpus, gpus=gpus)]


@pytest.mark.parametrize(
    ("given", "cpus", "gpus", "expected"),
    [
        ({}, 2, 0, (1.0, 0.0, 2)),
        ({}, 8, 1, (1.0, 1 / TRIALS_PER_GPU, TRIALS_PER_GPU)),
        ({}, 3, 2, (1.0, 1 / TRIALS_PER_GPU, 3)),
        ({"cpus_per_trial": 2.0}, 5, 0, (2.0, 0.0, 2)),
        ({"cpus_per_trial": 0.5}, 2, 0, (0.5, 0.0, 4)),
        ({"concurrency": 1}, 4, 0, (1.0, 0.0, 1)),
        ({"concurrency": 9}, 4, 0, (1.0, 0.0, 4)),
        ({"gpus_per_trial": 0.0}, 4, 1, (1.0, 0.0, 4)),
        ({"gpus_per_trial": 0.1}, 16, 1, (1.0, 0.1, 10)),
        ({"gpus_per_trial": 2.0}, 16, 5, (1.0, 2.0, 2)),
    ],
)
def test_trials_share_what_there_is(given: dict, cpus: float, gpus: float, expected: tuple):
    allotment = allot(SweepSettings(**given), one(cpus, gpus))
    assert (allotment.cpus, allotment.gpus, allotment.concurrency) == expected


@given(st.integers(1, 256), st.integers(5, 400))
def test_as_many_trials_run_as_fit(cpus: int, percent: int) -> None:
    settings = SweepSettings(cpus_per_trial=percent / 100)
    if percent > 100 * cpus:
        with refused("resources.more-than-available", option="--cpus-per-trial"):
            allot(settings, one(cpus))
    else:
        assert allot(settings, one(cpus)).concurrency == 100 * cpus // percent


def test_a_trial_that_wants_a_part_of_a_gpu_does_not_get_parts_of_two() -> None:
    settings = SweepSettings(gpus_per_trial=0.4)
    assert allot(settings, one(64, 2)).concurrency == 4


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ({"cpus_per_trial": 3.0}, {"option": "--cpus-per-trial", "wanted": 3, "most": "2 CPUs"}),
        ({"gpus_per_trial": 0.5}, {"option": "--gpus-per-trial", "wanted": 0.5, "most": "0 GPUs"}),
    ],
)
def test_more_than_there_is_is_refused(given: dict, values: dict) -> None:
    with refused("resources.more-than-available", **values):
        allot(SweepSettings(**given), one(2))


NODES = [
    Capacity(node="a (10.0.0.1)", cpus=2),
    Capacity(node="b (10.0.0.2)", cpus=3, gpus=1),
    Capacity(node="c (10.0.0.3)", cpus=0.5, gpus=2),
]


@pytest.mark.parametrize(
    ("given", "concurrency"),
    [
        ({"gpus_per_trial": 0.0}, 5),
        ({"gpus_per_trial": 0.0, "cpus_per_trial": 2.0}, 2),
        ({"gpus_per_trial": 0.0, "cpus_per_trial": 0.5}, 11),
        ({}, 3),
        ({"gpus_per_trial": 1.0, "cpus_per_trial": 0.25}, 3),
    ],
)
def test_each_trial_fits_on_one_node(given: dict, concurrency: int) -> None:
    assert allot(SweepSettings(**given), NODES).concurrency == concurrency


@pytest.mark.parametrize(
    ("given", "kind", "values"),
    [
        (
            {"cpus_per_trial": 4.0},
            "resources.no-node-fits",
            {
                "option": "--cpus-per-trial",
                "wanted": 4,
                "largest": "b (10.0.0.2)",
                "most": "3 CPUs",
            },
        ),
        (
            {"gpus_per_trial": 3.0},
            "resources.no-node-fits",
            {
                "option": "--gpus-per-trial",
                "wanted": 3,
                "largest": "c (10.0.0.3)",
                "most": "2 GPUs",
            },
        ),
        (
            {"gpus_per_trial": 2.0},
            "resources.no-node-fits-both",
            {"cpus": "1 CPU", "gpus": "2 GPUs"},
        ),
    ],
)
def test_what_fits_no_single_node_is_refused_by_name(given: dict, kind: str, values: dict) -> None:
    """All nodes together would have enough."""
    with refused(kind, **values):
        allot(SweepSettings(**given), NODES)


def test_nothing_fits_on_no_node() -> None:
    assert num_fitting([], cpus=1, gpus=0) == 0
    with refused("resources.no-node"):
        allot(SweepSettings(), [])


@pytest.mark.parametrize(("given", "gpus"), [({}, 0), ({"gpus_per_trial": 0.0}, 2)])
def test_graphs_take_a_gpu(given: dict, gpus: float) -> None:
    with refused("resources.graphed-needs-cuda"):
        allot(SweepSettings(mode="graphed", **given), one(2, gpus))
    assert allot(SweepSettings(mode="graphed"), one(2, 1)).device == "cuda"


@pytest.mark.parametrize(("cpus", "threads"), [(0.25, 1), (1.0, 1), (1.5, 1), (4.0, 4)])
def test_torch_gets_the_whole_cpus_of_a_trial(cpus: float, threads: int) -> None:
    assert Allotment(cpus=cpus, gpus=0.0, concurrency=1).threads == threads
