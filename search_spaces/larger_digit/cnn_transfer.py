"""Siamese convolutional net, trained on digits first and then on comparisons."""

from ray import tune

from search_spaces.larger_digit.common import augmentation, lenet, optimisation
from search_spaces.space import SearchSpace, preset_point
from trainables.models.pairs.variants import CNN_TRANSFER


def space() -> SearchSpace:
    """Channels, hidden width and fraction of pretraining epochs besides the common domains."""
    return SearchSpace(
        name="cnn_transfer",
        variant=CNN_TRANSFER,
        domains={
            **optimisation(),
            **augmentation(),
            **lenet(),
            "head_hidden": tune.choice([(20,), (64,)]),
            "pretrain": tune.uniform(0.3, 0.8),
        },
        points=[preset_point("lenet_transfer/transfer")],
    )
