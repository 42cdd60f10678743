"""Where MLflow is: the one setting that sweeps and analysis must read alike."""

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote

_SQLITE = re.compile(r"sqlite(?:\+pysqlite)?:///([^?]+)(.*)")
"""URI of a database file: its path, where `%` escapes, and options."""
DEFAULT_URI = "sqlite:///mlflow.db"
DEFAULT_EXPERIMENT = "foldsweep"


def tracking_uri(given: str | None) -> str:
    """The tracking URI: as given, else MLFLOW_TRACKING_URI, else `mlflow.db` in this folder.

    A relative SQLite path is made absolute, since Ray's workers and the uploader run elsewhere.
    """
    return absolute_uri(given or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI)


def default_experiment() -> str:
    """The MLflow experiment where none is given: MLFLOW_EXPERIMENT_NAME, else `foldsweep`."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT


def absolute_uri(uri: str) -> str:
    """The same URI with a relative SQLite path made absolute."""
    path, found = sqlite_path(uri), _SQLITE.fullmatch(uri)
    if path is None or found is None or path.is_absolute():
        return uri
    return sqlite_uri(path.absolute()) + found[2]


def sqlite_path(uri: str) -> Path | None:
    """The database file that a URI names; None if it names none."""
    found = _SQLITE.fullmatch(uri)
    return None if found is None else Path(unquote(found[1]))


def sqlite_uri(path: Path) -> str:
    """The URI of a database file, whatever its folders are called."""
    escaped = re.sub("[%?]", lambda special: quote(special[0]), str(path))
    # of the shorter form MLflow makes the folder as it is written, with its escapes
    return f"sqlite{'' if escaped == str(path) else '+pysqlite'}:///{escaped}"


def store_options(uri: str, experiment: str) -> list[str]:
    """Options with which programs of analysis find a store; none, where they need none.

    Args:
        uri: Tracking URI, absolute; its password is masked.
        experiment: MLflow experiment.
    """
    options = [] if uri == tracking_uri(None) else ["--tracking-uri", shown(uri)]
    return options + ([] if experiment == default_experiment() else ["--experiment", experiment])


def shown(text: str) -> str:
    """Text without the user and password of any URI in it."""
    return re.sub(r"(?<!/)//(?!/)[^\s'\"]*@", "//***@", text)
