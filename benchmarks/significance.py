"""False claims and power of comparisons, and bias of estimates of the best trial's score.

`python benchmarks/significance.py` simulates sweeps with known true scores. Fold scores have the
correlation 1 / k that the intervals assume, or another one, and are rounded to one row of 200. It
takes some minutes on one core.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy import stats

from analysis.significance import ALPHA, POWER, fold_noise, rank, shrunken_best, tukey
from foldsweep.programs import parse, require_at_least, run_program
from peer_tools.checks import require_document
from peer_tools.report import publish
from sweeps.reproduction.tables import Cells

SIGMA = 0.02
ROWS = 200
ROPE = 0.01


@dataclass(frozen=True, kw_only=True)
class SignificanceSettings:
    """Simulate sweeps without and with true differences, and the best of many trials."""

    simulations: int = 2000
    """Simulations per row of the tables."""
    seed: int = 0
    """Seed of all random numbers."""
    write: Path | None = None
    """Document whose tables are replaced."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Settings of a simulation."""

    folds: int = 5
    trials: tuple[int, ...] = (30, 30)
    """Trials of each sweep, all on the same folds."""
    what: str = "equal"
    """Difference from the simplest case, in words."""
    spread: float = 0.0
    """Standard deviation of the trials' true scores."""
    unequal: float = 0.0
    """Standard deviation of the logarithm of the trials' noise levels; 0 for equal variances."""
    skewed: bool = False
    """Whether the noise of a fold is exponential instead of normal."""
    rho: float | None = None
    """Correlation between the folds of a trial [1 / folds, which the intervals assume]."""

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw true scores (t,) and fold scores (t, k) of the t trials of all sweeps, in order."""
        size, folds = sum(self.trials), self.folds
        rho = 1 / folds if self.rho is None else self.rho
        truth = rng.normal(0, self.spread, size) if self.spread else np.zeros(size)
        own = SIGMA * np.exp(rng.normal(0, self.unequal, (size, 1)))
        noise = rng.normal(size=(size, folds))
        if self.skewed:
            noise = rng.exponential(size=(size, folds)) - 1
        # training parts overlap, which correlates the folds of a configuration
        noise = math.sqrt(1 - rho) * noise + math.sqrt(rho) * rng.normal(size=(size, 1))
        scores = 0.9 + truth[:, None] + rng.normal(0, SIGMA, (1, folds)) + own * noise
        return truth, np.round(scores * ROWS) / ROWS


CLAIMS = (
    *(Truth(folds=k, trials=(1, 1)) for k in (3, 5, 10)),
    *(Truth(folds=k, trials=(30,) * 5) for k in (3, 5, 10)),
    Truth(trials=(1,) * 10),
    Truth(trials=(10,) * 10),
    Truth(trials=(3, 100)),
    Truth(trials=(1, 1, 100, 100)),
    Truth(trials=(30,) * 5, unequal=0.5, what="unequal variances"),
    Truth(trials=(30,) * 5, skewed=True, what="skewed folds"),
    Truth(trials=(30,) * 5, spread=0.02, what="true scores of std 0.02"),
    Truth(trials=(30,) * 5, spread=0.02, unequal=0.5, what="of std 0.02, unequal variances"),
    Truth(folds=10, trials=(30,) * 5, rho=0.4, what="correlation 0.4"),
    Truth(trials=(30,) * 5, rho=0.4, what="correlation 0.4"),
    Truth(trials=(1, 1), rho=0.4, what="correlation 0.4"),
)


def main() -> int:
    """Simulate and print the tables; returns the exit code."""
    settings = parse(SignificanceSettings, sys.argv[1:], prog="benchmarks/significance.py")
    require_at_least(1, settings, "simulations")
    require_document(settings.write, ("claims", "choices", "detectable", "maxima"))
    tables = {
        "claims": claims(settings),
        "choices": choices(settings),
        "detectable": detectable(settings),
        "maxima": maxima(settings),
    }
    publish(tables, settings.write)
    return 0


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """One simulated comparison: the chosen trial of each sweep, and the scores of all trials."""

    best: tuple[int, ...]
    """Index of each sweep's chosen trial among all trials."""
    worth: tuple[float, ...]
    """Expected true score of each chosen trial."""
    scores: np.ndarray
    truth: np.ndarray


def simulate(case: Truth, rng: np.random.Generator) -> Simulated:
    """Draw sweeps and choose the best trial of each."""
    truth, scores = case.draw(rng)
    starts = np.cumsum([0, *case.trials[:-1]])
    parts = [scores[a : a + n] for a, n in zip(starts, case.trials, strict=True)]
    return Simulated(
        best=tuple(int(a + part.mean(1).argmax()) for a, part in zip(starts, parts, strict=True)),
        worth=tuple(shrunken_best(part) for part in parts),
        scores=scores,
        truth=truth,
    )


