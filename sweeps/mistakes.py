"""What trained networks answer wrongly: how often by pair of digits, and which pairs."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from sweeps.rounds import Cohort, Scores
from trainables.data.source import NUM_CLASSES

MOST_PAIRS = 48
"""Wrongly answered pairs that are kept; the surest of the wrong answers."""


def by_digits(
    cohort: Cohort, scores: Scores
) -> tuple[Int[np.ndarray, "10 10"], Int[np.ndarray, "10 10"]]:
    """Wrong answers, and occurrences, by (first digit, second digit), over all members."""
    wrong = np.zeros((NUM_CLASSES, NUM_CLASSES), dtype=np.int64)
    count = np.zeros_like(wrong)
    for member, answers in zip(cohort.members, scores.answers, strict=True):
        missed = answers != cohort.pairs.target[member.held_out]
        classes = cohort.pairs.classes[member.held_out]
        np.add.at(count, (classes[:, 0], classes[:, 1]), 1)
        np.add.at(wrong, (classes[:, 0], classes[:, 1]), missed.astype(np.int64))
    return wrong, count


def wrong_pairs(cohort: Cohort, scores: Scores) -> list[dict[str, Any]]:
    """Held-out pairs that the first member answers wrongly, the surest answers first.

    Each has its `images` in whole numbers from 0 to 255, its `digits`, the right answer `target`,
    the `probability` given to "the first is at most the second", and, where the network names
    digits, as what it `read` each image with which probability.
    """
    assert scores.first is not None
    rows = cohort.members[0].held_out
    missed = rows[scores.answers[0] != cohort.pairs.target[rows]]
    if not len(missed):
        return []
    images = cohort.pairs.images[missed]
    with torch.no_grad():
        probability, *digits = scores.first(torch.from_numpy(images))
    order = torch.argsort((probability - 0.5).abs(), descending=True, stable=True)
    found = []
    for i in order[:MOST_PAIRS].tolist():
        pair = {
            "images": images[i].round().astype(np.uint8).tolist(),
            "digits": cohort.pairs.classes[missed[i]].tolist(),
            "target": int(cohort.pairs.target[missed[i]]),
            "probability": round(float(probability[i]), 4),
        }
        if digits:
            top = digits[0][i].max(-1)
            named = zip(top.indices.tolist(), top.values.tolist(), strict=True)
            pair["read"] = [[digit, round(p, 4)] for digit, p in named]
        found.append(pair)
    return found


def evaluation(cohort: Cohort, scores: Scores) -> dict[str, Any]:
    """What is kept of an evaluation besides its scores, as plain values."""
    wrong, count = by_digits(cohort, scores)
    first = cohort.members[0].held_out
    return {
        "rounds": len(cohort.members),
        "wrong": wrong.tolist(),
        "count": count.tolist(),
        "first_round": {
            "pairs": len(first),
            "wrong": int((scores.answers[0] != cohort.pairs.target[first]).sum()),
            "wrong_pairs": wrong_pairs(cohort, scores),
        },
    }
