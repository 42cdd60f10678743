"""Datasets that scikit-learn embeds, by name: four tables, and images of single digits."""

from typing import Any

from trainables.tasks.table.columns import Frame
from trainables.tasks.table.reading import Arrays, Table

TABLES = ("breast_cancer", "wine", "diabetes", "iris")
DIGIT_IMAGES = "digit_images"
EMBEDDED = (*TABLES, DIGIT_IMAGES)
TARGET = "target"


def embedded(name: str) -> Table | Arrays:
    """Load a table, whose target is the column `target`, or 1797 images (n, 1, 8, 8).

    Diabetes is loaded in its original units, because scikit-learn's default is scaled by all
    rows, test rows included.

    Args:
        name: One of `EMBEDDED`.
    """
    from sklearn import datasets

    if name == DIGIT_IMAGES:
        digits = datasets.load_digits()
        return Arrays(x=digits.images[:, None], y=digits.target)
    options = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(datasets, f"load_{name}")(as_frame=True, **options)
    return Table(frame=_with_class_names(bunch))


def _with_class_names(bunch: Any) -> Frame:
    """Return the bunch's data frame, with class names such as `benign` in place of codes."""
    if "target_names" not in bunch:
        return bunch.frame
    return bunch.frame.assign(**{TARGET: [str(bunch.target_names[i]) for i in bunch.target]})
