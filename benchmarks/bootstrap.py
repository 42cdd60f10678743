"""Coverage of the bootstrap's interval, and bias of its estimate, in simulated sweeps.

`python benchmarks/bootstrap.py` simulates sweeps with known true accuracies and early stopping at
two rungs. It takes some minutes on one core. Legend of shapes: t trials, n rows, k folds.
"""

import sys
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from analysis.significance import fold_noise, shrunken_best, tukey
from foldsweep.programs import parse, require_at_least, run_program
from peer_tools.checks import require_document
from peer_tools.report import publish
from sweeps.bootstrap import Expected, expected_of_rows
from sweeps.pruning import REDUCTION
from sweeps.reproduction.tables import Cells

FOLDS = 5
ACCURACY = 0.9
SHARED = 0.8
"""Share of the variance of a row's latent difficulty that is common to all configurations."""
RUNGS = ((0.1, 0.5), (0.04, 0.7))
"""For the rungs at a ninth and a third of the epochs: how far a trial's true accuracy is below its
final one, and the correlation of its noise on each row with that at the end."""
LEARNING = 0.01
"""Standard deviation of a trial's true accuracy at a rung around the value that `RUNGS` gives."""
TRUTHS = {
    "all equal": (0.0, 0.0, 0.0),
    "normal, std 0.02": (0.02, 0.0, 0.0),
    "with a long tail of bad ones": (0.005, 0.05, 0.0),
    "normal; models of a configuration differ, std 0.005": (0.02, 0.0, 0.005),
    "normal; models of a configuration differ, std 0.01": (0.02, 0.0, 0.01),
}
"""Distributions of true accuracies: standard deviation of the normal part, mean of an exponential
tail, and standard deviation between the models that the folds of one configuration train."""


@dataclass(frozen=True, kw_only=True)
class BootstrapSettings:
    """Simulate sweeps with early stopping; measure the errors of estimates of their best trial."""

    simulations: int = 300
    """Simulations per row of the tables."""
    seed: int = 0
    """Seed of all random numbers."""
    write: Path | None = None
    """Document whose tables are replaced."""


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """The complete trials of a sweep."""

    truth: Float[np.ndarray, " t"]
    """Accuracy over the population of rows."""
    right: Bool[np.ndarray, "t n"]
    """Whether each trial predicts each row correctly."""
    fold: Int[np.ndarray, " n"]
    """Fold that holds out each row."""


def main() -> int:
    """Simulate and print the tables; returns the exit code."""
    settings = parse(BootstrapSettings, sys.argv[1:], prog="benchmarks/bootstrap.py")
    require_at_least(1, settings, "simulations")
    require_document(settings.write, ("bootstrap-between", "bootstrap"))
    tables = {"bootstrap-between": between(settings), "bootstrap": worth(settings)}
    publish(tables, settings.write)
    return 0


def worth(settings: BootstrapSettings) -> Cells:
    """Make the table of the interval's coverage and of the mean error of each estimate."""
    rows = []
    for num_rows in (200, 500, 2000):
        for trials in (6, 30, 100):
            for what, truths in TRUTHS.items():
                rng = np.random.default_rng([settings.seed, num_rows, trials, len(rows)])
                inside, widths, errors = [], [], []
                for _ in range(settings.simulations):
                    sweep = simulated(rng, num_rows, trials, *truths)
                    found, error = _estimated(sweep, seed=int(rng.integers(2**32)))
                    inside.append(found.low <= found.truth <= found.high)
                    widths.append(found.high - found.low)
                    errors.append(error)
                means, roots = np.mean(errors, axis=0), np.sqrt(np.square(errors).mean(0))
                shown = [f"{m:+.4f} ({r:.4f})" for m, r in zip(means, roots, strict=True)]
                held = (f"{np.mean(inside):.3f}", f"{np.mean(widths):.3f}")
                rows.append((str(num_rows), str(trials), what, *held, *shown))
    return Cells(
        title=(
            "Coverage and mean width of the 95 % interval, and mean error (root mean square error)"
            f" of three estimates of the chosen configuration's true accuracy, {FOLDS} folds,"
            f" n = {settings.simulations} simulations each"
        ),
        head=(
            *("rows", "trials", "true accuracies", "coverage", "width"),
            *("bootstrap", "maximum", "shrunken"),
        ),
        rows=tuple(rows),
    )


