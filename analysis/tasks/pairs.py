"""Images of wrongly answered pairs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from analysis.plots.style import INK
from foldsweep.texts import text

COLUMNS = 6
GAP = 2
"""Blank columns of pixels between the two images of a pair."""


@dataclass(frozen=True, kw_only=True)
class WrongPair:
    """A pair of images, with the wrong answer and its probability as title."""

    images: UInt8[np.ndarray, "2 14 14"]
    title: str
    """The question, the answer with its probability, and the recognised digits if known."""


@dataclass(frozen=True, kw_only=True)
class PairsInfo:
    """Wrongly answered test pairs of one round, the most confident answers first."""

    name: str
    shown: tuple[WrongPair, ...]
    num_wrong: int
    num_pairs: int

    @property
    def summary(self) -> str:
        """Number of wrong answers and of test pairs, in words."""
        wrong = text("task-pairs.wrong", wrong=self.num_wrong, pairs=self.num_pairs)
        if len(self.shown) < self.num_wrong:
            wrong = text("task-pairs.surest", number=len(self.shown), wrong=wrong)
        return f"{self.name}: {wrong}"


def pairs_info(name: str, evaluation: Mapping[str, Any]) -> PairsInfo:
    """The pairs of an evaluation's first round, from the file that `sweeps/evaluate.py` logged."""
    found = evaluation["first_round"]
    return PairsInfo(
        name=name,
        shown=tuple(
            WrongPair(images=np.array(pair["images"], dtype=np.uint8), title=title_of(pair))
            for pair in found["wrong_pairs"]
        ),
        num_wrong=found["wrong"],
        num_pairs=found["pairs"],
    )


def title_of(pair: Mapping[str, Any]) -> str:
    """Title such as "3 ≤ 5? said no, 0.93" and, on a second line, "read 3 (0.99), 6 (0.61)"."""
    left, right = pair["digits"]
    p = pair["probability"]
    said = "no" if pair["target"] == 1 else "yes"  # every pair here has the wrong answer
    lines = [f"{left} ≤ {right}? said {said}, {1 - p if said == 'no' else p:.2f}"]
    if "read" in pair:
        lines.append("read " + ", ".join(f"{digit} ({p:.2f})" for digit, p in pair["read"]))
    return "\n".join(lines)


def plot_pairs(info: PairsInfo) -> Figure:
    """Draw a grid of pairs, with dark digits on white."""
    columns = min(COLUMNS, max(len(info.shown), 3))
    rows = math.ceil(len(info.shown) / columns)
    height = 1.4 if any("\n" in pair.title for pair in info.shown) else 1.2
    figure = Figure(figsize=(1.75 * columns, height * rows + 0.4), layout="constrained")
    figure.suptitle(info.summary, fontsize=10)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, pair in zip(panels.flat, info.shown, strict=False):
        left, right = pair.images
        gap = np.zeros((len(left), GAP), dtype=np.uint8)
        axes.imshow(np.hstack([left, gap, right]), cmap="gray_r", vmin=0, vmax=255)
        axes.axvline(len(left) + (GAP - 1) / 2, color=INK, linewidth=0.6)
        axes.set_title(pair.title, fontsize=7.5, pad=2)
    return figure
