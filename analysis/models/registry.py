"""MLflow's model registry: logs a trained model, registers it, and moves the champion's alias."""

import contextlib
import re
import shlex
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.models.model import ModelInfo
from mlflow.models.signature import ModelSignature
from mlflow.types.schema import AnyType, ColSpec, Schema, TensorSpec

from analysis.load import ELSEWHERE, Store
from analysis.models import served_model
from analysis.models.champion import ALIAS, Champion, champion_version, judge, load_champion
from analysis.models.fetch import FOLDER, KIND, quiet_mlflow
from analysis.models.trained import Trained
from foldsweep import names
from foldsweep.errors import UserError, first_line
from foldsweep.programs import command
from foldsweep.texts import text
from foldsweep.tracking import shown
from trainables.keep.model import KeptModel
from trainables.keep.table import frame_of_inputs

IMPORTS = ("mlflow", "torch", "safetensors", "numpy", "jaxtyping", "PyYAML")
"""Packages that serving needs besides foldsweep itself, which is on no package index."""
OF_TABLES = ("pandas", "scikit-learn", "ray")
"""Further packages for a user's own data: for its schema, its task, and its variant's space."""
OF_ESTIMATORS = ("scikit-learn", "skops", "scipy")
"""Further packages for estimators."""


def check(store: Store, name: str) -> None:
    """Refuse a name that models cannot be registered under, before any work is done.

    Raises:
        UserError: If the name is not allowed, the store has no registry, or the champion of this
            name is not a foldsweep model.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise UserError.of("model-registry.name-not-allowed", name=name)
    champion_version(store, name)


def open_champion(store: Store, name: str) -> Champion | None:
    """Load the champion of a name for a comparison; None if there is none.

    Raises:
        UserError: If the champion cannot be read.
    """
    with quiet_mlflow(store.tracking_uri):
        return load_champion(store, name)


def register(store: Store, name: str, trained: Trained, champion: Champion | None) -> str:
    """Log and register a trained model, which becomes champion if it beats the present one.

    Args:
        store: Store of the sweep and of the registry.
        name: Name in the registry.
        trained: Model to register.
        champion: Result of `open_champion`.

    Returns:
        A sentence that says what was done and why.

    Raises:
        UserError: If MLflow does not accept the model, or the champion changed in the meantime.
    """
    verdict = judge(trained, champion)
    found = champion_version(store, name)
    if (found and str(found.version)) != (champion and champion.version):
        raise UserError.of("model-registry.champion-changed", name=name)
    client = store.client
    if (old := store.moved_from()) is not None:
        raise UserError.of("model-registry.store-moved", place=old, meaning=ELSEWHERE)
    try:
        with quiet_mlflow(store.tracking_uri):
            logged = _log(store, trained)
            with contextlib.suppress(MlflowException):  # exists already, or the next call fails
                client.create_registered_model(name)
            uri, run_id, model_id = logged.model_uri, logged.run_id, logged.model_id
            made = client.create_model_version(
                name, uri, run_id, tags=_tags(trained), model_id=model_id
            )
        said = text(
            "model-registry.champion" if verdict.wins else "model-registry.no-champion",
            version=made.version,
            name=name,
            alias=ALIAS,
            why=verdict.why,
        )
        client.update_model_version(name, made.version, description=said)
        if verdict.wins:
            client.set_registered_model_alias(name, ALIAS, made.version)
    except (MlflowException, OSError) as error:
        uri, reason = shown(store.tracking_uri), shown(first_line(error))
        raise UserError.of("model-registry.model-refused", uri=uri, reason=reason) from None
    return said


def serve_command(store: Store, name: str) -> str:
    """The command that serves the champion, for a shell in this folder and environment."""
    uri = shlex.quote(shown(store.tracking_uri))
    served = command(
        *("mlflow", "models", "serve", "--model-uri", f"models:/{name}@{ALIAS}"),
        *("--env-manager", "local", "--host", "127.0.0.1", "--port", "5001"),
    )
    folder = Path(sys.executable).parent
    server = shutil.which("uvicorn")  # MLflow searches it on the path
    there = server is not None and Path(server).parent == folder
    path = "" if there else f'PATH={shlex.quote(str(folder))}:"$PATH" '
    return f"MLFLOW_TRACKING_URI={uri} {path}{served}"


def _log(store: Store, trained: Trained) -> ModelInfo:
    """Log the model to a child run of the sweep, with its configuration and its scores."""
    model, client = trained.model, store.client
    recipe = model.recipe
    tags = _tags(trained)
    if recipe.mlflow.get("sweep_run_id"):
        tags["mlflow.parentRunId"] = recipe.mlflow["sweep_run_id"]
    run = client.create_run(
        store.experiment_id, run_name=f"model {recipe.sweep}/{recipe.trial}", tags=tags
    )
    values = {names.test_key(name): value for name, value in trained.scores.items()}
    values[names.NUM_PARAMS] = float(recipe.num_params * trained.model.size)
    rows = trained.data.train if trained.data.test is None else trained.data.test
    example = _example(model, rows.take(slice(0, 1)).inputs)
    with (
        mlflow.start_run(run_id=run.info.run_id),
        tempfile.TemporaryDirectory() as temporary,
    ):
        client.log_batch(
            run.info.run_id,
            [Metric(key, value, run.info.start_time, 0) for key, value in values.items()],
            [Param(key, str(value)) for key, value in recipe.config.items()],
        )
        folder = Path(temporary) / FOLDER
        folder.mkdir()
        model.save(folder)
        return mlflow.pyfunc.log_model(
            name=KIND,
            python_model=served_model.__file__,  # a file of code to copy: nothing is pickled
            artifacts={FOLDER: str(folder)},
            signature=_signature(model, example),
            input_example=example,
            pip_requirements=_requirements(model),
            metadata={**_tags(trained), "config": recipe.config, **_columns(model)},
        )


def _example(model: KeptModel, inputs: Any) -> Any:
    """One row in the form of a request: a data frame, one array, or arrays by name."""
    if model.is_table:
        return frame_of_inputs(model.schema, inputs)
    arrays = model.checked(inputs)
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def _signature(model: KeptModel, example: Any) -> ModelSignature:
    """Signature with names and shapes; columns of a table have names but any type.

    With types, MLflow would turn a missing boolean into false and text into true, and refuse whole
    numbers in a column of doubles, so the schema of the model checks the types instead.
    """
    answers = served_model.answers(model, example)
    if model.is_table:
        inputs = Schema([ColSpec(AnyType(), str(name)) for name in example.columns])
        return ModelSignature(inputs=inputs, outputs=infer_signature(answers).inputs)
    alone = len(model.raw) == 1
    return ModelSignature(
        inputs=Schema(
            [
                TensorSpec(np.dtype(raw.dtype), (-1, *raw.shape), None if alone else name)
                for name, raw in model.raw.items()
            ]
        ),
        outputs=Schema(
            [TensorSpec(_type(a), (-1, *a.shape[1:]), name) for name, a in answers.items()]
        ),
    )


def _type(array: np.ndarray) -> np.dtype:
    return np.dtype(str) if array.dtype.kind == "U" else array.dtype


def _columns(model: KeptModel) -> dict[str, dict[str, str]]:
    """Use of each input column of a table, such as number or category; empty for other data."""
    if not model.is_table:
        return {}
    used = ("number", "boolean", "date", "category")
    return {"columns": {c.name: c.use for c in model.schema.columns if c.use in used}}


def _tags(trained: Trained) -> dict[str, str]:
    """Provenance of a model: tags of its run and version, and metadata of its own file."""
    recipe = trained.model.recipe
    return {
        names.TAG_KIND: KIND,
        names.TAG_SWEEP: recipe.sweep,
        **({names.TAG_UUID: uuid} if (uuid := recipe.mlflow.get("sweep_uuid")) else {}),
        names.TAG_TRIAL: str(recipe.trial),
        names.TAG_SPACE: recipe.sweep.rpartition("/")[2],
        names.TAG_TASK: recipe.task,
        names.TAG_VARIANT: recipe.variant,
        names.TAG_DATASET: recipe.dataset,
        names.TAG_DATA_DIGEST: recipe.data_digest,
        names.TAG_TRAIN_ROWS: str(len(trained.data.train)),
        names.TAG_TEST_ROWS: str(0 if trained.data.test is None else len(trained.data.test)),
        names.TAG_SEED: str(recipe.seed),
        **({names.TAG_ENSEMBLE: str(trained.model.size)} if trained.model.size > 1 else {}),
        **{
            names.test_key(name): str(value)
            for name, value in trained.scores.items()
            if name == trained.objective
        },
    }


def _requirements(model: KeptModel) -> list[str]:
    """Exact package versions; without them MLflow would infer some, slowly and with a network."""
    needed = [*IMPORTS]
    needed += OF_TABLES if model.schema is not None else ()
    needed += OF_ESTIMATORS if model.estimators else ()
    needed += ["ray"] if model.code is not None else ()
    return [f"{name}=={version(name).partition('+')[0]}" for name in dict.fromkeys(needed)]
