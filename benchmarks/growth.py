"""Growth of cost with the number of trials: `python benchmarks/growth.py`, see `--help`.

Each trial trains one epoch on a few pairs. So nearly all measured cost is overhead: study, spool,
MLflow store, driver, actors.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial
from sqlalchemy.engine import make_url

from foldsweep.errors import UserError
from foldsweep.programs import console, parse, require_at_least, run_program
from peer_tools.checks import require_document, require_psutil
from peer_tools.report import here, publish
from peer_tools.tiny import emptied, swept
from search_spaces.loading import load_space
from sweeps.fingerprints import IDENTITY_ATTR
from sweeps.ledger import Ledger
from sweeps.reproduction.tables import Cells
from sweeps.settings_file import load_settings
from sweeps.study import JOURNAL_FILE, StoredStudy, has_study, open_storage
from sweeps.tracking.spool import SPOOL_FILE

ROLES = ("driver", "actors", "uploader", "ray")
SPACE = "mlp"
MOST_SLOWER = 1.5
"""Limit of the ratio of times per trial: last to first trials, and longer to shortest sweep."""
PART = 10
"""Number of equal parts of a sweep, of which the first and the last are compared. The first part
begins at the end of the first trial, since processes start before it."""


@dataclass(frozen=True, kw_only=True)
class GrowthSettings:
    """Measure time, memory and files of sweeps of tiny trials, by number of trials.

    Exit code 1 if the last trials of a sweep take over 1.5x as long as its first ones, or a trial
    of a sweep over 1.5x as long as one of the first sweep.
    """

    trials: tuple[int, ...] = (100, 1000, 10_000)
    """Numbers of trials of the sweeps, one row each."""
    sampler: Literal["random", "qmc", "tpe"] = "random"
    train_pairs: int = 40
    folds: int = 2
    processes: int = 2
    study: str | None = None
    """Database URL of the studies [a journal file each]; those of earlier calls are deleted."""
    limit_s: float = 7200.0
    """Time limit of a sweep in seconds."""
    folder: Path = Path("runs/growth")
    """Folder of the sweeps; earlier sweeps in it are deleted."""
    write: Path | None = None
    """Document whose table is replaced, such as docs/performance.md."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Costs of one sweep."""

    trials: int
    wall_s: float
    span_s: float
    """Seconds from the end of the first trial to the end of the last one."""
    slowdown: float
    """Time per trial in the last tenth, divided by that in the first tenth."""
    memory_mb: dict[str, float]
    """Peak memory by role of processes."""
    cpu_s: dict[str, float]
    """CPU seconds by role of processes."""
    study_mb: float
    """Size of the journal file; 0 for a database."""
    opening_s: float
    """Seconds to open the study again, in this process."""
    spool_mb: float
    store_mb: float
    """Size of the MLflow store."""

    @property
    def trial_ms(self) -> float:
        """Milliseconds per trial, without start and end of the sweep."""
        return 1000 * self.span_s / max(self.trials - 1, 1)


def main() -> int:
    """Sweep and print the tables; returns 1 if a sweep is too slow, else 0."""
    settings = parse(GrowthSettings, sys.argv[1:], prog="benchmarks/growth.py")
    require_psutil()
    require_at_least(1, settings, "train_pairs", "processes", "limit_s")
    require_at_least(2, settings, "folds")
    blocks = tuple(f"{name}{'-database' if settings.study else ''}" for name in ("growth", "cpu"))
    require_document(settings.write, blocks)
    if min(settings.trials, default=0) < PART:
        raise UserError.of("growth.trials-too-few", least=PART, trials=settings.trials)
    rows = []
    for trials in settings.trials:
        rows.append(_sweep(settings, trials))
        console.print(f"{trials} trials: {rows[-1].wall_s:.0f} s")
    head = (
        f"{here()}; space {SPACE}, {settings.sampler} sampler, {settings.folds} folds of"
        f" {settings.train_pairs} pairs, 1 epoch, {settings.processes} trials at a time"
    )
    if settings.study is not None:
        head += f"; studies in {make_url(settings.study).get_backend_name()}"
    tables = (growth_cells(rows), cpu_cells(rows))
    publish(dict(zip(blocks, tables, strict=True)), settings.write, head)
    slow = too_slow(rows)
    for line in slow:
        console.print(line)
    return int(bool(slow))


