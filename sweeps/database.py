"""Sweeps whose study is in a database: one driver at a time, on any machine.

The database (`sweeps.home`) and `--storage` (`sweeps.mirror`) hold the sweep. The local folder has
copies. They are up to date if the sweep's last driver ran in this folder, and replaced otherwise.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.storages import BaseStorage, RDBStorage

from foldsweep.errors import UserError
from foldsweep.files import write_whole
from foldsweep.programs import console
from foldsweep.texts import text
from foldsweep.tracking import absolute_uri, shown, sqlite_path
from sweeps.home import Home, Record, SpaceFile, digest_of, name_taken, sweeps_in
from sweeps.identity import Identity, portable, resolved
from sweeps.mirror import records_of, restore
from sweeps.outages import UNSHARED, Outages, ServiceAway, ServiceLost
from sweeps.ownership import DatabaseLock, new_holder, shown_holder
from sweeps.passwords import masked_url
from sweeps.retries import PatientStorage
from sweeps.settings import SweepSettings
from sweeps.settings_file import SETTINGS_FILE, recorded, recorded_identity
from sweeps.study import open_storage
from trainables.stores import STORE_ERRORS, store_says

if TYPE_CHECKING:
    from search_spaces.space import SearchSpace  # imports Ray and torch, which is slow

DRIVER_FILE = "last_driver"
"""File in a sweep's folder with the token of the folder's last driver, see `Home.holder`."""
BROUGHT = " brought"
"""Suffix of a token: the folder has the settings of that driver elsewhere, but not its records."""
NO_JOURNAL = Path()
SPACES = "spaces"
"""Folder of space files restored from the study, each in a subfolder named by its digest."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Database of a sweep that this process owns."""

    storage: BaseStorage
    home: Home

    def save(
        self, settings: SweepSettings, spaces: "Sequence[SearchSpace]", identity: Identity
    ) -> None:
        """Save settings, identity and space files in the database, without passwords."""
        uri = settings.tracking_uri or ""
        public = replace(settings, name=self.home.name, resume=None, study=None)
        if shown(uri) != uri:  # other users have passwords of their own
            public = replace(public, tracking_uri=None)
        files = tuple(
            SpaceFile.read(space.file, portable(space.file, identity.project))
            for space in spaces
            if space.file is not None
        )
        self.home.save(Record(settings=recorded(public, identity), files=files))

    def forget(self) -> None:
        """Delete the sweep's record, if the sweep could not start."""
        self.home.delete()


@contextmanager
def owned(
    settings: SweepSettings,
    spaces: Sequence[str],
    name: str,
    folder: Path,
    outages: Outages,
) -> Iterator[Shared | None]:
    """Context manager with the sweep's database, locked against other drivers.

    It gives None for a sweep whose study is not in a database.

    Args:
        settings: Settings of the sweep; with `resume` the sweep exists already.
        spaces: Names of the spaces.
        name: Name of the sweep.
        folder: Local folder of the sweep.
        outages: Waits while the database is unreachable.

    Raises:
        UserError: If another driver runs the sweep, its name is taken, or its records are
            unreachable.
    """
    if settings.study is None:
        yield None
        return
    database = open_storage(settings.study, NO_JOURNAL)
    lock: DatabaseLock | None = None
    storage: BaseStorage = database
    if isinstance(database, RDBStorage) and sqlite_path(settings.study) is None:
        kind = database.engine.dialect.name
        if kind == "postgresql":
            lock = DatabaseLock(settings.study, name, lambda: Home(database, name).holder())
        else:
            console.print(text("database.no-lock", database=kind, name=name))
        storage = PatientStorage(database, outages, lock or UNSHARED)
    try:
        if lock is not None:
            _take(lock, settings.study)
        home = Home(storage, name)
        home.require_sweep()
        _settle(home, settings, spaces, folder)
        holder = new_holder(folder)
        write_whole(folder / DRIVER_FILE, holder["token"])
        home.set_holder(holder)
        if lock is not None:
            lock.belongs_to(holder)
        yield Shared(storage=storage, home=home)
    finally:
        if lock is not None:
            lock.release()
        if isinstance(database, RDBStorage):
            database.engine.dispose()


def _take(lock: DatabaseLock, url: str) -> None:
    try:
        lock.acquire()
    except ServiceAway as error:
        raise UserError.of("database.not-opened", study=masked_url(url), error=error) from None


