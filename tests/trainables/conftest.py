"""A small task and small networks of every variant."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trainables.data.digits import digits_source
from trainables.data.folds import Fold, stratified_folds
from trainables.data.pairs import PairData, draw_pairs
from trainables.stack.stack import FoldStack, Member
from trainables.trial import Task
from trainables.variants import VARIANTS, Variant

SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": 8},
    "cnn": {"channels": (3, 4), "hidden": 8},
    "cnn_ws": {"channels": (3, 4), "hidden": 8, "head_hidden": (6,)},
    "cnn_aux": {"channels": (3, 4), "hidden": 8, "digits": "path", "aux_alpha": 0.4},
}
"""Fields that make a variant's network small; one without a row is tested at its default size."""


@pytest.fixture(scope="session")
def data() -> PairData:
    """41 pairs to train on, so that three folds train on 27, 27 and 28."""
    return draw_pairs(digits_source(), seed=0, train_pairs=41, test_pairs=10)


@pytest.fixture(scope="session")
def folds(data: PairData) -> tuple[Fold, ...]:
    """Folds of unequal size."""
    folds = stratified_folds(data.train.target, num_folds=3, seed=0)
    assert len({len(fold.train) for fold in folds}) == 2
    return folds


@pytest.fixture
def make_task(data: PairData, folds: tuple[Fold, ...]) -> Callable[..., Task]:
    return lambda **values: Task(**{"data": data, "folds": folds, "seed": 7, **values})


@pytest.fixture(scope="session")
def small_config() -> Callable[..., Any]:
    """Builds a small configuration of a variant, with the given fields besides."""

    def build(variant: Variant, **values: Any) -> Any:
        small = {**SMALL.get(variant.name, {}), "batch_size": 9, "epochs": 3}
        return variant.config.from_dict({**small, **values})

    return build


@pytest.fixture
def make_stack(data: PairData, folds: tuple[Fold, ...]) -> Callable[..., FoldStack]:
    """Builds a stack of a member for each configuration; member i has fold i and seed 100 + i."""

    def build(
        variant: Variant,
        configs: list[Any],
        *,
        mode: str = "auto",
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
        return FoldStack(variant.model, members, data.train, mode=mode)

    return build


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def variant(request: pytest.FixtureRequest) -> Variant:
    """Every variant of the registry."""
    return request.param
