"""The champion of a registered model: finding and loading it, comparing a new model with it."""

from dataclasses import dataclass

import numpy as np
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from analysis.load import Store
from analysis.models.difference import compared
from analysis.models.fetch import ALIAS, KIND, fetched
from analysis.models.trained import Trained
from foldsweep import names
from foldsweep.errors import UserError, first_line
from foldsweep.numbers import shown as shown_number
from foldsweep.texts import text
from foldsweep.tracking import shown
from trainables.keep.model import KeptModel
from trainables.tasks.samples import Samples
from trainables.tasks.task import Task

NONE_YET = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""MLflow's error codes if the name or its alias does not exist."""


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The version of a registered model that has the champion's alias."""

    version: str
    model: KeptModel


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a new model takes the alias, and why, as the end of a sentence."""

    wins: bool
    why: str


def champion_version(store: Store, name: str) -> ModelVersion | None:
    """The registry's entry of the champion; None if there is none.

    Raises:
        UserError: If the store has no registry, or the champion is not a foldsweep model.
    """
    try:
        found = store.client.get_model_version_by_alias(name, ALIAS)
    except MlflowException as error:
        if error.error_code in NONE_YET:
            return None
        raise UserError.of(
            "champion.registry-silent", uri=shown(store.tracking_uri), reason=first_line(error)
        ) from None
    if found.tags.get(names.TAG_KIND) != KIND:
        raise UserError.of("champion.not-of-foldsweep", name=found.name, version=found.version)
    return found


def load_champion(store: Store, name: str) -> Champion | None:
    """Load the champion for a comparison; None if there is none.

    Raises:
        UserError: If the store has no registry, or the champion is not a foldsweep model or cannot
            be read.
    """
    found = champion_version(store, name)
    if found is None:
        return None
    try:
        model = fetched(f"models:/{name}/{found.version}")
    except UserError as error:
        raise UserError.of(
            "champion.unreadable", name=found.name, version=found.version, reason=error
        ) from None
    return Champion(version=str(found.version), model=model)


def judge(trained: Trained, champion: Champion | None) -> Verdict:
    """Compare a new model with the champion on the test rows of the new model.

    The new model wins if it is significantly better in the objective. The champion stays if it may
    have been trained on these rows, or is of another task.

    Raises:
        UserError: If the objective is not defined on the test rows.
    """
    if champion is None:
        return Verdict(wins=True, why=text("champion.first", score=trained.said))
    version = champion.version
    reason = _not_comparable(trained, champion.model)
    if reason is not None:
        return Verdict(wins=False, why=text("champion.stays", version=version, why=reason))
    ours, theirs = trained.measured(trained.model), trained.measured(champion.model)
    try:
        difference = compared(trained.objective, ours, theirs, trained.groups)
    except UserError as error:
        return Verdict(wins=False, why=text("champion.stays", version=version, why=error))
    said = text(
        "champion.compared",
        metric=trained.objective,
        score=shown_number(ours.value()),
        other_score=shown_number(theirs.value()),
        rows=f"{len(ours)} {trained.data.name} {trained.task.unit}",
        test=difference.said,
    )
    if champion.model.recipe.data_digest != trained.data.digest:
        said += text("champion.other-data", version=version, data=_data_of(champion.model))
    why = text(
        "champion.better" if difference.better else "champion.not-better",
        version=version,
        finding=said,
    )
    return Verdict(wins=difference.better, why=why)


def _not_comparable(trained: Trained, other: KeptModel) -> str | None:
    """Why a comparison is impossible or would be unfair to the new model; None if it is fair.

    A champion of the same data was not trained on its test rows. A champion's other data is read
    again, verified by its digest, and searched for parts of the test rows.
    """
    if other.recipe.task != trained.model.recipe.task:
        return text("champion.of-another-task", task=other.recipe.task)
    if trained.data.test is None:
        return text("champion.no-test-rows")
    mine = trained.model
    if (other.classes, other.raw, other.schema) != (mine.classes, mine.raw, mine.schema):
        return text("champion.other-inputs", data=_data_of(other))
    if other.recipe.data_digest == trained.data.digest:
        return None
    try:
        seen = trained.places.data_of(other.recipe, other.variant.task).train
    except UserError:
        return text("champion.data-gone", data=_data_of(other))
    if _share_parts(trained.task, seen, trained.data.test):
        return text("champion.has-seen-rows", unit=trained.task.unit)
    return None


def _share_parts(task: Task, seen: Samples, test: Samples) -> bool:
    """Whether training and test rows share a part: see `Task.parts`, or else whole rows."""
    return bool(_parts(task, seen) & _parts(task, test))


def _parts(task: Task, samples: Samples) -> set[bytes]:
    if task.parts is not None:
        numbers = task.parts(samples)
    else:
        flat = [array.reshape(len(samples), -1) for array in samples.inputs.values()]
        numbers = np.concatenate([array.astype(np.float64) for array in flat], axis=1)
    return {row.tobytes() for row in np.ascontiguousarray(numbers)}


def _data_of(model: KeptModel) -> str:
    return text("champion.data", dataset=model.recipe.dataset, seed=model.recipe.seed)
