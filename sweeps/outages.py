"""Services that a sweep needs and that are away: what is shown of them, and when it is enough."""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, Self, TypeVar

from foldsweep.errors import first_line
from foldsweep.retrying import PATIENCE_S, retried

T = TypeVar("T")

STUDY = "study"
STORAGE = "storage"
TRACKING = "MLflow"
LOOK_EVERY_S = 5.0


class ServiceAway(Exception):
    """A service does not answer; the same call may succeed later."""


class ServiceLost(BaseException):
    """A service has been away for so long that the sweep ends; it says so in a line.

    Ray takes every `Exception` in a callback for a failure of the trial that it was about.
    """


class Owner(Protocol):
    """Whoever makes sure that this process alone writes."""

    def check(self) -> None:
        """Return if this process may write.

        Raises:
            ServiceAway: If that is not known at present.
            ServiceLost: If another process may.
        """


class Unshared:
    """Stands where nobody else can write, or a lock file sees to it."""

    def check(self) -> None:
        """Return at once."""


UNSHARED = Unshared()


class Outages:
    """Waits for services that are away, and knows since when they are.

    Args:
        patience_s: Seconds after which a wait ends the sweep.
    """

    def __init__(self, patience_s: float = PATIENCE_S):
        self.patience_s = patience_s
        self.show: Callable[[], None] = lambda: None
        """Called about once a second while something is waited for."""
        self._since: dict[str, float] = {}
        self._reasons: dict[str, str] = {}
        self._watched: dict[str, Callable[[], str]] = {}
        self._looked_at = -LOOK_EVERY_S

    def waited(self, service: str, call: Callable[[], T]) -> T:
        """What a call returns, which raises `ServiceAway` as long as its service is away.

        Ctrl-C ends the wait at once, also where Ray has a handler of its own.

        Raises:
            ServiceLost: If the service stays away.
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
                raise ServiceLost(
                    f"the {service} has been away for {self.patience_s:g} s ({first_line(error)})"
                ) from None
        self.over(service)
        return found

    def note(self, service: str, seconds: float, reason: str) -> None:
        """A service has been away for so many seconds."""
        self._since.setdefault(service, time.monotonic() - seconds)
        self._reasons[service] = reason

    def over(self, service: str) -> None:
        """A service is there again."""
        if self._since.pop(service, None) is not None:
            self._reasons.pop(service, None)

    def watch(self, service: str, problem: Callable[[], str]) -> None:
        """Ask now and then what a service fails with that nobody waits for."""
        self._watched[service] = problem

    def shown(self) -> str:
        """What is away, for a line of progress; empty if nothing is."""
        self._look()
        now = time.monotonic()
        parts = [f"{name} away for {now - since:.0f} s" for name, since in self._since.items()]
        return " · ".join(parts)

    def why(self) -> str:
        """The reasons, as the services give them."""
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
    """Can have Ctrl-C end a wait: Ray's handler only makes a note, which its loop would read."""

    def __init__(self) -> None:
        self._before: Any = None

    def __enter__(self) -> Self:
        return self

    def raises(self) -> None:
        """Let it raise KeyboardInterrupt from now on."""
        if self._before is None and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(self, *exception: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
