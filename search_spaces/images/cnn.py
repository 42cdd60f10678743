"""Convolutional network on images of any size and number of channels."""

from ray import tune

from foldsweep.errors import UserError
from search_spaces.space import Point, SearchSpace
from trainables.models.images import ConvNet, ConvNetClassifierConfig, ConvNetConfig
from trainables.tasks.task import Task, Variant


def space(task: Task) -> SearchSpace:
    """Channels, hidden width, dropout, augmentation of training images, learning rate.

    The first point is the baseline: Adam with PyTorch's default learning rate, two blocks, no
    regularisation.

    Raises:
        UserError: If the task has no images.
    """
    if task.augment is None:
        raise UserError.of("cnn.task-without-images", task=task.name)
    classifies = task.kind == "classification"
    return SearchSpace(
        name="cnn",
        variant=Variant(
            name="cnn",
            task=task,
            model=ConvNet,
            config=ConvNetClassifierConfig if classifies else ConvNetConfig,
        ),
        domains={
            "lr": tune.loguniform(3e-4, 2e-2),
            "weight_decay": tune.uniform(0.0, 5e-4),
            "batch_size": tune.lograndint(32, 129),  # 32..128: Tune's upper bound is exclusive
            "lr_schedule": tune.choice(["cosine", "constant"]),
            "channels": tune.qrandint(8, 64, 8),  # multiples of 8 suit vector units
            "hidden": tune.qrandint(32, 256, 32),
            "dropout": tune.uniform(0.0, 0.6),
            "shift": tune.uniform(0.0, 2.0),
            "rotation": tune.uniform(0.0, 20.0),
            "scale": tune.uniform(0.0, 0.2),
            "padding": 1,
            "batch_norm": "before",
            "epochs": 30,
            **({"class_weight": tune.choice(["none", "balanced"])} if classifies else {}),
        },
        points=[
            Point(
                name="plain network",
                config={
                    "lr": 1e-3,
                    "weight_decay": 0.0,
                    "batch_size": 64,
                    "lr_schedule": "constant",
                    "channels": 32,
                    "hidden": 64,
                    "dropout": 0.0,
                    "shift": 0.0,
                    "rotation": 0.0,
                    "scale": 0.0,
                    **({"class_weight": "none"} if classifies else {}),
                },
            )
        ],
    )
