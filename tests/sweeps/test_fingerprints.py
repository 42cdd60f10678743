"""Fingerprints of the task and the space."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from sweeps.fingerprints import task_fingerprint
from sweeps.settings import SweepSettings
from sweeps.sweep import make_folds
from trainables.tasks.options import TableOptions
from trainables.tasks.tables import table_task
from trainables.tasks.task import DataRequest


def test_a_task_s_fingerprint_is_of_its_metrics_loss_and_folds() -> None:
    table = table_task(TableOptions(data="wine"), seed=0, objective=None)
    data = table.load(DataRequest(seed=0))
    settings = SweepSettings(space=("mlp",))
    folds = make_folds(table, data, settings)
    other_folds = make_folds(table, data, replace(settings, seed=1))
    same = task_fingerprint(table, folds)
    assert same == task_fingerprint(replace(table), folds)
    accuracy = replace(table.metrics["accuracy"], equal=0.5)
    changed = [
        task_fingerprint(table, other_folds),
        task_fingerprint(table, folds[:-1]),
        task_fingerprint(replace(table, name="wines"), folds),
        task_fingerprint(replace(table, metrics={**table.metrics, "accuracy": accuracy}), folds),
        task_fingerprint(replace(table, loss=torch.nn.functional.cross_entropy), folds),
    ]
    assert len({same, *changed}) == 1 + len(changed)


PRINTS = """
from dataclasses import replace
from functools import partial
from torch import nn
from torch.nn.functional import cross_entropy
from sweeps.fingerprints import task_fingerprint
from trainables.tasks.larger_digit import TASK

class Loss:
    def __call__(self, output, target):
        pass

for loss in (
    partial(cross_entropy, reduction="none"),
    partial(cross_entropy, reduction="none", label_smoothing=0.1),
    nn.CrossEntropyLoss(reduction="none"),
    Loss(),
    lambda output, target: 0,
):
    print(task_fingerprint(replace(TASK, loss=loss), ()))
"""


@pytest.mark.slow
def test_a_fingerprint_is_the_same_in_every_process() -> None:
    """The address of a function is not part of it."""
    found = [
        subprocess.run([sys.executable, "-c", PRINTS], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert found[0].stdout == found[1].stdout
    assert len(set(found[0].stdout.split())) == 5
