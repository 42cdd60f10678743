"""What is kept in memory of each trial that has ended, however many there are.

In a database many of them are one attribute of the study, so that a sweep that is resumed need not
read them one by one.
"""

import base64
import json
import statistics
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from foldsweep.names import GRID_ORIGIN, NUM_PARAMS, TRAIN_TIME
from sweeps.view import numbered
from trainables.trainable import BY_FOLD

POINT_ATTR = "point"
GRID_POINT = GRID_ORIGIN
"""Name of the points of a grid, which unlike others may be pruned."""
RESULT_ATTR = "result"
"""What a trial came to; of one that is to be stopped early, recorded with that decision."""
STOPPED_AT = "stopped_at"
"""In it, the epoch after which the trial is stopped; once an attribute of its own."""
FAILURE_ATTR = "failure"
"""Kind and reason of a failure; once the kind alone, with the reason in `_ERROR_ATTR`."""
_ERROR_ATTR = "error"
_NO_POINT: dict[str, Any] = {"name": "", "config": {}}
_POINT_TYPES = {key: type(value) for key, value in _NO_POINT.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A trial that has ended; `values`, if any, are of all objectives, `by_fold` of the first."""

    number: int
    state: TrialState
    values: tuple[float, ...] | None
    origin: str | None
    """Name of the point that it repeats; None if the sampler chose its values."""
    failure: str | None
    by_fold: tuple[float, ...]
    num_params: int
    train_time_s: float

    @classmethod
    def of(cls, trial: FrozenTrial, objective: str) -> "Ended":
        """Read a trial; `objective` is the first one."""
        result = trial.user_attrs.get(RESULT_ATTR, {})
        return cls(
            number=trial.number,
            state=trial.state,
            values=None if trial.values is None else tuple(trial.values),
            origin=trial.user_attrs.get(POINT_ATTR, {}).get("name"),
            failure=failure_of(trial)[0],
            by_fold=tuple(result.get(BY_FOLD, {}).get(objective, ())),
            num_params=result.get(NUM_PARAMS, 0),
            train_time_s=result.get(TRAIN_TIME, 0.0),
        )

    @property
    def score(self) -> float:
        """Value of the first objective of a complete trial."""
        assert self.values is not None
        return self.values[0]

    @property
    def std(self) -> float | None:
        """Standard deviation over folds; None where folds have no scores of their own."""
        return statistics.stdev(self.by_fold) if self.by_fold else None

    @property
    def is_sampled(self) -> bool:
        """Whether it is no point to try first, or one of a grid."""
        return self.origin in (None, GRID_POINT)


def failure_of(trial: FrozenTrial) -> tuple[str | None, str | None]:
    """Kind and reason of a trial's failure; None twice if it has not failed."""
    found = trial.user_attrs.get(FAILURE_ATTR)
    if isinstance(found, list):
        kind, reason = found
        return kind, reason
    return found, trial.user_attrs.get(_ERROR_ATTR)


def stopped_at(trial: FrozenTrial) -> int | None:
    """The epoch after which it was decided to stop a trial early; None if it was not."""
    attrs = trial.user_attrs
    return attrs.get(RESULT_ATTR, {}).get(STOPPED_AT, attrs.get(STOPPED_AT))


def failures(trials: Sequence[Ended], kind: str) -> list[Ended]:
    """Trials that failed in one way."""
    return [t for t in trials if t.failure == kind]


def check(trial: FrozenTrial, num_objectives: int) -> None:
    """Refuse a trial that has not what a sweep writes.

    Raises:
        ValueError: Says what is wrong.
    """
    attrs, wrong = trial.user_attrs, []
    point, result = attrs.get(POINT_ATTR, _NO_POINT), attrs.get(RESULT_ATTR, {})
    if not isinstance(point, dict) or {k: type(point.get(k)) for k in _NO_POINT} != _POINT_TYPES:
        wrong.append(POINT_ATTR)
    if not isinstance(result, dict) or not isinstance(result.get(BY_FOLD, {}), dict):
        wrong.append(RESULT_ATTR)
    elif not all(isinstance(result.get(k, 0), int | float) for k in (NUM_PARAMS, TRAIN_TIME)):
        wrong.append(RESULT_ATTR)
    elif not isinstance(stopped_at(trial), int | None):
        wrong.append(STOPPED_AT)
    failure = attrs.get(FAILURE_ATTR)
    parts = failure if isinstance(failure, list) else [failure, None]
    if len(parts) != 2 or not all(isinstance(part, str | None) for part in parts):
        wrong.append(FAILURE_ATTR)
    if trial.state == TrialState.COMPLETE and len(trial.values or ()) != num_objectives:
        wrong.append("values")
    if wrong:
        raise ValueError(f"trial {trial.number} has a wrong {', '.join(wrong)}")


def lean(trial: FrozenTrial) -> FrozenTrial:
    """A trial as samplers look at it: what it came to is left out."""
    point = trial.user_attrs.get(POINT_ATTR)
    return numbered(trial, trial.number, {} if point is None else {POINT_ATTR: point})


def packed(trials: Sequence[tuple[Ended, FrozenTrial]]) -> str:
    """Trials as one text; a quarter as long as their JSON."""
    rows = [_row(ended, trial) for ended, trial in trials]
    text = json.dumps(rows, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode())).decode()


def unpacked(
    text: str, distributions: Mapping[str, BaseDistribution]
) -> Iterator[tuple[Ended, FrozenTrial]]:
    """Trials out of a text that `packed` made, of a study with these distributions."""
    for row in json.loads(zlib.decompress(base64.b64decode(text))):
        yield _of_row(row, distributions)


def _row(ended: Ended, trial: FrozenTrial) -> list[Any]:
    params = {k: trial.distributions[k].to_internal_repr(v) for k, v in trial.params.items()}
    return [
        ended.number,
        ended.state,
        ended.values,
        ended.failure,
        ended.by_fold,
        ended.num_params,
        ended.train_time_s,
        trial.user_attrs.get(POINT_ATTR),
        params,
        trial.system_attrs,
        list(trial.intermediate_values.items()),
    ]


def _of_row(
    row: list[Any], distributions: Mapping[str, BaseDistribution]
) -> tuple[Ended, FrozenTrial]:
    number, state, values, failure, by_fold, num_params, seconds, point, params, system, seen = row
    ended = Ended(
        number=number,
        state=TrialState(state),
        values=None if values is None else tuple(values),
        origin=None if point is None else point["name"],
        failure=failure,
        by_fold=tuple(by_fold),
        num_params=num_params,
        train_time_s=seconds,
    )
    trial = FrozenTrial(
        number=number,
        trial_id=number,
        state=ended.state,
        value=None,
        values=values,
        datetime_start=None,
        datetime_complete=None,
        params={k: distributions[k].to_external_repr(v) for k, v in params.items()},
        distributions={k: distributions[k] for k in params},
        user_attrs={} if point is None else {POINT_ATTR: point},
        system_attrs=system,
        intermediate_values=dict(seen),
    )
    return ended, trial
