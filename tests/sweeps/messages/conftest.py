from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foldsweep.tracking import tracking_uri
from sweeps.ledger import Ledger
from sweeps.settings import SweepSettings
from sweeps.sweep import SweepEnd
from tests.sweeps.ends import ended
from tests.sweeps.messages.said import MakeEnd, Said


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return lambda: capsys.readouterr().out


@pytest.fixture
def settings() -> SweepSettings:
    settings = SweepSettings(space=("small",), trials=6, tracking_uri=tracking_uri(None))
    return replace(settings, objective=("val_accuracy",))


@pytest.fixture
def make_end(make_ledger: Callable[..., Ledger]) -> MakeEnd:
    """Makes the end of a sweep with one trial."""

    def make(*, complete: bool = True, **changes: Any) -> SweepEnd:
        ledger = make_ledger()
        asked = ledger.ask()
        assert asked is not None
        if complete:
            result = {"by_fold": {"val_accuracy": [0.7, 0.8]}, "num_params": 3, "epoch": 9}
            ledger.complete(asked.number, [0.75], {**result, "train_time_s": 1.0})
        else:
            ledger.fail(asked.number, "broken")
        return ended(ledger, **changes)

    return make


@pytest.fixture
def make_ended(make_ledger: Callable[..., Ledger], make_end: MakeEnd) -> Callable[..., SweepEnd]:
    """Makes the end of a sweep whose trials end as in `states`: a number is a trial's score."""

    def make(*states: str | float, interrupted: bool = False, **ledger: Any) -> SweepEnd:
        made = make_ledger(trials=ledger.pop("trials", 30), **ledger)
        for state in states:
            asked = made.ask()
            assert asked is not None
            if state == "fails":
                made.fail(asked.number, "broken")
            elif state == "stops":
                made.report(asked.number, 3, 0.5)
                made.prune(asked.number, {})
            else:
                score = 0.5 if isinstance(state, str) else state
                made.complete(asked.number, [score], {})
        return ended(made, interrupted=interrupted)

    return make
