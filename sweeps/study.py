"""An Optuna study in a journal file or a database: opening, reading and writing it."""

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
from foldsweep.texts import text
from foldsweep.tracking import sqlite_path
from sweeps.journal import journal_storage
from sweeps.passwords import masked_url, password_place
from sweeps.retries import PatientStorage, num_trials, options_of

JOURNAL_FILE = "study.journal"
"""Name of the journal file, in the folder of its space, of a study without a database."""
SQLITE_WAIT_S = 60.0
"""Seconds to wait for a SQLite file that other sweeps use."""
_MOST_SINGLE = 1000
"""Most trials that are read one by one; for more it is faster to read all of the study."""


def open_storage(study_url: str | None, journal: Path) -> BaseStorage:
    """Open the storage of a study: a database by URL, or else a journal file.

    Raises:
        UserError: If the URL is wrong, the database does not answer or the file cannot be written.
    """
    if study_url is not None:
        try:
            return _open_database(study_url)
        except Exception as error:  # SQLAlchemy and each driver have their own classes
            said = getattr(error, "orig", None)  # the driver's error, if a database answered
            reason = first_line(said or error)
            advice = text("study.url-examples")
            if isinstance(error, ImportError):
                reason = text("study.driver-missing")
                advice = text("study.install-driver")
            elif said is not None and "password" in reason:
                advice = password_place(study_url)
            elif said is not None and sqlite_path(study_url) is None:
                advice = text("study.check-server")
            shown = masked_url(study_url)
            reason = reason.replace(study_url, shown)
            raise UserError.of(
                "study.not-opened", url=shown, reason=reason, advice=advice
            ) from None
    try:
        return journal_storage(journal)
    except OSError as error:
        raise UserError.of(
            "study.file-not-writable", path=journal, reason=error.strerror
        ) from None


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
    """Whether the storage has a study of this name."""
    try:
        storage.get_study_id_from_name(name)
    except KeyError:
        return False
    return True


class StoredStudy:
    """Access to a study in its storage; while a sweep runs, only this class reads and writes it.

    This process is the only one that creates and changes trials. In a database, each method that
    writes is one transaction.

    Args:
        storage: Storage of the study.
        name: Name of the study.
    """

    def __init__(self, storage: BaseStorage, name: str):
        self.storage = storage
        self.name = name
        self.in_database = isinstance(storage, RDBStorage | PatientStorage)
        self._study_id = storage.get_study_id_from_name(name)
        self._ids: dict[int, int] = {}

    def hold(self) -> None:
        """Wait until this process is known to be the only driver of the sweep."""
        if isinstance(self.storage, PatientStorage):
            self.storage.hold()

    def user_attrs(self) -> dict[str, Any]:
        """The study's user attributes."""
        return self.storage.get_study_user_attrs(self._study_id)

    def set_user_attr(self, key: str, value: Any) -> None:
        """Set a user attribute of the study."""
        self.storage.set_study_user_attr(self._study_id, key, value)

    def system_attrs(self) -> dict[str, Any]:
        """The study's system attributes, which users do not see."""
        return self.storage.get_study_system_attrs(self._study_id)

    def set_system_attr(self, key: str, value: Any) -> None:
        """Set a system attribute of the study."""
        self.storage.set_study_system_attr(self._study_id, key, value)

    def create(self, number: int, trial: FrozenTrial) -> None:
        """Add a trial with its values and attributes, under the given number."""
        self._ids[number] = self.storage.create_new_trial(self._study_id, trial)

    def start(self, number: int) -> None:
        """Set a waiting trial to RUNNING."""
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
        """Set a user attribute of a trial."""
        self.storage.set_trial_user_attr(self._known_id(number), key, value)

    def report(self, number: int, epoch: int, value: float) -> None:
        """Add an intermediate value of a trial."""
        self.storage.set_trial_intermediate_value(self._known_id(number), epoch, value)

    def end(self, number: int, state: TrialState, values: Sequence[float] | None) -> None:
        """End a trial with its final state and values."""
        self.storage.set_trial_state_values(self._known_id(number), state, values)
        self._ids.pop(number, None)

    def trial(self, number: int) -> FrozenTrial:
        """A trial by its number, as stored."""
        return self.storage.get_trial(self._known_id(number))

    def number_of(self, trial_id: int) -> int | None:
        """Number of the trial with an id, also in another study; None if there is no trial."""
        try:
            return self.storage.get_trial_number_from_id(trial_id)
        except KeyError:
            return None

    def length(self) -> int:
        """Number of trials; for a database by a query, as Optuna would read all of them."""
        if self.in_database:
            return num_trials(self.storage, self._study_id)
        return len(self.storage.get_all_trials(self._study_id, deepcopy=False))

    def trials(self, numbers: Sequence[int]) -> Iterator[FrozenTrial]:
        """Yield the trials of the given numbers, as stored."""
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
