"""Labelled images of single digits, before they are paired."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

NUM_CLASSES = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class DigitImages:
    """Images of single digits in the raw range 0..255, with labels 0..9."""

    images: Float32[np.ndarray, "n 14 14"]
    labels: Int64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSource:
    """Dataset of training and test images, which are disjoint.

    Attributes:
        dataset: Name of the dataset, `mnist` or `digits`.
        train: Images from which training pairs are drawn.
        test: Images from which test pairs are drawn.
        origin: Origin of the images, in words for the user.
    """

    dataset: str
    train: DigitImages
    test: DigitImages
    origin: str
