"""Siamese embedding whose directed distance decides."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.pairs.conv import ConvConfig
from trainables.models.pairs.losses import MARGIN
from trainables.models.pairs.scores import Scores
from trainables.models.pairs.siamese import ConvBranch, each

_EPS = 1e-6


@dataclass(frozen=True, kw_only=True)
class DistanceConfig(ConvConfig):
    """A convolutional branch for both images, an embedding, and the loss on its distance."""

    embedding: int = 8
    """Dimensions of the space in which images are compared."""
    distance_loss: Literal["contrastive", "logistic"] = "contrastive"
    """Contrastive on the distance, or cross-entropy on a learnt threshold for it."""
    outputs: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("embedding", self.embedding >= 1, "at least 1")
        self.require("outputs", self.outputs == 1, "1")


class DistanceNet(nn.Module):
    """Distance d = |max(0, e(left) - e(right))|: 0 where no coordinate of the left is larger.

    A symmetric distance, as Siamese nets for verification have it, cannot tell (3, 7) from (7, 3);
    this one is directed.

    References:
        Vendrov et al. (2016), "Order-embeddings of images and language", ICLR, equation 3.
    """

    def __init__(self, config: DistanceConfig):
        super().__init__()
        branch = ConvBranch(config)
        # a bias would be the same on both sides, and fall out of the distance
        embed = nn.Linear(branch.num_features, config.embedding, bias=False)
        self.encoder = nn.ModuleList([nn.Sequential(branch, embed)])
        self.threshold: nn.Parameter | None = None
        if config.distance_loss == "logistic":
            self.threshold = nn.Parameter(torch.tensor([MARGIN / 2, 1.0]))

    def forward(self, pair: Float[Tensor, "b 2 h w"]) -> Scores:
        left, right = each(self.encoder, pair.unsqueeze(-3), side=-4).unbind(1)
        distance = ((left - right).clamp(min=0).square().sum(1) + _EPS).sqrt()
        if self.threshold is None:
            return Scores((MARGIN / 2 - distance).unsqueeze(1), distance=distance)
        near, steepness = self.threshold.unbind()
        return Scores((steepness * (near - distance)).unsqueeze(1))
