"""In-memory Optuna storage of the trials that a sampler uses."""

import copy
from bisect import insort
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

LATEST = 2000
"""Number of the latest trials in the view of a longer study."""
BEST = 300
"""Number of the best complete trials in it, of any age; several objectives share it equally."""
_ID = 0


class View(BaseStorage):
    """A storage of one study, with the part of its trials that samplers use.

    A study of up to `LATEST` trials is in the view completely. Of a longer one, the view has the
    unfinished, the latest and the best trials, so that the time of sampling is bounded. The
    selection depends on the study alone: it is the same in a resumed sweep. The id of a trial is
    its number.

    Args:
        name: Name of the study.
        directions: Directions of its objectives.
        length: Number of trials in the study.
        spare: Number of trials that are kept in addition to each of `LATEST` and `BEST`.
    """

    def __init__(
        self, name: str, directions: Sequence[StudyDirection], *, length: int, spare: int = 0
    ):
        self.length = length
        self.attrs: Mapping[str, Any] = {}
        """State that samplers store for later trials: system attributes of the study."""
        self._changes: dict[str, Any] = {}
        self._name = name
        self._directions = list(directions)
        self._trials: dict[int, FrozenTrial] = {}
        self._latest = LATEST + spare
        most = BEST // len(directions) + spare
        self._best = [_Best(direction, most) for direction in directions]

    def add(self, trial: FrozenTrial) -> None:
        """Add a trial, or replace it by a newer version; the order of calls does not matter."""
        self._trials[trial.number] = trial
        changed = [trial.number]
        if trial.state == TrialState.COMPLETE:
            for best, value in zip(self._best, trial.values, strict=True):
                changed += best.add(trial.number, value)
        for number in changed:
            self._drop(number)

    def find(self, number: int) -> FrozenTrial | None:
        """A trial by its number; None if it is not in the view."""
        return self._trials.get(number)

    def take_back(self, number: int) -> None:
        """Remove the latest trial, whose values were rejected."""
        assert number == self.length - 1
        del self._trials[number]
        self.length -= 1

    def taken_changes(self) -> dict[str, Any]:
        """Return the entries of `attrs` that have changed since the last call."""
        changes, self._changes = self._changes, {}
        return changes

    def _drop(self, number: int) -> None:
        """Remove a finished trial that is neither among the latest nor among the best."""
        trial = self._trials.get(number)
        if trial is None or not trial.state.is_finished():
            return
        if trial.number < self.length - self._latest and not any(
            trial.number in b for b in self._best
        ):
            del self._trials[trial.number]

    def _change(self, number: int, **values: Any) -> None:
        """Replace a trial by a changed copy; trials returned before do not change."""
        trial = copy.copy(self._trials[number])
        for name, value in values.items():
            setattr(trial, name, value)
        self.add(trial)

    # Interface of an Optuna storage --------------------------------------------------------------

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        raise NotImplementedError

    def delete_study(self, study_id: int) -> None:
        raise NotImplementedError

    def get_all_studies(self) -> list[Any]:
        raise NotImplementedError

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        raise NotImplementedError

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return {}

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self.attrs = {**self.attrs, key: value}
        self._changes[key] = value

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return dict(self.attrs)

    def get_study_id_from_name(self, study_name: str) -> int:
        return _ID

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._directions

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        number = self.length
        trial = template_trial or create_trial(state=TrialState.RUNNING)
        self.length += 1
        self.add(numbered(trial, number, trial.user_attrs))
        self._drop(number - self._latest)
        return number

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        trial, value = self._trials[trial_id], distribution.to_external_repr(param_value_internal)
        self._change(
            trial_id,
            params={**trial.params, param_name: value},
            distributions={**trial.distributions, param_name: distribution},
        )

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        started = {"datetime_start": datetime.now()} if state == TrialState.RUNNING else {}
        self._change(trial_id, state=state, **started)
        return True

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        reported = {**self._trials[trial_id].intermediate_values, step: intermediate_value}
        self._change(trial_id, intermediate_values=reported)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._change(trial_id, user_attrs={**self._trials[trial_id].user_attrs, key: value})

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._change(trial_id, system_attrs={**self._trials[trial_id].system_attrs, key: value})

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._trials[trial_id]

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        trials = [self._trials[number] for number in sorted(self._trials)]
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials


def numbered(trial: FrozenTrial, number: int, user_attrs: Mapping[str, Any]) -> FrozenTrial:
    """A copy of a trial with another number and other user attributes.

    Its dictionaries are copied too, since Optuna changes parameters in place.
    """
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=trial.state,
        value=None,
        values=trial.values,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
        params=dict(trial.params),
        distributions=dict(trial.distributions),
        user_attrs=dict(user_attrs),
        system_attrs=dict(trial.system_attrs),
        intermediate_values=dict(trial.intermediate_values),
    )


class _Best:
    """Numbers of the best trials by one objective; of equal trials the earlier one is better."""

    def __init__(self, direction: StudyDirection, most: int):
        self._sign = -1 if direction == StudyDirection.MAXIMIZE else 1
        self._most = most
        self._ranked: list[tuple[float, int]] = []
        self._numbers: set[int] = set()

    def __contains__(self, number: int) -> bool:
        return number in self._numbers

    def add(self, number: int, value: float) -> list[int]:
        """Rank a trial; return the one that drops out of the best, as a list of at most one."""
        if number in self._numbers:
            self._ranked = [known for known in self._ranked if known[1] != number]
        insort(self._ranked, (self._sign * value, number))
        self._numbers.add(number)
        if len(self._ranked) <= self._most:
            return []
        _, last = self._ranked.pop()
        self._numbers.discard(last)
        return [last]
