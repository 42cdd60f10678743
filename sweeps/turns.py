"""Synchronisation of the study, the decisions of `Promotion` and the view of the sampler."""

import math
import sys
from collections.abc import Callable, Mapping

from optuna.trial import FrozenTrial, TrialState

from foldsweep import names
from sweeps.jobs import DIVERGED, Decision, Finished, Train
from sweeps.outcomes import Ended
from sweeps.payoff import Patience
from sweeps.promotion import Promotion
from sweeps.visible import Visible

WORST = -sys.float_info.max
"""Score of a trial whose objective is not finite; it is compared and may be promoted."""


class Turns:
    """Synchronises `Promotion` and the view of the sampler with the study.

    Args:
        plan: Decides which trials are trained; without rungs, each is trained to its end.
        visible: The view of the sampler.
        by_trial: Whether the sampler sees results by trial number; else by arrival.
        whole: Whether the sampler sees trials exactly as they are in the study.
        sign: 1 if a higher objective is better, else -1.
        patience: Decides when the sweep no longer improves.
        ended: Trials that have ended, by number.
        trial_of: Returns a trial as the study has it.
        stops_of: Returns the targets of a trial, see `sweeps.jobs.stops`.
    """

    def __init__(
        self,
        plan: Promotion,
        visible: Visible,
        *,
        by_trial: bool,
        whole: bool,
        sign: int,
        patience: Patience,
        ended: Mapping[int, Ended],
        trial_of: Callable[[int], FrozenTrial],
        stops_of: Callable[[FrozenTrial], tuple[int, ...]],
    ):
        self.plan = plan
        self.visible = visible
        self._by_trial = by_trial
        self._whole = whole
        self._sign = sign
        self._patience = patience
        self._num_judged = 0
        self.has_stopped_paying = False
        """Whether sampling has ended because the best trial no longer improves."""
        self._ended = ended
        self._trial_of = trial_of
        self._stops_of = stops_of
        self._rung_at = {rung.epochs: i for i, rung in enumerate(plan.rungs)}

    def restore(
        self, trials: Mapping[int, FrozenTrial], failures: Mapping[int, str | None]
    ) -> None:
        """Add the trials of a resumed study; their numbers have no gaps.

        Args:
            trials: The trials, by number.
            failures: Kind of failure of each ended trial, by number; None if it did not fail.
        """
        for _, trial in sorted(trials.items()):
            self.visible.add(trial)
            known = self._known(trial)
            highest, is_over = max(known, default=-1), trial.state.is_finished()
            stops = self._stops_of(trial)
            if is_over:  # it may have passed rungs at which trials were not compared then
                stops = tuple(rung for rung in stops if rung in known or rung > highest)
            self.plan.add(stops)
            if is_over and highest < self.plan.last:
                known[next(rung for rung in stops if rung > highest)] = _score_of_failed(
                    failures[trial.number]
                )
            for rung, score in known.items():
                if rung in stops:
                    self._end(trial, rung, score)
            if self._whole:
                self.visible.as_it_is(trial)

    def decide(self) -> Decision:
        """Decision for a free process."""
        if self._patience.most is not None and self.plan.can_sample:
            self._judge()
        return self.plan.decide()

    def set_budget(self, num_trials: int) -> None:
        """Set the number of trials, unless the sweep has stopped for lack of improvement."""
        if not self.has_stopped_paying:
            self.plan.num_trials = num_trials

    def _judge(self) -> None:
        """End sampling if the best no longer improves; the outcome does not depend on the time."""
        for key, number in self.plan.results(self._num_judged):
            self._num_judged += 1
            if self._ended[number].state == TrialState.COMPLETE:
                self._patience.take(key, self._ended[number])
        if self._patience.is_over(self.plan.horizon):
            self.has_stopped_paying = True
            self.plan.num_trials = len(self.plan.targets)

    @property
    def left(self) -> int:
        """Number of trials in training or still to be trained, as far as is known."""
        turn = self.decide()
        new = max(0, self.plan.num_trials - len(self.plan.targets))
        left = self.plan.num_to_train + new
        return left or int(not isinstance(turn, Finished))

    def show_until(self, new: int) -> None:
        """Add the results that the sampler of trial `new` may see to its view."""
        if self._by_trial:
            for number, rung, score in self.plan.newly_seen(new):
                self._show(self._trial_of(number), rung, score)

    def add(self, trial: FrozenTrial) -> None:
        """Add a new trial, whose training starts."""
        stops = self._stops_of(trial)
        self.plan.add(stops)
        self.plan.take(Train(trial.number, stops[0]))

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Add the objective after an epoch; return whether the trial continues at once."""
        if self._whole:
            self.visible.as_it_is(self._trial_of(number))
        rung, heading = self._rung_at.get(epoch), self.plan.heading(number)
        if rung != heading:  # no comparison there, or it has been compared
            return True
        self._end(self._trial_of(number), rung, self._score(value))
        after = next(stop for stop in self.plan.targets[number] if stop > rung)
        goes_on = self.plan.is_promoted(number, after)
        if goes_on:
            self.plan.take(Train(number, after))
        return goes_on

    def end(self, trial: FrozenTrial, failure: str | None) -> None:
        """Record the end of a trial; `failure` is the kind of its failure, None if it has none."""
        rung = self.plan.heading(trial.number)
        if trial.state == TrialState.COMPLETE:
            score: float | None = self._score(trial.values[0])
            rung = self.plan.last
        else:
            score = _score_of_failed(failure)
        self._end(trial, rung, score)
        if self._whole:
            self.visible.as_it_is(trial)

    def is_paused(self, number: int) -> bool:
        """Whether a trial that has not ended is neither in training nor to be trained."""
        return not self.plan.is_given_out(number)

    def _known(self, trial: FrozenTrial) -> dict[int, float | None]:
        """Known scores of a trial, by rung."""
        known: dict[int, float | None] = {
            self._rung_at[epoch]: self._score(value)
            for epoch, value in sorted(trial.intermediate_values.items())
            if epoch in self._rung_at
        }
        if trial.state == TrialState.COMPLETE:
            known[self.plan.last] = self._score(trial.values[0])
        return known

    def _end(self, trial: FrozenTrial, rung: int, score: float | None) -> None:
        self.plan.end(trial.number, rung, score)
        if not self._by_trial and not self._whole:
            self._show(trial, rung, score)

    def _show(self, trial: FrozenTrial, rung: int, score: float | None) -> None:
        value = None if score is None else self._sign * score if score != WORST else math.nan
        self.visible.show(trial, rung, value)

    def _score(self, value: float) -> float:
        return self._sign * value if math.isfinite(value) else WORST


def _score_of_failed(failure: str | None) -> float | None:
    return DIVERGED if failure == names.DIVERGED else None