def _settle(home: Home, settings: SweepSettings, spaces: Sequence[str], folder: Path) -> None:
    """Create the study of a new sweep, or bring the local folder of a resumed one up to date."""
    if not home.exists:
        home.create()
        return
    if settings.resume is None:
        if home.record() is None:  # left by a killed driver
            return
        raise name_taken(home.name)
    holder, last = home.holder(), _last_driver(folder)
    if holder is None or last == holder["token"]:
        return
    if home.record() is not None and last != holder["token"] + BROUGHT:
        raise UserError.of("database.run-meanwhile", name=home.name, holder=shown_holder(holder))
    if "://" not in settings.storage:
        return
    for space in spaces:
        try:
            place = records_of(settings.checkpoint_root(home.name), space)
            if restore(folder / space, place):
                console.print(f"records of {space} are restored from {shown(place)}")
        except STORE_ERRORS as error:
            raise UserError.of(
                "database.storage-unusable", storage=shown(settings.storage), why=store_says(error)
            ) from None


def _last_driver(folder: Path) -> str:
    path = folder / DRIVER_FILE
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""


def bring(folder: Path, *, study: str, storage: str | None, trust: bool) -> None:
    """Create or update the local folder of a sweep from its database.

    A folder in which the sweep's last driver ran is left unchanged.

    Args:
        folder: Local folder of the sweep, which may be new; its name is the sweep's.
        study: URL of the database.
        storage: Folder or URI of the sweep's records [as recorded in the database].
        trust: Whether missing space files may be restored from the database.

    Raises:
        UserError: If the database does not have the sweep, or its records or space files are not
            available here.
    """
    name, url, here = folder.name, absolute_uri(study), recorded_identity(folder)
    database = open_storage(url, NO_JOURNAL)
    assert isinstance(database, RDBStorage)
    try:
        home = Home(PatientStorage(database, Outages(0.0), UNSHARED), name)
        record, holder = home.record(), home.holder()
        known = ", ".join(sweeps_in(database)[-5:]) or "none"
    except ServiceLost as error:
        raise UserError.of("database.not-read", study=masked_url(url), error=error) from None
    finally:
        database.engine.dispose()
    token = "" if holder is None else holder["token"]
    if here is not None and (record is None or _last_driver(folder) == token):
        return
    if record is None:
        raise UserError.of(
            "database.sweep-unknown",
            name=name,
            folder=folder.parent,
            study=masked_url(study),
            known=known,
        )
    if here is not None and here.uuid != record.settings.get("uuid"):
        raise UserError.of(
            "database.folder-of-another-sweep", folder=folder, name=name, study=masked_url(study)
        )
    place = storage or str(record.settings.get("storage"))
    if here is None and "://" not in place:
        started = record.settings.get("folder")
        raise UserError.of("database.records-elsewhere", name=name, folder=started, storage=place)
    project = Path.cwd() if here is None else here.at(folder).project
    restored = {file.path: _space_file(file, folder, project, trust) for file in record.files}
    values = dict(record.settings)
    values |= {"folder": str(folder.resolve()), "project": str(project)}
    values |= {"study": url, "storage": place}
    values["space"] = [restored.get(path, path) for path in values["space"]]
    folder.mkdir(parents=True, exist_ok=True)
    for file in record.files:
        if (path := _restored(file, folder)) == Path(restored[file.path]):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, file.content)
    write_whole(folder / DRIVER_FILE, token + BROUGHT)
    write_whole(folder / SETTINGS_FILE, json.dumps(values, indent=2) + "\n", private=True)
    console.print(text("database.restored", name=name, url=masked_url(study)))


def _space_file(file: SpaceFile, folder: Path, project: Path, trust: bool) -> str:
    """Local path of a space file, which may be still to be restored.

    Raises:
        UserError: If no local file has the recorded content, and the database is not trusted.
    """
    there, restored = Path(resolved(file.path, project)), _restored(file, folder)
    for path in (there, Path.cwd() / there.name, restored):
        if path.is_file() and digest_of(path.read_bytes()) == file.digest:
            return str(path)
    if not trust:
        raise UserError.of(
            "database.space-file-changed",
            file=there.name,
            name=folder.name,
            digest=file.digest[:16],
        )
    return str(restored)


def _restored(file: SpaceFile, folder: Path) -> Path:
    """Path of a space file restored from the study; the digest separates files of one name."""
    return folder.resolve() / SPACES / file.digest[:8] / Path(file.path).name
