"""MLflow's model registry: logs a trained model, registers it, and moves the champion's alias."""

import contextlib
import logging
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models.model import ModelInfo
from mlflow.models.signature import ModelSignature
from mlflow.types.schema import Schema, TensorSpec

from analysis.load import Store
from analysis.models import served_model
from analysis.models.champion import (
    ALIAS,
    FOLDER,
    KIND,
    Champion,
    champion_version,
    judge,
    load_champion,
)
from analysis.models.trained import Trained
from foldsweep import names as metrics
from foldsweep.errors import UserError
from foldsweep.programs import command
from foldsweep.tracking import shown
from trainables.keep.model import FittedModel

IMPORTS = ("mlflow", "torch", "safetensors", "numpy", "jaxtyping", "PyYAML")
"""What serving takes besides foldsweep itself, which is on no package index."""
QUIET = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""What keeps MLflow's functions from printing."""


def check(store: Store, name: str) -> None:
    """Refuse, before anything is done, what cannot be registered.

    Raises:
        UserError: If the name is not allowed, the store has no registry, or the champion of this
            name is none of ours.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise UserError(
            f"model name {name!r} must be letters, digits, '_', '-', '.', at most 64 of them"
        )
    champion_version(store, name)


def open_champion(store: Store, name: str) -> Champion | None:
    """The champion of a name, ready to be compared with; None where there is none.

    Raises:
        UserError: If it cannot be read.
    """
    with _mlflow(store.tracking_uri):
        return load_champion(store, name)


def register(store: Store, name: str, trained: Trained, champion: Champion | None) -> str:
    """Log and register a trained model; it becomes champion if it beats the present one.

    Args:
        store: Where the sweep is, and its registry.
        name: Name in the registry.
        trained: What to register.
        champion: What `open_champion` gave.

    Returns:
        What was done and why, in a sentence.

    Raises:
        UserError: If MLflow does not take the model, or another champion came in the meantime.
    """
    verdict = judge(trained, champion)
    found = champion_version(store, name)
    if (found and str(found.version)) != (champion and champion.version):
        raise UserError(f"{name} got another {ALIAS} in the meantime; run the same again")
    client = store.client
    try:
        with _mlflow(store.tracking_uri):
            logged = _log(store, trained)
            with contextlib.suppress(MlflowException):  # there already, or the next call fails too
                client.create_registered_model(name)
            uri, run_id, model_id = logged.model_uri, logged.run_id, logged.model_id
            made = client.create_model_version(
                name, uri, run_id, tags=_tags(trained), model_id=model_id
            )
        role = f" and {ALIAS}" if verdict.wins else f"; {ALIAS} stays"
        said = f"version {made.version} of {name} registered{role}{verdict.why}"
        client.update_model_version(name, made.version, description=said)
        if verdict.wins:
            client.set_registered_model_alias(name, ALIAS, made.version)
    except (MlflowException, OSError) as error:
        reason = next(iter(str(error).splitlines()), repr(error))
        raise UserError(
            shown(f"MLflow at {store.tracking_uri} does not take the model: {reason}")
        ) from None
    return said


def serve_command(store: Store, name: str) -> str:
    """The command that serves the champion, for a shell in this folder and environment."""
    uri = shlex.quote(shown(store.tracking_uri))
    served = command(
        *("mlflow", "models", "serve", "--model-uri", f"models:/{name}@{ALIAS}"),
        *("--env-manager", "local", "--host", "127.0.0.1", "--port", "5001"),
    )
    return f"MLFLOW_TRACKING_URI={uri} {served}"


def _log(store: Store, trained: Trained) -> ModelInfo:
    """The model in a run below the sweep's, with its configuration and its accuracy."""
    model, client = trained.model, store.client
    recipe = model.recipe
    tags = _tags(trained)
    if recipe.mlflow.get("sweep_run_id"):
        tags["mlflow.parentRunId"] = recipe.mlflow["sweep_run_id"]
    run = client.create_run(
        store.experiment_id, run_name=f"model {recipe.sweep}/{recipe.trial}", tags=tags
    )
    values = {
        metrics.TEST_ACCURACY: float(trained.right(model).mean()),
        metrics.NUM_PARAMS: float(recipe.num_params),
    }
    example = trained.data.test.images[:1]
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
            metadata={**_tags(trained), "config": recipe.config},
        )


def _signature(model: FittedModel, example: np.ndarray) -> ModelSignature:
    answers = served_model.named(model.predict(example))
    return ModelSignature(
        inputs=Schema([TensorSpec(example.dtype, (-1, *model.pair_shape))]),
        outputs=Schema(
            [TensorSpec(a.dtype, (-1, *a.shape[1:]), name) for name, a in answers.items()]
        ),
    )


def _tags(trained: Trained) -> dict[str, str]:
    """What a run, a version and a model's own file say of where it came from."""
    recipe = trained.model.recipe
    return {
        metrics.TAG_KIND: KIND,
        metrics.TAG_SWEEP: recipe.sweep,
        metrics.TAG_TRIAL: str(recipe.trial),
        metrics.TAG_SPACE: recipe.sweep.rpartition("/")[2],
        metrics.TAG_VARIANT: recipe.variant,
        metrics.TAG_DATASET: recipe.dataset,
        metrics.TAG_DATA_DIGEST: recipe.data_digest,
        metrics.TAG_TRAIN_PAIRS: str(recipe.train_pairs),
        metrics.TAG_TEST_PAIRS: str(recipe.test_pairs),
        metrics.TAG_SEED: str(recipe.seed),
        metrics.TEST_ACCURACY: str(float(trained.right(trained.model).mean())),
    }


def _requirements(model: FittedModel) -> list[str]:
    """Exact versions; given to MLflow so that it infers none, which takes long and a network."""
    names = [*IMPORTS, "ray"] if model.code is not None else IMPORTS
    return [f"{name}=={version(name).partition('+')[0]}" for name in names]


@contextlib.contextmanager
def _mlflow(tracking_uri: str) -> Iterator[None]:
    """MLflow's own functions on a store, without notices and progress bars."""
    logger, level = logging.getLogger("mlflow"), logging.getLogger("mlflow").level
    before = {name: os.environ.get(name) for name in ("MLFLOW_TRACKING_URI", *QUIET)}
    logger.setLevel(logging.WARNING)
    os.environ.update(QUIET)
    mlflow.set_tracking_uri(tracking_uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
        logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
