"""Digests of data, task and space, by which a resumed sweep detects that one has changed."""

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from optuna.distributions import BaseDistribution

from foldsweep.errors import UserError
from foldsweep.user_code import USER_MODULE
from search_spaces.constraints import source_of
from search_spaces.space import SearchSpace
from sweeps.study import StoredStudy
from trainables.data.folds import Fold
from trainables.tasks.samples import Data
from trainables.tasks.task import Task

IDENTITY_ATTR = "identity"
"""Study attribute with the digests, by name of the hashed object, such as `data`."""


def require_same(study: StoredStudy, identity: Mapping[str, str], *, sweep: str | None) -> None:
    """Record the identity of a new study; require the same identity of a resumed one.

    Args:
        study: The study of a space.
        identity: Digests, by name of the hashed object.
        sweep: Name of the resumed sweep, for the message; None for a new sweep.

    Raises:
        UserError: If something has changed since the study was made.
    """
    stored = study.user_attrs().get(IDENTITY_ATTR)
    if stored is None:
        study.set_user_attr(IDENTITY_ATTR, dict(identity))
        return
    for key, value in identity.items():
        if stored.get(key) != value:
            raise UserError.of("fingerprints.changed-since", sweep=sweep, part=key)


def identity_of(task: Task, data: Data, folds: tuple[Fold, ...]) -> dict[str, str]:
    """Digests of data and task; scores are comparable only if both are equal."""
    return {"data": data.digest, "task": task_fingerprint(task, folds)}


def task_fingerprint(task: Task, folds: tuple[Fold, ...]) -> str:
    """Digest of the parts of a task that define its scores: metrics, loss and folds."""
    sha256 = hashlib.sha256(json.dumps([task.name, task.optimisable]).encode())
    sha256.update(_called(task.loss).encode())
    for fold in folds:
        sha256.update(fold.train.tobytes() + b"|" + fold.val.tobytes())
    return sha256.hexdigest()[:16]


def space_fingerprint(distributions: Mapping[str, BaseDistribution], space: SearchSpace) -> str:
    """Digest of everything that defines the configurations of a space and their meaning."""
    parts = {
        "distributions": {k: repr(d) for k, d in sorted(distributions.items())},
        "fixed": {k: repr(v) for k, v in sorted(space.fixed.items())},
        "points": [
            (p.name, sorted((k, repr(v)) for k, v in p.config.items())) for p in space.points
        ],
        "variant": space.variant.full_name,
    }
    if space.tree.conditions:
        parts["conditions"] = repr(sorted(space.tree.conditions.items()))
    if space.constraint is not None:
        parts["constraint"] = source_of(space.constraint)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _called(function: Any) -> str:
    """Name of a function, the same in every process; its `repr` may differ between processes."""
    if isinstance(function, partial):
        return f"{_called(function.func)}{function.args}{sorted(function.keywords.items())}"
    named = function if hasattr(function, "__qualname__") else type(function)
    module = USER_MODULE if named.__module__.startswith(USER_MODULE) else named.__module__
    return f"{module}.{named.__qualname__}"
