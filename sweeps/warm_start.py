"""Trials of earlier sweeps for a warm start of the sampler, and their record in the study."""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from foldsweep.numbers import plural
from foldsweep.texts import text
from sweeps.study import StoredStudy

WARM_ATTR = "foldsweep:warm_start"
"""System attribute of the study with the number of the record's parts."""
LONGEST = 15_000
"""Most characters of a part: an attribute has at most 65,535 bytes in MySQL."""

Results = Mapping[int | None, float]
"""The objective by epoch; the key None stands for the last epoch."""


@dataclass(frozen=True, kw_only=True)
class EarlierTrial:
    """A trial of an earlier sweep; a diverged one has no results."""

    params: Mapping[str, Any]
    results: Results


@dataclass(frozen=True, kw_only=True)
class Source:
    """Trials of an earlier study that fit the search space of a sweep, oldest first.

    Scores on other data, folds or epochs are not directly comparable. They are used relative to an
    initial point that both sweeps train, see `Visible.add_sources`.
    """

    name: str
    """Sweep and space, `NAME/SPACE`."""
    trials: tuple[EarlierTrial, ...]
    num_trials: int
    """Number of trials with a result in the study, whether they fit or not."""
    point: int | None = None
    """Number of the initial point in the new sweep; None if scores are directly comparable."""
    of_point: Results | None = None
    """Results of that initial point in the earlier sweep; None if `point` is."""
    misfit: str = ""
    """Why the first of the other trials does not fit."""

    def described(self) -> str:
        """Number of trials that fit, in words."""
        fit = len(self.trials)
        trials = plural(self.num_trials, "trial")
        said = text("warm-start.trials", fit=fit, trials=trials, sweep=self.name)
        if fit < self.num_trials:
            number = self.num_trials - fit
            said += text("warm-start.left-out", number=number, why=self.misfit)
        return said if self.point is None else said + text("warm-start.relative")


def record(study: StoredStudy, sources: Sequence[Source]) -> None:
    """Store sources in a study, since the earlier sweeps may change or be deleted later."""
    text = _packed(sources)
    parts = [text[i : i + LONGEST] for i in range(0, len(text), LONGEST)]
    for i, part in enumerate(parts):
        study.set_system_attr(f"{WARM_ATTR}:{i}", part)
    study.set_system_attr(WARM_ATTR, len(parts))


def recorded(study: StoredStudy) -> tuple[Source, ...] | None:
    """The sources that `record` has stored; None if it was not called or was interrupted.

    Raises:
        ValueError: If the record is damaged.
        LookupError: If a part of the record, or a key in it, is missing.
    """
    attrs = study.system_attrs()
    if WARM_ATTR not in attrs:
        return None
    return _unpacked("".join(attrs[f"{WARM_ATTR}:{i}"] for i in range(attrs[WARM_ATTR])))


def _packed(sources: Sequence[Source]) -> str:
    rows = [
        {
            **asdict(source),
            "of_point": source.of_point and [*source.of_point.items()],
            "trials": [[dict(t.params), [*t.results.items()]] for t in source.trials],
        }
        for source in sources
    ]
    text = json.dumps(rows, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode())).decode()


def _unpacked(text: str) -> tuple[Source, ...]:
    return tuple(
        Source(
            **{
                **row,
                "of_point": row["of_point"] and dict(row["of_point"]),
                "trials": tuple(
                    EarlierTrial(params=params, results=dict(results))
                    for params, results in row["trials"]
                ),
            }
        )
        for row in json.loads(zlib.decompress(base64.b64decode(text)))
    )
