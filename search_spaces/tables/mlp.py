"""Perceptron on tables, and on arrays of any shape."""

from ray import tune

from search_spaces.space import Point, SearchSpace
from trainables.models.perceptron import (
    Perceptron,
    PerceptronClassifierConfig,
    PerceptronConfig,
)
from trainables.tasks.task import Task, Variant


def space(task: Task) -> SearchSpace:
    """Width, depth, dropout, residual connections, embedding of categories, learning rate.

    The first point is the baseline: the default of scikit-learn's multilayer perceptron, with one
    layer of 100 ReLU units, Adam with learning rate 0.001, weight decay 0.0001, batches of 200.

    References:
        Gorishniy et al. (2021), "Revisiting deep learning models for tabular data", NeurIPS.
        Kadra et al. (2021), "Well-tuned simple nets excel on tabular datasets", NeurIPS.
    """
    classifies = task.kind == "classification"
    embeds = task.encode is not None and bool(task.encode.levels)
    return SearchSpace(
        name="mlp",
        variant=Variant(
            name="mlp",
            task=task,
            model=Perceptron,
            config=PerceptronClassifierConfig if classifies else PerceptronConfig,
        ),
        domains={
            "lr": tune.loguniform(3e-4, 3e-2),
            "weight_decay": tune.loguniform(1e-6, 1e-2),
            "batch_size": tune.lograndint(32, 257),  # 32..256: Tune's upper bound is exclusive
            "lr_schedule": tune.choice(["cosine", "constant"]),
            "hidden": tune.lograndint(16, 513),
            "hidden_layers": tune.randint(1, 5),
            "dropout": tune.uniform(0.0, 0.5),
            "residual": tune.choice([False, True]),
            "batch_norm": tune.choice([False, True]),
            "epochs": 50,
            **({"embedding": tune.choice([0, 4, 8])} if embeds else {}),
            **({"class_weight": tune.choice(["none", "balanced"])} if classifies else {}),
        },
        points=[
            Point(
                name="scikit-learn default",
                config={
                    "lr": 1e-3,
                    "weight_decay": 1e-4,
                    "batch_size": 200,
                    "lr_schedule": "constant",
                    "hidden": 100,
                    "hidden_layers": 1,
                    "dropout": 0.0,
                    "residual": False,
                    "batch_norm": False,
                    **({"embedding": 0} if embeds else {}),
                    **({"class_weight": "none"} if classifies else {}),
                },
            )
        ],
    )
