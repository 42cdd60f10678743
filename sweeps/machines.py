"""Nodes that trials run on: which are usable, how many trials fit on them, which are lost.

A local Ray has one node, which does not change. Nodes of a cluster join and leave: each node is
probed before its capacity counts, and its capacity is subtracted when it is lost.
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
from foldsweep.texts import text
from sweeps import probe
from sweeps.resources import Allotment, Capacity, allot, cpus_per_trial, num_fitting
from sweeps.settings import SweepSettings

if TYPE_CHECKING:
    from ray.tune import PlacementGroupFactory

LOOK_EVERY_S = 3.0
PROBED_WITHIN_S = 60.0
"""Seconds that a sweep waits at its start for the probes of the nodes that exist then."""
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
    """Reason not to use the node; empty if there is none, None until its probe has answered."""
    build: str = ""
    """Torch build of the node, if it cannot use the node's GPUs; else empty."""
    alive: bool = True

    @property
    def capacity(self) -> Capacity:
        """CPUs of the node, and its GPUs if torch can use them."""
        return Capacity(node=self.name, cpus=self.cpus, gpus=0.0 if self.build else self.gpus)


class Machines:
    """Nodes of a local Ray or of a cluster, and how many trials they have room for.

    Use `fixed` for a local Ray. For a cluster, call `begin` once, and `look` periodically, from
    any thread; a sweep never reads a partial update.

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
        """Maximum number of trials in flight."""
        self.avoided: tuple[str, ...] = ()
        """Ids of nodes that no trial may be placed on."""

    @classmethod
    def fixed(cls, allotment: Allotment) -> "Machines":
        """The single node of a local Ray, which exists as long as the sweep."""
        machines = cls(SweepSettings())
        machines.room = allotment.concurrency
        return machines

    def begin(self) -> Allotment:
        """Wait for the probes, and allot the resources of the nodes to trials.

        Raises:
            UserError: If no node can be used, or a trial requests more than any node has.
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
                    node.lacks = text("machines.no-answer", seconds=f"{PROBED_WITHIN_S:g}")
            there = [node for node in self._nodes.values() if node.alive]
            nodes = [node for node in there if node.cpus >= cpus_per_trial(self._settings)]
            usable = [node for node in nodes if not node.lacks]
            if nodes and not usable:
                raise UserError.of("machines.no-usable-node", reasons=_named(nodes))
            self._allotment = self._share(usable or there)
            self._count()
            number = plural(len(usable), "node")
            self._news.append(text("machines.begins", nodes=number, room=self._at_a_time))
            unusable = _named(nodes, gpus=self._allotment.gpus > 0)
            if unusable:
                self._news.append(text("machines.not-used", reasons=unusable))
        return self._allotment

    def look(self) -> None:
        """Update the nodes: probe new ones, evaluate the answers of probes, note lost nodes."""
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
        """Whether nodes join and leave; False for a local Ray, which ends with its single node."""
        return bool(self._nodes)

    def is_lost(self, key: str | None) -> bool:
        """Whether a node is lost, by its id; True for None: no process could be started."""
        here = [n for n in ray.nodes() if n["NodeID"] == key and n["Alive"]]
        return not any(_answers(n["NodeManagerAddress"], n["NodeManagerPort"]) for n in here)

    def request(self) -> "PlacementGroupFactory | None":
        """Resource request of a trial that keeps it off avoided nodes; None if there are none."""
        if not self.avoided or self._allotment is None:
            return None
        # imported here, as it takes a second, which must not delay Ray's start
        from ray.tune import PlacementGroupFactory

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
        # first with all GPUs, so that the error for too large a request does not blame torch
        whole = [Capacity(node=node.name, cpus=node.cpus, gpus=node.gpus) for node in usable]
        allot(self._settings, whole)
        without = _named(usable, gpus=True)
        try:
            allotment = allot(self._settings, [node.capacity for node in usable])
        except UserError:
            raise UserError.of("machines.too-few-usable-gpus", reasons=without) from None
        if without and not allotment.gpus and self._settings.gpus_per_trial is None:
            self._news.append(text("machines.on-cpus", reasons=without))
        return allotment

    def _new(self, key: str, row: dict[str, Any]) -> _Node:
        resources = row["Resources"]
        node = _Node(
            name=f"{row['NodeManagerHostname']} ({row['NodeManagerAddress']})",
            cpus=resources.get("CPU", 0.0),
            gpus=resources.get("GPU", 0.0),
        )
        if node.cpus < cpus_per_trial(self._settings):
            node.lacks = ""  # not probed, since no trial fits on it
            return node
        node.probe = _start_probe(key)
        return node

    def _judge(self) -> list[_Node]:
        """Evaluate the probes that have answered, and return their nodes."""
        asked = {n.probe: n for n in self._nodes.values() if n.probe is not None}
        if not asked:
            return []
        ready, _ = ray.wait(list(asked), num_returns=len(asked), timeout=0)
        for answer in ready:
            node = asked[answer]
            node.probe = None
            try:
                found = ray.get(answer)
            except Exception as error:  # the node is lost, or its worker failed to start
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
            # at least one trial, which waits: so an autoscaler and Tune know of more to do
            self.room = max(fits, 1)
        else:
            # waiting trials make an autoscaler add nodes: as many wait as fit, since it adds
            # as many nodes as there are
            self.room = min(self._settings.concurrency, fits + max(fits, 1))
        self.avoided = tuple(sorted(k for k, n in there.items() if n.lacks or (gpus and n.build)))

    @property
    def _at_a_time(self) -> str:
        fits = min(self._settings.concurrency or self._fits, self._fits)
        if not fits:
            return text("machines.no-room")
        return text("machines.at-a-time", trials=plural(fits, "trial"))

    def _tell(self, judged: Sequence[_Node], gone: Sequence[_Node]) -> None:
        assert self._allotment is not None
        joined = [n.name for n in judged if not n.lacks and not (self._allotment.gpus and n.build)]
        lost, room = [node.name for node in gone], self._at_a_time
        if joined:
            self._news.append(text("machines.joined", nodes=", ".join(sorted(joined)), room=room))
        if lost:
            self._news.append(text("machines.lost", nodes=", ".join(sorted(lost)), room=room))
        unusable = _named(judged, gpus=self._allotment.gpus > 0)
        if unusable:
            self._news.append(text("machines.joined-but-not-used", reasons=unusable))


