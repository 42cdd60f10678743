"""Counts of a sweep: ended trials by state, failures by kind, epochs; and the best trial."""

from collections import Counter

from optuna.trial import TrialState

from foldsweep import names
from sweeps.ledger import Ledger
from sweeps.outcomes import Ended
from sweeps.summary import Outcome, outcome, ranking

LEAST_ENDED_TO_GIVE_UP = 5
"""Trials that must have ended before a majority of failures stops the sweep."""
REFUSED_TO_GIVE_UP = 20
"""Refused trials in a row that stop the sweep: its space hardly has a valid configuration."""


class Tally:
    """Counts trials and epochs, keeps the best trial, and detects that most trials fail.

    Args:
        ledger: The sweep's study.
        objective: Metrics that the study optimises, in its order.
    """

    def __init__(self, ledger: Ledger, objective: tuple[str, ...]):
        self._ledger = ledger
        self._sign = names.sign(ledger.space.variant.task.better[objective[0]])
        ended = ledger.ended()
        self.ended: Counter[TrialState] = Counter(t.state for t in ended)
        self._ended_before = self.ended.copy()
        self.ended_here = 0
        """Trials ended since the sweep was started or resumed; `here` means the same below."""
        self.paused_here = 0
        self.epochs_here = 0
        """Epochs that trials have trained, including trials that have not ended."""
        self.epochs_of_ended = 0
        self.failures = Counter(t.failure for t in ended if t.failure is not None)
        self._refused_before = self.failures[names.REFUSED]
        self._refused_in_a_row = 0
        best = next(iter(ranking(ledger, objective)), None)
        self.best: Outcome | None = None if best is None else outcome(ledger, best)

    def count_end(self, state: TrialState, failure: str | None, epochs: int) -> None:
        """Count a trial that has ended."""
        self._refused_in_a_row = self._refused_in_a_row + 1 if failure == names.REFUSED else 0
        self.ended[state] += 1
        self.ended_here += 1
        self.epochs_of_ended += epochs

    def compare(self, number: int) -> None:
        """Update the best trial with a complete one.

        Of equal scores, the one with the lowest trial number is the best, not the one that ended
        first, so that a resumed sweep has the same best trial.
        """
        new = self._ledger.end_of(number)
        if self.best is None or self._place(new) < self._place(self.best):
            self.best = outcome(self._ledger, new)

    def _place(self, trial: Ended | Outcome) -> tuple[float, int]:
        """Sort key of trials, best first."""
        return -self._sign * trial.score, trial.number

    @property
    def hopeless(self) -> bool:
        """Whether most trials failed since the sweep was started or resumed.

        Earlier failures do not count: their cause may have been removed. Refused trials cost
        almost nothing, so the sweep continues until `REFUSED_TO_GIVE_UP` in a row are refused.
        """
        here = self.ended - self._ended_before
        refused = self.failures[names.REFUSED] - self._refused_before
        ended, failed = here.total() - refused, here[TrialState.FAIL] - refused
        most_fail = ended >= LEAST_ENDED_TO_GIVE_UP and 2 * failed > ended
        return most_fail or self._refused_in_a_row >= REFUSED_TO_GIVE_UP
