"""Deep convolutional classifier of digits without pooling; compares by digit probabilities."""

from ray import tune

from search_spaces.conditions import when
from search_spaces.space import Point, SearchSpace
from trainables.models.pairs.variants import CNN_DIGIT_DEEP


def space() -> SearchSpace:
    """Augmentation of training images, label smoothing, batch size, learning rate.

    Each of the six 3x3 layers shrinks the 14x14 image by two pixels, to 2x2 at the end, without
    pooling. Two such networks train on the same batches, and their probabilities are averaged.
    Images are either left unchanged or shifted, rotated, zoomed and distorted at least a little:
    800 pairs are too few to distinguish weak from strong augmentation, 20,000 other images are
    enough. The first point is the baseline: Adam's default learning rate, without regularisation.

    References:
        An et al. (2020), "An ensemble of simple convolutional neural network models for MNIST
        digit recognition", arXiv:2008.10400.
    """
    bent = {0.5, 0.75, 1.0}
    return SearchSpace(
        name="cnn_digit_deep",
        variant=CNN_DIGIT_DEEP,
        domains={
            "lr": tune.loguniform(1e-3, 5e-3),
            "weight_decay": tune.uniform(0.0, 1e-4),
            "batch_size": tune.lograndint(24, 65),  # 24..64: Tune's upper bound is exclusive
            "lr_schedule": "cosine",
            "elastic": tune.choice([0.0, *sorted(bent)]),
            "shift": when("elastic", bent, tune.uniform(0.5, 1.5)),
            "rotation": when("elastic", bent, tune.uniform(8.0, 16.0)),
            "scale": when("elastic", bent, tune.uniform(0.08, 0.2)),
            "channels": (32, 48, 64, 80, 96, 112),
            "pooled": 0,
            "hidden_layers": 0,
            "copies": 2,
            "batch_norm": "before",
            "digit_smoothing": tune.uniform(0.0, 0.2),
            "epochs": 100,
        },
        points=[
            Point(
                name="plain network",
                config={
                    "lr": 1e-3,
                    "weight_decay": 0.0,
                    "batch_size": 64,
                    "elastic": 0.0,
                    "digit_smoothing": 0.0,
                },
            )
        ],
    )
