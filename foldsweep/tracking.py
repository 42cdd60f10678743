"""Tracking URI and experiment of MLflow, resolved alike in sweeps and analysis."""

import os
import re
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import quote, unquote, urlsplit

from foldsweep.errors import UserError, first_line

_SQLITE = re.compile(r"sqlite(?:\+pysqlite)?:///([^?]+)(.*)")
"""URI of a SQLite file: its path, percent-encoded, and options."""
DEFAULT_URI = "sqlite:///mlflow.db"
DEFAULT_EXPERIMENT = "foldsweep"
DATABASES = ("postgresql", "mysql", "mssql")
"""Databases besides SQLite in which MLflow can store runs."""
ARTIFACTS = "mlartifacts"
"""Folder beside a SQLite file with the artifacts of its runs."""
SQLITE_HEADER = b"SQLite format 3\0"


def tracking_uri(given: str | None) -> str:
    """Return the given tracking URI, else MLFLOW_TRACKING_URI, else `mlflow.db` in this folder.

    A relative SQLite path is made absolute, since Ray's workers and the uploader run in other
    folders.
    """
    return absolute_uri(given or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI)


def default_experiment() -> str:
    """Return the default MLflow experiment: MLFLOW_EXPERIMENT_NAME, else `foldsweep`."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT


def absolute_uri(uri: str) -> str:
    """Make a relative SQLite path in a URI absolute."""
    path = sqlite_path(uri)
    if path is None or path.is_absolute():
        return uri
    return with_path(uri, os.path.abspath(path))


def sqlite_path(uri: str) -> Path | None:
    """Return the SQLite file of a URI; None for any other URI."""
    found = _SQLITE.fullmatch(uri)
    return None if found is None else Path(unquote(found[1]))


def with_path(uri: str, path: str | Path) -> str:
    """Replace the SQLite file in a URI."""
    found = _SQLITE.fullmatch(uri)
    return sqlite_uri(path) + (found[2] if found is not None else "")


def sqlite_uri(path: str | Path) -> str:
    """Return the URI of a SQLite file; special characters of its path are escaped."""
    escaped = re.sub("[%?]", lambda special: quote(special[0]), str(path))
    # with the shorter scheme MLflow would create a folder whose name has the escapes in it
    return f"sqlite{'' if escaped == str(path) else '+pysqlite'}:///{escaped}"


def artifacts_beside(database: Path, experiment: str) -> Path:
    """Return the folder of an experiment's artifacts, beside the SQLite file with its runs."""
    return database.parent / ARTIFACTS / re.sub(r"[^\w.-]", "_", experiment)


def portable_uri(uri: str) -> str:
    """Make the path of a SQLite file in a URI relative, if it is inside the current folder."""
    path = sqlite_path(uri)
    if path is None or not path.is_relative_to(Path.cwd()):
        return uri
    return with_path(uri, path.relative_to(Path.cwd()))


def check_uri(uri: str) -> None:
    """Reject a tracking URI that can never be valid for MLflow.

    Raises:
        UserError: If the URI is relative, or its scheme, host or port is not valid.
    """
    given = shown(uri)
    path = sqlite_path(uri)
    is_relative = path is not None and not path.is_absolute()
    if is_relative or not re.match(r"\w[\w+.-]*:/|databricks", uri):
        raise UserError.of("tracking.uri-not-absolute", uri=given)
    if path is not None or re.fullmatch(r"databricks(-uc)?(://\S*)?", uri):
        return
    scheme = uri.partition(":")[0].lower()
    if scheme in ("http", "https"):
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise UserError.of("tracking.uri-invalid", uri=given, reason=error) from None
        if not host or re.search(r"\s", uri):
            raise UserError.of("tracking.host-missing", uri=given)
        if port == 0:
            raise UserError.of("tracking.port-zero", uri=given)
        return
    known = {*DATABASES, *(point.name for point in entry_points(group="mlflow.tracking_store"))}
    if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1"):
        known.add("file")
    if scheme.partition("+")[0] not in known:
        raise UserError.of("tracking.scheme-unknown", uri=given, scheme=scheme)


def check_store(uri: str) -> None:
    """Reject a local store that cannot be written, and a database without a driver.

    Nothing is created. No server is contacted, since one that is down may be up again when records
    are uploaded.

    Raises:
        UserError: If the store can never accept a record.
    """
    check_uri(uri)
    path = sqlite_path(uri)
    if path is not None:
        _check_sqlite(path)
    elif uri.partition("+")[0].partition(":")[0] in DATABASES:
        from sqlalchemy.engine import make_url  # a slow import, needed for databases only

        try:
            make_url(uri).get_dialect().import_dbapi()
        except Exception as error:  # of SQLAlchemy, or of a broken driver
            reason = shown(first_line(error))
            raise UserError.of("tracking.driver-unusable", uri=shown(uri), reason=reason) from None


def _check_sqlite(path: Path) -> None:
    try:
        if path.is_dir():
            example = path / "mlflow.db"
            raise UserError.of("tracking.store-is-a-folder", path=path, example=example)
        if path.exists():
            with path.open("r+b") as file:
                if file.read(len(SQLITE_HEADER)) not in (SQLITE_HEADER, b""):
                    raise UserError.of("tracking.store-not-sqlite", path=path)
            return
        folder = next(parent for parent in path.parents if parent.exists())
        with TemporaryFile(dir=folder):  # raises if the folder is not writable
            pass
    except OSError as error:
        raise UserError.of(
            "tracking.store-not-writable", path=path, reason=error.strerror
        ) from None


def store_options(uri: str, experiment: str) -> list[str]:
    """Return the options by which analysis programs find a store; empty for the default store.

    Args:
        uri: Tracking URI, absolute; its password is masked.
        experiment: MLflow experiment.
    """
    options = [] if uri == tracking_uri(None) else ["--tracking-uri", shown(uri)]
    return options + ([] if experiment == default_experiment() else ["--experiment", experiment])


def shown(text: str) -> str:
    """Mask the user and password of all URIs in a text."""
    return re.sub(r"(?<!/)//(?!/)[^\s'\"]*@", "//***@", text)
