"""Expected score of the best trial on fresh data: bootstrap bias-corrected cross-validation.

The cross-validated score of the best trial is optimistic, since the same rows selected and scored
it. Each bootstrap sample therefore draws rows with replacement, selects the best trial on the
drawn rows, and scores it on the rows left out. No model is trained again. Legend of shapes: t
trials, n rows, r repeats, f folds of all repeats, v held-out rows of a fold, u units (rows or
whole groups), c samples in a batch.

References:
    Tsamardinos, Greasidou and Borboudakis (2018), "Bootstrapping the out-of-sample predictions for
    efficient and accurate cross-validation", Machine Learning 107.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int

from trainables.stack.held_out import NO_FOLD

LEVEL = 0.95
"""Confidence level of the interval."""
LEFT_OUT = 1 / math.e
"""Expected share of units that a bootstrap sample leaves out."""
SAMPLES = 1000
"""Bootstrap samples for a row-wise metric."""
SAMPLES_OVER_ALL = 200
"""Most bootstrap samples for a metric over all held-out rows, which each sample computes again."""
PLAUSIBLE = 4.0
"""A trial within this many standard errors of the best is plausibly the best."""
_LEAST_SAMPLES = 50
_WORK = 10_000
"""Most evaluations of a metric on one fold, in total; each takes about 1 ms. With several classes
or many rows, one evaluation counts as several."""
_ROWS = 4000
"""Rows of a fold that take as long as the fixed cost of one evaluation."""
_DRAWN_AT_ONCE = 2**20
_PLACES = 12
"""Decimal places, relative to the largest score, to which scores are compared. Of equal scores,
the one with the lowest trial number is the best."""

Measure = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Expected score of the best trial on fresh data."""

    value: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    trials: int
    """Number of trials from which the best was selected."""


