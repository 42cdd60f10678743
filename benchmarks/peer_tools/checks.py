"""Checks that benchmarks make before they measure for hours."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from foldsweep.errors import UserError
from sweeps.reproduction.tables import marked_text

REQUIREMENTS = "pip install -r benchmarks/requirements.txt"


def require_psutil() -> None:
    """Require psutil, which measures memory and time of processes.

    Raises:
        UserError: If it is not installed.
    """
    if find_spec("psutil") is None:
        raise UserError.of("peer-checks.psutil-missing", install=REQUIREMENTS)


def require_document(path: Path | None, blocks: Iterable[str]) -> None:
    """Reject a document into which the tables could not be written at the end.

    Raises:
        UserError: If the document cannot be read, or lacks the marks of `blocks`.
    """
    if path is not None:
        marked_text(path, blocks)


def made_folder(path: Path) -> Path:
    """Make a folder if it does not exist; returns its absolute path.

    Raises:
        UserError: If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError.of(
            "peer-checks.folder-not-made", path=path, reason=error.strerror
        ) from None
    return path.resolve()


def last_words(log: Path) -> str:
    """Return the last line of a program's output and the path of its log, for error messages."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return f"{lines[-1].strip()} ({log} has all)" if lines else f"see {log}"
