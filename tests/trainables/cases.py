"""Presets as test cases, and helpers for networks of any kind."""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from foldsweep.recipe import Recipe
from trainables.backprop.sequential import Sequential
from trainables.config import TrialConfig
from trainables.models.backprop import BackpropConfig
from trainables.models.layers import num_params
from trainables.models.pairs.scores import Scores
from trainables.presets.registry import PRESETS
from trainables.stack.stack import ORDER, FoldStack
from trainables.tasks.record import task_record
from trainables.tasks.samples import Data
from trainables.tasks.shapes import inputs_record
from trainables.tasks.task import Variant
from trainables.variants import VARIANTS

AMOUNTS = {
    "lr",
    "lr_decay",
    "weight_decay",
    "batch_size",
    "epochs",
    "aux_alpha",
    "main_weight",
    "aux_weight",
    "shuffle",
}
"""Fields that affect neither the architecture of a network nor the choice of its optimiser."""


def variant_of(name: str) -> Variant:
    """The variant of a preset."""
    return VARIANTS[PRESETS[name].variant]


def config_of(name: str, **values: object) -> TrialConfig:
    """Configuration of a preset, with `values` in place of its own."""
    return variant_of(name).config.from_dict({**PRESETS[name].config, **values})


def by_autograd(variant: Variant) -> bool:
    """Whether the networks of a variant are PyTorch modules."""
    return not issubclass(variant.config, BackpropConfig)


def is_tagged(variant: Variant, tag: str) -> bool:
    """Whether a variant has a tag, such as `auxiliary`, with the value true."""
    return variant.tags.get(tag) == "true"


def in_double_precision(variant: Variant) -> Variant:
    """PyTorch variant in float64: rounding changes no sign of a gradient or of an Adam step."""

    def build(config: TrialConfig, *shapes: Any) -> nn.Module:
        model = variant.model(config, *shapes)
        model.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))
        return model.double()

    return replace(variant, model=build)


def distinct_networks() -> list[str]:
    """Names of presets, no two of which differ only in `AMOUNTS`; PyTorch modules come first."""
    first: dict[tuple[object, ...], str] = {}
    for name, preset in PRESETS.items():
        config = config_of(name).to_dict()
        shape = [value for key, value in config.items() if key not in AMOUNTS]
        first.setdefault((preset.variant, *shape), name)
    return sorted(first.values(), key=lambda name: not by_autograd(variant_of(name)))


def random_inputs(variant: Variant, count: int) -> Tensor:
    """Random rows of the only input of a variant: pairs of images, or points."""
    (shape,) = variant.task.row_shapes.values()
    return torch.randn(count, *shape)


def scores_of(model: nn.Module | Sequential, rows: Tensor) -> Scores:
    """Scores of a network of either kind for pairs or points."""
    if isinstance(model, Sequential):
        return Scores(model.forward(rows.flatten(1)))
    return model(rows)


def next_order(stack: FoldStack) -> tuple[Int[Tensor, "m t"], Float[Tensor, "m t"]]:
    """Row order of the next epoch, and the weights of these rows."""
    return stack._order(stack.members, stack._generators(stack.members, ORDER), None)


def size_of(model: nn.Module | Sequential) -> int:
    """Number of trainable parameters."""
    return model.num_params if isinstance(model, Sequential) else num_params(model)


def recipe_of(variant: Variant, config: TrialConfig, data: Data, **values: object) -> Recipe:
    """Recipe as exported for a trial of `config` on `data`, with data drawn by seed 0."""
    means = ("val_accuracy", "val_accuracy_std", "val_loss", "val_loss_std")
    fields: dict[str, object] = {
        "space": variant.name,
        "variant": variant.full_name,
        "task": variant.task.name,
        "config": config.to_dict(),
        "score": dict.fromkeys(means, 0.5),
        "fold_scores": {},
        "num_params": 1,
        "dataset": data.name,
        "data_digest": data.digest,
        "origin": dict(data.origin),
        "record": task_record(variant.task, data) | inputs_record(variant.task, data),
        "folds": 3,
        "seed": 0,
        "trial": 0,
    }
    return Recipe(**{**fields, **values})
