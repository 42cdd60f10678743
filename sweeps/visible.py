"""What a sampler looks at: trials, and those of their results that it may see."""

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
"""Results at a rung from which on it stands for whole trials."""
OF_WHOLE_TRIALS: tuple[Sampler, ...] = ("gp", "cmaes")
"""Samplers that look at complete trials only."""
GUIDED: tuple[Sampler, ...] = ("tpe", "gp", "cmaes", "nsga2")
"""Samplers that look at results."""
UNGUIDED = 10
"""Trials that samplers draw at random before they look at results."""


class Visible:
    """The view of a sampler, which has the highest visible result of each trial.

    A trial without one is RUNNING, one with a result at a rung PRUNED, one that was trained to its
    end COMPLETE. Samplers that look at complete trials only are shown the results at the highest
    rung with enough of them as those of complete trials (Falkner et al. (2018), "BOHB", ICML,
    choose the fidelity of their model so).

    Args:
        name: Name of the study.
        directions: Of its objectives.
        rungs: Where trials are compared.
        sampler: The sampler that looks at the view.
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
        self._sources: list[tuple[Source, dict[int, dict[int, float]]]] = []
        """With the results of each, by number and rung, as the earlier sweep has them."""

    def add_sources(
        self, sources: Sequence[Source], distributions: Mapping[str, BaseDistribution]
    ) -> None:
        """Show trials of earlier sweeps, under negative numbers: they are older than all others.

        Scores relative to an initial point are as in the earlier sweep until that point's own
        result at the same rung may be seen, and are then moved by the difference of the two.
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
        """Results at the rungs of this sweep; those at other epochs are left out."""
        places: dict[int | None, int] = {epoch: i for i, epoch in enumerate(self._epochs)}
        places[None] = len(self._epochs)
        return {places[epoch]: value for epoch, value in results.items() if epoch in places}

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
        self._move_sources(trial.number, rung)
        self._choose_rung()

    def _move_sources(self, number: int, rung: int) -> None:
        """Bring sources to this sweep's scale, once their initial point has a result here."""
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
        """Have samplers of complete trials model the highest rung with enough results."""
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
