"""Siamese convolutional net that compares by a directed distance."""

from ray import tune

from search_spaces.larger_digit.common import augmentation, convolutions, optimisation
from search_spaces.space import SearchSpace, preset_point
from trainables.models.pairs.variants import CNN_DISTANCE


def space() -> SearchSpace:
    """Channels, hidden width and size of the embedding besides the common domains."""
    return SearchSpace(
        name="cnn_distance",
        variant=CNN_DISTANCE,
        domains={
            **optimisation(),
            **augmentation(),
            **convolutions(),
            "embedding": tune.lograndint(1, 33),
        },
        points=[preset_point("aguet2019/siamese")],
    )
