"""Pairs of digits, whose target is whether the first digit is at most the second."""

import numpy as np
from jaxtyping import Int64

from foldsweep.checks import brief
from foldsweep.errors import UserError
from trainables.data.source import DigitImages, ImageSource
from trainables.tasks.samples import Data, Samples

DEFAULT_MNIST_PAIRS = 1000
_TRAIN_STREAM, _TEST_STREAM = 0, 1


def draw_pairs(
    source: ImageSource,
    *,
    seed: int,
    train_pairs: int | None = None,
    test_pairs: int | None = None,
    said: str = "",
) -> Data:
    """Draw random pairs in which no image occurs twice.

    Training pairs have training images only, and test pairs have test images only. With the same
    seed, a smaller draw is a prefix of a larger one, and the number of training pairs does not
    change the test pairs.

    Args:
        source: Images to pair.
        seed: Random seed, 0 or more.
        train_pairs: Number of training pairs; None for 1,000 of MNIST, or as many as the images of
            another dataset allow.
        test_pairs: Number of test pairs; None as for `train_pairs`.
        said: Summary of the images that is printed for the user.

    Raises:
        UserError: If the seed is negative, or a number of pairs is below 1 or above half the
            number of images.
    """
    if seed < 0:
        raise UserError.of("pairs.seed-negative", seed=seed)
    most_by_default = DEFAULT_MNIST_PAIRS if source.dataset == "mnist" else None
    parts = []
    for part, images, num_pairs, stream in (
        ("train", source.train, train_pairs, _TRAIN_STREAM),
        ("test", source.test, test_pairs, _TEST_STREAM),
    ):
        limit = len(images) // 2
        if num_pairs is None:
            num_pairs = min(limit, most_by_default or limit)
        if not 1 <= num_pairs <= limit:
            raise UserError.of(
                "pairs.number-out-of-range",
                pairs=brief(num_pairs),
                part=part,
                dataset=source.dataset,
                images=len(images),
                most=limit,
            )
        rng = np.random.default_rng(np.random.SeedSequence([seed, stream]))
        parts.append(_paired(images, rng.permutation(len(images))[: 2 * num_pairs]))
    train, test = parts
    data = Data(
        name=source.dataset,
        train=train,
        test=test,
        origin={
            "dataset": source.dataset,
            "train_pairs": len(train),
            "test_pairs": len(test),
        },
        said=said,
    )
    # array names are not hashed, so that recorded digests hold
    return data.with_digest_of([array for part in parts for array in part.arrays()])


def _paired(digits: DigitImages, order: Int64[np.ndarray, " twice"]) -> Samples:
    """Pair image 0 of `order` with image 1, image 2 with image 3, and so on."""
    index_N2 = order.reshape(-1, 2)
    classes_N2 = digits.labels[index_N2]
    target = (classes_N2[:, 0] <= classes_N2[:, 1]).astype(np.int64)
    return Samples(
        inputs={"images": digits.images[index_N2]},
        targets={"classes": classes_N2, "target": target},
    )
