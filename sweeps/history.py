"""Trials of a study, held in memory by its ledger."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeps.outcomes import Ended, check, lean, packed, unpacked
from sweeps.pruning import Reports
from sweeps.study import StoredStudy
from sweeps.view import View, numbered

SAMPLER_ATTR = "foldsweep:sampler"
"""System attribute of a trial with the state that its sampler stores for later trials."""
PACK_ATTR = "foldsweep:ended:"
"""Prefix of the study's system attributes that each hold many trials, see `sweeps.outcomes`."""
PACK = 100
"""Number of trials in each of these attributes."""
SPARE = 1000
"""Trials kept in addition to those of `View`, because samplers see results with a lag."""


class History:
    """Trials of a study: a summary of each ended trial, and the full trials that are still needed.

    Reading a trial from a database takes milliseconds. So every `PACK` ended trials are copied
    into one attribute of the study.

    Args:
        study: The study, which is read completely.
        distributions: Distributions of its parameters.
        directions: Directions of its objectives.
        objective: Key of the first objective.
    """

    def __init__(
        self,
        study: StoredStudy,
        distributions: Mapping[str, BaseDistribution],
        directions: Sequence[StudyDirection],
        objective: str,
    ):
        self.ended: dict[int, Ended] = {}
        self.unended: list[int] = []
        """Numbers of trials that were paused, or in training when the sweep was killed."""
        self.waiting: dict[int, FrozenTrial] = {}
        """Initial points that an earlier version created in the study beforehand."""
        self.view = View(study.name, directions, length=study.length(), spare=SPARE)
        self.reports = Reports(higher=directions[0] == StudyDirection.MAXIMIZE)
        self._study = study
        self._objective = objective
        self._as_read: dict[int, FrozenTrial] = {}
        self._unpacked: list[tuple[Ended, FrozenTrial]] = []
        self._num_packs = 0
        self._read(distributions)
        self._pack()

    def take_read(self) -> dict[int, FrozenTrial]:
        """Return the trials that were read from the study, by number, and drop them here."""
        trials, self._as_read = self._as_read, {}
        return trials

    def end(self, number: int, state: TrialState, values: Sequence[float] | None) -> None:
        """Record the end of a trial in training."""
        trial = self.view.get_trial(number)
        trial = numbered(trial, number, trial.user_attrs)
        trial.state = state
        trial.values = values
        self._add_ended(trial)
        self._pack()

    def report(self, number: int, epoch: int, value: float) -> None:
        """Record an intermediate value of a trial in training."""
        self.view.set_trial_intermediate_value(number, epoch, value)
        self.reports.add(epoch, value)

    def _read(self, distributions: Mapping[str, BaseDistribution]) -> None:
        attrs, kept = self._study.system_attrs(), {}
        for key in [key for key in attrs if key.startswith(PACK_ATTR)]:
            self._num_packs += 1
            for ended, trial in unpacked(attrs.pop(key), distributions):
                self._add(ended, trial)
                self._as_read[trial.number] = trial
                kept[ended.number] = trial.system_attrs.get(SAMPLER_ATTR, {})
        rest = [number for number in range(self.view.length) if number not in self.ended]
        for trial in self._study.trials(rest):
            kept[trial.number] = trial.system_attrs.get(SAMPLER_ATTR, {})
            self._add_read(trial)
        # in a study of an earlier version, the study itself has the sampler's attributes
        of_sampler = {key: self._numbers_of(value) for key, value in attrs.items()}
        for number in sorted(kept):
            of_sampler |= kept[number]
        self.view.attrs = of_sampler

    def _add_read(self, trial: FrozenTrial) -> None:
        check(trial, len(self.view.get_study_directions(0)))
        if trial.state.is_finished():
            self._add_ended(trial)
        elif trial.state == TrialState.WAITING:
            self.waiting[trial.number] = trial
            return
        else:
            self.unended.append(trial.number)
            self.view.add(numbered(trial, trial.number, trial.user_attrs))
            for epoch, value in trial.intermediate_values.items():
                self.reports.add(epoch, value)
        self._as_read[trial.number] = trial

    def _add_ended(self, trial: FrozenTrial) -> None:
        known = self.view.find(trial.number)  # its reports are counted already
        ended, trial = Ended.of(trial, self._objective), lean(trial)
        self._add(ended, trial, are_reported=known is not None)
        if self._study.in_database:
            self._unpacked.append((ended, trial))

    def _add(self, ended: Ended, trial: FrozenTrial, *, are_reported: bool = False) -> None:
        self.ended[ended.number] = ended
        self.view.add(trial)
        if not are_reported:
            for epoch, value in trial.intermediate_values.items():
                self.reports.add(epoch, value)
        if ended.state == TrialState.COMPLETE:
            self.reports.add_complete(trial.intermediate_values)

    def _pack(self) -> None:
        while len(self._unpacked) >= PACK:
            key = f"{PACK_ATTR}{self._num_packs}"
            self._study.set_system_attr(key, packed(self._unpacked[:PACK]))
            self._num_packs += 1
            del self._unpacked[:PACK]

    def _numbers_of(self, value: Any) -> Any:
        """An attribute's value; a list of trial ids is converted to trial numbers."""
        if not isinstance(value, list) or not all(isinstance(item, int) for item in value):
            return value
        numbers = map(self._study.number_of, value)
        return [number for number in numbers if number is not None]