def expected_of_rows(
    values: Float[np.ndarray, "t r n"],
    fold: Int[np.ndarray, "r n"],
    unit: Int[np.ndarray, " n"],
    *,
    sign: int,
    seed: int,
    samples: int = SAMPLES,
) -> Expected | None:
    """Estimate the score of the best trial by a row-wise metric, averaged over rows and folds.

    Args:
        values: Metric of each trial, repeat and row; ignored where no fold holds out the row.
        fold: Fold that holds out each row, or `NO_FOLD`.
        unit: Resampling unit of each row, from 0; units are drawn whole.
        sign: 1 if higher is better, -1 if lower is better.
        seed: Seed of the draws.
        samples: Number of bootstrap samples.

    Returns:
        The estimate; None if no sample leaves a unit out, as with a single unit.
    """
    weight = _row_weights(fold)
    held = weight > 0
    weighted = np.einsum("trn,rn->tn", np.where(held, values, 0.0), weight, dtype=np.float64)
    used = held.any(0)
    units = np.unique(unit[used], return_inverse=True)[1]
    size = np.bincount(units, weights=weight.sum(0)[used])
    sums = np.stack([np.bincount(units, weights=row) for row in weighted[:, used]])
    best = _best(sums.sum(1) / size.sum(), sign)
    chosen_scores, best_scores = [], []
    for counts in _draws(len(size), samples, seed):
        counts = counts[(counts == 0).any(1)]
        drawn, left = counts.astype(np.float64), (counts == 0).astype(np.float64)
        chosen = _best((drawn @ sums.T) / (drawn @ size)[:, None], sign)
        left_size = left @ size
        chosen_scores.append((left * sums[chosen]).sum(1) / left_size)
        best_scores.append(left @ sums[best] / left_size)
    score = float(sums[best].sum() / size.sum())
    places = [np.nonzero(fold == number) for number in np.unique(fold[held])]
    parts = [values[:, repeat, row] for repeat, row in places]
    by_fold = np.stack([part.mean(1, dtype=np.float64) for part in parts], axis=1)
    noises = [
        _noise_of_rows(part, unit[row]) for part, (_, row) in zip(parts, places, strict=True)
    ]
    models = _variance_of_models(by_fold, float(np.mean(noises)), repeats=len(fold))
    found = _expected(score, chosen_scores, best_scores, trials=len(values), models=models)
    if found is None:
        return None
    least, most = (float(end([end(part) for part in parts])) for end in (np.min, np.max))
    # a mean lies within the range of its values
    return replace(found, low=max(found.low, least), high=min(found.high, most))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Trials and number of samples of a bootstrap by a metric over all held-out rows."""

    trials: tuple[int, ...]
    """Indices of the candidate trials, the best first."""
    samples: int
    seconds: float
    """Estimated duration."""


def plan_of(
    by_fold: Float[np.ndarray, "t f"], fold: Int[np.ndarray, "r n"], *, columns: int, sign: int
) -> Plan:
    """Plan of a bootstrap: the candidate trials, and as many samples as the budget allows.

    A trial is a candidate if its score is within `PLAUSIBLE` standard errors of the best. The
    standard error is of the paired difference over folds, corrected for overlapping training parts
    (Nadeau and Bengio, 2003). If there are too many candidates for the budget, the best are taken.
    The budget counts work by the sizes of the arrays, never by a clock.

    Args:
        by_fold: Score of each trial on each fold.
        fold: Fold that holds out each row, or `NO_FOLD`.
        columns: Number of classes or values of a prediction.
        sign: 1 if higher is better, -1 if lower is better.
    """
    num_folds = by_fold.shape[1] // len(fold)
    order = np.argsort(-sign * _rounded(by_fold.mean(1)), kind="stable")
    gaps = sign * (by_fold[order[0]] - by_fold[order])
    spread = 1 / by_fold.shape[1] + 1 / max(num_folds - 1, 1)
    error = np.sqrt(spread * gaps.var(axis=1, ddof=1))
    near = order[gaps.mean(1) <= PLAUSIBLE * error]
    rows = np.count_nonzero(fold != NO_FOLD) / by_fold.shape[1]
    cost = by_fold.shape[1] * max(1, columns - 1) * (1 + rows / _ROWS)
    most = _WORK / (_LEAST_SAMPLES * cost) - 2
    trials = tuple(int(i) for i in near[: max(2, int(most))])
    work = cost * (len(trials) + 2)
    samples = int(np.clip(_WORK / work, _LEAST_SAMPLES, SAMPLES_OVER_ALL))
    return Plan(trials=trials, samples=samples, seconds=samples * work / 1000)


def expected_over_all(
    measure: Measure,
    target: np.ndarray,
    predictions: Mapping[int, np.ndarray],
    fold: Int[np.ndarray, "r n"],
    unit: Int[np.ndarray, " n"],
    by_fold: Float[np.ndarray, "t f"],
    *,
    plan: Plan,
    sign: int,
    seed: int,
) -> Expected | None:
    """Estimate the score of the best trial by a metric over all held-out rows of each fold.

    Only the trials of the plan take part. A fold is left out of a sample if the metric is
    undefined on its rows there, such as ROC AUC of one class; a sample without folds is skipped.

    Args:
        measure: Metric of some rows, called as `(target, prediction)`; may raise if undefined.
        target: Target of each row, (n, ...).
        predictions: Predictions of each trial of the plan, (r, n, ...), by index of the trial.
        fold: Fold that holds out each row, or `NO_FOLD`.
        unit: Resampling unit of each row, from 0; units are drawn whole.
        by_fold: Score of each trial on each fold, as recorded by the sweep.
        plan: Trials and number of samples.
        sign: 1 if higher is better, -1 if lower is better.
        seed: Seed of the draws.

    Returns:
        The estimate; None if the metric is defined in fewer than half of the samples.
    """
    best = plan.trials[0]
    rows = [np.nonzero(fold == number) for number in range(fold.max() + 1)]
    unit = np.unique(unit, return_inverse=True)[1]
    used = (fold != NO_FOLD).any(0)
    chosen_scores, best_scores, drawn_scores = [], [], []

    def score(trial: int, counts: Int[np.ndarray, " n"]) -> Float[np.ndarray, " f"]:
        """Metric of a trial on each fold, with each row repeated `counts` times."""
        found = []
        for repeat, row in rows:
            times = counts[row]
            again = np.repeat(row, times)
            said = predictions[trial][np.repeat(repeat, times), again]
            found.append(_measured(measure, target[again], said))
        return np.array(found)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        units = np.unique(unit[used], return_inverse=True)[1]
        for counts in _draws(int(units.max()) + 1, plan.samples, seed):
            for of_units in counts:
                times = np.zeros(len(unit), dtype=np.int64)
                times[used] = of_units[units]
                left = (times == 0) & used
                drawn = np.stack([score(trial, times) for trial in plan.trials])
                drawn_scores.append(drawn)
                defined = np.isfinite(drawn).all(0)
                if not defined.any() or not left.any():
                    continue
                chosen = plan.trials[int(_best(drawn[:, defined].mean(1), sign))]
                out = np.stack([score(t, left.astype(np.int64)) for t in (chosen, best)])
                defined = np.isfinite(out).all(0)
                if defined.any():
                    of_chosen, of_best = out[:, defined].mean(1, keepdims=True)
                    chosen_scores.append(of_chosen)
                    best_scores.append(of_best)
    if 2 * len(chosen_scores) < plan.samples:
        return None
    score_of_best = float(by_fold[best].mean())
    scores = np.stack(drawn_scores)
    scores -= scores.mean(1, keepdims=True)
    noise = float(np.nanmean(np.nanvar(scores, axis=0)))
    near = by_fold[list(plan.trials)]
    models = _variance_of_models(near, noise, repeats=len(fold))
    return _expected(score_of_best, chosen_scores, best_scores, trials=len(by_fold), models=models)


def _noise_of_rows(values: Float[np.ndarray, "t v"], unit: Int[np.ndarray, " v"]) -> float:
    """Variance, due to a fold's units, of a trial's difference from the mean of all trials."""
    differences = values - values.mean(0, dtype=np.float64)
    differences -= differences.mean(1, keepdims=True)
    _, unit = np.unique(unit, return_inverse=True)
    sums = np.stack([np.bincount(unit, weights=row) for row in differences])
    number = sums.shape[1]
    return float((sums**2).sum(1).mean() / values.shape[1] ** 2 * number / max(number - 1, 1))


def _variance_of_models(by_fold: Float[np.ndarray, "t f"], noise: float, *, repeats: int) -> float:
    """Variance of a score because each fold trains another model, by the method of moments.

    This is the variance between folds of the trials' differences, minus the part that is due to
    rows, times the factor for overlapping training parts (Nadeau and Bengio, 2003).

    Args:
        by_fold: Score of each trial on each fold.
        noise: Variance, due to rows, of a difference from the mean of all trials on a fold.
        repeats: Number of times that rows were split into folds.
    """
    trials, number = by_fold.shape
    if trials < 2:
        return 0.0
    differences = by_fold - by_fold.mean(0)
    beyond = max(0.0, float(differences.var(axis=1, ddof=1).mean()) - noise)
    share = 1 / number + 1 / max(number // repeats - 1, 1)
    return beyond * trials / (trials - 1) * share


def _row_weights(fold: Int[np.ndarray, "r n"]) -> Float[np.ndarray, "r n"]:
    """Weight of each row in the mean over folds of means over rows."""
    sizes = np.bincount(fold[fold != NO_FOLD])
    share = 1 / np.where(sizes == 0, 1, sizes * np.count_nonzero(sizes))
    return np.where(fold == NO_FOLD, 0.0, share[fold])


def _draws(units: int, samples: int, seed: int) -> Iterator[Int[np.ndarray, "c u"]]:
    """Yield, in batches of samples, how often each unit is drawn in each sample."""
    rng = np.random.default_rng(seed)
    at_once = max(1, min(samples, _DRAWN_AT_ONCE // units))
    for start in range(0, samples, at_once):
        number = min(at_once, samples - start)
        drawn = rng.integers(0, units, (number, units)) + units * np.arange(number)[:, None]
        yield np.bincount(drawn.ravel(), minlength=number * units).reshape(number, units)


def _best(scores: Float[np.ndarray, "*c t"], sign: int) -> Int[np.ndarray, "*c"]:
    """Index of the best score; the first of equal scores, as in the sweep."""
    return np.asarray((sign * _rounded(scores)).argmax(-1))


def _rounded(scores: Float[np.ndarray, "*c"]) -> Float[np.ndarray, "*c"]:
    """Scores rounded to `_PLACES`, so that floating-point errors do not break ties."""
    largest = float(np.abs(scores).max(initial=0.0))
    return scores if largest == 0 else np.round(scores / largest, _PLACES)


def _measured(measure: Measure, target: np.ndarray, prediction: np.ndarray) -> float:
    """The metric; NaN if it is undefined for the rows."""
    if not len(target):
        return np.nan
    try:
        return float(measure(target, prediction))
    except Exception:  # a user's metric may raise any exception for few rows
        return np.nan


def _expected(
    score: float,
    chosen: Sequence[Float[np.ndarray, " _"]],
    best: Sequence[Float[np.ndarray, " _"]],
    *,
    trials: int,
    models: float,
) -> Expected | None:
    """Mean score of the selected trials on rows left out, and an interval around it.

    The best trial's own mean on rows left out estimates its known score. The error of this
    estimate, from chance or from the metric's dependence on the number of rows, is subtracted from
    all scores.

    The variance of the mean of a share q of the rows around the mean of all rows is (1 - q) / q
    times the variance of the mean of all rows around the truth. So the percentiles' distances from
    the mean are divided by the square root of this ratio. The variance of models, which resampling
    of rows does not show, is added in quadrature.
    """
    if not sum(map(len, chosen)):
        return None
    values = np.concatenate(chosen) - (np.concatenate(best).mean() - score)
    value, tail = float(values.mean()), (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    closer = math.sqrt(LEFT_OUT / (1 - LEFT_OUT))
    of_models = NormalDist().inv_cdf(1 - tail) * math.sqrt(models)
    return Expected(
        value=value,
        low=value - math.hypot(closer * (value - low), of_models),
        high=value + math.hypot(closer * (high - value), of_models),
        trials=trials,
    )
