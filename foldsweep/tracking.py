"""Where MLflow is: the one setting that sweeps and analysis must read alike."""

import os
import re
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import quote, unquote, urlsplit

from foldsweep.errors import UserError, first_line

_SQLITE = re.compile(r"sqlite(?:\+pysqlite)?:///([^?]+)(.*)")
"""URI of a database file: its path, where `%` escapes, and options."""
DEFAULT_URI = "sqlite:///mlflow.db"
DEFAULT_EXPERIMENT = "foldsweep"
DATABASES = ("postgresql", "mysql", "mssql")
"""Databases that MLflow keeps runs in, besides SQLite."""
ARTIFACTS = "mlartifacts"
"""Folder beside a SQLite file with the artifacts of its runs."""
SQLITE_HEADER = b"SQLite format 3\0"
_GIVE = "give http://HOST:PORT or sqlite:////FOLDER/mlflow.db"


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
    path = sqlite_path(uri)
    if path is None or path.is_absolute():
        return uri
    return with_path(uri, os.path.abspath(path))


def sqlite_path(uri: str) -> Path | None:
    """The database file that a URI names; None if it names none."""
    found = _SQLITE.fullmatch(uri)
    return None if found is None else Path(unquote(found[1]))


def with_path(uri: str, path: str | Path) -> str:
    """The same URI with another database file."""
    found = _SQLITE.fullmatch(uri)
    return sqlite_uri(path) + (found[2] if found is not None else "")


def sqlite_uri(path: str | Path) -> str:
    """The URI of a database file, whatever its folders are called."""
    escaped = re.sub("[%?]", lambda special: quote(special[0]), str(path))
    # of the shorter form MLflow makes the folder as it is written, with its escapes
    return f"sqlite{'' if escaped == str(path) else '+pysqlite'}:///{escaped}"


def artifacts_beside(database: Path, experiment: str) -> Path:
    """Folder of an experiment's artifacts, beside the SQLite file that has its runs."""
    return database.parent / ARTIFACTS / re.sub(r"[^\w.-]", "_", experiment)


def portable_uri(uri: str) -> str:
    """The same URI with the path of a SQLite file in this folder made relative to it."""
    path = sqlite_path(uri)
    if path is None or not path.is_relative_to(Path.cwd()):
        return uri
    return with_path(uri, path.relative_to(Path.cwd()))


def check_uri(uri: str) -> None:
    """Refuse a tracking URI that MLflow can never reach anything by.

    Raises:
        UserError: If it is relative, or its scheme, host or port is none.
    """
    given = shown(uri)
    path = sqlite_path(uri)
    is_relative = path is not None and not path.is_absolute()
    if is_relative or not re.match(r"\w[\w+.-]*:/|databricks", uri):
        raise UserError(f"tracking URI {given!r} is not absolute: {_GIVE}")
    if path is not None or re.fullmatch(r"databricks(-uc)?(://\S*)?", uri):
        return
    scheme = uri.partition(":")[0].lower()
    if scheme in ("http", "https"):
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise UserError(f"tracking URI {given!r} cannot be one: {error}; {_GIVE}") from None
        if not host or re.search(r"\s", uri):
            raise UserError(f"tracking URI {given!r} names no host: {_GIVE}")
        if port == 0:
            raise UserError(f"tracking URI {given!r} has port 0, which no server has: {_GIVE}")
        return
    known = {*DATABASES, *(point.name for point in entry_points(group="mlflow.tracking_store"))}
    if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1"):
        known.add("file")
    if scheme.partition("+")[0] not in known:
        raise UserError(f"tracking URI {given!r}: MLflow keeps no runs in {scheme}: {_GIVE}")


def check_store(uri: str) -> None:
    """Refuse a store of this machine that cannot be written, or whose driver is missing.

    Nothing is made. Whether a server answers is not asked: it may be back when the records go.

    Raises:
        UserError: If it can never take a record.
    """
    check_uri(uri)
    path = sqlite_path(uri)
    if path is not None:
        _check_sqlite(path)
    elif uri.partition("+")[0].partition(":")[0] in DATABASES:
        from sqlalchemy.engine import make_url  # takes a while, and few need it

        try:
            make_url(uri).get_dialect().import_dbapi()
        except Exception as error:  # SQLAlchemy's own, and those of a driver that is broken
            reason = shown(first_line(error))
            raise UserError(f"tracking URI {shown(uri)!r} cannot be used: {reason}") from None


def _check_sqlite(path: Path) -> None:
    what = f"MLflow store {path}"
    try:
        if path.is_dir():
            raise UserError(f"{what} is a folder: name a file in it, such as {path / 'mlflow.db'}")
        if path.exists():
            with path.open("r+b") as file:
                if file.read(len(SQLITE_HEADER)) not in (SQLITE_HEADER, b""):
                    raise UserError(f"{what} is no SQLite database: {_GIVE}")
            return
        folder = next(parent for parent in path.parents if parent.exists())
        with TemporaryFile(dir=folder):  # that it can be written
            pass
    except OSError as error:
        raise UserError(f"{what} cannot be written: {error.strerror}") from None


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
