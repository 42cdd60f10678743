"""Random affine and elastic augmentation of images, batched over rows and stacked members."""

# Legend: N images of the flattened batch, H height, W width.

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

MESH = 5
"""Number of mesh nodes for elastic augmentation, across and down an image."""


@dataclass(frozen=True, kw_only=True)
class Affine:
    """Affine augmentation: shift, rotate and zoom training images at random, see `affine`."""

    fields: ClassVar[tuple[str, ...]] = ("shift", "rotation", "scale")

    input: str = "images"
    """Name of the input with the images, (n, c, h, w)."""
    apart: bool = False
    """Whether channels are separate images, each with its own random distortion."""

    def numbers(self, shapes: Mapping[str, tuple[int, ...]]) -> int:
        """Number of random numbers per row."""
        return 4 * (shapes[self.input][0] if self.apart else 1)

    def __call__(
        self,
        inputs: dict[str, Tensor],
        draw: Float[Tensor, "m k"],
        amounts: Mapping[str, Float[Tensor, "m 1 1"]],
    ) -> dict[str, Tensor]:
        """Return the inputs with distorted images.

        Args:
            inputs: Inputs by name, (m, b, ...).
            draw: Random numbers in [0, 1), `numbers` for each of the b rows of each member.
            amounts: Largest shift, rotation and scale of each member.
        """
        images = inputs[self.input]
        # without `apart`, all channels get the same distortion
        noise = draw.view(*images.shape[:2], -1, 4) * 2 - 1
        noise = noise.expand(*images.shape[:3], 4)
        return {**inputs, self.input: affine(images, noise, **amounts)}


@dataclass(frozen=True, kw_only=True)
class Elastic(Affine):
    """Affine and elastic augmentation: the nodes of a mesh over each image move at random.

    Pixels between the nodes move by interpolation. The field `elastic` is the largest shift of a
    node in pixels, right and down.

    References:
        Simard, Steinkraus and Platt (2003), "Best practices for convolutional neural networks
        applied to visual document analysis", ICDAR.
    """

    fields: ClassVar[tuple[str, ...]] = (*Affine.fields, "elastic")

    def numbers(self, shapes: Mapping[str, tuple[int, ...]]) -> int:
        return super().numbers(shapes) * (4 + 2 * MESH**2) // 4

    def __call__(
        self,
        inputs: dict[str, Tensor],
        draw: Float[Tensor, "m k"],
        amounts: Mapping[str, Float[Tensor, "m 1 1"]],
    ) -> dict[str, Tensor]:
        images = inputs[self.input]
        noise = draw.view(*images.shape[:2], -1, 4 + 2 * MESH**2) * 2 - 1
        noise = noise.expand(*images.shape[:3], noise.shape[-1])
        moves = {name: amount for name, amount in amounts.items() if name != "elastic"}
        bend = bent(noise[..., 4:], images.shape[-2:]) * amounts["elastic"][..., None, None, None]
        return {**inputs, self.input: affine(images, noise[..., :4], **moves, bend=bend)}


def bent(noise: Float[Tensor, "*batch k"], size: Sequence[int]) -> Float[Tensor, "*batch 2 h w"]:
    """Displacement of each pixel, interpolated bilinearly between the nodes of a mesh.

    Args:
        noise: Displacement of each node: right for all nodes, then down for all nodes.
        size: Height and width of the image that the mesh covers.
    """
    nodes = noise.reshape(-1, 2, MESH, MESH)
    moves = F.interpolate(nodes, size=tuple(size), mode="bilinear", align_corners=True)
    return moves.view(*noise.shape[:-1], *moves.shape[1:])


def affine(
    images: Float[Tensor, "*batch h w"],
    noise: Float[Tensor, "*batch 4"],
    *,
    shift: Float[Tensor, "*#batch"],
    rotation: Float[Tensor, "*#batch"],
    scale: Float[Tensor, "*#batch"],
    bend: Float[Tensor, "*batch 2 h w"] | None = None,
) -> Float[Tensor, "*batch h w"]:
    """Shift images, rotate them about their centre and zoom them by `noise` times the amplitudes.

    Deterministic: all randomness is in `noise`. If each member's noise is drawn from the member's
    own generator, fused and looped execution give the same images. Pixels from outside the image
    are 0. Amplitudes are tensors that broadcast against the batch, for example one value per
    member.

    Args:
        images: Images of one size.
        noise: Values in [-1, 1) for shift right, shift down, clockwise rotation and log-zoom.
        shift: Largest shift in pixels.
        rotation: Largest rotation in degrees.
        scale: Largest enlargement as a fraction; 0.1 zooms by factors from 1/1.1 to 1.1.
        bend: Additional offset, in pixels right and down, of the position from which each output
            pixel is sampled; None for none.
    """
    height, width = images.shape[-2:]
    right, down, turn, log_zoom = (part[..., None, None] for part in noise.unbind(-1))
    shift, rotation, scale = (part[..., None, None] for part in (shift, rotation, scale))
    angle = turn * rotation * (math.pi / 180)
    shrink = torch.exp(-log_zoom * torch.log1p(scale))
    cos, sin = shrink * torch.cos(angle), shrink * torch.sin(angle)
    # Offsets of output pixels from the centre, mapped back to input positions. Unlike
    # `F.affine_grid`, which multiplies matrices, this stays exact under autocast and TF32.
    x = torch.arange(width, device=images.device) - (width - 1) / 2 - right * shift
    y = torch.arange(height, device=images.device)[:, None] - (height - 1) / 2 - down * shift
    from_x, from_y = cos * x + sin * y, cos * y - sin * x
    if bend is not None:
        from_x, from_y = from_x + bend[..., 0, :, :], from_y + bend[..., 1, :, :]
    grid = torch.stack((from_x * (2 / width), from_y * (2 / height)), dim=-1)
    moved_N1HW = F.grid_sample(
        images.reshape(-1, 1, height, width),
        grid.reshape(-1, height, width, 2),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )
    return moved_N1HW.reshape(images.shape)
