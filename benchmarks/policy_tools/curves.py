"""Recorded sweeps: scores of complete trials after each epoch, in files of JSON lines."""

import gzip
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from foldsweep.errors import UserError
from foldsweep.files import write_whole
from foldsweep.names import sign


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One trial, trained to its last epoch unless it diverged."""

    values: dict[str, Any]
    """Values of the searched parameters."""
    origin: str | None = None
    """Name of the initial point; None for a sampled trial."""
    seconds: float
    """Training time of the whole trial."""
    scores: tuple[tuple[float, ...], ...]
    """Objective after each epoch: the scores by fold, or the mean alone if these are unknown, or
    empty if it was not measured."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A sweep without early stopping."""

    name: str
    about: str
    """Description of data, space and machine, for tables."""
    objective: str
    better: str
    """`higher` or `lower`."""
    epochs: int
    seconds: str = "clock"
    """Meaning of the curves' seconds: `clock` for wall time, which includes other work of the
    machine, or `processor` for CPU time."""
    curves: tuple[Curve, ...] = ()

    @property
    def sampled(self) -> tuple[Curve, ...]:
        """Trials that were sampled at random, without initial points."""
        return tuple(curve for curve in self.curves if curve.origin is None)

    def means(self, curve: Curve) -> tuple[float, ...]:
        """Return the mean over folds after each epoch; higher is better.

        It is minus infinity from the epoch of divergence on. Epochs that were not measured have
        the score of the last measured epoch before them, or the first score if there is none.
        """
        known = next((scores for scores in curve.scores if scores), ())
        means: list[float] = []
        for scores in curve.scores:
            known = scores or known
            means.append(sign(self.better) * statistics.fmean(known))
        lost = next((i for i, mean in enumerate(means) if not math.isfinite(mean)), len(means))
        return (*means[:lost], *[-math.inf] * (self.epochs - lost))


def write(recording: Recording, path: Path) -> None:
    """Write a recorded sweep to a file for `read`; the same recording gives the same bytes."""
    head = {**asdict(replace(recording, curves=())), "curves": len(recording.curves)}
    lines = [head, *(asdict(curve) for curve in recording.curves)]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    write_whole(path, gzip.compress(text.encode(), mtime=0))


def read(path: Path) -> Recording:
    """Read a recorded sweep.

    Raises:
        UserError: If the file cannot be read or is not a recorded sweep.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            head, *lines = map(json.loads, file)
        curves = tuple(
            Curve(**{**line, "scores": tuple(map(tuple, line["scores"]))}) for line in lines
        )
        if head["curves"] != len(curves):
            raise ValueError(f"{len(curves)} trials of {head['curves']}")
        return Recording(**{**head, "curves": curves})
    except OSError as error:
        raise UserError.of(
            "policy-curves.file-unreadable", path=path, reason=error.strerror or error
        ) from None
    except (ValueError, TypeError, LookupError, EOFError) as error:
        raise UserError.of("policy-curves.not-a-recording", path=path, reason=error) from None


def read_all(paths: Sequence[Path]) -> list[Recording]:
    """Read recorded sweeps from files and folders; those of a folder are sorted by file name.

    Raises:
        UserError: If there are none, or a file cannot be read.
    """
    files = [f for p in paths for f in (sorted(p.glob("*.jsonl.gz")) if p.is_dir() else [p])]
    if not files:
        places = ", ".join(map(str, paths))
        raise UserError.of("policy-curves.recordings-missing", places=places)
    return [read(file) for file in files]
