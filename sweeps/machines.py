"""The nodes that trials run on: which can be used, how many trials fit, which are lost.

Of a local Ray there is one, which does not change. Those of a cluster come and go: each is probed
before trials are counted on it, and its capacity is taken off when it is lost.
"""

import socket
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import ray
from ray import cloudpickle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from foldsweep.errors import UserError, first_line
from foldsweep.numbers import plural
from sweeps import probe
from sweeps.resources import Allotment, Capacity, allot, cpus_per_trial, num_fitting
from sweeps.settings import SweepSettings

if TYPE_CHECKING:
    from ray.tune import PlacementGroupFactory

LOOK_EVERY_S = 3.0
PROBED_WITHIN_S = 60.0
"""How long a sweep waits for the probes of the nodes that are there when it starts."""
ANSWERS_WITHIN_S = 2.0
NODE_LABEL = "ray.io/node-id"
"""Label that Ray gives every node."""


@dataclass(kw_only=True)
class _Node:
    """One node of a cluster."""

    name: str
    cpus: float
    gpus: float
    probe: ray.ObjectRef | None = None
    lacks: str | None = None
    """Why it is not used; empty if it is, None until its probe has answered."""
    build: str = ""
    """Its build of torch, where that cannot use its GPUs."""
    alive: bool = True

    @property
    def capacity(self) -> Capacity:
        """What it has for trials."""
        return Capacity(node=self.name, cpus=self.cpus, gpus=0.0 if self.build else self.gpus)


class Machines:
    """The nodes of a Ray, as trials see them.

    A local Ray is `fixed`. With a cluster, `look` is called again and again, from any thread; what
    a sweep reads is never half of a change.

    Args:
        settings: Settings of the sweep.
    """

    def __init__(self, settings: SweepSettings):
        self._settings = settings
        self._lock = threading.Lock()
        self._nodes: dict[str, _Node] = {}
        self._here: dict[str, str] = {}
        self._allotment: Allotment | None = None
        self._news: deque[str] = deque()
        self._fits = 0
        self.room = 0
        """Trials that may be in flight now."""
        self.avoided: tuple[str, ...] = ()
        """Ids of nodes that no trial may be placed on."""

    @classmethod
    def fixed(cls, allotment: Allotment) -> "Machines":
        """One node, which is there as long as the sweep is."""
        machines = cls(SweepSettings())
        machines.room = allotment.concurrency
        return machines

    def begin(self) -> Allotment:
        """Wait for the probes, and share out what there is.

        Raises:
            UserError: If no node can be used, or a trial wants more than any has.
        """
        self._here = probe.facts(probe.RUNS_TRIALS, probe.TRAINABLE)
        self.look()
        probes = [node.probe for node in self._nodes.values() if node.probe is not None]
        if probes:
            ray.wait(probes, num_returns=len(probes), timeout=PROBED_WITHIN_S)
        with self._lock:
            self._judge()
            for node in self._nodes.values():
                if node.lacks is None:
                    node.lacks = f"gave no answer within {PROBED_WITHIN_S:g} s"
            there = [node for node in self._nodes.values() if node.alive]
            nodes = [node for node in there if node.cpus >= cpus_per_trial(self._settings)]
            usable = [node for node in nodes if not node.lacks]
            if nodes and not usable:
                raise UserError(f"no node of the cluster can be used: {_named(nodes)}")
            self._allotment = self._share(usable or there)
            self._count()
            self._news.append(f"{plural(len(usable), 'node')}: {self._at_a_time}")
            unusable = _named(nodes, gpus=self._allotment.gpus > 0)
            if unusable:
                self._news.append(f"not used: {unusable}")
        return self._allotment

    def look(self) -> None:
        """Take in which nodes there are, start the probes of new ones, judge what they say."""
        rows = {row["NodeID"]: row for row in ray.nodes() if row["Alive"]}
        with self._lock:
            known = {key for key, node in self._nodes.items() if node.alive}
            for key in [key for key in rows if key not in self._nodes]:
                self._nodes[key] = self._new(key, rows[key])
            gone = [self._nodes[key] for key in known - rows.keys()]
            for node in gone:
                node.alive = False
            if self._allotment is None:
                return
            judged = self._judge()
            self._count()
            self._tell([n for n in judged if n.alive], [n for n in gone if n.lacks == ""])

    @property
    def change(self) -> bool:
        """Whether nodes come and go: not in a local Ray, which ends with its one."""
        return bool(self._nodes)

    def is_lost(self, key: str | None) -> bool:
        """Whether a node has gone; None stands for one where nothing could be started."""
        here = [n for n in ray.nodes() if n["NodeID"] == key and n["Alive"]]
        return not any(_answers(n["NodeManagerAddress"], n["NodeManagerPort"]) for n in here)

    def request(self) -> "PlacementGroupFactory | None":
        """What a trial asks Ray for where nodes must be avoided; None where none must."""
        if not self.avoided or self._allotment is None:
            return None
        from ray.tune import PlacementGroupFactory  # a second, for which Ray's start need not wait

        bundle = {"CPU": self._allotment.cpus, "GPU": self._allotment.gpus}
        selector = {NODE_LABEL: f"!in({','.join(self.avoided)})"}
        return PlacementGroupFactory([bundle], bundle_label_selector=[selector])

    def news(self) -> list[str]:
        """Lines for the user since the last call."""
        said = []
        while self._news:
            said.append(self._news.popleft())
        return said

    def _share(self, usable: Sequence[_Node]) -> Allotment:
        # first what the nodes have, so that too much is called that, whatever torch can use
        whole = [Capacity(node=node.name, cpus=node.cpus, gpus=node.gpus) for node in usable]
        allot(self._settings, whole)
        without = _named(usable, gpus=True)
        try:
            allotment = allot(self._settings, [node.capacity for node in usable])
        except UserError:
            raise UserError(f"no node has enough GPUs that torch can use: {without}") from None
        if without and not allotment.gpus and self._settings.gpus_per_trial is None:
            self._news.append(f"trials run on CPUs: {without}")
        return allotment

    def _new(self, key: str, row: dict[str, Any]) -> _Node:
        resources = row["Resources"]
        node = _Node(
            name=f"{row['NodeManagerHostname']} ({row['NodeManagerAddress']})",
            cpus=resources.get("CPU", 0.0),
            gpus=resources.get("GPU", 0.0),
        )
        if node.cpus < cpus_per_trial(self._settings):
            node.lacks = ""  # nothing is placed there, whatever it has
            return node
        node.probe = _start_probe(key)
        return node

    def _judge(self) -> list[_Node]:
        """Take in the probes that have answered; the nodes that are judged now."""
        asked = {n.probe: n for n in self._nodes.values() if n.probe is not None}
        if not asked:
            return []
        ready, _ = ray.wait(list(asked), num_returns=len(asked), timeout=0)
        for answer in ready:
            node = asked[answer]
            node.probe = None
            try:
                found = ray.get(answer)
            except Exception as error:  # the node has gone, or its worker could not begin
                node.lacks = first_line(error).rstrip(".")
                continue
            node.lacks = probe.lacking(found, self._here)
            if node.gpus and not node.lacks and not found["cuda"]:
                node.build = found["build"]
        return [asked[answer] for answer in ready]

    def _count(self) -> None:
        assert self._allotment is not None
        gpus = self._allotment.gpus
        there = {key: node for key, node in self._nodes.items() if node.alive}
        usable = [node.capacity for node in there.values() if node.lacks == ""]
        fits = num_fitting(usable, cpus=self._allotment.cpus, gpus=gpus)
        self._fits = fits
        if self._settings.concurrency is None:
            # one that waits tells an autoscaler, and Tune, that there is more to do
            self.room = max(fits, 1)
        else:
            # those that wait ask an autoscaler for nodes: as many again, as its own speed is
            self.room = min(self._settings.concurrency, fits + max(fits, 1))
        self.avoided = tuple(sorted(k for k, n in there.items() if n.lacks or (gpus and n.build)))

    @property
    def _at_a_time(self) -> str:
        fits = min(self._settings.concurrency or self._fits, self._fits)
        return f"{plural(fits, 'trial')} at a time" if fits else "no room until a node joins"

    def _tell(self, judged: Sequence[_Node], gone: Sequence[_Node]) -> None:
        assert self._allotment is not None
        joined = [n.name for n in judged if not n.lacks and not (self._allotment.gpus and n.build)]
        for names, what in ((joined, "joined"), ([node.name for node in gone], "lost")):
            if names:
                self._news.append(f"{what}: {', '.join(sorted(names))}; {self._at_a_time}")
        unusable = _named(judged, gpus=self._allotment.gpus > 0)
        if unusable:
            self._news.append(f"joined, but not used: {unusable}")


