"""How many trials run at a time, and what each gets."""

import math
from dataclasses import dataclass

from foldsweep.errors import UserError
from sweeps.settings import SweepSettings

TRIALS_PER_GPU = 4
"""Small networks leave most of a GPU idle; a few trials share one."""


@dataclass(frozen=True, kw_only=True)
class Allotment:
    """What each trial gets, and how many run at a time."""

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


def allot(settings: SweepSettings, *, cpus: float, gpus: float) -> Allotment:
    """Share the cluster's CPUs and GPUs among trials.

    Raises:
        UserError: If a trial wants more than there is, or what its device cannot do.
    """
    per_cpu = 1.0 if settings.cpus_per_trial is None else settings.cpus_per_trial
    automatic = 1 / TRIALS_PER_GPU if gpus else 0.0
    per_gpu = automatic if settings.gpus_per_trial is None else settings.gpus_per_trial
    if per_cpu > cpus:
        raise UserError(f"--cpus-per-trial {per_cpu:g} is more than the {cpus:g} CPUs there are")
    if per_gpu > gpus:
        raise UserError(f"--gpus-per-trial {per_gpu:g} is more than the {gpus:g} GPUs there are")
    if settings.mode == "graphed" and not per_gpu:
        raise UserError("mode graphed needs a CUDA device, but the device is cpu: use fused")
    fits = _times(cpus, per_cpu)
    if per_gpu:  # a part of a GPU is never made of parts of two
        shared = per_gpu < 1
        fits = min(fits, int(gpus) * _times(1, per_gpu) if shared else _times(gpus, per_gpu))
    return Allotment(
        cpus=per_cpu, gpus=per_gpu, concurrency=min(settings.concurrency or fits, fits)
    )


def _times(whole: float, part: float) -> int:
    """How often `part` fits, whatever the rounding of floats."""
    return math.floor(whole / part + 1e-9)
