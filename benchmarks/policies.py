"""Policies of early stopping, replayed on recorded sweeps: `python benchmarks/policies.py --help`.

A recorded sweep has complete random trials with their scores after each epoch. Each policy is
replayed on these trials in random orders. Its cost and the trials that it finds are counted;
nothing is trained.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from foldsweep.errors import UserError
from foldsweep.programs import parse, run_program
from peer_tools.checks import require_document
from peer_tools.report import publish
from policy_tools.counting import (
    TODAY,
    Counted,
    cost_cells,
    counted,
    policy_cells,
    share_repeated,
    time_cells,
)
from policy_tools.curves import Recording, read_all
from policy_tools.replay import Policy, numbered, promotion, stopping
from sweeps.jobs import rungs_of
from sweeps.pruning import REDUCTION, NoRule, make_rule, rung_epochs
from sweeps.reproduction.tables import Cells
from sweeps.settings import SweepSettings

Rule = Literal["trial", "job", "arrival"]
RECORDS = Path(__file__).parent / "records"


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """Replay policies on recorded sweeps, in random orders.

    Costs are for the first number of workers. Without --rungs, --reduction and --lags, a list of
    candidates is replayed.
    """

    records: tuple[Path, ...] = (RECORDS,)
    """Files of recorded sweeps, or folders of them; see benchmarks/record_curves.py."""
    trials: int = 30
    """Trials of a replayed sweep; 0 for all recorded trials."""
    orders: int = 400
    """Random orders per recorded sweep."""
    seed: int = 0
    rungs: tuple[float, ...] = ()
    """Epochs at which trials are compared; numbers below 1 are fractions of all epochs [1/9,
    1/3]."""
    reduction: tuple[int, ...] = ()
    """Reduction factor of each rung, or one for all [3]."""
    lags: tuple[int, ...] = ()
    """Trials after which the sampler sees a result, for each rung and the last epoch, or one for
    all [the sampler uses no results]."""
    unguided: int = 10
    """Trials that are sampled before the sampler uses results."""
    rule: Rule = "trial"
    """Unit of --lags: trials, jobs, or none (results are used on arrival)."""
    workers: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of workers whose idle time is counted."""
    write: Path | None = None
    """Document whose tables are replaced, such as docs/policies.md."""


@dataclass(frozen=True)
class Candidate:
    """A policy that pauses trials at rungs, for recorded sweeps of any number of epochs."""

    rungs: tuple[float, ...] = ()
    reduction: tuple[int, ...] = (REDUCTION,)
    lags: tuple[int, ...] | None = None
    rule: Rule = "trial"

    def at(self, epochs: int) -> tuple[int, ...]:
        """Return the rungs for a number of epochs; without `rungs`, the default of foldsweep."""
        if not self.rungs:
            return rung_epochs(epochs)
        found = {round(r * epochs) if r < 1 else int(r) for r in self.rungs}
        return tuple(sorted(rung for rung in found if 0 < rung < epochs))

    def policy(self, epochs: int, unguided: int) -> Policy:
        """Make the policy for a number of epochs; `unguided` trials are sampled without results.

        Raises:
            UserError: If the numbers of reductions and lags do not fit the rungs.
        """
        rungs = self.at(epochs)
        reductions = self.reduction * (len(rungs) if len(self.reduction) == 1 else 1)
        lags = self.lags and self.lags * (len(rungs) + 1 if len(self.lags) == 1 else 1)
        if len(reductions) != len(rungs) or (lags and len(lags) != len(rungs) + 1):
            shown = ", ".join(map(str, rungs))
            raise UserError.of("policies.rungs-do-not-fit", rungs=shown, epochs=epochs)
        if self.rule == "trial":
            return promotion(rungs, reductions, lags, unguided)
        order: Literal["number", "arrival"] = "number" if self.rule == "job" else "arrival"
        return numbered(rungs, reductions, lags or (1,) * (len(rungs) + 1), order)

    @property
    def name(self) -> str:
        """Name in tables, without the lags."""
        rungs = ", ".join(str(Fraction(rung).limit_denominator(50)) for rung in self.rungs)
        return f"pausing at {rungs or '1/9, 1/3'} by {', '.join(map(str, self.reduction))}"

    @property
    def sees(self) -> str:
        """When results are used, for tables."""
        lags = f" {', '.join(map(str, self.lags))}" if self.lags else ""
        return "by arrival" if self.rule == "arrival" else f"by {self.rule}{lags}"


