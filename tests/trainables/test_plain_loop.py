"""A trial of a network compared with a handwritten loop in plain PyTorch."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_wine
from sklearn.metrics import r2_score
from torch import nn

from trainables.models.perceptron import (
    Perceptron,
    PerceptronClassifierConfig,
    PerceptronConfig,
)
from trainables.tasks.kinds import classification, regression
from trainables.tasks.samples import Data
from trainables.tasks.task import DataRequest, Task, Variant
from trainables.trial import Context, CrossValidation

SEEDS = range(6)
HIDDEN, EPOCHS, BATCH, LR, DECAY = 32, 15, 16, 0.003, 1e-3


def wine() -> Task:
    x, y = load_wine(return_X_y=True, as_frame=True)
    return classification("wine", Data.of(x, y, holdout=0.2))


def diabetes() -> Task:
    x, y = load_diabetes(return_X_y=True, as_frame=True)
    return regression("diabetes", Data.of(x, y, holdout=0.2))


@pytest.mark.slow
@pytest.mark.parametrize("make", [wine, diabetes])
def test_a_trial_equals_a_plain_loop_within_noise(make: Any) -> None:
    task = make()
    data = task.load(DataRequest(seed=0))
    folds = task.split.folds(data.train, target="target", num_folds=4, seed=0)
    ours, plain = [], []
    for seed in SEEDS:
        ours.append(np.mean(trial(task, data, folds, seed)))
        plain.append(np.mean([by_hand(task, data, fold, 1000 + seed) for fold in folds]))
    error = np.sqrt((np.var(ours, ddof=1) + np.var(plain, ddof=1)) / len(SEEDS))
    assert abs(np.mean(ours) - np.mean(plain)) < 3 * error
    assert np.mean(plain) > (0.9 if task.kind == "classification" else 0.3)
    short = [np.mean(trial(task, data, folds, seed, lr=LR / 10)) for seed in SEEDS]
    assert abs(np.mean(short) - np.mean(plain)) > 3 * error, "the bound tells nothing apart"


def trial(task: Task, data: Data, folds: Any, seed: int, lr: float = LR) -> list[float]:
    classifies = task.kind == "classification"
    kind = PerceptronClassifierConfig if classifies else PerceptronConfig
    config = kind(
        hidden=HIDDEN,
        hidden_layers=1,
        epochs=EPOCHS,
        batch_size=BATCH,
        lr=lr,
        weight_decay=DECAY,
    )
    variant = Variant(name="mlp", task=task, model=Perceptron, config=kind)
    cv = CrossValidation(variant, config, Context(data=data, folds=folds, seed=seed), number=0)
    cv.advance(EPOCHS)
    return cv.by_fold["val_accuracy" if classifies else "val_r2"]


def by_hand(task: Task, data: Data, fold: Any, seed: int) -> float:
    """Accuracy, or R², of the plain PyTorch loop on the held-out rows."""
    torch.manual_seed(seed)
    x, y = data.train.inputs["numeric"], data.train.targets["target"]
    mean, std = x[fold.train].mean(0), x[fold.train].std(0)
    x = torch.tensor((x - mean) / std, dtype=torch.float32)
    classifies = task.kind == "classification"
    centre, scale = (0.0, 1.0) if classifies else (y[fold.train].mean(), y[fold.train].std())
    target = torch.tensor(y) if classifies else torch.tensor((y - centre) / scale).float()
    network = nn.Sequential(
        nn.Linear(x.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, task.outputs)
    )
    adam = torch.optim.Adam(network.parameters(), lr=LR, weight_decay=DECAY)
    loss = nn.CrossEntropyLoss() if classifies else nn.MSELoss()
    for _ in range(EPOCHS):
        for rows in torch.as_tensor(fold.train)[torch.randperm(len(fold.train))].split(BATCH):
            output = network(x[rows])
            adam.zero_grad()
            loss(output if classifies else output[:, 0], target[rows]).backward()
            adam.step()
    with torch.no_grad():
        output = network(x[fold.val])
    if classifies:
        return float((output.argmax(1) == target[fold.val]).float().mean())
    return r2_score(y[fold.val], output[:, 0].numpy() * scale + centre)
