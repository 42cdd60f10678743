"""How often "really better" is said where nothing differs, and what a maximum is worth.

`python benchmarks/significance.py` simulates sweeps whose truth is known: fold scores with the
correlation 1 / k that the tests assume, rounded to one pair of 200. Some minutes on one core.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from jaxtyping import Float

from analysis.significance import ALPHA, difference, holm, shrunken_best
from foldsweep.errors import UserError
from foldsweep.programs import console, parse, require_at_least, run_program
from sweeps.reproduction.tables import Cells, write_between_marks

SIGMA = 0.02
PAIRS = 200


@dataclass(frozen=True, kw_only=True)
class SignificanceSettings:
    """Simulate sweeps without any true difference, and maxima of many."""

    simulations: int = 4000
    """Simulations of each row."""
    seed: int = 0
    """Everything random derives from it."""
    write: Path | None = None
    """Document whose marked places are filled with these tables."""


def main() -> int:
    """Print both tables; returns the exit code."""
    settings = parse(SignificanceSettings, sys.argv[1:], prog="benchmarks/significance.py")
    require_at_least(1, settings, "simulations")
    if settings.write is not None and not settings.write.is_file():
        raise UserError(f"--write {settings.write} does not exist")
    tables = {"claims": claims(settings), "maxima": maxima(settings)}
    for cells in tables.values():
        console.print(cells.title)
        console.print(cells.rich())
    if settings.write is not None:
        blocks = {name: f"{c.title}\n\n{c.markdown()}" for name, c in tables.items()}
        write_between_marks(settings.write, blocks)
    return 0


def fold_scores(
    rng: np.random.Generator, truth: Float[np.ndarray, " t"], num_folds: int
) -> Float[np.ndarray, "t k"]:
    """Scores by fold; what training parts share moves all folds of a configuration together."""
    rho, shape = 1 / num_folds, (len(truth), num_folds)
    scores = 0.9 + truth[:, None] + rng.normal(0, SIGMA, (1, num_folds))
    scores = scores + rng.normal(0, SIGMA * np.sqrt(rho), (len(truth), 1))
    scores = scores + rng.normal(0, SIGMA * np.sqrt(1 - rho), shape)
    return np.round(scores * PAIRS) / PAIRS


def claims(settings: SignificanceSettings) -> Cells:
    """Share of simulations in which any pair of sweeps is called different."""
    rng = np.random.default_rng(settings.seed)
    rows = []
    for num_folds, budgets in (
        *((k, (1, 1)) for k in (3, 5, 10)),
        (5, (1, 1, 1, 1)),
        (5, (30, 30)),
        (5, (30, 30, 30, 30)),
        (5, (3, 100)),
        (5, (1, 1, 100, 100)),
    ):
        plain = corrected = ours = 0
        for _ in range(settings.simulations):
            scores = fold_scores(rng, np.zeros(sum(budgets)), num_folds)
            parts = np.split(scores, np.cumsum(budgets)[:-1])
            best = [part[part.mean(1).argmax()] for part in parts]
            fair = [b - b.mean() + shrunken_best(p) for b, p in zip(best, parts, strict=True)]
            # a test whose "training part" is infinite knows of no overlap
            plain += _any(best, num_folds=10**9)
            corrected += _any(best, num_folds)
            ours += _any(fair, num_folds)
        rates = [f"{count / settings.simulations:.3f}" for count in (plain, corrected, ours)]
        rows.append((str(num_folds), " / ".join(map(str, budgets)), *rates))
    return Cells(
        title=f"False claims at the level {ALPHA}, n = {settings.simulations} simulations each",
        head=("folds", "configurations of each sweep", "plain t-test", "corrected", "and fair"),
        rows=tuple(rows),
    )


def _any(best: Sequence[np.ndarray], num_folds: int) -> bool:
    p = [
        difference(a, b, num_folds=num_folds, resolution=1 / PAIRS).p
        for a, b in combinations(best, 2)
    ]
    return min(holm(p)) < ALPHA


def left_out(scores: Float[np.ndarray, "t k"]) -> float:
    """Chosen on all folds but one, scored on that one, in turn."""
    rest = scores.sum(1, keepdims=True) - scores
    return float(np.mean([scores[rest[:, k].argmax(), k] for k in range(scores.shape[1])]))


def tibshirani(scores: Float[np.ndarray, "t k"]) -> float:
    """The maximum less the bias of Tibshirani and Tibshirani (2009)."""
    best = scores[scores.mean(1).argmax()]
    return float(best.mean() - (scores.max(0) - best).mean())


ESTIMATES: dict[str, Callable[[np.ndarray], float]] = {
    "maximum": lambda scores: float(scores.mean(1).max()),
    "left-out fold": left_out,
    "Tibshirani": tibshirani,
    "shrunken": shrunken_best,
}


def maxima(settings: SignificanceSettings) -> Cells:
    """Mean error of each estimate of the chosen configuration's true accuracy."""
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
                # folds that are harder for all say nothing of the choice
                scores = scores - (scores.mean() - 0.9 - truth.mean())
                chosen = 0.9 + truth[scores.mean(1).argmax()]
                errors.append([estimate(scores) - chosen for estimate in ESTIMATES.values()])
            means, roots = np.mean(errors, axis=0), np.sqrt(np.square(errors).mean(0))
            shown = [f"{m:+.4f} ({r:.4f})" for m, r in zip(means, roots, strict=True)]
            rows.append((str(number), what, *shown))
    return Cells(
        title=(
            "Mean error (root mean square error) of what the best of many is said to be worth,"
            f" 5 folds, n = {settings.simulations // 4 + 1} simulations each"
        ),
        head=("configurations", "true accuracies", *ESTIMATES),
        rows=tuple(rows),
    )


if __name__ == "__main__":
    run_program(main)
