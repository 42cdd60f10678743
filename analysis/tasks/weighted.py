"""Weighted parts of the training loss of auxiliary models: comparison and digits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from analysis.load import Store
from analysis.plots.curves import CurvesInfo, curves_info, draw_band, spread_of, trial_curves
from analysis.plots.style import HELD_OUT, TRAIN, grid_of_axes, whole_numbers
from analysis.results import Trial
from foldsweep.names import TRAIN_LOSS

FACTORS = (1, 2, 5, 10, 20, 50, 100)
MAIN_LOSS = "train_main_loss"
"""Key of the comparison's part of the training loss."""
AUX_LOSS = "train_aux_loss"
"""Key of the digits' part of the training loss."""
TRIAL_PARTS = {"comparison": MAIN_LOSS, "digits": AUX_LOSS}


@dataclass(frozen=True, kw_only=True)
class WeightedInfo:
    """Both weighted parts of a network's training loss."""

    curves: CurvesInfo
    """Curves over rounds or folds, under the keys `comparison` and `digits`."""
    annealed: bool
    """Whether the weight moves from the digits to the comparison during training."""

    @property
    def factor(self) -> int:
        """Largest of `FACTORS` that scales the comparison's maximum to at most the digits'."""
        top = {part: float(mean.max()) for part, mean in self.curves.mean.items()}
        ratio = top["digits"] / max(top["comparison"], 1e-12)
        return max((f for f in FACTORS if f <= ratio), default=1)


def weighted_info(
    name: str, curves: Mapping[str, Sequence[Sequence[float]]], *, annealed: bool
) -> WeightedInfo:
    """Both parts of a row's loss over its rounds: the comparison is the loss minus the digits."""
    whole = np.asarray(curves[TRAIN_LOSS], dtype=float)
    digits = np.asarray(curves[AUX_LOSS], dtype=float)
    parts = {"comparison": (whole - digits).tolist(), "digits": digits.tolist()}
    return WeightedInfo(curves=curves_info(name, parts), annealed=annealed)


def trial_weighted(store: Store, trial: Trial, *, name: str) -> WeightedInfo | None:
    """Both parts of a trial's loss over its folds; None if the loss has only one part."""
    curves = trial_curves(store, trial, name=name, keys=TRIAL_PARTS)
    if curves is None:
        return None
    return WeightedInfo(curves=curves, annealed=is_annealed(trial.config))


def is_annealed(config: Mapping[str, object]) -> bool:
    """Whether a configuration moves the loss from the digits to the comparison."""
    return config.get("aux_schedule") == "linear"


def plot_weighted(infos: Sequence[WeightedInfo]) -> Figure:
    """Draw a panel for each network; the comparison is enlarged by the factor in its label."""
    figure, panels = grid_of_axes(len(infos), share=False, side=3.6 if len(infos) == 1 else 3.2)
    for axes, info in zip(panels, infos, strict=True):
        mean, std = info.curves.mean, info.curves.std
        draw_band(axes, mean["digits"], std["digits"], label="digits", colour=TRAIN, style="--")
        draw_band(
            axes,
            info.factor * mean["comparison"],
            info.factor * std["comparison"],
            label="comparison" if info.factor == 1 else f"comparison × {info.factor}",
            colour=HELD_OUT,
        )
        weights = "annealed" if info.annealed else "constant"
        axes.set_title(f"{info.curves.name}: {weights} weights", fontsize=10)
        axes.set_xlabel("epoch")
        whole_numbers(axes)
        axes.tick_params(labelbottom=True)
        axes.set_ylim(0, 1.2 * axes.get_ylim()[1])  # room for the legend
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    figure.supylabel(
        f"weighted training loss\n{spread_of([info.curves for info in infos])}", fontsize=10
    )
    return figure
