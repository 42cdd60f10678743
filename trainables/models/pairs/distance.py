"""Siamese embedding that compares two digits by a directed distance."""

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
    """Convolutional branch for both images, an embedding, and a loss on the distance."""

    embedding: int = 8
    """Number of dimensions of the embedding."""
    distance_loss: Literal["contrastive", "logistic"] = "contrastive"
    """Contrastive loss on the distance, or binary cross-entropy on its difference to a learned
    threshold."""
    outputs: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(1, embedding=self.embedding)
        self.require("outputs", self.outputs == 1, "1")


class DistanceNet(nn.Module):
    """Siamese network with the directed distance d = |max(0, e(left) - e(right))|.

    The distance is 0 if no coordinate of e(left) is larger than that of e(right). A symmetric
    distance, as in Siamese networks for verification, cannot distinguish (3, 7) from (7, 3).

    References:
        Vendrov et al. (2016), "Order-embeddings of images and language", ICLR, equation 3.
    """

    def __init__(self, config: DistanceConfig):
        super().__init__()
        branch = ConvBranch(config)
        # a bias would cancel in the difference of both sides
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
