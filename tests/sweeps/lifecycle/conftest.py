from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foldsweep import names
from sweeps.ledger import Ledger
from sweeps.lifecycle import Lifecycle
from tests.sweeps.lifecycle.recorder import MakeLifecycle, Recorder


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def make_lifecycle(
    make_ledger: Callable[..., Ledger], recorder: Recorder, tmp_path: Path
) -> MakeLifecycle:
    def make(
        *,
        tracker: Any = recorder,
        objective: tuple[str, ...] = (names.val_key("accuracy"),),
        time_budget: float | None = None,
        max_failures: int = 0,
        **ledger: Any,
    ) -> Lifecycle:
        ledger = make_ledger(objective=objective, **ledger)
        return Lifecycle(
            ledger,
            tracker,
            space=ledger.space,
            objective=objective,
            epochs=9,
            report_at=(3, 9),
            tags={names.TAG_SWEEP: "first/small"},
            dataset={"name": "digits", "digest": "0123"},
            checkpoint_folder=str(tmp_path / "checkpoints"),
            error_folder=tmp_path / "errors",
            held_out_folder=tmp_path / "held_out",
            time_budget=time_budget,
            max_failures=max_failures,
        )

    return make
