"""What benchmarks find out before they measure for hours."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from foldsweep.errors import UserError
from sweeps.reproduction.tables import marked_text

REQUIREMENTS = "pip install -r benchmarks/requirements.txt"


def require_psutil() -> None:
    """Refuse to start without what measures memory and time of processes.

    Raises:
        UserError: If it is not installed.
    """
    if find_spec("psutil") is None:
        raise UserError(f"psutil, which measures processes, is not installed: {REQUIREMENTS}")


def require_document(path: Path | None, blocks: Iterable[str]) -> None:
    """Refuse a document that tables could not be written into at the end.

    Raises:
        UserError: If it cannot be read, or has no mark for any of `blocks`.
    """
    if path is not None:
        marked_text(path, blocks)


def made_folder(path: Path) -> Path:
    """An absolute folder that is there.

    Raises:
        UserError: If it is not and cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"folder {path} cannot be made: {error.strerror}") from None
    return path.resolve()


def last_words(log: Path) -> str:
    """The last line of a program's output, for a message; the file has the rest."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return f"{lines[-1].strip()} ({log} has all)" if lines else f"see {log}"