CHECKPOINTS = (0, 1, 2, 4, 8, 16)
"""Numbers of kept checkpoints that are compared."""
LAGS = ((2, 4, 8), (4, 8, 16), (8, 16, 32))
CANDIDATES = (
    Candidate(),
    Candidate((1 / 3,)),
    Candidate((1 / 10,)),
    Candidate((), (2,)),
    Candidate((), (4,)),
    Candidate((1 / 10, 4 / 15, 1 / 2), (3, 2, 2)),
    Candidate((), (3, 2)),
    Candidate((), (3, 2), LAGS[-1]),
    *(Candidate(lags=lags) for lags in LAGS),
    Candidate(rule="arrival"),
    *(Candidate(lags=lags, rule="job") for lags in LAGS),
)


def main() -> int:
    """Replay and print the tables; returns the exit code."""
    settings = parse(PolicySettings, sys.argv[1:], prog="benchmarks/policies.py")
    if settings.orders < 1 or settings.trials < 0 or min(settings.workers, default=0) < 1:
        raise UserError.of("policies.counts-too-small")
    recordings = read_all(settings.records)
    for one in recordings:
        if settings.trials > len(one.sampled):
            raise UserError.of(
                "policies.more-trials-than-recorded",
                recording=one.name,
                recorded=len(one.sampled),
            )
    tables = ("all", "time", "checkpoints", *(one.name for one in recordings))
    marks = [f"policies-{name}" for name in tables]
    require_document(settings.write, marks)
    rows = [replayed(recording, settings) for recording in recordings]
    cells = [
        cost_cells([one.name for one in recordings], rows),
        time_cells(_of_processor(recordings, rows)),
        _checkpoint_cells(recordings, settings),
        *(
            policy_cells(title(one, settings), of)
            for one, of in zip(recordings, rows, strict=True)
        ),
    ]
    publish(dict(zip(marks, cells, strict=True)), settings.write)
    return 0


def _of_processor(
    recordings: Sequence[Recording], rows: list[list[Counted]]
) -> list[list[Counted]]:
    """Return the rows of recordings with CPU seconds; all rows if there are none."""
    of = zip(recordings, rows, strict=True)
    return [one for recording, one in of if recording.seconds == "processor"] or rows


def title(recording: Recording, settings: PolicySettings) -> str:
    """Return the title of a recorded sweep's table."""
    trials = settings.trials or len(recording.sampled)
    return (
        f"{recording.name} ({recording.about}): {trials} of {len(recording.sampled)} recorded"
        f" trials in {settings.orders} orders, seed {settings.seed}; {recording.objective}"
    )


def _checkpoint_cells(recordings: Sequence[Recording], settings: PolicySettings) -> Cells:
    """Make the table of training that is repeated if few checkpoints are kept, for the default."""
    rows = []
    for bound in CHECKPOINTS:
        cells = []
        for one in recordings:
            rungs = rungs_of(SweepSettings(), one.epochs)
            policy = promotion(
                [rung.epochs for rung in rungs],
                [rung.reduction for rung in rungs],
                checkpoints=bound,
            )
            share = share_repeated(
                one,
                policy,
                num_trials=settings.trials or len(one.sampled),
                orders=settings.orders,
                seed=settings.seed,
                workers=settings.workers[0],
            )
            cells.append(f"{100 * share:.1f}")
        rows.append((str(bound), *cells))
    return Cells(
        title="default rungs: training repeated for lack of a checkpoint, % of all training",
        head=("checkpoints of paused trials kept", *(one.name for one in recordings)),
        rows=tuple(rows),
    )


def replayed(recording: Recording, settings: PolicySettings) -> list[Counted]:
    """Replay every policy on a recorded sweep."""
    asked = Candidate(
        settings.rungs, settings.reduction or (REDUCTION,), settings.lags or None, settings.rule
    )
    given = asked != Candidate()
    candidates: Sequence[Candidate] = (asked,) if given else CANDIDATES
    epochs, today = recording.epochs, rung_epochs(recording.epochs)
    policies: dict[tuple[str, str], Policy] = {
        ("no early stopping", ""): stopping(NoRule(), ()),
        (TODAY, ""): stopping(make_rule("asha-stop", epochs, today), today),
        **{(one.name, one.sees): one.policy(epochs, settings.unguided) for one in candidates},
    }
    return [
        counted(
            *names,
            recording,
            policy,
            num_trials=settings.trials or len(recording.sampled),
            orders=settings.orders,
            seed=settings.seed,
            workers=settings.workers,
        )
        for names, policy in policies.items()
    ]


if __name__ == "__main__":
    run_program(main)
