"""A study in its journal file or database: how it is opened, all that is read and written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url

from foldsweep.errors import UserError, first_line
from foldsweep.tracking import sqlite_path
from sweeps.journal import journal_storage
from sweeps.passwords import masked_url, password_place
from sweeps.retries import PatientStorage, num_trials, options_of

JOURNAL_FILE = "study.journal"
"""Name of the file of a study that is in no database, in the folder of its space."""
SQLITE_WAIT_S = 60.0
"""How long a SQLite file may be in use by other sweeps."""
_MOST_SINGLE = 1000
"""Trials that are read one by one; for more it is quicker to read all that there are."""


def open_storage(study_url: str | None, journal: Path) -> BaseStorage:
    """The study's storage: a database by URL, or a journal file.

    Raises:
        UserError: If the URL is wrong, the database does not answer or the file cannot be written.
    """
    if study_url is not None:
        try:
            return _open_database(study_url)
        except Exception as error:  # SQLAlchemy and each driver have their own
            said = getattr(error, "orig", None)  # by the driver, where there is a database
            reason = first_line(said or error)
            advice = "give a URL such as sqlite:///study.db or postgresql://user@host/database"
            if isinstance(error, ImportError):
                reason = "its driver is missing"
                advice = "for PostgreSQL, pip install 'foldsweep[postgres]'"
            elif said is not None and "password" in reason:
                advice = password_place(study_url)
            elif said is not None and sqlite_path(study_url) is None:
                advice = "see that it runs there, and has this user and database"
            shown = masked_url(study_url)
            raise UserError(
                f"--study {shown} cannot be opened: {reason.replace(study_url, shown)}; {advice}"
            ) from None
    try:
        return journal_storage(journal)
    except OSError as error:
        raise UserError(f"study file {journal} cannot be written: {error.strerror}") from None


def _open_database(url: str) -> RDBStorage:
    options: dict[str, Any] = {"pool_pre_ping": True, **options_of(url)}
    if make_url(url).get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": SQLITE_WAIT_S}
    with _alone(url):
        return RDBStorage(url, engine_kwargs=options)


@contextmanager
def _alone(url: str) -> Iterator[None]:
    """Lock a SQLite file while it is opened: two processes cannot create its tables at a time."""
    given = make_url(url)
    path = Path(given.database or "")
    if given.get_backend_name() != "sqlite" or not given.database or not path.parent.is_dir():
        yield
        return
    with FileLock(f"{path}.lock", timeout=SQLITE_WAIT_S):
        yield


def has_study(storage: BaseStorage, name: str) -> bool:
    """Whether there is a study of this name."""
    try:
        storage.get_study_id_from_name(name)
    except KeyError:
        return False
    return True


class StoredStudy:
    """A study where it is kept; only here is it read or written while a sweep runs.

    This process is the only one that creates and changes trials. A method that writes is one
    transaction of a database.

    Args:
        storage: Where the study is.
        name: Its name.
    """

    def __init__(self, storage: BaseStorage, name: str):
        self.storage = storage
        self.name = name
        self.in_database = isinstance(storage, RDBStorage | PatientStorage)
        self._study_id = storage.get_study_id_from_name(name)
        self._ids: dict[int, int] = {}

    def hold(self) -> None:
        """Return once this process is known to be the sweep's one driver."""
        if isinstance(self.storage, PatientStorage):
            self.storage.hold()

    def user_attrs(self) -> dict[str, Any]:
        """The study's attributes."""
        return self.storage.get_study_user_attrs(self._study_id)

    def set_user_attr(self, key: str, value: Any) -> None:
        """Set one of them."""
        self.storage.set_study_user_attr(self._study_id, key, value)

    def system_attrs(self) -> dict[str, Any]:
        """Attributes that no user is shown."""
        return self.storage.get_study_system_attrs(self._study_id)

    def set_system_attr(self, key: str, value: Any) -> None:
        """Set one of them."""
        self.storage.set_study_system_attr(self._study_id, key, value)

    def create(self, number: int, trial: FrozenTrial) -> None:
        """Add a trial with all that it has, which becomes the one of this number."""
        self._ids[number] = self.storage.create_new_trial(self._study_id, trial)

    def start(self, number: int) -> None:
        """Have a trial that waits run."""
        self.storage.set_trial_state_values(self._known_id(number), TrialState.RUNNING)

    def set_param(
        self, number: int, name: str, value: Any, distribution: BaseDistribution
    ) -> None:
        """Add a parameter to a trial that was created without it."""
        internal = distribution.to_internal_repr(value)
        self.storage.set_trial_param(self._known_id(number), name, internal, distribution)

    def set_trial_system_attr(self, number: int, key: str, value: Any) -> None:
        """Add a sampler's attribute to a trial that was created without it."""
        self.storage.set_trial_system_attr(self._known_id(number), key, value)

    def note(self, number: int, key: str, value: Any) -> None:
        """Set an attribute of a trial."""
        self.storage.set_trial_user_attr(self._known_id(number), key, value)

    def report(self, number: int, epoch: int, value: float) -> None:
        """Add a report of a trial."""
        self.storage.set_trial_intermediate_value(self._known_id(number), epoch, value)

    def end(self, number: int, state: TrialState, values: Sequence[float] | None) -> None:
        """End a trial."""
        self.storage.set_trial_state_values(self._known_id(number), state, values)
        self._ids.pop(number, None)

    def trial(self, number: int) -> FrozenTrial:
        """What there is of a trial."""
        return self.storage.get_trial(self._known_id(number))

    def number_of(self, trial_id: int) -> int | None:
        """The number of a trial, also one of another study; None if there is none."""
        try:
            return self.storage.get_trial_number_from_id(trial_id)
        except KeyError:
            return None

    def length(self) -> int:
        """Number of trials; Optuna can count those of a database only by reading them all."""
        if self.in_database:
            return num_trials(self.storage, self._study_id)
        return len(self.storage.get_all_trials(self._study_id, deepcopy=False))

    def trials(self, numbers: Sequence[int]) -> Iterator[FrozenTrial]:
        """What there is of these trials, by number."""
        if self.in_database and len(numbers) <= _MOST_SINGLE:
            yield from map(self.trial, numbers)
            return
        wanted = set(numbers)
        for trial in self.storage.get_all_trials(self._study_id, deepcopy=False):
            if trial.number in wanted:
                yield trial

    def _known_id(self, number: int) -> int:
        if number not in self._ids:
            found = self.storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
            self._ids[number] = found
        return self._ids[number]
