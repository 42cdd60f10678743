"""No accuracy is given up: fold stacks score as an ordinary PyTorch loop does."""

import statistics

import numpy as np
import pytest
import torch

from peer_tools.plain_loop import augmented, loss, train_fold
from trainables.data.folds import stratified_folds
from trainables.data.images import load_images
from trainables.data.pairs import PairData, draw_pairs
from trainables.losses import batch_sums
from trainables.models.layers import Scores
from trainables.trial import CrossValidation, Task
from trainables.variants import CNN_WS_AUX, MLP, MLP_SPLIT, Variant

CASES = [
    (MLP, {"hidden": 32, "lr": 0.02, "weight_decay": 1e-3, "epochs": 7}, 6),
    (
        MLP_SPLIT,
        {
            "hidden": (32, 16),
            "batch_norm": True,
            "digits": "path",
            "head_hidden": 16,
            "head_batch_norm": True,
            "dropout": 0.2,
            "lr": 0.03,
            "lr_schedule": "cosine",
            "epochs": 4,
        },
        6,
    ),
    (
        CNN_WS_AUX,
        {
            "channels": 6,
            "kernel": 3,
            "hidden": 16,
            "digits": "path",
            "head_hidden": 16,
            "aux_alpha": 0.5,
            "lr": 0.03,
            "shift": 1.0,
            "epochs": 4,
        },
        5,
    ),
]


@pytest.fixture(scope="module")
def data() -> PairData:
    return draw_pairs(load_images("digits")[0], seed=1, train_pairs=300, test_pairs=10)


@pytest.mark.parametrize(
    ("variant", "values", "seeds"), CASES, ids=lambda x: getattr(x, "name", "")
)
def test_scores_equal_those_of_a_plain_loop_within_noise(
    data: PairData, variant: Variant, values: dict, seeds: int
) -> None:
    config = variant.config.from_dict({"batch_size": 25, **values})
    folds = stratified_folds(data.train.target, num_folds=3, seed=0)
    differences, ours = [], []
    for seed in range(seeds):
        trial = CrossValidation(variant, config, Task(data=data, folds=folds, seed=0), seed)
        trial.advance(config.epochs)
        plain = [
            train_fold(variant, config, data, fold, seed=10 * seed + i)
            for i, fold in enumerate(folds)
        ]
        ours.append(statistics.fmean(trial.by_fold["val_accuracy"]))
        differences.append(ours[-1] - statistics.fmean(plain))
    error = statistics.stdev(differences) / seeds**0.5
    assert statistics.fmean(ours) > np.bincount(data.train.target).max() / len(data.train) + 0.05
    assert error < 0.03, "a difference that matters would not be seen"
    assert abs(statistics.fmean(differences)) < 3 * error


def test_loss_is_that_of_the_stack() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = Scores(
        torch.randn(7, 2, generator=generator), torch.randn(7, 2, 10, generator=generator)
    )
    classes = torch.randint(10, (7, 2), generator=generator)
    target = torch.randint(2, (7,), generator=generator)
    config = CNN_WS_AUX.config.from_dict({"digits": "path", "aux_alpha": 0.3})
    weights = (torch.tensor(0.7), torch.tensor(0.15), torch.tensor(0.0))
    total, *_ = batch_sums(scores, classes, target, torch.ones(7), weights)
    torch.testing.assert_close(loss(scores, classes, target, config), total / 7)


def test_images_are_augmented_each_in_its_own_way() -> None:
    config = MLP.config.from_dict({"shift": 2.0})
    images = torch.zeros(4, 2, 14, 14)
    images[:, :, 6:8, 6:8] = 255.0
    moved = augmented(images, config)
    assert moved.shape == images.shape
    assert len({image.numpy().tobytes() for image in moved.flatten(0, 1)}) == 8
    assert augmented(images, MLP.config.from_dict({})) is images
