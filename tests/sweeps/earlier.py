"""Ledger of earlier versions: its records in a study, and the values that it chose."""

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from foldsweep.checks import meant
from sweeps.distributions import nearest
from sweeps.ledger import Ledger
from sweeps.outcomes import POINT_ATTR, RESULT_ATTR
from sweeps.samplers import make_sampler
from sweeps.sampling import _suggest
from trainables.seeds import Stream, derive_seed


class EarlierLedger:
    """Ledger that samples and records step by step, with one write to the study per step.

    Args:
        storage: Storage of the study.
        like: Ledger of the same sweep over a different study.
        enqueued: Number of initial points put into a new study before a kill; None for all.
    """

    def __init__(self, storage: BaseStorage, like: Ledger, *, enqueued: int | None = None):
        self.storage, self.space, self.settings = storage, like.space, like.settings
        self.distributions = like.distributions
        name = like.study.name
        self.is_new = name not in optuna.get_all_study_names(storage)
        if self.is_new:
            directions = optuna.load_study(study_name=name, storage=like.study.storage).directions
            optuna.create_study(storage=storage, study_name=name, directions=directions)
        self.study = optuna.load_study(study_name=name, storage=storage)
        if self.is_new:
            self.study.set_user_attr("identity", like.study.user_attrs()["identity"])
            self._enqueue(enqueued)
        trials = self.study.get_trials(deepcopy=False)
        self.cut_off = [t.number for t in trials if t.state == TrialState.RUNNING]
        self.waiting = [t.number for t in trials if t.state == TrialState.WAITING]
        self.num_trials = len(trials)
        self.live: dict[int, optuna.Trial] = {}

    def ask(self, *, draws: int | None = None) -> tuple[int, dict[str, Any]] | None:
        """Return number and values of a trial; None if a kill comes after `draws` values."""
        if self.cut_off:
            number = self.cut_off.pop(0)
            self._seed(number)
            study_id = self.storage.get_study_id_from_name(self.study.study_name)
            trial_id = self.storage.get_trial_id_from_study_id_trial_number(study_id, number)
            trial = optuna.Trial(self.study, trial_id)
        else:
            self._seed(self.waiting.pop(0) if self.waiting else self.num_trials)
            trial = self.study.ask()
            self.num_trials = max(self.num_trials, trial.number + 1)
        self.live[trial.number] = trial
        values = {}
        for i, (name, distribution) in enumerate(self.distributions.items()):
            if i == draws:
                return None
            self._seed(trial.number, i)
            values[name] = _suggest(trial, name, distribution)
        values |= trial.user_attrs.get(POINT_ATTR, {}).get("config", {})
        return trial.number, values

    def report(self, number: int, epoch: int, value: float) -> None:
        self.live[number].report(value, epoch)

    def complete(self, number: int, values: Sequence[float]) -> None:
        self.live[number].set_user_attr(RESULT_ATTR, {})
        self.study.tell(number, list(values), state=TrialState.COMPLETE)

    def prune(self, number: int) -> None:
        self.live[number].set_user_attr(RESULT_ATTR, {})
        self.study.tell(number, state=TrialState.PRUNED)

    def fail(self, number: int) -> None:
        self.live[number].set_user_attr("failure", "crashed")
        self.live[number].set_user_attr("error", "broken")
        self.study.tell(number, state=TrialState.FAIL)

    def _seed(self, *place: int) -> None:
        seed = self.settings.seed
        trial_seed = derive_seed(seed, Stream.SAMPLER, *place) % 2**32
        self.study.sampler = make_sampler(self.settings.sampler, seed=seed, trial_seed=trial_seed)

    def _enqueue(self, most: int | None) -> None:
        points = [(point.name, point.config) for point in self.space.points]
        if self.settings.sampler == "grid":
            size = 1
            for choices in self.space.grid.values():
                size *= len(choices)
            points += [("grid", self.space.combination(i)) for i in range(size)]
        for name, given in points[:most]:
            config = {key: meant(value, Any) for key, value in given.items()}
            params = {
                key: nearest(distribution, config[key])
                for key, distribution in self.distributions.items()
                if key in config
            }
            self.study.enqueue_trial(
                {key: value for key, value in params.items() if value is not None},
                user_attrs={POINT_ATTR: {"name": name, "config": config}},
            )
        if most is None:
            self.study.set_user_attr("enqueued", True)