def between(settings: BootstrapSettings) -> Cells:
    """Make the table of false claims and coverage of intervals between sweeps, by both estimates.

    The estimates of the sweeps' best trials are the bootstrap's and the shrunken mean.
    """
    rows = []
    for num_rows in (200, 2000):
        for trials in ((30, 30), (30,) * 5, (6, 100)):
            for what in ("all equal", "normal, std 0.02"):
                rng = np.random.default_rng([settings.seed, num_rows, len(trials), len(rows)])
                counts = np.zeros((2, 2), dtype=int)
                for _ in range(settings.simulations):
                    counts += _claimed(rng, num_rows, trials, TRUTHS[what])
                shares = [f"{n / settings.simulations:.3f}" for n in counts.ravel()]
                shown = " / ".join(map(str, trials)) if len(trials) < 3 else f"{len(trials)} x 30"
                rows.append((str(num_rows), shown, what, *shares))
    return Cells(
        title=(
            "False claims and coverage of the simultaneous interval between sweeps, whose bests"
            " are expected to be what the bootstrap or the shrunken mean says,"
            f" {FOLDS} folds, n = {settings.simulations} simulations each"
        ),
        head=(
            *("rows", "trials of each sweep", "true accuracies", "false claims, bootstrap"),
            *("coverage, bootstrap", "false claims, shrunken", "coverage, shrunken"),
        ),
        rows=tuple(rows),
    )


def _claimed(
    rng: np.random.Generator,
    num_rows: int,
    trials: tuple[int, ...],
    truths: tuple[float, float, float],
) -> Int[np.ndarray, "2 2"]:
    """For each estimate: whether any claim is false, and whether all intervals cover the truth.

    The first row is that of the bootstrap, the second that of the shrunken mean.
    """
    fold = rng.permutation(np.arange(num_rows) % FOLDS)
    difficulty = np.sqrt(SHARED) * rng.normal(size=num_rows)
    sweeps = [
        simulated(rng, num_rows, number, *truths, fold=fold, difficulty=difficulty)
        for number in trials
    ]
    scores = [_by_fold(sweep) for sweep in sweeps]
    every = np.concatenate(scores)
    noise = fold_noise(every, overlap=1 / (FOLDS - 1), resolution=FOLDS / num_rows)
    starts = np.cumsum([0, *map(len, scores[:-1])])
    best = [int(np.round(of.mean(1), 12).argmax()) for of in scores]
    truth = [float(sweep.truth[i]) for sweep, i in zip(sweeps, best, strict=True)]
    worth_of: list[list[float]] = [[], []]
    for sweep, of in zip(sweeps, scores, strict=True):
        found = _bootstrap(sweep, seed=int(rng.integers(2**32)))
        worth_of[0].append(found.value)
        worth_of[1].append(shrunken_best(of))
    critical = tukey(len(trials), noise.df)
    outcome = np.zeros((2, 2), dtype=int)
    for kind, values in enumerate(worth_of):
        false, whole = False, True
        for i, j in combinations(range(len(trials)), 2):
            wide = critical * noise.error(int(starts[i]) + best[i], int(starts[j]) + best[j])
            gap, true = values[i] - values[j], truth[i] - truth[j]
            false |= abs(gap) > wide and gap * true <= 0
            whole &= abs(gap - true) <= wide
        outcome[kind] = false, whole
    return outcome


def _by_fold(sweep: Simulated) -> Float[np.ndarray, "t k"]:
    return np.stack([sweep.right[:, sweep.fold == k].mean(1) for k in range(FOLDS)], axis=1)


