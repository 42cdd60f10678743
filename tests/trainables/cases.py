"""Presets as test cases, and what tests may ask of any network."""

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
"""Fields that neither shape a network nor choose what trains it."""


def variant_of(name: str) -> Variant:
    """The variant of a preset."""
    return VARIANTS[PRESETS[name].variant]


def config_of(name: str, **values: object) -> TrialConfig:
    """A preset's configuration, with the given fields besides."""
    return variant_of(name).config.from_dict({**PRESETS[name].config, **values})


def by_autograd(variant: Variant) -> bool:
    """Whether its networks are modules of torch."""
    return not issubclass(variant.config, BackpropConfig)


def is_tagged(variant: Variant, tag: str) -> bool:
    """Whether a variant says so of itself, such as `auxiliary`."""
    return variant.tags.get(tag) == "true"


def in_double_precision(variant: Variant) -> Variant:
    """A variant of torch in which rounding turns no sign of a gradient, nor of Adam's steps."""

    def build(config: TrialConfig, *shapes: Any) -> nn.Module:
        model = variant.model(config, *shapes)
        model.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))
        return model.double()

    return replace(variant, model=build)


def distinct_networks() -> list[str]:
    """Names of presets of which no two differ in amounts only; modules of torch come first."""
    first: dict[tuple[object, ...], str] = {}
    for name, preset in PRESETS.items():
        config = config_of(name).to_dict()
        shape = [value for key, value in config.items() if key not in AMOUNTS]
        first.setdefault((preset.variant, *shape), name)
    return sorted(first.values(), key=lambda name: not by_autograd(variant_of(name)))


def random_inputs(variant: Variant, count: int) -> Tensor:
    """Random rows of a variant's one input: pairs of images, or points."""
    (shape,) = variant.task.row_shapes.values()
    return torch.randn(count, *shape)


def scores_of(model: nn.Module | Sequential, rows: Tensor) -> Scores:
    """What a network of either kind says of pairs or points."""
    if isinstance(model, Sequential):
        return Scores(model.forward(rows.flatten(1)))
    return model(rows)


def next_order(stack: FoldStack) -> tuple[Int[Tensor, "m t"], Float[Tensor, "m t"]]:
    """Rows of the epoch that comes next, and their weights."""
    return stack._order(stack.members, stack._generators(stack.members, ORDER), None)


def size_of(model: nn.Module | Sequential) -> int:
    """Trainable parameters."""
    return model.num_params if isinstance(model, Sequential) else num_params(model)


def recipe_of(variant: Variant, config: TrialConfig, data: Data, **values: object) -> Recipe:
    """What would be exported of a trial of `config` on `data`, drawn with seed 0."""
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
