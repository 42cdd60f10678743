"""Helpers that ask a ledger for trials and end them."""

from collections.abc import Callable

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from search_spaces.space import SearchSpace
from sweeps.ledger import Asked, Ledger

MakeLedger = Callable[..., Ledger]
MakeSpace = Callable[..., SearchSpace]
Reopen = Callable[[], BaseStorage]

BASELINE = {"lr": 0.5, "batch_size": 7, "dropout": 0.9, "hidden": 13, "weight_decay": 0.25}
NEAREST = {"lr": 1e-2, "batch_size": 16, "dropout": 0.6, "hidden": 16}
GRID = {"lr": (1e-3, 1e-2), "hidden": (8, 16, 24)}
LARGER_GRID = {**GRID, "batch_size": (16, 32)}
ENOUGH = 10
"""Number of trials, the baseline included, that is enough for early stopping."""


def complete(ledger: Ledger, asked: Asked, score: float = 0.5) -> None:
    ledger.complete(asked.number, [score], {"num_params": 3})


def ask(ledger: Ledger) -> Asked:
    asked = ledger.ask()
    assert asked is not None
    return asked


def study_of(storage: BaseStorage) -> optuna.Study:
    """The study, opened as any other program would."""
    return optuna.load_study(study_name="first/small", storage=storage)


def trials_of(ledger: Ledger) -> list[FrozenTrial]:
    return study_of(ledger.study.storage).trials
