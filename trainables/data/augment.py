"""Random affine distortion of images, batched over rows and fold-stack members."""

# Legend: N images of the flattened batch, H height, W width.

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class Affine:
    """Shifts, turns and zooms every training image by random amounts, see `affine`."""

    fields: ClassVar[tuple[str, ...]] = ("shift", "rotation", "scale")

    input: str = "images"
    """Input that holds the images, (n, c, h, w)."""
    apart: bool = False
    """Channels are images of their own, each distorted otherwise."""

    def numbers(self, shapes: Mapping[str, tuple[int, ...]]) -> int:
        """Random numbers that one row takes."""
        return 4 * (shapes[self.input][0] if self.apart else 1)

    def __call__(
        self,
        inputs: dict[str, Tensor],
        draw: Float[Tensor, "m k"],
        amounts: Mapping[str, Float[Tensor, "m 1 1"]],
    ) -> dict[str, Tensor]:
        """The inputs with images distorted.

        Args:
            inputs: Of shape (m, b, ...).
            draw: Numbers in [0, 1), `numbers` for each of the b rows of each member.
            amounts: Largest shift, rotation and scale of each member.
        """
        images = inputs[self.input]
        # one distortion for all channels broadcasts over them
        noise = draw.view(*images.shape[:2], -1, 4) * 2 - 1
        noise = noise.expand(*images.shape[:3], 4)
        return {**inputs, self.input: affine(images, noise, **amounts)}


def affine(
    images: Float[Tensor, "*batch h w"],
    noise: Float[Tensor, "*batch 4"],
    *,
    shift: Float[Tensor, "*#batch"],
    rotation: Float[Tensor, "*#batch"],
    scale: Float[Tensor, "*#batch"],
) -> Float[Tensor, "*batch h w"]:
    """Images shifted, rotated about their centre and zoomed by `noise` times the amplitudes.

    Deterministic: all randomness is in `noise`, so a caller that draws it from a generator of
    its own per member gets the same images fused or looped. Pixels from outside the image are 0.
    Amplitudes are tensors that broadcast against the batch, for example one value per member.

    Args:
        images: Images of any one size.
        noise: Values in [-1, 1) for shift right, shift down, clockwise rotation and log-zoom.
        shift: Largest shift in pixels.
        rotation: Largest rotation in degrees.
        scale: Largest enlargement as a fraction; 0.1 zooms by factors from 1/1.1 to 1.1.
    """
    height, width = images.shape[-2:]
    right, down, turn, log_zoom = (part[..., None, None] for part in noise.unbind(-1))
    shift, rotation, scale = (part[..., None, None] for part in (shift, rotation, scale))
    angle = turn * rotation * (math.pi / 180)
    shrink = torch.exp(-log_zoom * torch.log1p(scale))
    cos, sin = shrink * torch.cos(angle), shrink * torch.sin(angle)
    # Pixel offsets from the centre, traced back from the output to where they come from. Unlike
    # `F.affine_grid`, which multiplies matrices, this stays exact under autocast and TF32.
    x = torch.arange(width, device=images.device) - (width - 1) / 2 - right * shift
    y = torch.arange(height, device=images.device)[:, None] - (height - 1) / 2 - down * shift
    from_x = (cos * x + sin * y) * (2 / width)
    from_y = (cos * y - sin * x) * (2 / height)
    moved_N1HW = F.grid_sample(
        images.reshape(-1, 1, height, width),
        torch.stack((from_x, from_y), dim=-1).reshape(-1, height, width, 2),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )
    return moved_N1HW.reshape(images.shape)
