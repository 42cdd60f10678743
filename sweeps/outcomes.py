"""Summary of an ended trial, kept in memory for every ended trial of a study.

In a database, many trials are packed into one attribute of the study, so that a resumed sweep does
not read them one by one.
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
"""Name of grid points, which may be pruned, unlike initial points."""
RESULT_ATTR = "result"
"""Attribute with a trial's result; if the trial is stopped early, recorded with that decision."""
STOPPED_AT = "stopped_at"
"""Key in the result: epoch after which the trial is stopped. A separate attribute of trials of
earlier versions."""
FAILURE_ATTR = "failure"
"""Attribute with kind and reason of a failure. In trials of earlier versions it has the kind only,
and `_ERROR_ATTR` has the reason."""
_ERROR_ATTR = "error"
_NO_POINT: dict[str, Any] = {"name": "", "config": {}}
_POINT_TYPES = {key: type(value) for key, value in _NO_POINT.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Summary of an ended trial.

    `values` are those of all objectives, None if there are none; `by_fold` are the values of the
    first objective on each fold.
    """

    number: int
    state: TrialState
    values: tuple[float, ...] | None
    origin: str | None
    """Name of its initial point or grid point; None if the sampler chose its values."""
    failure: str | None
    by_fold: tuple[float, ...]
    num_params: int
    train_time_s: float

    @classmethod
    def of(cls, trial: FrozenTrial, objective: str) -> "Ended":
        """Summary of a trial; `objective` is the key of the first objective."""
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
        """Standard deviation over folds; None if there are no scores by fold."""
        return statistics.stdev(self.by_fold) if self.by_fold else None

    @property
    def is_sampled(self) -> bool:
        """Whether the trial was sampled, as grid points are; False for initial points."""
        return self.origin in (None, GRID_POINT)


def failure_of(trial: FrozenTrial) -> tuple[str | None, str | None]:
    """Kind and reason of a trial's failure; None for both if it has not failed."""
    found = trial.user_attrs.get(FAILURE_ATTR)
    if isinstance(found, list):
        kind, reason = found
        return kind, reason
    return found, trial.user_attrs.get(_ERROR_ATTR)


def stopped_at(trial: FrozenTrial) -> int | None:
    """Epoch after which it was decided to stop a trial early; None without that decision."""
    attrs = trial.user_attrs
    return attrs.get(RESULT_ATTR, {}).get(STOPPED_AT, attrs.get(STOPPED_AT))


def failures(trials: Sequence[Ended], kind: str) -> list[Ended]:
    """Trials with this kind of failure."""
    return [t for t in trials if t.failure == kind]


def check(trial: FrozenTrial, num_objectives: int) -> None:
    """Refuse a trial whose attributes or values are not such as a sweep writes.

    Raises:
        ValueError: If so; the message names what is wrong.
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
    """Copy of a trial for samplers; its point is the only user attribute that is kept."""
    point = trial.user_attrs.get(POINT_ATTR)
    return numbered(trial, trial.number, {} if point is None else {POINT_ATTR: point})


def packed(trials: Sequence[tuple[Ended, FrozenTrial]]) -> str:
    """Encode trials as one text, about a quarter as long as their JSON."""
    rows = [_row(ended, trial) for ended, trial in trials]
    text = json.dumps(rows, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode())).decode()


def unpacked(
    text: str, distributions: Mapping[str, BaseDistribution]
) -> Iterator[tuple[Ended, FrozenTrial]]:
    """Decode the trials of a text of `packed`, of a study with these distributions."""
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
