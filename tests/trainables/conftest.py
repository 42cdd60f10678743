"""A small task and small networks of every variant."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from tests.trainables.cases import by_autograd
from trainables.data.digits import digits_source
from trainables.data.folds import Fold, stratified_folds
from trainables.data.pairs import draw_pairs
from trainables.models.pairs.perceptron import PerceptronConfig
from trainables.models.pairs.variants import CNN, CNN_TRANSFER, CNN_WS_AUX, MLP
from trainables.presets.gervaise2020 import DISC
from trainables.stack.stack import FoldStack, Member
from trainables.tasks import disc
from trainables.tasks.samples import Data
from trainables.tasks.task import Variant
from trainables.trial import Context
from trainables.variants import VARIANTS

_CONV = {"channels": (3, 4), "hidden": 8}
_PATH = {"digits": "path", "main_weight": 0.6, "aux_weight": 0.2}
_SIDE = {"digits": "side", "aux_weight": 0.5}

SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": 8},
    "mlp_split": {"hidden": 8},
    "mlp_ws": {"hidden": 8, "head_hidden": 6},
    "mlp_aux": {"hidden": 16, **_PATH},
    "mlp_ws_aux": {"hidden": 8, **_SIDE, "digit_hidden": (5,)},
    "cnn": _CONV,
    "cnn_split": _CONV,
    "cnn_ws": {**_CONV, "head_hidden": (6,)},
    "cnn_aux": {**_CONV, **_SIDE},
    "cnn_ws_aux": {**_CONV, **_PATH},
    "cnn_distance": _CONV,
    "cnn_transfer": {**_CONV, "head_hidden": 6},
    "cnn_digit": _CONV,
    "cnn_digit_deep": _CONV,
    "mlp_backprop": {"hidden": 16, "hidden_layers": 1, "optimiser": "rmsprop"},
    **{
        name: {"hidden": 24, "hidden_layers": 1, "optimiser": "rmsprop", **model}
        for name, model in DISC.items()
    },
}
"""Fields that make a variant's network small; other variants are tested at their default size."""

EVERYTHING = {
    "dropout": 0.3,
    "weight_decay": 0.01,
    "label_smoothing": 0.1,
    "shift": 1.0,
    "rotation": 10.0,
    "scale": 0.1,
    "lr": 0.003,
    "lr_schedule": "cosine",
}
EVERYTHING_WITHOUT_AUTOGRAD = {
    "weight_decay": 0.01,
    "lr": 0.003,
    "schedule": "exponential",
    "schedule_rate": 0.1,
    "batch_norm": True,
}


@pytest.fixture(scope="session")
def data() -> Data:
    """Data with 41 training pairs, so that three folds train on 27, 27 and 28 of them."""
    return draw_pairs(digits_source(), seed=0, train_pairs=41, test_pairs=10)


@pytest.fixture(scope="session")
def points() -> Data:
    """Data with as many points as `data` has pairs, inside and outside a disc."""
    return disc.draw(0, 41, 10)


@pytest.fixture(scope="session")
def data_for(data: Data, points: Data) -> Callable[[Variant | None], Data]:
    """Function that returns the data of a variant's task."""
    return lambda variant: points if variant and variant.task is disc.TASK else data


@pytest.fixture(scope="session")
def folds(data: Data) -> tuple[Fold, ...]:
    """Three folds of unequal size."""
    folds = stratified_folds(data.train.targets["target"], num_folds=3, seed=0)
    assert len({len(fold.train) for fold in folds}) == 2
    return folds


@pytest.fixture
def make_context(data_for: Callable[..., Data], folds: tuple[Fold, ...]) -> Callable[..., Context]:
    """Function that builds the context of trials, with the data of the variant if one is given."""

    def build(variant: Variant | None = None, **values: Any) -> Context:
        return Context(**{"data": data_for(variant), "folds": folds, "seed": 7, **values})

    return build


@pytest.fixture(scope="session")
def small_config() -> Callable[..., Any]:
    """Function that builds a small configuration of a variant, with the given fields."""

    def build(variant: Variant, **values: Any) -> Any:
        small = {**SMALL.get(variant.name, {}), "batch_size": 9, "epochs": 3}
        return variant.config.from_dict({**small, **values})

    return build


@pytest.fixture(scope="session")
def full_config(small_config: Callable[..., Any]) -> Callable[..., Any]:
    """Function that builds a small configuration with all options of a variant switched on."""

    def build(variant: Variant, **values: Any) -> Any:
        if not by_autograd(variant):
            return small_config(variant, **{**EVERYTHING_WITHOUT_AUTOGRAD, **values})
        known = {field.name for field in fields(variant.config)}
        perceptron = issubclass(variant.config, PerceptronConfig)
        place = "after" if variant.name == "cnn_ws" else "before"
        norm = {"batch_norm": True if perceptron else place, "head_batch_norm": True}
        norm = {name: value for name, value in norm.items() if name in known}
        return small_config(variant, **{**EVERYTHING, **norm, **values})

    return build


@pytest.fixture
def make_stack(data_for: Callable[..., Data], folds: tuple[Fold, ...]) -> Callable[..., FoldStack]:
    """Function that builds a stack: member i has configuration i, fold i and seed 100 + i."""

    def build(
        variant: Variant,
        configs: list[Any],
        *,
        mode: str = "auto",
        device: str = "cpu",
        train: list[np.ndarray] | None = None,
        seeds: list[int] | None = None,
    ) -> FoldStack:
        members = [
            Member(
                config=config,
                train=folds[i].train if train is None else train[i],
                held_out=folds[i].val,
                seed=100 + i if seeds is None else seeds[i],
            )
            for i, config in enumerate(configs)
        ]
        samples = data_for(variant).train
        return FoldStack(
            variant.model, members, samples, task=variant.task, device=device, mode=mode
        )

    return build


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def variant(request: pytest.FixtureRequest) -> Variant:
    """Every variant of the registry."""
    return request.param


@pytest.fixture(params=[pytest.param(v, id=v.name) for v in VARIANTS.values() if by_autograd(v)])
def torch_variant(request: pytest.FixtureRequest) -> Variant:
    """Every variant of the registry whose networks are PyTorch modules."""
    return request.param


@pytest.fixture(params=[MLP, CNN, CNN_WS_AUX, CNN_TRANSFER], ids=lambda variant: variant.name)
def family(request: pytest.FixtureRequest) -> Variant:
    """One variant of each kind, for properties that all variants of a kind share."""
    return request.param
