"""Where MLflow is: the one setting that sweeps and analysis must read alike."""

import os
import re
from pathlib import Path

SQLITE = "sqlite:///"
DEFAULT_URI = "sqlite:///mlflow.db"
DEFAULT_EXPERIMENT = "foldsweep"


def tracking_uri(given: str | None) -> str:
    """The tracking URI: as given, else MLFLOW_TRACKING_URI, else `mlflow.db` in this folder.

    A relative SQLite path is made absolute, since Ray's workers and the uploader run elsewhere.
    """
    return absolute_uri(given or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI)


def absolute_uri(uri: str) -> str:
    """The same URI with a relative SQLite path made absolute."""
    path = uri.removeprefix(SQLITE)
    return uri if path == uri else f"{SQLITE}{Path(path).absolute()}"


def store_options(uri: str, experiment: str) -> list[str]:
    """Options with which programs of analysis find a store; none, where they need none.

    Args:
        uri: Tracking URI, absolute; its password is masked.
        experiment: MLflow experiment.
    """
    options = [] if uri == tracking_uri(None) else ["--tracking-uri", shown(uri)]
    return options + ([] if experiment == DEFAULT_EXPERIMENT else ["--experiment", experiment])


def shown(text: str) -> str:
    """Text without the user and password of any URI in it."""
    return re.sub(r"//[^\s'\"]*@", "//***@", text)
