"""The trials and results that a sampler may see."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps.jobs import Rung
from sweeps.settings import Sampler
from sweeps.view import View, numbered
from sweeps.warm_start import Results, Source

LEAST_AT_RUNG = 10
"""Results that a rung needs before they may be shown as those of complete trials."""
OF_WHOLE_TRIALS: tuple[Sampler, ...] = ("gp", "cmaes")
"""Samplers that use complete trials only."""
GUIDED: tuple[Sampler, ...] = ("tpe", "gp", "cmaes", "nsga2")
"""Samplers that use results."""
UNGUIDED = 10
"""Number of trials that samplers draw at random before they use results."""


class Visible:
    """The view of a sampler, with the visible result of each trial at its highest rung.

    A trial without a visible result is RUNNING, one with a result at a rung PRUNED, and one that
    was trained to its end COMPLETE. For samplers that use only complete trials, the highest rung
    with at least `LEAST_AT_RUNG` results counts as the end of training: its trials are COMPLETE.
    Falkner et al. (2018), "BOHB", ICML, choose the fidelity of their model in this way.

    Args:
        name: Name of the study.
        directions: Directions of its objectives.
        rungs: Rungs at which trials are compared.
        sampler: The sampler that uses the view.
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
        """Visible results by rung and trial, without those of diverged trials."""
        self._diverged: set[int] = set()
        self._sources: list[tuple[Source, dict[int, dict[int, float]]]] = []
        """Earlier sweeps, each with its original results by trial number and rung."""

    def add_sources(
        self, sources: Sequence[Source], distributions: Mapping[str, BaseDistribution]
    ) -> None:
        """Add trials of earlier sweeps, with negative numbers, as they are older than all others.

        Scores that are relative to an initial point are first shown as in the earlier sweep. When
        the point's result at the same rung of this sweep is visible, they are shifted by the
        difference of its two results.
        """
        number = -sum(len(source.trials) for source in sources)
        for source in sources:
            known: dict[int, dict[int, float]] = {}
            for trial in source.trials:
                used = {key: distributions[key] for key in trial.params}
                made = create_trial(
                    state=TrialState.RUNNING, params=dict(trial.params), distributions=used
                )
                known[number] = self._by_rung(trial.results)
                for rung, value in known[number].items():
                    self._results[rung][number] = value
                if not trial.results:
                    self._diverged.add(number)
                if known[number] or not trial.results:
                    self._put(numbered(made, number, {}))
                number += 1
            self._sources.append((source, known))
        self._choose_rung()

    def _by_rung(self, results: Results) -> dict[int, float]:
        """Results by rung of this sweep; results at other epochs are left out."""
        places: dict[int | None, int] = {epoch: i for i, epoch in enumerate(self._epochs)}
        places[None] = len(self._epochs)
        return {places[epoch]: value for epoch, value in results.items() if epoch in places}

    def add(self, trial: FrozenTrial) -> None:
        """Add the next trial, without its results."""
        assert trial.number == self.view.length
        trial = numbered(trial, trial.number, trial.user_attrs)
        trial.state, trial.values, trial.intermediate_values = TrialState.RUNNING, None, {}
        self.view.create_new_trial(0, trial)

    def as_it_is(self, trial: FrozenTrial) -> None:
        """Show a trial completely, with all its results."""
        self.view.add(numbered(trial, trial.number, trial.user_attrs))

    def show(self, trial: FrozenTrial, rung: int, value: float | None) -> None:
        """Show a result.

        Args:
            trial: The trial.
            rung: Index of the rung of the result; the last epoch counts as one rung more.
            value: The objective; None if the trial failed for good; not finite if it diverged.
        """
        if value is not None and math.isfinite(value):
            self._results[rung][trial.number] = value
        elif value is not None:
            self._diverged.add(trial.number)
            for known in self._results.values():
                known.pop(trial.number, None)
        self._put(trial)
        self._move_sources(trial.number, rung)
        self._choose_rung()

    def _move_sources(self, number: int, rung: int) -> None:
        """Shift scores of earlier sweeps when their initial point has a result at a rung here."""
        here = self._results[rung].get(number)
        for source, known in self._sources:
            there = self._by_rung(source.of_point or {}).get(rung)
            if number != source.point or here is None or there is None:
                continue
            for earlier, results in known.items():
                if rung in results:
                    self._results[rung][earlier] = results[rung] + here - there
                    self._put_again(earlier)

    def _choose_rung(self) -> None:
        """Choose the rung that samplers of complete trials see as the end of training."""
        enough = [r for r, known in self._results.items() if len(known) >= LEAST_AT_RUNG]
        if self._of_whole and enough and max(enough) != self._modelled:
            self._modelled = max(enough)
            for number in sorted(set().union(*self._results.values())):
                self._put_again(number)

    def _put_again(self, number: int) -> None:
        shown = self.view.find(number)
        if shown is not None:
            self._put(shown)

    def _put(self, trial: FrozenTrial) -> None:
        """Show a trial with its visible results; a diverged trial is worse than all others."""
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