def _answers(address: str, port: int) -> bool:
    """Whether a node's raylet is there, which Ray finds out only after a quarter of a minute."""
    try:
        socket.create_connection((address, port), ANSWERS_WITHIN_S).close()
    except OSError:
        return False
    return True


@cache
def _probe_task() -> Any:
    """The task of probes, which takes no CPU, so that a busy node answers, too."""
    return ray.remote(num_cpus=0, max_calls=1, max_retries=0)(probe.look)


def _start_probe(key: str) -> ray.ObjectRef:
    """What a node has, see `sweeps.probe`."""
    task = _probe_task()
    there = NodeAffinitySchedulingStrategy(key, soft=False)
    with sent_by_value():
        return task.options(scheduling_strategy=there).remote(probe.RUNS_TRIALS, probe.TRAINABLE)


@contextmanager
def sent_by_value() -> Any:
    """Send what is in `sweeps.probe` whole, and not by its name, which a node may not know."""
    cloudpickle.register_pickle_by_value(probe)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(probe)


def _named(nodes: Iterable[_Node], *, gpus: bool = False) -> str:
    """Nodes that cannot be used, with what each lacks; or whose GPUs cannot, where they must."""
    reasons: dict[str, list[str]] = {}
    for node in nodes:
        reason = node.lacks
        if not reason and gpus and node.build:
            reason = f"torch {node.build} cannot use its {plural(int(node.gpus), 'GPU')}"
        if reason:
            reasons.setdefault(reason, []).append(node.name)
    return "; ".join(f"{', '.join(sorted(names))}: {why}" for why, names in reasons.items())
