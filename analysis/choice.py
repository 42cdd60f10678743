"""Rules that choose one configuration of a sweep: the best, or a smaller equivalent one."""

import numpy as np

from analysis.comparison import compare
from analysis.configurations import cheapest, equivalence, size
from analysis.results import Sweep, Trial
from analysis.selection import Rule
from foldsweep.numbers import shown
from foldsweep.texts import text


def choose(sweep: Sweep, rule: Rule, *, rope: float | None = None) -> tuple[Trial, str]:
    """Choose one complete trial of a sweep by a rule; return the trial and the reason in words.

    * `best`: the best cross-validated mean.
    * `one-se`: the smallest within one standard error of the best (Breiman, Friedman, Olshen and
      Stone, 1984, "Classification and regression trees", section 3.4.3). A convention, not a test.
    * `equivalent-smallest`: the smallest of those that are shown to be equivalent to the best.

    Estimators have no parameters to count: the fastest to train counts as the smallest.

    Args:
        sweep: A sweep with a complete trial.
        rule: The rule.
        rope: Scores closer than this are equivalent [the task's value for the metric].
    """
    best = sweep.complete[0]
    if rule == "best":
        return best, text("choice.best")
    if rule == "one-se":
        error = float(np.std(best.folds, ddof=1)) / len(best.folds) ** 0.5
        sign = sweep.measure.sign
        near = tuple(t for t in sweep.complete if sign * (best.score - t.score) <= error)
        chosen = cheapest(near)
        return chosen, text(
            "choice.within-error",
            number=len(near),
            complete=len(sweep.complete),
            error=shown(error),
            chosen=size(chosen, best),
        )
    comparison = compare([sweep], rope=rope, finals=False)
    return cheapest(comparison.choice.equivalent), equivalence(comparison)