def _bootstrap(sweep: Simulated, *, seed: int) -> Expected:
    values = sweep.right[:, None].astype(np.float32)
    rows = np.arange(len(sweep.fold))
    found = expected_of_rows(values, sweep.fold[None], rows, sign=1, seed=seed)
    assert found is not None
    return found


@dataclass(frozen=True, kw_only=True)
class _Found:
    truth: float
    low: float
    high: float


def _estimated(sweep: Simulated, *, seed: int) -> tuple[_Found, list[float]]:
    """Return the interval, and the errors of bootstrap, maximum and shrunken maximum."""
    scores = _by_fold(sweep)
    means = scores.mean(1)
    truth = float(sweep.truth[np.round(means, 12).argmax()])
    found = _bootstrap(sweep, seed=seed)
    estimates = (found.value, float(means.max()), shrunken_best(scores))
    interval = _Found(truth=truth, low=found.low, high=found.high)
    return interval, [estimate - truth for estimate in estimates]


def simulated(
    rng: np.random.Generator,
    rows: int,
    trials: int,
    spread: float,
    tail: float,
    models: float,
    *,
    fold: Int[np.ndarray, " n"] | None = None,
    difficulty: Float[np.ndarray, " n"] | None = None,
) -> Simulated:
    """Simulate a sweep; it is drawn again until at least two trials are complete.

    A trial predicts a row correctly if the row's latent difficulty is below a threshold. The
    difficulty is the sum of a part that all configurations share and of the trial's own noise. A
    rung has the same rows, with noise that correlates with that at the end, and promotes the top
    1/3 of trials, as in `sweeps.pruning`.

    Args:
        rng: Generator of all random numbers.
        rows: Number of rows; each is held out once.
        trials: Number of trials that are started.
        spread: Standard deviation of true accuracies.
        tail: Mean of the exponentially distributed amount that is subtracted from each.
        models: Standard deviation of the accuracies of the models of one configuration. Their
            training rows overlap, so they are correlated by 1 / k.
        fold: Fold of each row [drawn].
        difficulty: Shared part of each row's difficulty [drawn].
    """
    fold = rng.permutation(np.arange(rows) % FOLDS) if fold is None else fold
    given = difficulty
    while True:
        truth = ACCURACY + rng.normal(0, 1, trials) * spread - rng.exponential(1, trials) * tail
        truth = truth.clip(0.2, 0.99)
        difficulty = np.sqrt(SHARED) * rng.normal(size=rows) if given is None else given
        luck = rng.normal(size=(trials, rows))
        going = np.arange(trials)
        for lack, correlation in RUNGS:
            there = truth[going] - lack + rng.normal(0, LEARNING, len(going))
            other = np.sqrt(1 - correlation**2) * rng.normal(size=(len(going), rows))
            right = _right(there[:, None], difficulty, correlation * luck[going] + other)
            going = going[_promoted(right.mean(1))]
        if len(going) >= 2:
            break
    shared = np.sqrt(1 / FOLDS) * rng.normal(size=(len(going), 1))
    own = np.sqrt(1 - 1 / FOLDS) * rng.normal(size=(len(going), FOLDS))
    by_fold = (truth[going, None] + models * (shared + own)).clip(0.01, 0.999)
    right = _right(by_fold[:, fold], difficulty, luck[going])
    return Simulated(truth=truth[going], right=right, fold=fold)


def _right(
    accuracy: Float[np.ndarray, "t _"],
    difficulty: Float[np.ndarray, " n"],
    luck: Float[np.ndarray, "t n"],
) -> Bool[np.ndarray, "t n"]:
    return difficulty + np.sqrt(1 - SHARED) * luck < stats.norm.ppf(accuracy)


def _promoted(scores: Float[np.ndarray, " t"]) -> list[int]:
    """Return the indices of the trials that are promoted if they arrive one after another."""
    places = []
    for i, score in enumerate(scores):
        better = int((scores[:i] > score).sum())
        if better < max(1, (i + 1) // REDUCTION):
            places.append(i)
    return places


if __name__ == "__main__":
    run_program(main)
