"""The task `disc`: classify points of the unit square as inside or outside a disc."""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from foldsweep.checks import brief
from foldsweep.errors import UserError
from foldsweep.texts import text
from trainables.tasks.metrics import Metric
from trainables.tasks.options import ShippedOptions
from trainables.tasks.samples import Data, Samples
from trainables.tasks.task import DataRequest, Task

RADIUS = 1 / math.sqrt(2 * math.pi)
"""Radius of a disc that covers half of the unit square."""
DEFAULT_POINTS = 1000
MOST_POINTS = 10_000_000
_TRAIN_STREAM, _TEST_STREAM = 0, 1


def load(request: DataRequest) -> Data:
    """Draw random training and test points, each from its own random stream.

    Raises:
        UserError: If the options name another dataset, or fewer than one point.
    """
    options = request.options or ShippedOptions()
    if options.dataset not in ("auto", "disc"):
        raise UserError.of("disc.dataset-not-disc", dataset=options.dataset)
    return draw(request.seed, options.train_pairs, options.test_pairs)


def draw(seed: int, num_train: int | None = None, num_test: int | None = None) -> Data:
    """Draw random points; with the same seed a smaller draw is a prefix of a larger one.

    Raises:
        UserError: If the seed is negative or a number is below 1.
    """
    if seed < 0:
        raise UserError.of("disc.seed-negative", seed=seed)
    train, test = _points(num_train, seed, _TRAIN_STREAM), _points(num_test, seed, _TEST_STREAM)
    data = Data(
        name="disc",
        train=train,
        test=test,
        origin={"dataset": "disc", "train_pairs": len(train), "test_pairs": len(test)},
        said="data: disc, random points inside and outside a disc",
    )
    return data.with_digest_of([a for part in (train, test) for a in _digested(part)])


def points(xy: Float32[np.ndarray, "n 2"]) -> Samples:
    """Points and their target: 1 within `RADIUS` of the centre of the unit square, else 0."""
    inside = np.hypot(*(xy - 0.5).T) <= RADIUS
    return Samples(inputs={"points": xy}, targets={"target": inside.astype(np.int64)})


def _points(number: int | None, seed: int, stream: int) -> Samples:
    number = DEFAULT_POINTS if number is None else number
    if not 1 <= number <= MOST_POINTS:
        choice = (
            text("disc.one-or-more") if number < 1 else text("rules.at-most", most=MOST_POINTS)
        )
        raise UserError.of("disc.points-out-of-range", points=brief(number), choice=choice)
    rng = np.random.default_rng(np.random.SeedSequence([seed, stream]))
    return points(rng.random((number, 2), dtype=np.float32))


def _digested(samples: Samples) -> list[tuple[str, np.ndarray]]:
    """Arrays that the digest covers; their layout is fixed, so that recorded digests hold."""
    size = len(samples)
    xy = samples.inputs["points"].reshape(size, 2, 1, 1)
    none = np.zeros((size, 2), dtype=np.int64)
    return [("images", xy), ("classes", none), ("target", samples.targets["target"])]


def predict(output: Float[Tensor, "*m b 2"], **_: Tensor) -> dict[str, Tensor]:
    """Predicted class, and the probabilities of both classes."""
    inside = (output[..., -1] - output[..., :-1].sum(-1)).sigmoid()
    return {"answer": output.argmax(-1), "probability": torch.stack([1 - inside, inside], -1)}


def hits(output: Float[Tensor, "*m b 2"], target: Int[Tensor, "*m b"]) -> Bool[Tensor, "*m b"]:
    """Whether each point is classified correctly."""
    return output.argmax(-1) == target


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of each point; networks of `trainables.backprop` use their own criterion."""
    return -output.log_softmax(-1).gather(-1, target.unsqueeze(-1)).squeeze(-1)


TASK = Task(
    name="disc",
    kind="classification",
    data=load,
    loss=loss,
    metrics={"accuracy": Metric(of=hits, better="higher", equal=0.01)},
    objective="accuracy",
    predict=predict,
    standardise={"points": "whole"},
    outputs=2,
    classes=("outside", "inside"),
    leading_axes=True,
    options=ShippedOptions,
    row_shapes={"points": (2,)},
    fresh=lambda data: True,
    unit="points",
)
