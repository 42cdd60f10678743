import os
import re
import signal

import pytest

from sweeps.outages import STORAGE, STUDY, Outages, ServiceAway, ServiceLost
from tests.refusals import text


def fails() -> None:
    raise ServiceAway("refused")


def test_a_wait_is_shown_and_forgotten_when_the_service_is_back() -> None:
    outages = Outages()
    shown: list[str] = []
    answers = iter([False, False, True])

    def call() -> str:
        if not next(answers):
            fails()
        return "found"

    outages.show = lambda: shown.append(f"{outages.shown()} ({outages.why()})")
    assert outages.waited(STUDY, call) == "found"
    away = text("outages.away", service="study", seconds=0)
    assert shown[0] == f"{away} (study: refused)"
    assert outages.shown() == outages.why() == ""


def test_a_service_that_stays_away_ends_the_sweep_as_no_exception_does() -> None:
    """Ray treats every `Exception` in a callback as a failure of the trial."""
    assert not issubclass(ServiceLost, Exception)
    with pytest.raises(
        ServiceLost,
        match=re.escape(text("outages.lost", service="study", seconds=0, why="refused")),
    ):
        Outages(patience_s=0.0).waited(STUDY, fails)


def test_ctrl_c_ends_a_wait_also_where_ray_has_a_handler_of_its_own() -> None:
    taken: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: taken.append(number))
    try:
        own = signal.getsignal(signal.SIGINT)
        outages = Outages()
        outages.show = lambda: os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            outages.waited(STUDY, fails)
        assert signal.getsignal(signal.SIGINT) == own
        assert not taken
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_nobody_waits_for_is_asked_now_and_then() -> None:
    outages = Outages()
    problem = ["refused"]
    outages.watch("MLflow", lambda: problem[0])
    mlflow = text("outages.away", service="MLflow", seconds=0)
    assert outages.shown().startswith(mlflow)
    outages.note(STORAGE, 40.0, "503")
    storage = text("outages.away", service="storage", seconds=40)
    assert outages.shown().endswith(storage)
    outages.over(STORAGE)
    assert outages.why() == "MLflow: refused"
