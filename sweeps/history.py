"""All that a ledger knows of its study's trials, in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeps.ended import Ended, check, lean, packed, unpacked
from sweeps.pruning import Reports
from sweeps.study import StoredStudy
from sweeps.view import View, numbered

SAMPLER_ATTR = "foldsweep:sampler"
"""What a sampler keeps for later trials: a system attribute of the trial that it was set with."""
PACK_ATTR = "foldsweep:ended:"
"""Beginning of the study's system attributes that each hold many trials, see `sweeps.ended`."""
PACK = 100
"""Trials in each of them."""
SPARE = 1000
"""Trials that are kept longer than `View` says: samplers see results later than they are known."""


class History:
    """The trials of a study: a summary of each that has ended, and in full those still needed.

    Reading a trial from a database takes milliseconds. So every `PACK` trials that have ended are
    copied into one attribute of the study.

    Args:
        study: The study, all of which is read.
        distributions: What its trials choose from.
        directions: Of its objectives.
        objective: The first of these.
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
        """Trials that were paused, or in training when the sweep was killed."""
        self.waiting: dict[int, FrozenTrial] = {}
        """Initial points that an earlier version put into the study beforehand."""
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
        """Hand over the trials that were read from the study, and keep them no longer."""
        trials, self._as_read = self._as_read, {}
        return trials

    def end(self, number: int, state: TrialState, values: Sequence[float] | None) -> None:
        """Take in that a trial in training has ended."""
        trial = self.view.get_trial(number)
        trial = numbered(trial, number, trial.user_attrs)
        trial.state = state
        trial.values = values
        self._add_ended(trial)
        self._pack()

    def report(self, number: int, epoch: int, value: float) -> None:
        """Take in a report of a trial in training."""
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
        # a study that an earlier version made has them itself
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
        known = self.view.find(trial.number)  # whose reports are counted already
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
        """An attribute with numbers of trials where it lists their ids."""
        if not isinstance(value, list) or not all(isinstance(item, int) for item in value):
            return value
        numbers = map(self._study.number_of, value)
        return [number for number in numbers if number is not None]
