"""A trained network as data: a folder with its recipe and its weights, which answers raw pairs.

Nothing in the folder is pickled. Only where the variant is a user's own it holds code: the file of
that variant, as the user wrote it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float32
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from foldsweep.errors import UserError
from trainables.keep.classifier import PairClassifier, fill, network_of
from trainables.models.conv import IMAGE_SIZE
from trainables.recipe import Recipe
from trainables.variants import Variant, variant_named

RECIPE_FILE = "recipe.yaml"
WEIGHTS_FILE = "weights.safetensors"
CODE_FILE = "space.py"
"""The file of a user's own variant, in the folder of a model that needs it."""
BRIGHTEST = 255.0
_BATCH = 500
"""Pairs in one pass; bounds memory."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What a model says of n pairs."""

    probability: Float32[np.ndarray, " n"]
    """That the left digit is at most the right one."""
    decision: Bool[np.ndarray, " n"]
    """Whether that is more probable than not."""
    digit_probabilities: Float32[np.ndarray, "n 2 10"] | None
    """Of the ten names of each image; None where the variant names no digits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedModel:
    """A recipe's network after training, and all that answering takes."""

    recipe: Recipe
    variant: Variant
    classifier: PairClassifier
    code: str | None = None
    """Text of the file that a user's own variant is from."""

    @property
    def pair_shape(self) -> tuple[int, int, int]:
        """Shape of one pair: two images, or for points two coordinates."""
        side = 1 if self.variant.dataset == "disc" else IMAGE_SIZE
        return 2, side, side

    def predict(self, images: np.ndarray) -> Answers:
        """Answer pairs of raw images.

        Args:
            images: Brightness in 0..255, whole numbers or not, of shape (n, 2, 14, 14); points
                have shape (n, 2, 1, 1).

        Raises:
            UserError: If these are no raw images.
        """
        raw = torch.from_numpy(self._checked(images))
        with torch.no_grad():
            parts = [self.classifier(part) for part in raw.split(_BATCH)]
        probability, *digits = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
        return Answers(
            probability=probability,
            decision=probability > 0.5,
            digit_probabilities=digits[0] if digits else None,
        )

    def save(self, folder: Path) -> None:
        """Write the model into a folder that exists."""
        comment = "What this model was trained by; its weights are beside it."
        self.recipe.save(folder / RECIPE_FILE, comment=comment)
        save_file(self.classifier.values(), folder / WEIGHTS_FILE)
        if self.code is not None:
            (folder / CODE_FILE).write_text(self.code)

    @classmethod
    def load(cls, folder: Path, *, own_variant: Callable[[str, str], Variant]) -> "FittedModel":
        """Read what `save` wrote; only the file of a user's own variant is executed.

        Args:
            folder: Folder of the model.
            own_variant: Finds a user's own variant by the path of its file and its name.

        Raises:
            UserError: If the folder holds no such model or one that is damaged.
        """
        recipe = Recipe.load(folder / RECIPE_FILE)
        code = None
        if recipe.space.endswith(".py"):
            variant = own_variant(str(folder / CODE_FILE), recipe.variant)
            code = (folder / CODE_FILE).read_text()
        else:
            variant = variant_named(recipe.variant)
        network = network_of(variant, variant.config.from_dict(recipe.config))
        classifier = PairClassifier(network, mean=0.0, std=1.0, names_only=variant.names_only)
        path = folder / WEIGHTS_FILE
        try:
            fill(classifier.values(), load_file(path))
        except (OSError, SafetensorError, ValueError) as error:
            raise UserError(f"{path} cannot be read: {error}") from None
        return cls(recipe=recipe, variant=variant, classifier=classifier, code=code)

    def _checked(self, images: np.ndarray) -> Float32[np.ndarray, "n 2 h w"]:
        """The images in single precision."""
        wanted = f"(n, {', '.join(map(str, self.pair_shape))})"
        if images.ndim != 4 or images.shape[1:] != self.pair_shape or len(images) == 0:
            raise UserError(f"images must have the shape {wanted}, but have {images.shape}")
        if images.dtype.kind not in "uif":
            raise UserError(f"images must be numbers, but are {images.dtype}")
        raw = np.ascontiguousarray(images, dtype=np.float32)
        if not np.isfinite(raw).all():
            raise UserError("images must be finite, but some pixels are not")
        if self.variant.dataset == "disc":
            return raw
        low, high = float(raw.min()), float(raw.max())
        # images scaled to 0..1 would all be taken for black ones
        if not (low >= 0 and 1 < high <= BRIGHTEST):
            raise UserError(
                f"images must be raw, from 0 to 255 and not all black, but these are from {low:g}"
                f" to {high:g}"
            )
        return raw
