"""Retries for a study in a database: every call is repeated until the database is available.

A call whose answer was lost may have changed the study. Before a change that must not be made
twice is repeated, the study is therefore checked for it.
"""

import time
from collections.abc import Callable, Container, Generator, Sequence
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event
from sqlalchemy.engine import Engine, ExceptionContext, make_url
from sqlalchemy.exc import InterfaceError, OperationalError

from foldsweep.errors import first_line
from sweeps.outages import STUDY, Outages, Owner, ServiceAway

T = TypeVar("T")

CONNECT_WITHIN_S = 10
ANSWER_WITHIN_S = 20.0
"""Seconds that a connected database may be silent while a statement runs."""
POSTGRES: dict[str, object] = {
    "connect_timeout": CONNECT_WITHIN_S,
    # a disconnected peer is silent: the system detects it within half a minute
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""Parameters of libpq for every connection, unless the URL has its own."""
LIBPQ = ("psycopg", "psycopg2")
"""Database drivers that accept parameters of libpq."""


class PatientStorage(BaseStorage):
    """Optuna storage that wraps a database, and waits while the database is unavailable.

    Args:
        database: The study's database.
        outages: Waits for the database.
        owner: Checked before every write.
    """

    def __init__(self, database: RDBStorage, outages: Outages, owner: Owner):
        say_when_away(database.engine)
        self._inner = database
        self._outages = outages
        self.owner = owner
        self._num_trials: dict[int, int] = {}

    def hold(self) -> None:
        """Return once this process may write."""
        self._outages.waited(STUDY, self.owner.check)

    def _read(self, call: Callable[[], T]) -> T:
        return self._outages.waited(STUDY, call)

    def _write(self, call: Callable[[], T], done: Callable[[], T | None] | None = None) -> T:
        """Make a change to the study.

        Args:
            call: The change.
            done: Returns the result of the change if a failed call has made it, None if not.
                Leave it out if the change may be made twice.
        """
        tried = False

        def attempt() -> T:
            nonlocal tried
            self.owner.check()
            if tried and done is not None and (found := done()) is not None:
                return found
            tried = True
            return call()

        return self._outages.waited(STUDY, attempt)

    # Studies ------------------------------------------------------------------------------------

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        def done() -> int | None:
            assert study_name is not None
            try:
                return self._inner.get_study_id_from_name(study_name)
            except KeyError:
                return None

        return self._write(lambda: self._inner.create_new_study(directions, study_name), done)

    def delete_study(self, study_id: int) -> None:
        def done() -> bool | None:
            try:
                self._inner.get_study_name_from_id(study_id)
            except KeyError:
                return True
            return None

        def delete() -> bool:
            self._inner.delete_study(study_id)
            return True

        self._write(delete, done)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._write(lambda: self._inner.set_study_user_attr(study_id, key, value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._write(lambda: self._inner.set_study_system_attr(study_id, key, value))

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._read(lambda: self._inner.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._read(lambda: self._inner.get_study_name_from_id(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._read(lambda: self._inner.get_study_directions(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._read(lambda: self._inner.get_study_user_attrs(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._read(lambda: self._inner.get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[Any]:
        return self._read(self._inner.get_all_studies)

    # Trials -------------------------------------------------------------------------------------

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        if study_id not in self._num_trials:
            self._num_trials[study_id] = num_trials(self, study_id)

        def done() -> int | None:
            return _trial_id(self._inner, study_id, self._num_trials[study_id])

        made = self._write(lambda: self._inner.create_new_trial(study_id, template_trial), done)
        self._num_trials[study_id] += 1
        return made

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        given = (trial_id, param_name, param_value_internal, distribution)
        self._write(lambda: self._inner.set_trial_param(*given))

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        def done() -> bool | None:
            return True if self._inner.get_trial(trial_id).state == state else None

        return self._write(
            lambda: self._inner.set_trial_state_values(trial_id, state, values), done
        )

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        given = (trial_id, step, intermediate_value)
        self._write(lambda: self._inner.set_trial_intermediate_value(*given))

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._write(lambda: self._inner.set_trial_user_attr(trial_id, key, value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._write(lambda: self._inner.set_trial_system_attr(trial_id, key, value))

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        given = (study_id, trial_number)
        return self._read(lambda: self._inner.get_trial_id_from_study_id_trial_number(*given))

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._read(lambda: self._inner.get_trial(trial_id))

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        return self._read(lambda: self._inner.get_all_trials(study_id, deepcopy, states))


def num_trials(storage: BaseStorage, study_id: int) -> int:
    """Number of a study's trials, found by bisection: Optuna counts them by reading them all."""
    fewest, beyond = 0, 1
    while _trial_id(storage, study_id, beyond - 1) is not None:
        fewest, beyond = beyond, 2 * beyond
    while beyond - fewest > 1:
        middle = (fewest + beyond) // 2
        if _trial_id(storage, study_id, middle - 1) is None:
            beyond = middle
        else:
            fewest = middle
    return fewest


def _trial_id(storage: BaseStorage, study_id: int, number: int) -> int | None:
    try:
        return storage.get_trial_id_from_study_id_trial_number(study_id, number)
    except KeyError:
        return None


def say_when_away(engine: Engine) -> None:
    """Make a database raise `ServiceAway` for errors of calls that may succeed later.

    Optuna hides such errors behind one of its own. It also repeats the creation of a trial by
    itself, though the trial may exist already.
    """

    @event.listens_for(engine, "handle_error")
    def _away(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        is_away = isinstance(error, OperationalError | InterfaceError) or context.is_disconnect
        if is_away and not context.is_pre_ping:
            raise ServiceAway(first_line(context.original_exception)) from None


def options_of(url: str) -> dict[str, Any]:
    """SQLAlchemy options for an engine whose connections detect that their server is gone.

    Such a server may be silent, or accept connections and hang. The options are empty unless the
    driver is one of `LIBPQ`.

    Raises:
        ImportError: If the driver is missing.
    """
    given = make_url(url)
    dialect: Any = given.get_dialect()
    if given.get_backend_name() != "postgresql" or dialect.driver not in LIBPQ:
        return {}
    driver = dialect.import_dbapi()
    args, parameters = dialect(dbapi=driver).create_connect_args(given)
    connect = _impatient().connect if dialect.driver == "psycopg" else driver.connect
    return {"creator": lambda: connect(*args, **{**POSTGRES, **parameters})}


def _impatient() -> Any:
    """Psycopg's connection class, but closing if the database is silent for too long."""
    from psycopg import Connection, OperationalError

    class Impatient(Connection[Any]):
        def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
            return super().wait(self._heard(gen), *args, **options)

        def _heard(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
            """Run psycopg's steps to get an answer; close the connection if none comes in time.

            Psycopg reports now and then that no answer has come.
            """
            since = time.monotonic()
            try:
                wanted = next(gen)
                while True:
                    came = yield wanted
                    now = time.monotonic()
                    if came:
                        since = now
                    elif now - since > ANSWER_WITHIN_S:
                        self.close()
                        raise OperationalError(f"no answer for {ANSWER_WITHIN_S:g} s")
                    wanted = gen.send(came)
            except StopIteration as end:
                answer: T = end.value
                return answer

    return Impatient
