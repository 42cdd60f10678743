"""Outages of the services that a sweep needs: waiting for them, up to a limit, and display."""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, Self, TypeVar

from foldsweep.errors import first_line
from foldsweep.retrying import PATIENCE_S, retried
from foldsweep.texts import text

T = TypeVar("T")

STUDY = "study"
STORAGE = "storage"
TRACKING = "MLflow"
LOOK_EVERY_S = 5.0


class ServiceAway(Exception):
    """A service does not answer; the same call may succeed later."""


class ServiceLost(BaseException):
    """Ends the sweep: a service was unavailable for too long, or another driver has the sweep.

    The message is one line. This is no `Exception`, as Ray treats every `Exception` in a callback
    as a failure of the callback's trial.
    """


class Owner(Protocol):
    """Ensures that no other process writes."""

    def check(self) -> None:
        """Return if this process may write.

        Raises:
            ServiceAway: If that is unknown at present.
            ServiceLost: If another process may write instead.
        """


class Unshared:
    """Owner that checks nothing: no other process can write, or a lock file ensures that."""

    def check(self) -> None:
        """Return at once."""


UNSHARED = Unshared()


class Outages:
    """Waits for unavailable services, and records since when they are unavailable.

    Args:
        patience_s: Seconds after which a wait ends the sweep.
    """

    def __init__(self, patience_s: float = PATIENCE_S):
        self.patience_s = patience_s
        self.show: Callable[[], None] = lambda: None
        """Called about once a second during a wait."""
        self._since: dict[str, float] = {}
        self._reasons: dict[str, str] = {}
        self._watched: dict[str, Callable[[], str]] = {}
        self._looked_at = -LOOK_EVERY_S

    def waited(self, service: str, call: Callable[[], T]) -> T:
        """Return the result of a call, which is repeated while it raises `ServiceAway`.

        Ctrl-C ends the wait at once, even if Ray has installed its own handler.

        Raises:
            ServiceLost: If the service stays unavailable.
        """
        with _CtrlC() as ctrl_c:

            def while_away(seconds: float, error: Exception) -> None:
                ctrl_c.raises()
                self.note(service, seconds, first_line(error))
                self.show()

            try:
                found = retried(
                    call,
                    is_away=lambda error: isinstance(error, ServiceAway),
                    patience_s=self.patience_s,
                    while_away=while_away,
                )
            except ServiceAway as error:
                seconds, why = f"{self.patience_s:g}", first_line(error)
                lost = text("outages.lost", service=service, seconds=seconds, why=why)
                raise ServiceLost(lost) from None
        self.over(service)
        return found

    def note(self, service: str, seconds: float, reason: str) -> None:
        """Note that a service has been unavailable for a number of seconds, and the reason."""
        self._since.setdefault(service, time.monotonic() - seconds)
        self._reasons[service] = reason

    def over(self, service: str) -> None:
        """Note that a service is available again."""
        if self._since.pop(service, None) is not None:
            self._reasons.pop(service, None)

    def watch(self, service: str, problem: Callable[[], str]) -> None:
        """Poll a service that no call waits for; `problem` returns its error, empty if none."""
        self._watched[service] = problem

    def shown(self) -> str:
        """Unavailable services, for the line of progress; empty if there are none."""
        self._look()
        now = time.monotonic()
        return " · ".join(
            text("outages.away", service=service, seconds=f"{now - since:.0f}")
            for service, since in self._since.items()
        )

    def why(self) -> str:
        """Reasons of the outages, as the services state them."""
        return "; ".join(f"{name}: {reason}" for name, reason in self._reasons.items())

    def _look(self) -> None:
        now = time.monotonic()
        if now < self._looked_at + LOOK_EVERY_S:
            return
        self._looked_at = now
        for service, problem in self._watched.items():
            if reason := problem():
                self.note(service, 0.0, reason)
            else:
                self.over(service)


class _CtrlC:
    """Makes Ctrl-C end a wait: Ray's handler only sets a flag, which its loop reads later."""

    def __init__(self) -> None:
        self._before: Any = None

    def __enter__(self) -> Self:
        return self

    def raises(self) -> None:
        """Make Ctrl-C raise KeyboardInterrupt until this context ends."""
        if self._before is None and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(self, *exception: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
