"""Fold stacks lose no accuracy: they score as an ordinary PyTorch loop does."""

import statistics

import numpy as np
import pytest
import torch

from peer_tools.plain_loop import augmented, loss, train_fold
from trainables.data.folds import stratified_folds
from trainables.data.images import load_images
from trainables.data.pairs import draw_pairs
from trainables.models.pairs.losses import pair_losses
from trainables.models.pairs.scores import Scores
from trainables.models.pairs.variants import CNN_WS_AUX, MLP, MLP_SPLIT
from trainables.tasks.samples import Data
from trainables.tasks.task import Variant
from trainables.trial import Context, CrossValidation

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
def data() -> Data:
    return draw_pairs(load_images("digits")[0], seed=1, train_pairs=300, test_pairs=10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "values", "seeds"), CASES, ids=lambda x: getattr(x, "name", "")
)
def test_scores_equal_those_of_a_plain_loop_within_noise(
    data: Data, variant: Variant, values: dict, seeds: int
) -> None:
    config = variant.config.from_dict({"batch_size": 25, **values})
    folds = stratified_folds(data.train.targets["target"], num_folds=3, seed=0)
    differences, ours = [], []
    for seed in range(seeds):
        trial = CrossValidation(variant, config, Context(data=data, folds=folds, seed=0), seed)
        trial.advance(config.epochs)
        plain = [
            train_fold(variant, config, data, fold, seed=10 * seed + i)
            for i, fold in enumerate(folds)
        ]
        ours.append(statistics.fmean(trial.by_fold["val_accuracy"]))
        differences.append(ours[-1] - statistics.fmean(plain))
    error = statistics.stdev(differences) / seeds**0.5
    share = np.bincount(data.train.targets["target"]).max() / len(data.train)
    assert statistics.fmean(ours) > share + 0.05
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
    targets = {"target": target, "classes": classes}
    parts = pair_losses(scores, targets, main_weight=0.7, aux_weight=0.15)
    each = torch.stack([*parts.values()]).sum(0)
    torch.testing.assert_close(loss(scores, classes, target, config), each.mean())


def test_images_are_augmented_each_in_its_own_way() -> None:
    config = MLP.config.from_dict({"shift": 2.0})
    images = torch.zeros(4, 2, 14, 14)
    images[:, :, 6:8, 6:8] = 255.0
    moved = augmented(images, config)
    assert moved.shape == images.shape
    assert len({image.numpy().tobytes() for image in moved.flatten(0, 1)}) == 8
    assert augmented(images, MLP.config.from_dict({})) is images
