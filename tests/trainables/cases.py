"""Presets as test cases, and what tests may ask of any network."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from trainables.backprop.sequential import Sequential
from trainables.config import TrialConfig
from trainables.data.pairs import PairData
from trainables.models.backprop import BackpropConfig
from trainables.models.layers import Scores, num_params
from trainables.presets.registry import PRESETS
from trainables.recipe import Recipe
from trainables.variants import VARIANTS, Variant

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


def in_double_precision(variant: Variant) -> Variant:
    """A variant of torch in which rounding turns no sign of a gradient, nor of Adam's steps."""

    def build(config: TrialConfig) -> nn.Module:
        model = variant.model(config)
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


def random_pairs(variant: Variant, count: int) -> Tensor:
    """Pairs of images, or of coordinates."""
    side = 1 if variant.dataset == "disc" else 14
    return torch.randn(count, 2, side, side)


def scores_of(model: nn.Module | Sequential, pair: Tensor) -> Scores:
    """What a network of either kind says of pairs."""
    if isinstance(model, Sequential):
        return Scores(model.forward(pair.flatten(1)))
    return model(pair)


def size_of(model: nn.Module | Sequential) -> int:
    """Learnable numbers."""
    return model.num_params if isinstance(model, Sequential) else num_params(model)


def recipe_of(variant: Variant, config: TrialConfig, data: PairData, **values: object) -> Recipe:
    """What would be exported of a trial of `config` on `data`, drawn with seed 0."""
    means = ("val_accuracy", "val_accuracy_std", "val_loss", "val_loss_std")
    fields: dict[str, object] = {
        "space": variant.name,
        "variant": variant.name,
        "config": config.to_dict(),
        "score": dict.fromkeys(means, 0.5),
        "fold_scores": {},
        "num_params": 1,
        "dataset": data.dataset,
        "data_digest": data.digest,
        "train_pairs": len(data.train),
        "test_pairs": len(data.test),
        "folds": 3,
        "seed": 0,
        "trial": 0,
    }
    return Recipe(**{**fields, **values})
