"""Deep convolutional classifier of digits without pooling; compares by digit probabilities."""

from ray import tune

from search_spaces.larger_digit.common import augmentation
from search_spaces.space import Point, SearchSpace
from trainables.models.pairs.variants import CNN_DIGIT_DEEP


def space() -> SearchSpace:
    """Widths of six layers, augmentation of training images, label smoothing, learning rate.

    Each of the six 3x3 layers shrinks the 14x14 image by two pixels, to 2x2 at the end, without
    pooling. Three such networks train on the same batches, and their probabilities are averaged.
    The first point is the baseline: Adam's default learning rate, without regularisation.

    References:
        An et al. (2020), "An ensemble of simple convolutional neural network models for MNIST
        digit recognition", arXiv:2008.10400.
    """
    return SearchSpace(
        name="cnn_digit_deep",
        variant=CNN_DIGIT_DEEP,
        domains={
            "lr": tune.loguniform(1e-3, 1e-2),
            "weight_decay": tune.uniform(0.0, 1e-4),
            "batch_size": tune.lograndint(24, 97),  # 24..96: Tune's upper bound is exclusive
            "lr_schedule": "cosine",
            **augmentation(),
            "elastic": tune.uniform(0.0, 1.5),
            "channels": tune.choice([(24, 32, 48, 64, 80, 96), (32, 48, 64, 80, 96, 112)]),
            "pooled": 0,
            "hidden_layers": 0,
            "copies": 3,
            "batch_norm": "before",
            "digit_smoothing": tune.uniform(0.0, 0.2),
            "epochs": 40,
        },
        points=[
            Point(
                name="plain network",
                config={
                    "lr": 1e-3,
                    "weight_decay": 0.0,
                    "batch_size": 64,
                    "channels": (32, 48, 64, 80, 96, 112),
                    "shift": 0.0,
                    "rotation": 0.0,
                    "scale": 0.0,
                    "elastic": 0.0,
                    "digit_smoothing": 0.0,
                },
            )
        ],
    )
