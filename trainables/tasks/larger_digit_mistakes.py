"""Misclassified pairs of the task `larger_digit`: error counts by digits, and example pairs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from trainables.data.source import NUM_CLASSES
from trainables.tasks.samples import Samples

MOST_PAIRS = 48
"""Number of misclassified pairs that are kept: the most confident ones."""
Predictions = Mapping[str, np.ndarray]


def by_digits(
    rounds: Sequence[Samples], predictions: Sequence[Predictions]
) -> tuple[Int[np.ndarray, "10 10"], Int[np.ndarray, "10 10"]]:
    """Count errors and occurrences by (first digit, second digit), over all rounds."""
    wrong = np.zeros((NUM_CLASSES, NUM_CLASSES), dtype=np.int64)
    count = np.zeros_like(wrong)
    for samples, said in zip(rounds, predictions, strict=True):
        missed = said["answer"] != samples.targets["target"]
        classes = samples.targets["classes"]
        np.add.at(count, (classes[:, 0], classes[:, 1]), 1)
        np.add.at(wrong, (classes[:, 0], classes[:, 1]), missed.astype(np.int64))
    return wrong, count


def wrong_pairs(samples: Samples, said: Predictions) -> list[dict[str, Any]]:
    """Return the misclassified pairs, most confident first, at most `MOST_PAIRS`.

    Each pair is a mapping: `images` in whole numbers from 0 to 255, the two `digits`, the correct
    class `target`, and the predicted `probability` that the first digit is at most the second. If
    the network classifies digits, `read` holds the predicted digit of each image and its
    probability.
    """
    missed = np.flatnonzero(said["answer"] != samples.targets["target"])
    probability = said["probability"][missed, 1]
    order = np.argsort(-np.abs(probability - 0.5), kind="stable")
    return [_pair(samples, said, int(row)) for row in missed[order[:MOST_PAIRS]]]


def _pair(samples: Samples, said: Predictions, row: int) -> dict[str, Any]:
    pair = {
        "images": samples.inputs["images"][row].round().astype(np.uint8).tolist(),
        "digits": samples.targets["classes"][row].tolist(),
        "target": int(samples.targets["target"][row]),
        "probability": round(float(said["probability"][row, 1]), 4),
    }
    digits = said.get("digit_probabilities")
    if digits is not None:
        top = digits[row].argmax(-1)
        pair["read"] = [[int(d), round(float(digits[row, i, d]), 4)] for i, d in enumerate(top)]
    return pair


def details(rounds: Sequence[Samples], predictions: Sequence[Predictions]) -> dict[str, Any]:
    """Details of an evaluation that the plots of this task need, as plain values.

    Error counts cover all rounds; misclassified pairs are those of the first round.
    """
    wrong, count = by_digits(rounds, predictions)
    missed = predictions[0]["answer"] != rounds[0].targets["target"]
    return {
        "wrong": wrong.tolist(),
        "count": count.tolist(),
        "first_round": {
            "pairs": len(rounds[0]),
            "wrong": int(missed.sum()),
            "wrong_pairs": wrong_pairs(rounds[0], predictions[0]),
        },
    }
