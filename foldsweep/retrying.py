"""Retries of calls to an unavailable service, with exponential backoff and a time limit."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 300.0
"""Default seconds that a service may be unavailable; a sweep has --outage-patience instead."""
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 10.0
_SLICE_S = 1.0
"""Longest sleep between two calls of `while_away`, in seconds."""


def retried(
    call: Callable[[], T],
    *,
    is_away: Callable[[Exception], bool],
    patience_s: float = PATIENCE_S,
    while_away: Callable[[float, Exception], None] = lambda seconds, error: None,
) -> T:
    """Return the result of a call; retry it while its service is unavailable.

    Args:
        call: The call; it must be safe to repeat.
        is_away: Whether an exception means that the service is unavailable; any other exception is
            raised at once.
        patience_s: Seconds from the first failure until the exception is raised.
        while_away: Called about once a second with the seconds since the first failure, and the
            exception.

    Raises:
        Exception: The exception of the call.
    """
    since: float | None = None
    pause = _FIRST_PAUSE_S
    while True:
        try:
            return call()
        except Exception as error:
            now = time.monotonic()
            since = now if since is None else since
            if not is_away(error) or now - since >= patience_s:
                raise
            again = min(now + pause, since + patience_s)
            while (now := time.monotonic()) < again:
                while_away(now - since, error)
                time.sleep(min(_SLICE_S, again - now))
            pause = min(2 * pause, _LONGEST_PAUSE_S)
