"""What is answered wrongly: how often by pair of digits, and which pairs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from trainables.data.source import NUM_CLASSES
from trainables.tasks.samples import Samples

MOST_PAIRS = 48
"""Wrongly answered pairs that are kept; the surest of the wrong answers."""
Predictions = Mapping[str, np.ndarray]


def by_digits(
    rounds: Sequence[Samples], predictions: Sequence[Predictions]
) -> tuple[Int[np.ndarray, "10 10"], Int[np.ndarray, "10 10"]]:
    """Wrong answers, and occurrences, by (first digit, second digit), over all rounds."""
    wrong = np.zeros((NUM_CLASSES, NUM_CLASSES), dtype=np.int64)
    count = np.zeros_like(wrong)
    for samples, said in zip(rounds, predictions, strict=True):
        missed = said["answer"] != samples.targets["target"]
        classes = samples.targets["classes"]
        np.add.at(count, (classes[:, 0], classes[:, 1]), 1)
        np.add.at(wrong, (classes[:, 0], classes[:, 1]), missed.astype(np.int64))
    return wrong, count


def wrong_pairs(samples: Samples, said: Predictions) -> list[dict[str, Any]]:
    """Pairs that are answered wrongly, the surest answers first.

    Each has its `images` in whole numbers from 0 to 255, its `digits`, the right answer `target`,
    the `probability` given to "the first is at most the second", and, where the network names
    digits, as what it `read` each image with which probability.
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
    """What is kept of an evaluation for the pictures of this task, as plain values."""
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
