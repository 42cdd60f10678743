"""Pairs of digits and the question asked of them: is the first at most the second?"""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Int64

from foldsweep.errors import UserError
from trainables.data.source import DigitImages, DiscSource, Source

DEFAULT_MNIST_PAIRS = 1000
DEFAULT_POINTS = 1000
DISC_RADIUS = 1 / math.sqrt(2 * math.pi)
"""Radius of a disc whose area is half of the unit square."""
_TRAIN_STREAM, _TEST_STREAM = 0, 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Pairs of images with both digit classes; `target` is 1 iff first <= second.

    A point of the disc data is a pair of images of one pixel: its coordinates.
    """

    images: Float32[np.ndarray, "n 2 h w"]
    classes: Int64[np.ndarray, "n 2"]
    target: Int64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.target)

    def shares_images(self, other: "Pairs") -> bool:
        """Whether an image is in both, or a point where the pairs are points."""
        mine, others = ({part.tobytes() for part in pairs._parts()} for pairs in (self, other))
        return not mine.isdisjoint(others)

    def _parts(self) -> Float32[np.ndarray, "m numbers"]:
        """Images one by one; points whole, since chance gives two the same coordinate."""
        points = self.images[0, 0].size == 1
        return self.images.reshape(len(self) * (1 if points else 2), -1)


@dataclass(frozen=True, kw_only=True, eq=False)
class PairData:
    """The pairs of a sweep: `train` for cross-validation, `test` untouched until the end."""

    dataset: str
    train: Pairs
    test: Pairs

    @cached_property
    def digest(self) -> str:
        """Fingerprint of all content: equal for equal data, on any machine."""
        sha256 = hashlib.sha256(self.dataset.encode())
        for pairs in (self.train, self.test):
            for array in (pairs.images, pairs.classes, pairs.target):
                little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
                sha256.update(f"{array.dtype.name}{array.shape}".encode())
                sha256.update(little_endian.tobytes())
        return sha256.hexdigest()[:32]


def draw_pairs(
    source: Source,
    *,
    seed: int,
    train_pairs: int | None = None,
    test_pairs: int | None = None,
) -> PairData:
    """Random pairs in which no image occurs twice.

    Training pairs hold training images only and test pairs test images only. Under one seed,
    fewer pairs are the first of more pairs, and the number of training pairs does not change
    the test pairs.

    Args:
        source: Images to pair, or where points come from.
        seed: Seed of the draw, 0 or more.
        train_pairs: Number of training pairs; None means 1,000 of MNIST or points, or as many as
            the images of another dataset allow.
        test_pairs: Number of test pairs; None means the same as for `train_pairs`.

    Raises:
        UserError: If the seed is negative, or a number of pairs is below 1 or above half the
            number of images.
    """
    if seed < 0:
        raise UserError(f"the data seed is {seed}: give a seed of 0 or more")
    most_by_default = DEFAULT_MNIST_PAIRS if source.dataset == "mnist" else None
    if isinstance(source, DiscSource):
        return PairData(
            dataset=source.dataset,
            train=_points(train_pairs, seed, _TRAIN_STREAM),
            test=_points(test_pairs, seed, _TEST_STREAM),
        )
    parts = []
    for part, images, num_pairs, stream in (
        ("train", source.train, train_pairs, _TRAIN_STREAM),
        ("test", source.test, test_pairs, _TEST_STREAM),
    ):
        limit = len(images) // 2
        if num_pairs is None:
            num_pairs = min(limit, most_by_default or limit)
        if not 1 <= num_pairs <= limit:
            raise UserError(
                f"cannot draw {num_pairs} {part} pairs: {source.dataset} has {len(images)} "
                f"{part} images, so choose between 1 and {limit} pairs"
            )
        rng = np.random.default_rng(np.random.SeedSequence([seed, stream]))
        parts.append(_paired(images, rng.permutation(len(images))[: 2 * num_pairs]))
    return PairData(dataset=source.dataset, train=parts[0], test=parts[1])


def _points(num_points: int | None, seed: int, stream: int) -> Pairs:
    num_points = DEFAULT_POINTS if num_points is None else num_points
    if num_points < 1:
        raise UserError(f"cannot draw {num_points} points: choose 1 or more")
    rng = np.random.default_rng(np.random.SeedSequence([seed, stream]))
    return disc_points(rng.random((num_points, 2), dtype=np.float32))


def disc_points(xy: Float32[np.ndarray, "n 2"]) -> Pairs:
    """Points with their target: 1 within `DISC_RADIUS` of the middle of the unit square."""
    return Pairs(
        images=xy[:, :, None, None],
        classes=np.zeros((len(xy), 2), dtype=np.int64),
        target=(np.hypot(*(xy - 0.5).T) <= DISC_RADIUS).astype(np.int64),
    )


def _paired(digits: DigitImages, order: Int64[np.ndarray, " twice"]) -> Pairs:
    """Image 0 of `order` with image 1, 2 with 3, and so on."""
    index_N2 = order.reshape(-1, 2)
    classes_N2 = digits.labels[index_N2]
    return Pairs(
        images=digits.images[index_N2],
        classes=classes_N2,
        target=(classes_N2[:, 0] <= classes_N2[:, 1]).astype(np.int64),
    )
