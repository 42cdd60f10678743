"""What a sampler looks at: trials, and those of their results that it may see."""

import math
from collections import defaultdict
from collections.abc import Sequence

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeps.jobs import Rung
from sweeps.settings import Sampler
from sweeps.view import View, numbered

LEAST_AT_RUNG = 10
"""Results at a rung from which on it stands for whole trials."""
OF_WHOLE_TRIALS: tuple[Sampler, ...] = ("gp", "cmaes")
"""Samplers that look at complete trials only."""
GUIDED: tuple[Sampler, ...] = ("tpe", "gp", "cmaes", "nsga2")
"""Samplers that look at results."""
UNGUIDED = 10
"""Trials that samplers draw at random before they look at results."""


class Visible:
    """The view of a sampler, in which a trial is as its highest result that may be seen.

    A trial without one is RUNNING, one with a result at a rung PRUNED, one that was trained to its
    end COMPLETE. Samplers that look at complete trials only are shown the results at the highest
    rung with enough of them as those of complete trials (Falkner et al. (2018), "BOHB", ICML,
    choose the fidelity of their model so).

    Args:
        name: Name of the study.
        directions: Of its objectives.
        rungs: Where trials are compared.
        sampler: Who looks.
    """

    def __init__(
        self,
        name: str,
        directions: Sequence[StudyDirection],
        rungs: Sequence[Rung] = (),
        *,
        sampler: Sampler = "tpe",
    ):
        self.view = View(name, directions, length=0)
        self._epochs = [rung.epochs for rung in rungs]
        self._of_whole = sampler in OF_WHOLE_TRIALS
        self._modelled = len(rungs)
        self._results: dict[int, dict[int, float]] = defaultdict(dict)
        """By rung and trial what may be seen; nothing of trials that diverged."""
        self._diverged: set[int] = set()

    def add(self, trial: FrozenTrial) -> None:
        """Take in the next trial, whose results may not be seen yet."""
        assert trial.number == self.view.length
        trial = numbered(trial, trial.number, trial.user_attrs)
        trial.state, trial.values, trial.intermediate_values = TrialState.RUNNING, None, {}
        self.view.create_new_trial(0, trial)

    def as_it_is(self, trial: FrozenTrial) -> None:
        """Show all that there is of a trial."""
        self.view.add(numbered(trial, trial.number, trial.user_attrs))

    def show(self, trial: FrozenTrial, rung: int, value: float | None) -> None:
        """Show a result.

        Args:
            trial: The trial.
            rung: Where it has a result, the last epoch counted as one rung more.
            value: The objective; None if it failed for good; not finite if it diverged.
        """
        if value is not None and math.isfinite(value):
            self._results[rung][trial.number] = value
        elif value is not None:
            self._diverged.add(trial.number)
            for known in self._results.values():
                known.pop(trial.number, None)
        self._put(trial)
        enough = [r for r, known in self._results.items() if len(known) >= LEAST_AT_RUNG]
        if self._of_whole and enough and max(enough) != self._modelled:
            self._modelled = max(enough)
            for number in sorted(set().union(*self._results.values())):
                shown = self.view.find(number)
                if shown is not None:
                    self._put(shown)

    def _put(self, trial: FrozenTrial) -> None:
        """Show a trial by its results; one that diverged is worse than all others."""
        trial = numbered(trial, trial.number, trial.user_attrs)
        results = {r: k[trial.number] for r, k in self._results.items() if trial.number in k}
        diverged = trial.number in self._diverged
        trial.state = TrialState.PRUNED if results or diverged else TrialState.FAIL
        if self._modelled in results:
            trial.state = TrialState.COMPLETE
        last = results[max(results)] if results else None
        value = results.get(self._modelled, last)
        trial.values = None if value is None else [value]
        trial.intermediate_values = {
            epoch: results[rung] for rung, epoch in enumerate(self._epochs) if rung in results
        }
        self.view.add(trial)
