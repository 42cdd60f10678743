import pytest

from foldsweep import retrying
from foldsweep.retrying import retried


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(retrying, "time", clock)
    return clock


def away(error: Exception) -> bool:
    return isinstance(error, ConnectionError)


def test_a_call_is_repeated_until_its_service_is_there(clock: Clock) -> None:
    outcomes = iter([ConnectionError("a"), ConnectionError("b"), "found"])
    told: list[tuple[float, str]] = []

    def call() -> object:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def tell(seconds: float, error: Exception) -> None:
        told.append((seconds, str(error)))

    assert retried(call, is_away=away, while_away=tell) == "found"
    assert told == [(0.0, "a"), (0.25, "b")]


def test_pauses_double_and_end_when_patience_does(clock: Clock) -> None:
    tried: list[float] = []

    def call() -> None:
        tried.append(clock.now)
        raise ConnectionError("refused")

    with pytest.raises(ConnectionError, match="refused"):
        retried(call, is_away=away, patience_s=30.0)
    assert tried == [0.0, 0.25, 0.75, 1.75, 3.75, 7.75, 15.75, 25.75, 30.0]
    assert max(clock.slept) <= 1.0


def test_any_other_error_is_raised_at_once(clock: Clock) -> None:
    def call() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        retried(call, is_away=away)
    assert not clock.slept


def test_without_patience_there_is_one_try(clock: Clock) -> None:
    def call() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        retried(call, is_away=away, patience_s=0.0)
    assert not clock.slept
