"""Convolutional net on the pair as two channels."""

from search_spaces.larger_digit.common import augmentation, convolutions, optimisation
from search_spaces.space import SearchSpace, preset_point
from trainables.models.pairs.variants import CNN


def space() -> SearchSpace:
    """Channels and hidden width besides the common domains."""
    return SearchSpace(
        name="cnn",
        variant=CNN,
        domains={
            **optimisation(),
            **augmentation(),
            **convolutions(),
        },
        points=[preset_point("aguet2019/deep_cnn_logits")],
    )
