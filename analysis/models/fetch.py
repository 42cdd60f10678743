"""Models from MLflow's registry: downloaded, and loaded with the installed foldsweep."""

import contextlib
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from analysis.models.variants import variant_of
from foldsweep.artifacts import moved_place
from foldsweep.errors import UserError, first_line
from foldsweep.programs import console
from foldsweep.texts import text
from foldsweep.tracking import shown, sqlite_path
from trainables.keep.model import CODE_FILE, RECIPE_FILE, KeptModel

MOST_MODELS = 1000
"""Registered models that are searched for a name; the most that MLflow lists at once."""
KIND = "model"
"""Value of the kind tag of a model's run, and of each version of a registered model."""
ALIAS = "champion"
"""Alias of the version of a registered model that is served."""
FOLDER = "model"
"""Folder of a `KeptModel` among the artifacts of a logged model."""
QUIET = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Environment variables that keep MLflow's functions from printing."""


@contextlib.contextmanager
def quiet_mlflow(tracking_uri: str) -> Iterator[None]:
    """Context that sets MLflow's functions to a store, without notices and progress bars."""
    logger, level = logging.getLogger("mlflow"), logging.getLogger("mlflow").level
    before = {name: os.environ.get(name) for name in ("MLFLOW_TRACKING_URI", *QUIET)}
    uri = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    logger.setLevel(logging.WARNING)
    os.environ.update(QUIET)
    mlflow.set_tracking_uri(tracking_uri)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        mlflow.set_tracking_uri(uri)  # type: ignore[arg-type]  # None unsets it
        logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def fetched(uri: str) -> KeptModel:
    """Load the model of an MLflow URI, from the store that MLflow is set to.

    Raises:
        UserError: If there is no such model, or it is not a foldsweep model or cannot be read.
    """
    try:
        here = _moved(uri)
        if here is not None and here.is_dir():
            return KeptModel.load(here / "artifacts" / FOLDER, variant_of=variant_of)
        with tempfile.TemporaryDirectory() as to:
            files = Path(mlflow.artifacts.download_artifacts(uri, dst_path=to))
            return KeptModel.load(files / "artifacts" / FOLDER, variant_of=variant_of)
    except (MlflowException, OSError) as error:
        raise UserError(first_line(error)) from None


def _moved(uri: str) -> Path | None:
    """Folder of a version's files if the store has moved since it was registered, else None."""
    client = mlflow.MlflowClient()
    name, _, version = uri.removeprefix("models:/").partition("/")
    if "@" in name:
        name, alias = name.rsplit("@", 1)
        version = client.get_model_version_by_alias(name, alias).version
    recorded = client.get_model_version_download_uri(name, version) if version else None
    return moved_place(mlflow.get_tracking_uri(), recorded)


def opened(given: str, tracking_uri: str) -> KeptModel:
    """Load a model by the path of its folder or its name in the registry.

    Args:
        given: Folder of a kept model, `models:/NAME@ALIAS`, `models:/NAME/VERSION`, or the name of
            a registered model, which means its champion.
        tracking_uri: MLflow server or store.

    Raises:
        UserError: If there is no such model, or it is damaged or not a foldsweep model.
    """
    folder = Path(given)
    if folder.is_dir():
        if not (folder / RECIPE_FILE).is_file():
            raise UserError.of("fetch.folder-without-model", folder=folder, file=RECIPE_FILE)
        if (folder / CODE_FILE).is_file():
            console.print(text("fetch.own-code", file=folder / CODE_FILE))
        return KeptModel.load(folder, variant_of=variant_of)
    if not given.startswith("models:/"):
        if "/" in given or not given:
            raise UserError.of("fetch.folder-missing", model=given)
        given = f"models:/{given}@{ALIAS}"
    path = sqlite_path(tracking_uri)
    if path is not None and not path.is_file():
        raise UserError.of("fetch.store-missing", model=given, path=path)
    with quiet_mlflow(tracking_uri):
        try:
            return fetched(given)
        except UserError as error:
            _require_registered(given, tracking_uri)
            raise UserError.of(
                "fetch.model-unreadable",
                model=shown(given),
                uri=shown(tracking_uri),
                reason=shown(str(error)),
            ) from None


def _require_registered(uri: str, tracking_uri: str) -> None:
    """Refuse a model name that the registry lacks, and name those it has, if it can be read.

    Raises:
        UserError: If no model is registered under the name of a `models:/` URI.
    """
    name = re.split("[/@]", uri.removeprefix("models:/"), maxsplit=1)[0]
    try:
        models = mlflow.MlflowClient().search_registered_models(max_results=MOST_MODELS)
    except MlflowException:
        return
    known = sorted(model.name for model in models)
    if name not in known and len(known) < MOST_MODELS:
        raise UserError.of(
            "fetch.name-not-registered",
            name=name,
            uri=shown(tracking_uri),
            known=", ".join(known) or "none",
        )
