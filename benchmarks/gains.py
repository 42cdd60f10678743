"""Actual and estimated gain of 20 more trials: `python benchmarks/gains.py --help`.

The trials are from recorded random searches without early stopping; nothing is trained.
"""

import random
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from foldsweep.errors import UserError
from foldsweep.programs import parse, run_program
from peer_tools.checks import require_document
from peer_tools.report import publish
from policy_tools.curves import Recording, read_all
from sweeps.payoff import MORE, expected_gain
from sweeps.reproduction.tables import Cells

RECORDS = Path(__file__).parent / "records"
MARK = "gains"


@dataclass(frozen=True, kw_only=True)
class GainSettings:
    """Compare the gain of more trials with the estimate, in random orders of recorded sweeps."""

    records: tuple[Path, ...] = (RECORDS,)
    """Files of recorded sweeps, or folders of them."""
    trials: tuple[int, ...] = (10, 20, 30, 60)
    """Numbers of trials after which the gain is estimated; each needs 20 more recorded trials."""
    orders: int = 400
    """Random orders per recorded sweep."""
    seed: int = 0
    write: Path | None = None
    """Document whose table is replaced, such as docs/policies.md."""


def main() -> int:
    """Replay and print the table; returns the exit code."""
    settings = parse(GainSettings, sys.argv[1:], prog="benchmarks/gains.py")
    if settings.orders < 1 or min(settings.trials, default=0) < 1:
        raise UserError.of("gains.counts-below-one")
    require_document(settings.write, [MARK])
    rows = [
        gained(recording, trials, settings)
        for recording in read_all(settings.records)
        for trials in settings.trials
        if trials + MORE <= len(recording.sampled)
    ]
    head = ("recorded sweep", "trials", "gained, mean", "estimated, mean", "mean absolute error")
    title = f"What {MORE} more trials gain: {settings.orders} orders, seed {settings.seed}"
    publish({MARK: Cells(title=title, head=head, rows=tuple(rows))}, settings.write)
    return 0


def gained(recording: Recording, trials: int, settings: GainSettings) -> tuple[str, ...]:
    """Return a row of the table: mean gain, estimate and absolute error over random orders."""
    finals = [recording.means(curve)[-1] for curve in recording.sampled]
    finite = min(final for final in finals if final > -float("inf"))
    finals = [max(final, finite) for final in finals]
    draw = random.Random(settings.seed)
    gains, estimates = [], []
    for _ in range(settings.orders):
        order = draw.sample(finals, len(finals))
        best = max(order[:trials])
        gains.append(max(0.0, max(order[trials : trials + MORE]) - best))
        estimates.append(expected_gain(order[:trials], trials))
    error = statistics.fmean(abs(a - b) for a, b in zip(gains, estimates, strict=True))
    shown = (statistics.fmean(gains), statistics.fmean(estimates), error)
    return (recording.name, f"{trials}", *(f"{value:.4f}" for value in shown))


if __name__ == "__main__":
    run_program(main)