def _answers(address: str, port: int) -> bool:
    """Whether a node's raylet accepts connections; Ray itself notices a loss only after 15 s."""
    try:
        socket.create_connection((address, port), ANSWERS_WITHIN_S).close()
    except OSError:
        return False
    return True


@cache
def _probe_task() -> Any:
    """Ray task that probes a node; it requests no CPU, so that busy nodes answer, too."""
    return ray.remote(num_cpus=0, max_calls=1, max_retries=0)(probe.look)


def _start_probe(key: str) -> ray.ObjectRef:
    """Start the probe of a node, see `sweeps.probe`; return a reference to its answer."""
    task = _probe_task()
    there = NodeAffinitySchedulingStrategy(key, soft=False)
    with sent_by_value():
        return task.options(scheduling_strategy=there).remote(probe.RUNS_TRIALS, probe.TRAINABLE)


@contextmanager
def sent_by_value() -> Any:
    """Pickle `sweeps.probe` by value in this context, as a node may not be able to import it."""
    cloudpickle.register_pickle_by_value(probe)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(probe)


def _named(nodes: Iterable[_Node], *, gpus: bool = False) -> str:
    """Nodes that cannot be used, and why; with `gpus`, also those whose GPUs torch cannot use."""
    reasons: dict[str, list[str]] = {}
    for node in nodes:
        reason = node.lacks
        if not reason and gpus and node.build:
            number = plural(int(node.gpus), "GPU")
            reason = text("machines.gpus-unusable", build=node.build, gpus=number)
        if reason:
            reasons.setdefault(reason, []).append(node.name)
    return "; ".join(f"{', '.join(sorted(names))}: {why}" for why, names in reasons.items())
