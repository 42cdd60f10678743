"""The task `larger_digit`: given two handwritten digits, is the first at most the second?"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from foldsweep.errors import UserError
from trainables.data.augment import Affine
from trainables.data.images import load_images
from trainables.data.pairs import draw_pairs
from trainables.models.pairs.digit import at_most
from trainables.models.pairs.losses import (
    answers,
    comparison_hits,
    comparison_of,
    digit_hits,
    pair_losses,
    probabilities,
)
from trainables.models.pairs.scores import IMAGE_SIZE, Scores
from trainables.tasks.larger_digit_mistakes import details
from trainables.tasks.metrics import Metric
from trainables.tasks.options import ShippedOptions
from trainables.tasks.samples import Data, Samples
from trainables.tasks.task import DataRequest, Task

BRIGHTEST = 255.0
FRESH = "mnist"
"""Name of the dataset that has enough images for new pairs in each round."""


def load(request: DataRequest) -> Data:
    """Draw pairs with the seed of the request.

    Raises:
        UserError: If the dataset or the number of pairs is not available.
    """
    options = request.options or ShippedOptions()
    if options.dataset == "disc":
        raise UserError.of("larger-digit.dataset-without-digits")
    source, said = load_images(options.dataset, data_dir=options.data_dir)
    return draw_pairs(
        source,
        seed=request.seed,
        train_pairs=options.train_pairs,
        test_pairs=options.test_pairs,
        said=said,
    )


def predict(output: Tensor | Scores, **_: Tensor) -> dict[str, Tensor]:
    """Predicted class, probabilities of both classes, and digit probabilities if available."""
    named = {"answer": answers(output), "probability": probabilities(comparison_of(output))}
    return named | _digits(output)


def predict_by_names(output: Scores, **_: Tensor) -> dict[str, Tensor]:
    """As `predict`, for networks that only classify digits.

    The class probabilities follow from the digit probabilities, see `at_most`.
    """
    digits = _digits(output)
    in_order = at_most(digits["digit_probabilities"])
    both = torch.stack([1 - in_order, in_order], -1)
    return {"answer": answers(output), "probability": both} | digits


def _digits(output: Tensor | Scores) -> dict[str, Tensor]:
    if isinstance(output, Tensor) or output.digits is None:
        return {}
    return {"digit_probabilities": output.digits.softmax(-1)}


def check(inputs: Mapping[str, np.ndarray]) -> None:
    """Refuse images that are not raw, with pixels from 0 to 255.

    Raises:
        UserError: If pixels are outside 0 to 255, or none is above 1.
    """
    images = inputs["images"]
    low, high = float(images.min()), float(images.max())
    # the network would take images scaled to 0..1 for black
    if not (low >= 0 and 1 < high <= BRIGHTEST):
        raise UserError.of("larger-digit.images-not-raw", low=low, high=high)


def parts(samples: Samples) -> Float[np.ndarray, "n numbers"]:
    """The single images, which training and test rows must not share."""
    images = samples.inputs["images"]
    return images.reshape(2 * len(images), -1)


TASK = Task(
    name="larger_digit",
    kind="classification",
    data=load,
    loss=pair_losses,
    metrics={
        "accuracy": Metric(of=comparison_hits, better="higher", equal=0.01),
        "digit_accuracy": Metric(of=digit_hits, better="higher", equal=0.01, train=False),
    },
    objective="accuracy",
    predict=predict,
    standardise={"images": "whole"},
    augment=Affine(input="images", apart=True),
    outputs=2,
    classes=("first is larger", "first is at most second"),
    leading_axes=True,
    options=ShippedOptions,
    fresh=lambda data: data.name == FRESH,
    row_shapes={"images": (2, IMAGE_SIZE, IMAGE_SIZE)},
    check=check,
    parts=parts,
    details=details,
    unit="pairs",
)
