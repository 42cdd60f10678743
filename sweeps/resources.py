"""Resources of trials: how many run at a time, and the CPUs and GPUs of each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from foldsweep.errors import UserError
from sweeps.settings import SweepSettings

TRIALS_PER_GPU = 4
"""Trials that share a GPU by default: small networks leave most of it idle."""


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """CPUs and GPUs of one node that trials can use."""

    node: str
    """Name of the node, for messages."""
    cpus: float
    gpus: float = 0.0
    """GPUs that torch can use there."""


@dataclass(frozen=True, kw_only=True)
class Allotment:
    """CPUs and GPUs of each trial, and the number of trials at a time."""

    cpus: float
    gpus: float
    concurrency: int

    @property
    def device(self) -> str:
        """Torch device of a trial."""
        return "cuda" if self.gpus else "cpu"

    @property
    def threads(self) -> int:
        """Torch threads of a trial."""
        return max(1, int(self.cpus))


def allot(settings: SweepSettings, nodes: Sequence[Capacity]) -> Allotment:
    """Share the nodes' CPUs and GPUs among trials.

    Raises:
        UserError: If there is no node, a trial requests more than any node has, or its device
            does not support its mode.
    """
    if not nodes:
        raise UserError.of("resources.no-node")
    automatic = 1 / TRIALS_PER_GPU if any(node.gpus for node in nodes) else 0.0
    per_cpu = cpus_per_trial(settings)
    per_gpu = automatic if settings.gpus_per_trial is None else settings.gpus_per_trial
    fits = num_fitting(nodes, cpus=per_cpu, gpus=per_gpu)
    if not fits:
        raise _too_much(nodes, per_cpu, per_gpu)
    if settings.mode == "graphed" and not per_gpu:
        raise UserError.of("resources.graphed-needs-cuda")
    return Allotment(
        cpus=per_cpu, gpus=per_gpu, concurrency=min(settings.concurrency or fits, fits)
    )


def cpus_per_trial(settings: SweepSettings) -> float:
    """CPUs of a trial."""
    return 1.0 if settings.cpus_per_trial is None else settings.cpus_per_trial


def num_fitting(nodes: Sequence[Capacity], *, cpus: float, gpus: float) -> int:
    """Number of trials that fit: each on one node, and a fraction of a GPU within one GPU."""
    return sum(_fitting(node, cpus, gpus) for node in nodes)


def _fitting(node: Capacity, cpus: float, gpus: float) -> int:
    fits = _times(node.cpus, cpus)
    if not gpus:
        return fits
    shared = gpus < 1
    return min(fits, int(node.gpus) * _times(1, gpus) if shared else _times(node.gpus, gpus))


def _too_much(nodes: Sequence[Capacity], cpus: float, gpus: float) -> UserError:
    """Error with the request that no node can meet, and what the largest node has."""
    wishes = (("--cpus-per-trial", cpus, "CPU"), ("--gpus-per-trial", gpus, "GPU"))
    for option, wanted, what in wishes:
        has = [node.cpus if what == "CPU" else node.gpus for node in nodes]
        if wanted > max(has):
            most, largest = _counted(max(has), what), nodes[has.index(max(has))].node
            if len(nodes) == 1:
                return UserError.of(
                    "resources.more-than-available", option=option, wanted=wanted, most=most
                )
            return UserError.of(
                "resources.no-node-fits", option=option, wanted=wanted, largest=largest, most=most
            )
    return UserError.of(
        "resources.no-node-fits-both", cpus=_counted(cpus, "CPU"), gpus=_counted(gpus, "GPU")
    )


def _counted(number: float, what: str) -> str:
    return f"{number:g} {what}{'' if number == 1 else 's'}"


def _times(whole: float, part: float) -> int:
    """How often `part` fits into `whole`, allowing for floating-point rounding."""
    return math.floor(whole / part + 1e-9)
