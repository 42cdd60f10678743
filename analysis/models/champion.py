"""The champion of a registered model: finding it, loading it, and comparing another with it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
from jaxtyping import Bool
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from scipy.stats import binomtest

from analysis.load import Store
from analysis.models.own_code import own_variant
from analysis.models.trained import Trained
from foldsweep import names as metrics
from foldsweep.errors import UserError
from foldsweep.tracking import shown
from trainables.keep.model import FittedModel

ALIAS = "champion"
KIND = "model"
"""What a run, and each version of a registered model, is tagged to be."""
FOLDER = "model"
"""Folder of a `FittedModel` among the artifacts of a logged model."""
ALPHA = 0.05
"""A p-value from which on the difference of two models may be noise."""
NONE_YET = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow answers where the name or its alias is not there."""


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The version of a registered model that has the alias."""

    version: str
    model: FittedModel


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a new model takes the alias, and why, as the end of a sentence."""

    wins: bool
    why: str


def champion_version(store: Store, name: str) -> ModelVersion | None:
    """What the registry knows of the champion; None where there is none.

    Raises:
        UserError: If the store has no registry, or the champion is none of ours.
    """
    try:
        found = store.client.get_model_version_by_alias(name, ALIAS)
    except MlflowException as error:
        if error.error_code in NONE_YET:
            return None
        reason = str(error).splitlines()[0]
        raise UserError(
            f"MLflow at {shown(store.tracking_uri)} has no model registry that answers: {reason}"
        ) from None
    if found.tags.get(metrics.TAG_KIND) != KIND:
        raise UserError(f"{_named(found)} is no model of foldsweep; choose another name")
    return found


def load_champion(store: Store, name: str) -> Champion | None:
    """The champion, ready to be compared with; None where there is none.

    Raises:
        UserError: If the store has no registry, or the champion is none of ours or cannot be read.
    """
    found = champion_version(store, name)
    if found is None:
        return None
    uri = f"models:/{name}/{found.version}"
    try:
        with tempfile.TemporaryDirectory() as to:
            files = Path(mlflow.artifacts.download_artifacts(uri, dst_path=to))
            model = FittedModel.load(files / "artifacts" / FOLDER, own_variant=own_variant)
    except (UserError, MlflowException, OSError) as error:
        raise UserError(
            f"{_named(found)} cannot be read: {error}; choose another name, or delete that version"
        ) from None
    return Champion(version=str(found.version), model=model)


def judge(trained: Trained, champion: Champion | None) -> Verdict:
    """Compare a new model with the champion on the test pairs of the new one.

    It wins by being right more often, beyond noise. Where the champion may have seen these pairs,
    or answers other questions, it stays.
    """
    ours = trained.right(trained.model)
    pairs = f"{len(ours)} {trained.data.dataset} pairs"
    if champion is None:
        return Verdict(wins=True, why=f", the first one: {ours.mean():.4f} of {pairs} right")
    who = f" version {champion.version}"
    reason = _not_comparable(trained, champion)
    if reason is not None:
        return Verdict(wins=False, why=f"{who}, not compared: {reason}")
    theirs = trained.right(champion.model)
    p = mcnemar(ours, theirs)
    wins = bool(ours.mean() > theirs.mean() and p < ALPHA)
    said = f"{ours.mean():.4f} against {theirs.mean():.4f} on the same {pairs}, p = {p:.2g}"
    recipe = champion.model.recipe
    if recipe.data_digest != trained.data.digest:
        said += f" (version {champion.version} was trained on others: {_data_of(champion)})"
    return Verdict(wins=wins, why=f"{' in place of' if wins else ''}{who}: {said}")


def mcnemar(ours: Bool[np.ndarray, " n"], theirs: Bool[np.ndarray, " n"]) -> float:
    """Exact two-sided p-value of two models being right equally often, from the same n answers.

    References:
        McNemar (1947), "Note on the sampling error of the difference between correlated
        proportions or percentages", Psychometrika 12.
    """
    only_ours, only_theirs = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    differing = only_ours + only_theirs
    return float(binomtest(only_ours, differing).pvalue) if differing else 1.0


def _not_comparable(trained: Trained, champion: Champion) -> str | None:
    """Why a comparison would not be fair to the new model; None where it would.

    Test pairs hold images that no training pair of the same dataset holds, and datasets have no
    image in common. So a champion has not seen them, whatever pairs it was trained on; those of
    the same dataset are drawn again, proven by their digest, and looked through nevertheless.
    """
    if champion.model.pair_shape != trained.model.pair_shape:
        return f"it was trained on {_data_of(champion)}, which are no such pairs"
    recipe = champion.model.recipe
    if recipe.dataset != trained.data.dataset:
        return None
    try:
        seen = recipe.draw_pairs(trained.source).train
    except UserError:
        return f"what it was trained on, {_data_of(champion)}, cannot be drawn again here"
    if seen.shares_images(trained.data.test):
        return "it was trained on images of these test pairs"
    return None


def _named(found: ModelVersion) -> str:
    return f"version {found.version} of {found.name}, its {ALIAS},"


def _data_of(champion: Champion) -> str:
    recipe = champion.model.recipe
    return f"{recipe.dataset}, seed {recipe.seed}, {recipe.train_pairs} pairs"
