"""Trying again what a service refuses, with pauses that double, for as long as makes sense."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 300.0
"""How long a service may be away, unless a sweep's --outage-patience says otherwise."""
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 10.0
_SLICE_S = 1.0
"""Longest sleep between two calls of `while_away`."""


def retried(
    call: Callable[[], T],
    *,
    is_away: Callable[[Exception], bool],
    patience_s: float = PATIENCE_S,
    while_away: Callable[[float, Exception], None] = lambda seconds, error: None,
) -> T:
    """What a call returns, as soon as its service is there.

    Args:
        call: May be repeated.
        is_away: Whether an exception says that the service is away; any other is raised at once.
        patience_s: Seconds after which the exception is raised.
        while_away: Told about once a second how long the service has been away, and why.

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
