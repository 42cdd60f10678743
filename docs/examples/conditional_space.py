"""A space that says more: conditions, groups, a choice of lists, a constraint.

python sweeps/run.py --space docs/examples/conditional_space.py
"""

from dataclasses import dataclass

from sklearn.datasets import load_digits
from torch import Tensor, nn

import foldsweep as fs

PIXELS, DIGITS = load_digits(return_X_y=True)
DATA = fs.Data.of(PIXELS.reshape(-1, 1, 8, 8).astype("float32"), DIGITS, holdout=0.2)


@dataclass(frozen=True, kw_only=True)
class NetConfig(fs.ClassifierConfig):
    """Fields that depend on others need defaults, which they have where they do not count."""

    conv: bool = False
    kernel: int = 3
    pool: str = "none"
    side: int = 8
    widths: tuple[int, ...] = (32,)


class Net(nn.Module):
    """Linear layers, and before them, if `conv`, a convolution that may be pooled."""

    def __init__(self, config: NetConfig, shapes: fs.Shapes):
        super().__init__()
        conv = [nn.Conv2d(1, 8, config.kernel, padding="same"), nn.ReLU()] if config.conv else []
        pool = [nn.AdaptiveMaxPool2d(config.side)] if config.pool == "max" else []
        sizes = [config.side**2 * (8 if config.conv else 1), *config.widths]
        pairs = zip(sizes, config.widths, strict=False)
        dense = [layer for pair in pairs for layer in (nn.Linear(*pair), nn.ReLU())]
        last = nn.Linear(sizes[-1], shapes.outputs)
        self.layers = nn.Sequential(*conv, *pool, nn.Flatten(), *dense, last)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


def space() -> fs.SearchSpace:
    """Kernel and pooling of networks with a convolution; no more than 50,000 parameters."""
    pooled = {"side": fs.tune.choice([2, 4])}
    return fs.SearchSpace(
        name="conditional",
        variant=fs.variant("small_net", fs.classification("small_digits", DATA), Net, NetConfig),
        domains={
            "lr": fs.tune.loguniform(1e-4, 1e-1),
            "conv": fs.tune.choice([True, False]),
            "kernel": fs.when("conv", True, fs.tune.choice([3, 5])),
            "pool": fs.when("conv", True, fs.groups({"none": {}, "max": pooled})),
            "widths": fs.tune.choice([(32,), (64, 32), (128, 64, 32)]),
        },
        constraint=lambda config, num_params: num_params <= 50_000,
    )