def claims(settings: SignificanceSettings) -> Cells:
    """Make the table of fractions of simulations with a false claim, and of coverage.

    Coverage means that the intervals of all pairs contain the true differences.
    """
    rng = np.random.default_rng(settings.seed)
    rows = []
    for case in CLAIMS:
        before = false = covered = 0
        for _ in range(settings.simulations):
            drawn = simulate(case, rng)
            noise = fold_noise(drawn.scores, overlap=1 / (case.folds - 1), resolution=1 / ROWS)
            whole, wrong = True, False
            for i, j in combinations(range(len(case.trials)), 2):
                a, b = drawn.best[i], drawn.best[j]
                gap = drawn.worth[i] - drawn.worth[j]
                wide = tukey(len(case.trials), noise.df) * noise.error(a, b)
                true = drawn.truth[a] - drawn.truth[b]
                whole &= abs(gap - true) <= wide
                wrong |= abs(gap) > wide and gap * true <= 0
            covered += whole
            false += wrong
            before += false_before(drawn, case)
        shares = [f"{n / settings.simulations:.3f}" for n in (before, false, covered)]
        rows.append((str(case.folds), _shown(case), case.what, *shares))
    return Cells(
        title=(
            f"Comparisons of sweeps at the level {ALPHA}, n = {settings.simulations} simulations"
            " each"
        ),
        head=(
            "folds",
            "trials of each sweep",
            "truth",
            "false claims, Holm",
            "false claims",
            "coverage",
        ),
        rows=tuple(rows),
    )


def _shown(case: Truth) -> str:
    if len(set(case.trials)) == 1 and len(case.trials) > 2:
        return f"{len(case.trials)} x {case.trials[0]}"
    return " / ".join(map(str, case.trials))


def holm_p(drawn: Simulated, folds: int, shift: float = 0.0) -> dict[tuple[int, int], float]:
    """Return p-values of all pairs by the corrected t-test with Holm's correction.

    Args:
        drawn: The simulated comparison.
        folds: Number of folds.
        shift: Added to the expected score of the first sweep.
    """
    worth = [drawn.worth[0] + shift, *drawn.worth[1:]]
    p = {}
    for i, j in combinations(range(len(worth)), 2):
        d = drawn.scores[drawn.best[i]] - drawn.scores[drawn.best[j]]
        variance = max(float(d.var(ddof=1)), 1 / ROWS**2 / 12)
        error = math.sqrt((1 / folds + 1 / (folds - 1)) * variance)
        p[i, j] = float(2 * stats.t.sf(abs(worth[i] - worth[j]) / error, folds - 1))
    highest, adjusted = 0.0, {}
    for place, pair in enumerate(sorted(p, key=lambda pair: p[pair])):
        highest = max(highest, min(1.0, (len(p) - place) * p[pair]))
        adjusted[pair] = highest
    return adjusted


def false_before(drawn: Simulated, case: Truth) -> bool:
    """Whether the corrected t-test with Holm's correction makes a false claim."""
    for (i, j), p in holm_p(drawn, case.folds).items():
        gap = drawn.worth[i] - drawn.worth[j]
        true = drawn.truth[drawn.best[i]] - drawn.truth[drawn.best[j]]
        if p < ALPHA and gap * true <= 0:
            return True
    return False


CHOICES = (
    Truth(trials=(6,)),
    Truth(trials=(30,)),
    Truth(trials=(100,)),
    Truth(trials=(30,), spread=0.02, what="true scores of std 0.02"),
    Truth(trials=(30,), spread=0.02, unequal=0.5, what="of std 0.02, unequal variances"),
    Truth(trials=(30,), spread=0.02, skewed=True, what="of std 0.02, skewed folds"),
    Truth(folds=3, trials=(30,), spread=0.02, what="true scores of std 0.02"),
    Truth(folds=10, trials=(30,), spread=0.02, what="true scores of std 0.02"),
    Truth(trials=(30,), spread=0.02, rho=0.4, what="of std 0.02, correlation 0.4"),
)


def choices(settings: SignificanceSettings) -> Cells:
    """Make the table of false claims on the configurations of one sweep.

    The two claims are that a configuration is worse than the best, and that it is equivalent.
    """
    rng = np.random.default_rng(settings.seed + 2)
    rows = []
    for case in CHOICES:
        lost, wrong, size = 0, 0, 0
        for _ in range(settings.simulations):
            truth, scores = case.draw(rng)
            found = rank(scores, overlap=1 / (case.folds - 1), resolution=1 / ROWS, rope=ROPE)
            best = truth.max()
            kept = list(found.order[: found.undistinguished])
            lost += bool(truth[kept].max() < best)
            wrong += bool((truth[list(found.order[1 : found.equivalent])] < best - ROPE).any())
            size += found.undistinguished
        shares = [f"{n / settings.simulations:.3f}" for n in (lost, wrong)]
        number = f"{size / settings.simulations:.1f} of {case.trials[0]}"
        rows.append((str(case.folds), str(case.trials[0]), case.what, *shares, number))
    return Cells(
        title=f"Configurations of one sweep, n = {settings.simulations} simulations each",
        head=(
            "folds",
            "trials",
            "truth",
            "the best called worse",
            "a worse one called equivalent",
            "not yet distinguished",
        ),
        rows=tuple(rows),
    )


