"""List the sweeps of a folder, or delete one: `python sweeps/catalogue.py`, `--delete NAME`."""

if __name__ == "__main__":
    import foldsweep.early  # noqa: F401

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from foldsweep.checks import nearest, require_local
from foldsweep.errors import UserError, first_line
from foldsweep.numbers import plural
from foldsweep.programs import console, parse, run_program
from foldsweep.texts import text
from foldsweep.tracking import shown, sqlite_path, tracking_uri
from sweeps.passwords import masked_url, without_password
from sweeps.settings import SweepSettings, check_name
from sweeps.settings_file import SETTINGS_FILE, load_settings
from sweeps.tracking.spool import (
    SPOOL_FILE,
    UPLOADER_LOCK,
    TrackingTarget,
    count_records,
    read_progress,
)

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

JOURNAL_FILE = "study.journal"
DELETED = ".deleted"
"""Suffix of a folder that is being deleted."""
TAIL = 2**16
"""Bytes at the end of a spool that are read to find whether its sweep has ended."""


@dataclass(frozen=True, kw_only=True)
class CatalogueSettings:
    """List sweeps with their state, best score and size on disk; or delete one of them.

    Records of a sweep in MLflow, in a database and on a remote store are never deleted; the
    program prints what remains and where.
    """

    storage: Path = Path("runs")
    """Folder of sweeps."""
    delete: str | None = None
    """Name of a sweep to delete; a running sweep is refused."""
    yes: bool = False
    """With --delete: do not ask for confirmation."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Summary of a sweep in its folder."""

    name: str
    state: str
    spaces: tuple[str, ...]
    trials: int | None
    """Trials that have ended; None if the studies cannot be read."""
    best: str
    size: int
    """Size of the folder, in bytes."""
    changed: float
    """Time of the last change to its settings or a spool, in seconds since 1970."""


def main() -> int:
    """List or delete sweeps, as the command line requests; returns the exit code."""
    settings = parse(CatalogueSettings, sys.argv[1:], prog="sweeps/catalogue.py")
    require_local(settings.storage)
    if settings.delete is not None:
        return delete(settings.storage, settings.delete, sure=settings.yes)
    if settings.yes:
        raise UserError.of("sweep-catalogue.yes-without-delete")
    for line in listed(sweeps_in(settings.storage), settings.storage):
        console.print(line)
    return 0


def sweeps_in(storage: Path) -> list[Kept]:
    """All sweeps of a folder, in order of their last change."""
    folders = [path.parent for path in storage.glob(f"*/{SETTINGS_FILE}")]
    found = [kept(folder) for folder in folders if not folder.name.startswith(".")]
    return sorted(found, key=lambda sweep: (sweep.changed, sweep.name))


def kept(folder: Path) -> Kept:
    """Summary of a sweep, read from its folder, which is not changed."""
    size = num_bytes(folder)
    spools = sorted(folder.glob(f"*/{SPOOL_FILE}"))
    changed = max([p.stat().st_mtime for p in (folder / SETTINGS_FILE, *spools)])
    try:
        settings = load_settings(folder)
    except UserError:
        return Kept(
            name=folder.name,
            state="damaged",
            spaces=(),
            trials=None,
            best="",
            size=size,
            changed=changed,
        )
    trials, best = _reached(folder, settings, [spool.parent.name for spool in spools])
    return Kept(
        name=folder.name,
        state=_state(folder, settings, spools),
        spaces=tuple(Path(space).stem for space in settings.space),
        trials=trials,
        best=best,
        size=size,
        changed=changed,
    )


