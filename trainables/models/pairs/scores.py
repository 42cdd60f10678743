"""What networks for pairs of images return, and the fields that all of them are configured by."""

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
    """Scores of a batch of pairs, or of a batch for each of m stacked networks.

    `comparison` has one unit (the logit of target 1) or two (a score for each target); `digits`
    holds ten scores for each image, or is None where the network does not name digits. `distance`
    is there where the network is to be trained by a contrastive loss.
    """

    comparison: Float[Tensor, "*m b units"]
    digits: Float[Tensor, "*m b 2 10"] | None = None
    distance: Float[Tensor, "*m b"] | None = None


@dataclass(frozen=True, kw_only=True)
class PairConfig(SmoothedConfig, ImageConfig):
    """Loss weights of networks that compare, and may name, the images of a pair."""

    IMPLIED: ClassVar[Mapping[str, tuple[str, ...]]] = {"aux_alpha": ("main_weight", "aux_weight")}

    aux_alpha: float | None = None
    """Auxiliary share: means `main_weight = 1 - aux_alpha` and `aux_weight = aux_alpha / 2`."""
    main_weight: float = 1.0
    """Weight of the comparison loss."""
    aux_weight: float = 0.0
    """Weight of each of the two digit losses."""
    aux_schedule: AuxSchedule = "constant"
    """`linear` moves the loss from the digits to the comparison, see `loss_weights_at`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.aux_alpha is not None:
            self.require("aux_alpha", 0.0 <= self.aux_alpha <= 1.0, "between 0 and 1")
            object.__setattr__(self, "main_weight", 1.0 - self.aux_alpha)
            object.__setattr__(self, "aux_weight", self.aux_alpha / 2)
        self.require_amounts("main_weight", "aux_weight")

    def loss_weights_at(self, epoch: int) -> tuple[float, float]:
        """Weights of the comparison loss and of each digit loss in an epoch, counted from 0.

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
