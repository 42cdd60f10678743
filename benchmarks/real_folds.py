"""Error rates of the comparison on real data: `python benchmarks/real_folds.py`, see `--help`.

Twenty fixed, cheap configurations of scikit-learn are cross-validated on many sets of 1,000 images
of MNIST. The true accuracy of a configuration is that of the same fitted models on 4,000 images
that are in no set, mean over all sets. It takes about ten minutes on one core.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from jaxtyping import Float
from rich.progress import track
from sklearn.base import BaseEstimator, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.tree import DecisionTreeClassifier

from analysis.significance import ALPHA, fold_noise, rank, tukey
from foldsweep.programs import parse, require_at_least, run_program
from peer_tools.checks import require_document
from peer_tools.report import here, show
from sweeps.reproduction.tables import Cells, write_between_marks
from trainables.data.images import load_images

SET_ROWS = 1000
TEST_ROWS = 4_000
FOLDS = 5
ROPE = 0.01
MODELS: dict[str, BaseEstimator] = {
    **{f"knn {k}": KNeighborsClassifier(k) for k in (1, 3, 5, 11, 21)},
    **{f"knn {k} by distance": KNeighborsClassifier(k, weights="distance") for k in (3, 5, 11)},
    **{f"ridge {a:g}": RidgeClassifier(alpha=a) for a in (1e2, 1e4, 1e5, 1e6)},
    **{
        f"lda {s:g}": LinearDiscriminantAnalysis(solver="lsqr", shrinkage=s)
        for s in (0.01, 0.1, 0.5)
    },
    **{f"tree {d}": DecisionTreeClassifier(max_depth=d, random_state=0) for d in (4, 8, 16)},
    "naive bayes": GaussianNB(),
    "centroid": NearestCentroid(),
}
"""The twenty configurations."""


@dataclass(frozen=True, kw_only=True)
class RealFoldsSettings:
    """Cross-validate fixed configurations on many sets of MNIST images; count false claims."""

    sets: int = 200
    """Number of sets of 1,000 images, each drawn from all images."""
    seed: int = 0
    """Seed of all random numbers."""
    data_dir: Path | None = None
    """Folder of the MNIST files [FOLDSWEEP_DATA]."""
    write: Path | None = None
    """Document whose table is replaced."""


def main() -> int:
    """Measure and print the table; returns the exit code."""
    settings = parse(RealFoldsSettings, sys.argv[1:], prog="benchmarks/real_folds.py")
    require_at_least(2, settings, "sets")
    require_document(settings.write, ["real-folds"])
    images, labels, test_images, test_labels = _load(settings)
    held_out, tested = [], []
    for rows in track(list(_sets(settings, len(images))), description="sets"):
        scores, on_test = cross_validated(images[rows], labels[rows], test_images, test_labels)
        held_out.append(scores)
        tested.append(on_test)
    cells = summary(np.array(held_out), np.array(tested).mean(0))
    show(cells)
    if settings.write is not None:
        text = f"{here()}\n\n{cells.title}\n\n{cells.markdown()}"
        write_between_marks(settings.write, {"real-folds": text})
    return 0


def _load(settings: RealFoldsSettings) -> tuple[np.ndarray, ...]:
    """Return images, as rows of 7x7 means, and labels: for the sets, then for the test.

    Both are from MNIST's training images, since its test images are by other writers.
    """
    source, _ = load_images("mnist", data_dir=settings.data_dir)
    images, labels = source.train.images, source.train.labels
    small = images.reshape(len(images), 7, 2, 7, 2).mean((2, 4)).reshape(len(images), 49)
    order = np.random.default_rng([settings.seed, 1]).permutation(len(images))
    test, rest = order[:TEST_ROWS], order[TEST_ROWS:]
    return small[rest], labels[rest], small[test], labels[test]


def _sets(settings: RealFoldsSettings, size: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(settings.seed)
    for _ in range(settings.sets):
        yield rng.choice(size, SET_ROWS, replace=False)


def cross_validated(
    images: np.ndarray, labels: np.ndarray, test_images: np.ndarray, test_labels: np.ndarray
) -> tuple[Float[np.ndarray, "t k"], Float[np.ndarray, " t"]]:
    """Return each configuration's accuracy by fold, and its mean accuracy on the test images."""
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(images, labels))
    held_out, tested = np.empty((len(MODELS), FOLDS)), np.empty((len(MODELS), FOLDS))
    for i, model in enumerate(MODELS.values()):
        for k, (train, val) in enumerate(folds):
            fitted = clone(model).fit(images[train], labels[train])
            held_out[i, k] = fitted.score(images[val], labels[val])
            tested[i, k] = fitted.score(test_images, test_labels)
    return held_out, tested.mean(1)


def summary(held_out: Float[np.ndarray, "s t k"], truth: Float[np.ndarray, " t"]) -> Cells:
    """Make the table of fractions of sets with a false claim, and of the correlation of folds."""
    false = covered = lost = wrong = 0
    pairs = list(combinations(range(len(truth)), 2))
    overlap, resolution = 1 / (FOLDS - 1), FOLDS / SET_ROWS
    for scores in held_out:
        noise = fold_noise(scores, overlap=overlap, resolution=resolution)
        means = scores.mean(1)
        critical = tukey(len(truth), noise.df)
        whole, claimed = True, False
        for a, b in pairs:
            wide = critical * noise.error(a, b)
            gap, true = means[a] - means[b], truth[a] - truth[b]
            whole &= bool(abs(gap - true) <= wide)
            claimed |= bool(abs(gap) > wide and gap * true <= 0)
        covered += whole
        false += claimed
        found = rank(scores, overlap=overlap, resolution=resolution, rope=ROPE)
        kept = list(found.order[: found.undistinguished])
        lost += bool(truth[kept].max() < truth.max())
        wrong += bool((truth[list(found.order[1 : found.equivalent])] < truth.max() - ROPE).any())
    number = len(held_out)
    rho = [correlation(held_out[:, a] - held_out[:, b]) for a, b in pairs]
    low, middle, high = np.quantile(rho, [0.1, 0.5, 0.9])
    rows = (
        ("a pair falsely called different", f"{false / number:.3f}"),
        ("all intervals cover the truth", f"{covered / number:.3f}"),
        ("the best configuration called worse", f"{lost / number:.3f}"),
        ("a worse one called equivalent", f"{wrong / number:.3f}"),
        (
            "correlation of the folds of a difference, median (10 % to 90 % of pairs)",
            f"{middle:.2f} ({low:.2f} to {high:.2f}); assumed {1 / FOLDS:.2f}",
        ),
        ("true accuracies", f"{truth.min():.3f} to {truth.max():.3f}"),
    )
    return Cells(
        title=(
            f"{len(truth)} configurations on {number} sets of {SET_ROWS} MNIST images,"
            f" {FOLDS} folds, level {ALPHA}"
        ),
        head=("share of sets", ""),
        rows=rows,
    )


def correlation(differences: Float[np.ndarray, "s k"]) -> float:
    """Estimate the correlation of the folds of a set, from variances between and within sets."""
    within = float(differences.var(1, ddof=1).mean())
    between = float(differences.mean(1).var(ddof=1))
    k = differences.shape[1]
    return (between - within / k) / (between + within * (k - 1) / k)


if __name__ == "__main__":
    run_program(main)