def _sweep(settings: GrowthSettings, trials: int) -> Growth:
    folder = emptied(settings.folder / str(trials))
    name = f"growth{trials}"
    key = f"{name}/{SPACE}"
    if settings.study is not None:
        storage = open_storage(settings.study, folder)
        for one in (name, key):  # the study of the sweep, and that of its space
            if has_study(storage, one):
                optuna.delete_study(study_name=one, storage=storage)
    options = {
        "space": SPACE,
        "name": name,
        "train-pairs": settings.train_pairs,
        "folds": settings.folds,
        "trials": trials,
        "sampler": settings.sampler,
        "concurrency": settings.processes,
    }
    if settings.study is not None:
        options["study"] = settings.study
    seen = swept(options, folder, f"the sweep of {trials} trials", settings.limit_s)
    sweep = folder / "runs" / name / SPACE
    began = time.perf_counter()
    storage = open_storage(settings.study, sweep / JOURNAL_FILE)
    _reopened(storage, key, sweep.parent)
    opening_s = time.perf_counter() - began
    study = optuna.load_study(study_name=key, storage=storage)
    ends = ends_of(study.get_trials(deepcopy=False))
    return Growth(
        trials=trials,
        wall_s=seen.wall_s,
        span_s=ends[-1] - ends[0],
        slowdown=slowdown(ends),
        memory_mb=seen.peak_by_role,
        cpu_s=seen.cpu_by_role,
        study_mb=0.0 if settings.study else _mb(sweep / JOURNAL_FILE),
        opening_s=opening_s,
        spool_mb=_mb(sweep / SPOOL_FILE),
        store_mb=_mb(folder / "mlflow.db"),
    )


def _reopened(storage: BaseStorage, key: str, folder: Path) -> Ledger:
    """Open the ledger of an ended sweep, as a resumed sweep does."""
    stored = load_settings(folder)
    settings = replace(stored, resume=stored.name)
    identity = StoredStudy(storage, key).user_attrs()[IDENTITY_ATTR]
    return Ledger(storage, key, load_space(SPACE), settings, epochs=1, identity=identity)


def ends_of(trials: Sequence[FrozenTrial]) -> list[float]:
    """Return the sorted ends of trials, in seconds since 1970."""
    return sorted(t.datetime_complete.timestamp() for t in trials if t.datetime_complete)


def slowdown(ends: Sequence[float]) -> float:
    """Return the time per trial in the last part, divided by that in the first part."""
    part = max(1, (len(ends) - 1) // PART)
    return (ends[-1] - ends[-1 - part]) / (ends[part] - ends[0])


def growth_cells(rows: Sequence[Growth]) -> Cells:
    """Make the table of costs, one row per sweep."""
    head = (
        "trials",
        "wall, s",
        "per trial, ms",
        "last tenth / first",
        "driver, MB",
        "actors, MB",
        "uploader, MB",
        "study, MB",
        "opening, s",
        "spool, MB",
        "MLflow store, MB",
    )
    body = tuple(
        (
            f"{row.trials:,}",
            f"{row.wall_s:.0f}",
            f"{row.trial_ms:.1f}",
            f"{row.slowdown:.2f}",
            *(f"{row.memory_mb.get(role, 0):.0f}" for role in ("driver", "actors", "uploader")),
            f"{row.study_mb:.1f}",
            f"{row.opening_s:.1f}",
            *(f"{size:.1f}" for size in (row.spool_mb, row.store_mb)),
        )
        for row in rows
    )
    return Cells(title="cost by number of trials", head=head, rows=body)


def cpu_cells(rows: Sequence[Growth]) -> Cells:
    """Make the table of CPU time per trial by role, including starts of processes."""
    return Cells(
        title="CPU time per trial, ms",
        head=("trials", *ROLES, "all"),
        rows=tuple(
            (
                f"{row.trials:,}",
                *(f"{1000 * row.cpu_s.get(role, 0) / row.trials:.1f}" for role in ROLES),
                f"{1000 * sum(row.cpu_s.values()) / row.trials:.1f}",
            )
            for row in rows
        ),
    )


def too_slow(rows: Sequence[Growth]) -> list[str]:
    """Return a sentence for each ratio of times that exceeds `MOST_SLOWER`."""
    said = [
        f"SLOWER: of {row.trials} trials the last took {row.slowdown:.2f} times as long as the"
        " first"
        for row in rows
        if row.slowdown > MOST_SLOWER
    ]
    first = rows[0]
    said += [
        f"SLOWER: a trial of {row.trials} took {row.trial_ms / first.trial_ms:.2f} times as long"
        f" as one of {first.trials}"
        for row in rows[1:]
        if row.trial_ms > MOST_SLOWER * first.trial_ms
    ]
    return said


def _mb(path: Path) -> float:
    return path.stat().st_size / 1e6


if __name__ == "__main__":
    run_program(main)
