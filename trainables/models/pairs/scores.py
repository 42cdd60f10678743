"""Output and base configuration of all networks for pairs of images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor

from trainables.config import ImageConfig, SmoothedConfig

NUM_DIGITS = 10
IMAGE_SIZE = 14
AuxSchedule = Literal["constant", "linear"]


class Scores(NamedTuple):
    """Output for a batch of pairs, or for a batch of each of m stacked networks.

    `comparison` has one unit (the logit of target 1) or two (a score for each target). `digits`
    holds ten scores for each image; None if the network does not classify digits. An ensemble in
    training returns those of each classifier, so there are 2 or 2 * copies images. `distance` is
    the distance of the images, for the contrastive loss; None for other losses.
    """

    comparison: Float[Tensor, "*m b units"]
    digits: Float[Tensor, "*m b images 10"] | None = None
    distance: Float[Tensor, "*m b"] | None = None


@dataclass(frozen=True, kw_only=True)
class PairConfig(SmoothedConfig, ImageConfig):
    """Base configuration of networks for pairs: loss weights of comparison and digits."""

    IMPLIED: ClassVar[Mapping[str, tuple[str, ...]]] = {"aux_alpha": ("main_weight", "aux_weight")}

    aux_alpha: float | None = None
    """Share of the auxiliary loss: sets `main_weight = 1 - aux_alpha` and
    `aux_weight = aux_alpha / 2`; None keeps both weights."""
    main_weight: float = 1.0
    """Weight of the comparison loss."""
    aux_weight: float = 0.0
    """Weight of each of the two digit losses."""
    aux_schedule: AuxSchedule = "constant"
    """`linear` shifts the weight from the digit losses to the comparison loss over the epochs, see
    `loss_weights_at`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.aux_alpha is not None:
            self.require("aux_alpha", 0.0 <= self.aux_alpha <= 1.0, "between 0 and 1")
            object.__setattr__(self, "main_weight", 1.0 - self.aux_alpha)
            object.__setattr__(self, "aux_weight", self.aux_alpha / 2)
        self.require_amounts("main_weight", "aux_weight")

    def loss_weights_at(self, epoch: int) -> tuple[float, float]:
        """Weights of the comparison loss and of each digit loss in an epoch, counted from 0.

        With `aux_schedule="constant"` they are `main_weight` and `aux_weight`.

        With `aux_schedule="linear"` the digits' share is (epochs - epoch) / epochs: 1 in the first
        epoch, 1 / epochs in the last.
        """
        if self.aux_schedule == "constant":
            return self.main_weight, self.aux_weight
        share = (self.epochs - epoch) / self.epochs
        return (1.0 - share) * self.main_weight, share * self.aux_weight

    def loss_values_at(self, epoch: int) -> Mapping[str, float]:
        main, aux = self.loss_weights_at(epoch)
        return {"main_weight": main, "aux_weight": aux}