def detectable(settings: SignificanceSettings) -> Cells:
    """Make the table of true differences that are claimed in four of five simulations.

    Both methods are compared: Holm's correction, and the simultaneous intervals.
    """
    rng = np.random.default_rng(settings.seed + 3)
    number = settings.simulations // 4 + 1
    rows = []
    for case in (
        Truth(trials=(1, 1)),
        Truth(trials=(30, 30)),
        Truth(trials=(30,) * 5),
        Truth(trials=(30,) * 5, unequal=0.5, what="unequal variances"),
        Truth(folds=3, trials=(30,) * 5),
        Truth(folds=10, trials=(30,) * 5),
    ):
        drawn = [simulate(case, rng) for _ in range(number)]
        needed = [_needed(each, case) for each in drawn]
        now = float(np.quantile(needed, POWER))
        low, high = 0.0, 1.0
        while high - low > 1e-4:
            middle = (low + high) / 2
            seen = np.mean([holm_p(each, case.folds, middle)[0, 1] < ALPHA for each in drawn])
            low, high = (low, middle) if seen >= POWER else (middle, high)
        rows.append(
            (
                str(case.folds),
                _shown(case),
                case.what,
                f"{high:.4f}",
                f"{now:.4f}",
                f"{now / high:.2f}",
            )
        )
    return Cells(
        title=(
            f"True difference of two sweeps that is claimed with a chance of {POWER:.0%},"
            f" n = {number} simulations each"
        ),
        head=("folds", "trials of each sweep", "truth", "Holm", "now", "ratio"),
        rows=tuple(rows),
    )


def _needed(drawn: Simulated, case: Truth) -> float:
    """Return the amount to add to the first sweep's score for a claim against the second."""
    noise = fold_noise(drawn.scores, overlap=1 / (case.folds - 1), resolution=1 / ROWS)
    wide = tukey(len(case.trials), noise.df) * noise.error(drawn.best[0], drawn.best[1])
    return wide - (drawn.worth[0] - drawn.worth[1])


def fold_scores(
    rng: np.random.Generator, truth: Float[np.ndarray, " t"], num_folds: int
) -> Float[np.ndarray, "t k"]:
    """Draw fold scores of trials with given true scores."""
    case = replace(Truth(), folds=num_folds, trials=(len(truth),))
    return np.round((case.draw(rng)[1] + truth[:, None]) * ROWS) / ROWS


def left_out(scores: Float[np.ndarray, "t k"]) -> float:
    """Estimate the best score: choose on all folds but one, score on it; mean over folds."""
    rest = scores.sum(1, keepdims=True) - scores
    return float(np.mean([scores[rest[:, k].argmax(), k] for k in range(scores.shape[1])]))


def tibshirani(scores: Float[np.ndarray, "t k"]) -> float:
    """Estimate the best score: the maximum minus the bias of Tibshirani and Tibshirani (2009)."""
    best = scores[scores.mean(1).argmax()]
    return float(best.mean() - (scores.max(0) - best).mean())


ESTIMATES: dict[str, Callable[[np.ndarray], float]] = {
    "maximum": lambda scores: float(scores.mean(1).max()),
    "left-out fold": left_out,
    "Tibshirani": tibshirani,
    "shrunken": shrunken_best,
}


def maxima(settings: SignificanceSettings) -> Cells:
    """Make the table of mean errors of estimates of the chosen configuration's true accuracy."""
    rng = np.random.default_rng(settings.seed + 1)
    rows = []
    for number in (5, 30, 100):
        for what, spread, tail in (
            ("all equal", 0.0, 0.0),
            ("normal, std 0.02", 0.02, 0.0),
            ("with a long tail of bad ones", 0.005, 0.05),
        ):
            errors = []
            for _ in range(settings.simulations // 4 + 1):
                truth = rng.normal(0, spread, number) - rng.exponential(1, number) * tail
                scores = fold_scores(rng, truth, 5)
                # remove the difficulty that all trials share, which does not affect the choice
                scores = scores - (scores.mean() - 0.9 - truth.mean())
                chosen = 0.9 + truth[scores.mean(1).argmax()]
                errors.append([estimate(scores) - chosen for estimate in ESTIMATES.values()])
            means, roots = np.mean(errors, axis=0), np.sqrt(np.square(errors).mean(0))
            shown = [f"{m:+.4f} ({r:.4f})" for m, r in zip(means, roots, strict=True)]
            rows.append((str(number), what, *shown))
    return Cells(
        title=(
            "Mean error (root mean square error) of the estimated score of the best of many,"
            f" 5 folds, n = {settings.simulations // 4 + 1} simulations each"
        ),
        head=("configurations", "true accuracies", *ESTIMATES),
        rows=tuple(rows),
    )


if __name__ == "__main__":
    run_program(main)
