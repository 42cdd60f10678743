"""Colour images of three kinds, and a convolutional network with distorted training images.

python sweeps/run.py --space docs/examples/colour_images.py --trials 20
"""

import numpy as np

from foldsweep import Affine, Data, Point, SearchSpace, classification, tune, variant
from foldsweep.models import ConvNet, ConvNetClassifierConfig


def flags(rows: int = 300, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Noisy flags: stripes across, stripes down, or a disc. Images (rows, 3, size, size)."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, rows)
    y, x = np.mgrid[:size, :size]
    shapes = np.stack([y // 4 % 2, x // 4 % 2, (y - size / 2) ** 2 + (x - size / 2) ** 2 < 25])
    colour = rng.uniform(0, 255, (rows, 3, 1, 1))
    images = shapes[kind][:, None] * colour + rng.normal(0, 40, (rows, 3, size, size))
    return images.astype(np.float32), np.array(["across", "down", "disc"])[kind]


images, kinds = flags()
task = classification("flags", Data.of({"images": images}, kinds), augment=Affine(input="images"))


def space() -> SearchSpace:
    """Channels, dropout, distortion and learning rate."""
    return SearchSpace(
        name="flags_cnn",
        variant=variant("flags_cnn", task, ConvNet, ConvNetClassifierConfig),
        domains={
            "lr": tune.loguniform(3e-4, 3e-2),
            "channels": tune.qrandint(8, 32, 8),
            "dropout": tune.uniform(0, 0.5),
            "shift": tune.uniform(0, 2),
            "rotation": tune.uniform(0, 15),
            "padding": 1,
            "batch_norm": "before",
            "epochs": 15,
        },
        points=[Point(name="plain", config={"lr": 1e-3, "channels": 16, "dropout": 0.0})],
    )
