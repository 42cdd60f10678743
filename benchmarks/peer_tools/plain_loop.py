"""Training of the networks in plain PyTorch: a DataLoader, an optimiser, a loop over epochs."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from trainables.config import TrialConfig
from trainables.data.augment import affine
from trainables.data.folds import Fold
from trainables.models.pairs.scores import Scores
from trainables.tasks.samples import Data
from trainables.tasks.task import Variant


def train_fold(
    variant: Variant,
    config: TrialConfig,
    data: Data,
    fold: Fold,
    *,
    seed: int,
    timed: Callable[[], AbstractContextManager[None]] = nullcontext,
    device: str = "cpu",
) -> float:
    """Train on the training part of a fold; returns the final accuracy on its validation part.

    The context of `timed` contains training and validation, but not the building of network and
    loaders. On a GPU, the loader stays on the CPU, and batches are moved one by one.
    """
    torch.manual_seed(seed)
    model = variant.model(config)
    assert isinstance(model, nn.Module)
    model.to(device)
    train, val = _dataset(data, fold.train), _dataset(data, fold.val)
    mean, std = train.tensors[0].mean(), train.tensors[0].std(correction=0)
    train_loader = DataLoader(train, batch_size=config.batch_size, shuffle=True)
    val_loader = DataLoader(val, batch_size=500)
    optimizer = torch.optim.Adam(
        model.parameters(), lr=config.lr, weight_decay=config.weight_decay
    )
    scheduler = None
    if config.lr_schedule == "cosine":
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=config.epochs)
    with timed():
        for _ in range(config.epochs):
            model.train()
            for batch in train_loader:
                images, classes, target = (part.to(device) for part in batch)
                optimizer.zero_grad()
                scores = model((augmented(images, config) - mean) / std)
                loss(scores, classes, target, config).backward()
                optimizer.step()
            if scheduler is not None:
                scheduler.step()
        model.eval()
        hits = 0
        with torch.no_grad():
            for batch in val_loader:
                images, _, target = (part.to(device) for part in batch)
                prediction = model((images - mean) / std).comparison.argmax(1)
                hits += int((prediction == target).sum())
    return hits / len(val)


def loss(scores: Scores, classes: Tensor, target: Tensor, config: TrialConfig) -> Tensor:
    """Return the cross-entropy of the comparison, plus that of both digits if there are scores."""
    total = config.main_weight * F.cross_entropy(scores.comparison, target)
    if scores.digits is not None:
        for side in range(2):
            digit_loss = F.cross_entropy(scores.digits[:, side], classes[:, side])
            total = total + config.aux_weight * digit_loss
    return total


def augmented(images: Tensor, config: TrialConfig) -> Tensor:
    """Shift, rotate and zoom each image of a batch at random."""
    if not (config.shift or config.rotation or config.scale):
        return images
    amplitudes = [
        torch.tensor(x, dtype=torch.float32, device=images.device)
        for x in (config.shift, config.rotation, config.scale)
    ]
    noise = torch.rand(*images.shape[:2], 4, device=images.device) * 2 - 1
    shift, rotation, scale = (x.expand(1, 1) for x in amplitudes)
    return affine(images, noise, shift=shift, rotation=rotation, scale=scale)


def _dataset(data: Data, index: np.ndarray) -> TensorDataset:
    targets = data.train.targets
    arrays = (data.train.inputs["images"], targets["classes"], targets["target"])
    return TensorDataset(*(torch.as_tensor(array[index]) for array in arrays))
