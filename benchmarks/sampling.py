"""Samplers on surrogates of recorded sweeps: `python benchmarks/sampling.py --help`.

A Gaussian process fitted to each recorded sweep says what any configuration comes to, with the
noise that it found. Sweeps pause trials at a ninth and a third of all epochs, as the product's own
(`sweeps/promotion.py`), and their samplers are the product's own.
"""

import statistics
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning

from foldsweep.errors import UserError
from foldsweep.programs import parse, run_program
from peer_tools.checks import require_document
from peer_tools.report import publish
from policies import RECORDS
from policy_tools.curves import Recording, read_all
from policy_tools.sampling import Around, Found, simulated
from policy_tools.surrogate import Surrogate
from sweeps.jobs import Rung
from sweeps.pruning import rung_epochs
from sweeps.reproduction.tables import Cells

SETTLED = (4, 8, 16)
"""Lags with which samplers are compared."""
LAGS = ((1, 1, 1), (2, 4, 8), SETTLED, (8, 16, 32), (8, 8, 8), (16, 16, 16), (8, 99, 99))


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """Compare what samplers find in simulated sweeps."""

    question: Literal["lags", "prior"] = "lags"
    """What is varied: after how many trials results are seen, or how many trials are drawn around
    the initial point and the best one."""
    records: tuple[Path, ...] = (RECORDS,)
    """Files of recorded sweeps, or folders of them."""
    trials: int = 30
    """Trials of a sweep, the initial point included."""
    repeats: int = 60
    """Sweeps on each surrogate."""
    seed: int = 0
    initial: tuple[float, ...] = (0.02, 0.3, 0.8)
    """How good the initial point is: the share of random configurations that are better."""
    workers: int = 8
    """Jobs at a time, for idle time; what is found does not depend on it."""
    write: Path | None = None
    """Document whose table is replaced, such as docs/policies.md."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """A way to sample."""

    name: str
    propose: Around = Around()
    lags: tuple[int, int, int] | None = SETTLED


def samplings(question: Literal["lags", "prior"]) -> list[Sampling]:
    """What is compared."""
    drawn = Sampling(name="random", propose=Around(sampler="random"), lags=None)
    if question == "lags":
        seen = [
            Sampling(name=f"TPE, lags {', '.join(map(str, lags))}", lags=lags) for lags in LAGS
        ]
        return [drawn, *seen]
    shares = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.25), (0.5, 0.25), (0.25, 0.25), (0.5, 0.5))
    return [
        drawn,
        *(
            Sampling(
                name=f"TPE, {initial:.0%} around the initial point, later {best:.0%} the best",
                propose=Around(initial=initial, best=best),
            )
            for initial, best in shares
        ),
    ]


def main() -> int:
    """Simulate, and print a table."""
    settings = parse(SamplingSettings, sys.argv[1:], prog="benchmarks/sampling.py")
    if min(settings.trials, settings.repeats, settings.workers) < 1 or not settings.initial:
        raise UserError("--trials, --repeats and --workers must be at least 1")
    mark = f"sampling-{settings.question}-{settings.trials}"
    require_document(settings.write, [mark])
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", ExperimentalWarning)
    publish({mark: cells(read_all(settings.records), settings)}, settings.write)
    return 0


def cells(recordings: Sequence[Recording], settings: SamplingSettings) -> Cells:
    """A row for each way to sample: mean regret on each surrogate, in points."""
    surrogates = []
    for recording in recordings:
        at = (*rung_epochs(recording.epochs), recording.epochs)
        surrogates.append((recording, Surrogate(recording, at)))
    rows = []
    for sampling in samplings(settings.question):
        shown, shares, idle = [], {quality: list[float]() for quality in settings.initial}, []
        for recording, surrogate in surrogates:
            gap = surrogate.optimum - surrogate.scores(surrogate.at_quantile(0.5))[-1]
            regrets: list[float] = []
            for quality in settings.initial:
                found = _found(recording, surrogate, sampling, quality, settings)
                regrets += [one.regret for one in found]
                shares[quality].append(statistics.fmean(one.regret for one in found) / gap)
                idle += [one.idle for one in found]
            error = np.std(regrets) / np.sqrt(len(regrets))
            shown.append(f"{100 * np.mean(regrets):.2f} ± {100 * error:.2f}")
        means = [f"{statistics.fmean(of):.3f}" for of in shares.values()]
        rows.append((sampling.name, *shown, *means, f"{100 * statistics.fmean(idle):.0f}"))
    r2 = ", ".join(f"{recording.name} {s.r2:.2f}" for recording, s in surrogates)
    return Cells(
        title=(
            f"regret in points by surrogate (R2 of trials left out: {r2}), and as a share of what"
            " the best is above the median, by what share is better than the initial point;"
            f" {settings.trials} trials, {settings.repeats} repeats, seed {settings.seed}"
        ),
        head=(
            "sampler",
            *(recording.name for recording, _ in surrogates),
            *(f"{100 * quality:.0f} % better" for quality in settings.initial),
            f"idle on {settings.workers}, %",
        ),
        rows=tuple(rows),
    )


def _found(
    recording: Recording,
    surrogate: Surrogate,
    sampling: Sampling,
    quality: float,
    settings: SamplingSettings,
) -> list[Found]:
    return [
        simulated(
            surrogate,
            [Rung(epochs=epochs) for epochs in rung_epochs(recording.epochs)],
            recording.epochs,
            sampling.propose,
            initial=surrogate.at_quantile(quality),
            num_trials=settings.trials,
            lags=sampling.lags,
            unguided=sampling.propose.start_up,
            workers=settings.workers,
            seed=settings.seed + repeat,
        )
        for repeat in range(settings.repeats)
    ]


if __name__ == "__main__":
    run_program(main)
