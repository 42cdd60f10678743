"""Labelled digit images before they are paired."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

NUM_CLASSES = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class DigitImages:
    """Images of single digits in the raw range 0..255, with their labels 0..9."""

    images: Float32[np.ndarray, "n 14 14"]
    labels: Int64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSource:
    """A dataset split into training and test images, which never mix.

    Attributes:
        dataset: Name of the dataset, `mnist` or `digits`.
        train: Images that training pairs are drawn from.
        test: Images that test pairs are drawn from.
        origin: Where the images came from, in words for the user.
    """

    dataset: str
    train: DigitImages
    test: DigitImages
    origin: str
