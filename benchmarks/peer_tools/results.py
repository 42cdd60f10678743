"""Results of runs: scores, times, ratios, and agreement of scores."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from foldsweep.errors import UserError
from peer_tools.job import Job, Values

ALPHA = 0.001
"""Significance level of one comparison: the probability to call equal scores different."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """The result of one job by one tool; all times are in seconds."""

    workload: str
    tool: str
    repeat: int
    wall_s: float
    startup_s: float
    """Time from the command to the first training step."""
    train_s: float
    """Time of training and validating networks, summed over processes."""
    last_s: float
    """Time from the command to the end of the last training."""
    peak_mb: float
    processes: int
    folds: int
    scores: dict[str, float]
    """Mean accuracy over folds by configuration, for configurations with all folds."""
    reached_s: float | None = None
    """Time from the command to the first score at the mark; None if it was not reached."""

    @property
    def overhead_ms(self) -> float:
        """Overhead per trial in ms: wall time after start-up, less training time per process."""
        spent = self.wall_s - self.startup_s - self.train_s / self.processes
        return 1000 * spent / max(len(self.scores), 1)

    @property
    def training_share(self) -> float:
        """Fraction of the processes' wall time that was spent in training."""
        return self.train_s / (self.processes * self.wall_s)

    def save(self, path: Path, made_by: Mapping[str, Any]) -> None:
        """Write the run to a file, with the settings on which it depends."""
        text = json.dumps({"made_by": made_by, **asdict(self)}, indent=1)
        part = path.with_suffix(".part")
        part.write_text(text)
        part.replace(path)

    @classmethod
    def load(cls, path: Path, made_by: Mapping[str, Any]) -> "Run | None":
        """Load the run of an earlier call; None if there is none.

        Raises:
            UserError: If it had other settings, or the file is damaged: a result that took hours
                must not be overwritten.
        """
        if not path.exists():
            return None
        try:
            values = json.loads(path.read_text())
            theirs = values.pop("made_by")
            run = cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError.of("peer-results.file-damaged", path=path) from None
        wanted = json.loads(json.dumps(made_by))  # JSON turns tuples into lists
        differ = [key for key in wanted if theirs.get(key) != wanted[key]]
        if differ:
            raise UserError.of(
                "peer-results.other-settings",
                path=path,
                setting=differ[0],
                found=theirs.get(differ[0]),
                wanted=wanted[differ[0]],
            )
        return run


def config_key(values: Values) -> str:
    """Return a key of a configuration that does not depend on the order of its values."""
    return json.dumps(values, sort_keys=True)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A configuration with scores of all its folds."""

    values: Values
    score: float
    """Mean accuracy over folds."""
    time: float
    """Time at which its last fold was recorded, in seconds since 1970."""


def scored(events: Iterable[Mapping[str, Any]], job: Job) -> list[Scored]:
    """Return the configurations that were trained for all epochs on all folds, by time.

    The events may have the folds of a configuration one by one.
    """
    open_folds: dict[str, list[float]] = {}
    found = []
    for event in events:
        if event["kind"] != "scores":
            continue
        values = dict(event["values"])
        folds = open_folds.setdefault(config_key(values), [])
        folds += event["scores"]
        if len(folds) == job.folds and values.pop("epochs", job.epochs) >= job.epochs:
            score = statistics.fmean(folds)
            found.append(Scored(values=values, score=score, time=event["time"]))
    return found


def run_of(
    job: Job,
    tool: str,
    repeat: int,
    events: Sequence[Mapping[str, Any]],
    *,
    launched: float,
    wall_s: float,
    peak_mb: float,
    mark: float | None = None,
) -> Run:
    """Summarise the events of a run; they must include a training."""
    starts = [event["time"] for event in events if event["kind"] == "start"]
    trained = [event for event in events if event["kind"] == "trained"]
    every = scored(events, job)
    reached = [s.time for s in every if mark is not None and s.score >= mark]
    return Run(
        workload=job.workload,
        tool=tool,
        repeat=repeat,
        wall_s=wall_s,
        startup_s=min(starts) - launched,
        train_s=sum(event["seconds"] for event in trained),
        last_s=max((event["time"] for event in trained), default=launched) - launched,
        peak_mb=peak_mb,
        processes=job.processes,
        folds=job.folds,
        scores={config_key(s.values): s.score for s in every},
        reached_s=min(reached) - launched if reached else None,
    )


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A median and the range around it."""

    median: float
    low: float
    high: float
    n: int

    def shown(self, digits: int) -> str:
        """Format the median, with the range if there are several values."""
        text = f"{self.median:,.{digits}f}"
        if self.n == 1:
            return text
        return f"{text} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


def spread(values: Iterable[float]) -> Spread:
    """Return the median and range of one or more values."""
    every = sorted(values)
    return Spread(median=statistics.median(every), low=every[0], high=every[-1], n=len(every))


def ratios(runs: Sequence[Run], others: Sequence[Run], what: str) -> list[float]:
    """Return the ratios of a time of `runs` to that of `others`, by repeat."""
    by_repeat = {run.repeat: run for run in others}
    pairs = [(run, by_repeat[run.repeat]) for run in runs if run.repeat in by_repeat]
    times = [(getattr(run, what), getattr(other, what)) for run, other in pairs]
    return [a / b for a, b in times if a is not None and b is not None]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Differences between the scores of two tools, paired by configuration."""

    mean: float
    error: float
    """Standard error of the mean."""
    n: int
    missing: int
    """Number of configurations that only one of the tools has."""
    p: float
    """P-value of the paired t-test."""

    @property
    def holds(self) -> bool:
        """Whether no configuration is missing and the difference is not significant."""
        return self.missing == 0 and self.n > 0 and not self.p < ALPHA

    def shown(self) -> str:
        """Format the mean in percentage points, bold if the scores do not agree."""
        if self.n == 0:
            return "none in common"
        text = f"{100 * self.mean:+.2f} ± {100 * self.error:.2f}"
        if self.mean == 0 and self.error == 0:
            text = "0, all equal"
        return text if self.holds else f"**{text}**"


def agreement(runs: Sequence[Run], others: Sequence[Run]) -> Agreement:
    """Compare scores by paired differences over all repeats that both tools have."""
    by_repeat = {run.repeat: run for run in others}
    differences: list[float] = []
    missing = 0
    for run in runs:
        if run.repeat not in by_repeat:
            continue
        theirs = by_repeat[run.repeat].scores
        missing += len(run.scores.keys() ^ theirs.keys())
        differences += [run.scores[k] - theirs[k] for k in run.scores.keys() & theirs.keys()]
    n = len(differences)
    mean = statistics.fmean(differences) if n else math.nan
    error = float(np.std(differences, ddof=1) / n**0.5) if n > 1 else 0.0
    p = 1.0
    if n > 1 and error > 0:
        p = float(stats.ttest_1samp(differences, 0.0).pvalue)
    elif n > 1 and mean != 0:
        p = 0.0
    return Agreement(mean=mean, error=error, n=n, missing=missing, p=p)
