"""How cost grows with the number of trials: `python benchmarks/growth.py`, `--help` for options.

Each trial trains one epoch on a few pairs, so nearly all that is measured is what surrounds it:
study, spool, MLflow store, driver, actors.
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
"""How much slower the last trials may be than the first, and many trials than few."""
PART = 10
"""The first and the last of so many equal parts are compared, counted from the end of the first
trial: before it, processes start."""


@dataclass(frozen=True, kw_only=True)
class GrowthSettings:
    """Sweeps of tiny trials, longer and longer: time, memory and files of each.

    Exit code 1 if a sweep gets slower as it goes on, or costs more per trial than a shorter one,
    by more than a half.
    """

    trials: tuple[int, ...] = (100, 1000, 10_000)
    """A sweep of each length; a row for each."""
    sampler: Literal["random", "qmc", "tpe"] = "random"
    train_pairs: int = 40
    folds: int = 2
    processes: int = 2
    study: str | None = None
    """Database URL of the studies [a journal file each]; studies that were there are deleted."""
    limit_s: float = 7200.0
    """Seconds after which a sweep is ended."""
    folder: Path = Path("runs/growth")
    """Where the sweeps go; what was there is removed."""
    write: Path | None = None
    """Document whose table is replaced, such as docs/performance.md."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """One sweep."""

    trials: int
    wall_s: float
    span_s: float
    """From the end of the first trial to that of the last."""
    slowdown: float
    """Time per trial in the last tenth by that in the first."""
    memory_mb: dict[str, float]
    cpu_s: dict[str, float]
    study_mb: float
    """Of its journal file; 0 of a database."""
    opening_s: float
    """To open the study again, by this process."""
    spool_mb: float
    store_mb: float

    @property
    def trial_ms(self) -> float:
        """Per trial, start and end of the sweep left out."""
        return 1000 * self.span_s / max(self.trials - 1, 1)


def main() -> int:
    """Sweep, and print a table."""
    settings = parse(GrowthSettings, sys.argv[1:], prog="benchmarks/growth.py")
    require_psutil()
    require_at_least(1, settings, "train_pairs", "processes", "limit_s")
    require_at_least(2, settings, "folds")
    blocks = tuple(f"{name}{'-database' if settings.study else ''}" for name in ("growth", "cpu"))
    require_document(settings.write, blocks)
    if min(settings.trials, default=0) < PART:
        raise UserError(f"--trials must each be at least {PART}, but are {settings.trials}")
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
        for one in (name, key):  # the sweep's own study, and that of its space
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
    """The ledger of a sweep that has ended, as a sweep that resumes it has it."""
    stored = load_settings(folder)
    settings = replace(stored, resume=stored.name)
    identity = StoredStudy(storage, key).user_attrs()[IDENTITY_ATTR]
    return Ledger(storage, key, load_space(SPACE), settings, epochs=1, identity=identity)


def ends_of(trials: Sequence[FrozenTrial]) -> list[float]:
    """When trials ended, in seconds since 1970, in order."""
    return sorted(t.datetime_complete.timestamp() for t in trials if t.datetime_complete)


def slowdown(ends: Sequence[float]) -> float:
    """Time per trial in the last part by that in the first."""
    part = max(1, (len(ends) - 1) // PART)
    return (ends[-1] - ends[-1 - part]) / (ends[part] - ends[0])


def growth_cells(rows: Sequence[Growth]) -> Cells:
    """A row for each sweep."""
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
    """Who takes the processors' time, per trial, starts of processes included."""
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
    """What has grown by more than it may, in words."""
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
