"""The 1,797 small digits embedded in scikit-learn: a dataset that needs no download."""

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch.nn import functional as F

from trainables.data.source import DigitImages, ImageSource

NUM_TEST_IMAGES = 600
_SPLIT_SEED = 0
_MAX_INTENSITY = 16


def digits_source() -> ImageSource:
    """Load scikit-learn's digits in the size and range of the MNIST images.

    The split into 1,197 training and 600 test images is stratified and always the same, so that a
    test image of one run is never a training image of another.

    Returns:
        Images enlarged bilinearly from 8x8 to 14x14 and scaled from 0..16 to 0..255.
    """
    # these imports take more than a second, and sweeps of other data do not need them
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images = _enlarged(bunch.images)
    labels = bunch.target.astype(np.int64)
    train, test = train_test_split(
        np.arange(len(labels)),
        test_size=NUM_TEST_IMAGES,
        stratify=labels,
        random_state=_SPLIT_SEED,
    )
    return ImageSource(
        dataset="digits",
        train=DigitImages(images=images[train], labels=labels[train]),
        test=DigitImages(images=images[test], labels=labels[test]),
        origin="scikit-learn",
    )


def _enlarged(images: Float64[np.ndarray, "n 8 8"]) -> Float32[np.ndarray, "n 14 14"]:
    """Resize images to 14x14 and scale them to 0..255.

    Rounding makes the bytes of the result the same on every processor.
    """
    small_N1HW = torch.from_numpy(images)[:, None]
    large_N1HW = F.interpolate(small_N1HW, size=(14, 14), mode="bilinear", align_corners=False)
    scaled = large_N1HW[:, 0].numpy() * (255 / _MAX_INTENSITY)
    return np.round(scaled, 6).astype(np.float32)
