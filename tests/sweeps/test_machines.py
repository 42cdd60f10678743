"""Nodes that join and leave, without a real Ray; see also tests/cluster."""

import socket
from typing import Any

import pytest
from ray.exceptions import WorkerCrashedError

from sweeps import machines as machines_module
from sweeps import probe
from sweeps.machines import Machines
from sweeps.resources import Allotment
from sweeps.settings import SweepSettings
from tests.refusals import refused, text

GOOD = {
    **{"python": "3.11", "ray": "2", "torch": "2.13.0", "foldsweep": "0.1.0 (0)"},
    **{"cuda": "", "build": "2.13.0+cpu"},
}


def at_a_time(number: int) -> str:
    return text("machines.at-a-time", trials=f"{number} trials")


def begins(nodes: str, trials: int) -> str:
    return text("machines.begins", nodes=nodes, room=at_a_time(trials))


PROBLEM = "ModuleNotFoundError: No module named 'trainables'"
MISSING = text("probe.cannot-import", problem=PROBLEM)


class FakeRay:
    """Stand-in for Ray: nodes and their probes' answers, by id; a probe without one still runs."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, Any] = {}

    def join(self, key: str, answer: Any = GOOD, **resources: float) -> None:
        self.there[key] = {
            **{"NodeID": key, "Alive": True, "Resources": {"CPU": 2.0, **resources}},
            **{"NodeManagerHostname": key, "NodeManagerAddress": f"10.0.0.{ord(key) - 96}"},
            "NodeManagerPort": 7000,
        }
        if answer is not None:
            self.answers[key] = answer

    def leave(self, key: str) -> None:
        self.there[key]["Alive"] = False

    def nodes(self) -> list[dict[str, Any]]:
        return list(self.there.values())

    def wait(self, asked: list[str], num_returns: int, timeout: float) -> tuple[list[str], Any]:
        return [key for key in asked if key in self.answers], None

    def get(self, key: str) -> Any:
        answer = self.answers[key]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    cluster = FakeRay()
    monkeypatch.setattr(machines_module, "ray", cluster)
    monkeypatch.setattr(machines_module, "_start_probe", lambda key: key)
    monkeypatch.setattr(probe, "facts", lambda *_: GOOD)
    return cluster


def begun(**settings: Any) -> Machines:
    machines = Machines(SweepSettings(**settings))
    machines.begin()
    machines.news()
    return machines


def test_a_node_that_joins_is_used_once_its_probe_has_answered(cluster: FakeRay) -> None:
    cluster.join("a")
    machines = Machines(SweepSettings())
    assert machines.begin() == Allotment(cpus=1.0, gpus=0.0, concurrency=2)
    assert machines.news() == [begins("1 node", 2)]
    cluster.join("b", answer=None)
    machines.look()
    assert (machines.room, machines.news()) == (2, [])
    cluster.answers["b"] = GOOD
    machines.look()
    assert machines.room == 4
    assert machines.news() == [text("machines.joined", nodes="b (10.0.0.2)", room=at_a_time(4))]


def test_after_a_loss_no_more_trials_are_in_flight_than_fit(cluster: FakeRay) -> None:
    cluster.join("a")
    cluster.join("b")
    machines = begun()
    cluster.leave("b")
    machines.look()
    assert machines.room == 2
    assert machines.news() == [text("machines.lost", nodes="b (10.0.0.2)", room=at_a_time(2))]
    cluster.leave("a")
    machines.look()
    assert machines.room == 1  # a waiting trial makes an autoscaler start a node
    room = text("machines.no-room")
    assert machines.news() == [text("machines.lost", nodes="a (10.0.0.1)", room=room)]


def test_a_node_whose_raylet_does_not_answer_is_lost_before_ray_says_so(
    cluster: FakeRay,
) -> None:
    for key in "abc":
        cluster.join(key)
    cluster.leave("b")
    with socket.create_server(("127.0.0.1", 0)) as raylet:
        here = {"NodeManagerAddress": "127.0.0.1", "NodeManagerPort": raylet.getsockname()[1]}
        for key in "abc":
            cluster.there[key] |= here
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            cluster.there["c"] |= {"NodeManagerPort": unused.getsockname()[1]}
            lost = [Machines(SweepSettings()).is_lost(key) for key in ("a", "b", "c", "d", None)]
    assert lost == [False, True, True, True, True]


def test_a_node_that_goes_before_the_sweep_begins_is_not_counted(cluster: FakeRay) -> None:
    cluster.join("a")
    cluster.join("b")
    machines = Machines(SweepSettings())
    machines.look()
    cluster.leave("b")
    assert machines.begin().concurrency == 2
    assert machines.news() == [begins("1 node", 2)]


def test_nodes_that_have_gone_need_not_be_avoided(cluster: FakeRay) -> None:
    cluster.join("a")
    cluster.join("b", GOOD | {"torch": "2.12.0"})
    machines = begun()
    assert machines.avoided == ("b",)
    cluster.leave("b")
    machines.look()
    assert machines.avoided == ()


@pytest.mark.parametrize(("asked", "room"), [(1, 1), (3, 3), (4, 4), (7, 7), (100, 8)])
def test_the_concurrency_that_is_asked_for_is_the_upper_bound(
    cluster: FakeRay, asked: int, room: int
) -> None:
    """As many trials again may wait, so that an autoscaler starts nodes."""
    cluster.join("a")
    cluster.join("b")
    assert begun(concurrency=asked).room == room


def test_nodes_that_lack_something_are_named_in_one_line_and_avoided(cluster: FakeRay) -> None:
    cluster.join("a")
    for key in "bc":
        cluster.join(key, {"problem": PROBLEM})
    cluster.join("d", GOOD | {"torch": "2.12.0"})
    cluster.join("e", WorkerCrashedError())
    cluster.join("f", None)
    machines = Machines(SweepSettings())
    assert machines.begin().concurrency == 2
    started, unusable = machines.news()
    assert started == begins("1 node", 2)
    old = text("probe.differs", name="torch", node="2.12.0", driver="2.13.0")
    reasons = (
        f"b (10.0.0.2), c (10.0.0.3): {MISSING}; d (10.0.0.4): {old};"
        " e (10.0.0.5): The worker died"
        " unexpectedly while executing this task. Check python-core-worker-*.log files for more"
        f" information; f (10.0.0.6): {text('machines.no-answer', seconds=60)}"
    )
    assert unusable == text("machines.not-used", reasons=reasons)
    assert machines.avoided == tuple("bcdef")
    cluster.answers["f"] = GOOD
    cluster.join("g", GOOD | {"ray": "1"})
    machines.look()
    assert machines.avoided == tuple("bcdeg")
    older = text("probe.differs", name="ray", node="1", driver="2")
    assert machines.news() == [
        text("machines.joined", nodes="f (10.0.0.6)", room=at_a_time(4)),
        text("machines.joined-but-not-used", reasons=f"g (10.0.0.7): {older}"),
    ]


def test_without_a_node_that_can_be_used_the_sweep_does_not_begin(cluster: FakeRay) -> None:
    cluster.join("a", {"problem": PROBLEM})
    cluster.join("b", None, CPU=0.0)  # like the head of many clusters, which takes no trials
    with refused("machines.no-usable-node", reasons=f"a (10.0.0.1): {MISSING}"):
        Machines(SweepSettings()).begin()


def test_what_fits_no_node_is_refused_though_all_together_have_more(cluster: FakeRay) -> None:
    cluster.join("a")
    cluster.join("b")
    with refused("resources.no-node-fits", wanted=4.0, largest="a (10.0.0.1)"):
        begun(cpus_per_trial=4.0)


def test_gpus_count_where_the_nodes_own_torch_can_use_them(cluster: FakeRay) -> None:
    """The driver's build of torch does not matter."""
    cluster.join("a")
    cluster.join("b", GOOD | {"cuda": "yes", "build": "2.13.0+cu130"}, GPU=1.0)
    cluster.join("c", GOOD, GPU=2.0)
    machines = Machines(SweepSettings())
    assert machines.begin() == Allotment(cpus=1.0, gpus=0.25, concurrency=2)
    without_gpus = text("machines.gpus-unusable", build="2.13.0+cpu", gpus="2 GPUs")
    reasons = f"c (10.0.0.3): {without_gpus}"
    assert machines.news()[1] == text("machines.not-used", reasons=reasons)
    assert machines.avoided == ("c",)
    on_cpus = Machines(SweepSettings(gpus_per_trial=0.0))
    assert on_cpus.begin() == Allotment(cpus=1.0, gpus=0.0, concurrency=6)
    assert (on_cpus.avoided, on_cpus.news()) == ((), [begins("3 nodes", 6)])
    cluster.leave("b")
    with refused("machines.too-few-usable-gpus", reasons=reasons):
        begun(gpus_per_trial=1.0)
    largest = "c (10.0.0.3)"
    with refused("resources.no-node-fits", wanted=3.0, largest=largest, most="2 GPUs"):
        begun(gpus_per_trial=3.0)
    without = Machines(SweepSettings())
    assert without.begin().device == "cpu"
    assert without.news() == [
        text("machines.on-cpus", reasons=reasons),
        begins("2 nodes", 4),
    ]


def test_a_local_ray_is_not_asked_again() -> None:
    machines = Machines.fixed(Allotment(cpus=1.0, gpus=0.0, concurrency=3))
    assert (machines.room, machines.change, machines.news()) == (3, False, [])
    assert machines.request() is None