def listed(sweeps: Sequence[Kept], storage: Path) -> Iterator[str]:
    """Yield a table with a line for each sweep; names are never truncated."""
    if not sweeps:
        yield text("sweep-catalogue.none", storage=storage)
        return
    rows = [("sweep", "state", "trials", "best", "size", "last change", "spaces")]
    rows += [
        (
            sweep.name,
            sweep.state,
            "?" if sweep.trials is None else f"{sweep.trials:,}",
            sweep.best or "-",
            shown_size(sweep.size),
            f"{datetime.fromtimestamp(sweep.changed):%Y-%m-%d %H:%M}",
            " ".join(sweep.spaces),
        )
        for sweep in sweeps
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(
            f"{word:{width}}" for word, width in zip(row, widths, strict=True)
        ).rstrip()


def delete(storage: Path, name: str, *, sure: bool) -> int:
    """Delete a sweep's folder; returns the exit code.

    Args:
        storage: Folder of sweeps.
        name: Name of the sweep.
        sure: Whether to skip the confirmation.

    Raises:
        UserError: If there is no such sweep, it is running, or no terminal can ask the user.
    """
    check_name(name)
    folder = storage / name
    if not (folder / SETTINGS_FILE).is_file():
        known = sorted(path.parent.name for path in storage.glob(f"*/{SETTINGS_FILE}"))
        raise UserError.of(
            "sweep-catalogue.sweep-unknown",
            name=name,
            storage=storage,
            known=", ".join(known) or "none",
            hint=nearest(name, known),
        )
    if folder.is_symlink():
        raise UserError.of("sweep-catalogue.is-a-link", folder=folder, target=folder.resolve())
    try:
        with FileLock(folder / "lock", timeout=0):
            _refuse_while_sending(folder)
            if not sure and not _asked(folder):
                console.print("nothing is deleted")
                return 1
            said = [*_remains(folder, name)]
            size = num_bytes(folder)
            for left in storage.glob(f".*{DELETED}"):  # left by a kill
                shutil.rmtree(left, ignore_errors=True)
            gone = folder.rename(storage / f".{name}{DELETED}")  # atomic for readers
            shutil.rmtree(gone)
    except Timeout:
        raise UserError.of("sweep-catalogue.sweep-running", name=name) from None
    except OSError as error:
        raise UserError.of(
            "sweep-catalogue.cannot-be-deleted", folder=folder, why=error.strerror or error
        ) from None
    console.print(f"deleted {folder}, {shown_size(size)}")
    for line in said:
        console.print(line)
    return 0


def num_bytes(folder: Path) -> int:
    """Size of a folder, in bytes."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # it may be deleted meanwhile
            total += path.lstat().st_size
    return total


def shown_size(size: float) -> str:
    """Number of bytes as readable text.

    >>> shown_size(999), shown_size(2_500_000)
    ('1.0 kB', '2.5 MB')
    """
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.5:
            return f"{size:.1f} {unit}" if size < 9.95 else f"{size:.0f} {unit}"
    return f"{size / 1000:,.1f} TB"


def _state(folder: Path, settings: SweepSettings, spools: Sequence[Path]) -> str:
    if _is_held(folder / "lock"):
        return "running"
    ended = [_has_finished(spool) for spool in spools]
    return "finished" if len(ended) == len(settings.space) and all(ended) else "interrupted"


def _is_held(lock: Path) -> bool:
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # the lock of another user
        return False


def _has_finished(spool: Path) -> bool:
    """Whether the sweep's own run has finished, by its last record in a spool."""
    with spool.open("rb") as file:
        file.seek(max(0, spool.stat().st_size - TAIL))
        lines = file.read().splitlines()
    for line in reversed(lines):
        with suppress(ValueError, AttributeError):
            record = json.loads(line)
            if record.get("run") == "" and record.get("op") in ("start", "end"):
                return bool(record.get("status") == "FINISHED")
    return False


def _reached(
    folder: Path, settings: SweepSettings, spaces: Sequence[str]
) -> tuple[int | None, str]:
    """Number of ended trials in all spaces, and the best score with its space and trial number.

    None and an empty text if a study cannot be read.
    """
    import optuna  # takes a second

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    number, best = 0, None
    for space in spaces:
        try:
            study = optuna.load_study(
                study_name=f"{settings.name or folder.name}/{space}",
                storage=_storage(folder / space, settings.study),
            )
            trials = study.get_trials(deepcopy=False)
            higher = study.directions[0].name == "MAXIMIZE"
        # each kind of storage has its own exceptions for damaged or unreachable data
        except Exception:
            return None, ""
        number += sum(trial.state.is_finished() for trial in trials)
        for trial in trials:
            if trial.state.name == "COMPLETE" and trial.values:
                score = trial.values[0] if higher else -trial.values[0]
                if best is None or score > best[0]:
                    best = score, f"{trial.values[0]:.4f} by {space}, trial {trial.number}"
    measured = settings.objective[0].removeprefix("val_") if settings.objective else ""
    return number, "" if best is None else f"{measured} {best[1]}".strip()


def _storage(folder: Path, url: str | None) -> "BaseStorage":
    """Storage of the study, for reading only: nothing is created or repaired."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    from sweeps.study import open_storage

    place = folder / JOURNAL_FILE if url is None else sqlite_path(url)
    if place is not None and not place.is_file():
        raise FileNotFoundError(place)
    if url is None:
        return JournalStorage(JournalFileBackend(str(folder / JOURNAL_FILE)))
    return open_storage(url, folder / JOURNAL_FILE)


def _refuse_while_sending(folder: Path) -> None:
    for lock in sorted(folder.glob(f"*/{UPLOADER_LOCK}")):
        if _is_held(lock):
            raise UserError.of("sweep-catalogue.still-sending", name=folder.name)


def _asked(folder: Path) -> bool:
    """Ask the user, with a list of what will be lost; returns whether to delete the sweep."""
    if not sys.stdin or not sys.stdin.isatty():
        raise UserError.of("sweep-catalogue.no-terminal", name=folder.name)
    waiting = num_waiting(folder)
    lost = ""
    if waiting:
        lost = text("sweep-catalogue.and-records", records=plural(waiting, "record"))
    size = shown_size(num_bytes(folder))
    answer = input(text("sweep-catalogue.confirm", folder=folder, size=size, lost=lost) + " ")
    return answer.strip().lower() in ("y", "yes")


def num_waiting(folder: Path) -> int:
    """Number of records of a sweep that have not been sent to MLflow."""
    number = 0
    for spool in folder.glob(f"*/{SPOOL_FILE}"):
        offset = 0
        with suppress(UserError):
            server = TrackingTarget.load(spool.parent).server
            offset = read_progress(spool.parent, server).offset
        number += count_records(spool, offset)
    return number


def _remains(folder: Path, name: str) -> Iterator[str]:
    """Yield lines that say what remains of a deleted sweep elsewhere, and what is lost."""
    waiting = num_waiting(folder)
    if waiting:
        yield text("sweep-catalogue.records-lost", records=plural(waiting, "record"))
    try:
        settings = load_settings(folder)
    except UserError as error:
        yield text("sweep-catalogue.all-else-remains", why=first_line(error))
        return
    place = shown(tracking_uri(settings.tracking_uri))
    yield text("sweep-catalogue.runs-remain", uri=place, experiment=settings.experiment)
    if settings.study is not None:
        own = [spool.parent.name for spool in sorted(folder.glob(f"*/{SPOOL_FILE}"))]
        studies = ", ".join([name, *(f"{name}/{space}" for space in own)])
        yield text(
            "sweep-catalogue.studies-remain",
            url=masked_url(settings.study),
            studies=studies,
            storage=without_password(settings.study),
        )
    if "://" in settings.storage:
        root = shown(settings.checkpoint_root(name))
        yield text("sweep-catalogue.checkpoints-remain", place=root)


if __name__ == "__main__":
    run_program(main)
