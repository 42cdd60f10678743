from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ObjectLostError

from sweeps import fitting
from sweeps.machines import Machines
from sweeps.settings import SweepSettings


@pytest.mark.parametrize(("cause", "times"), [(ObjectLostError, 3), (ValueError, 1)])
def test_a_result_that_is_lost_with_its_node_does_not_end_the_sweep(
    cause: type[Exception], times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray Tune raises it, as it does whatever it does not know."""
    runs: list[Any] = []
    given_back: list[int] = []
    life: Any = SimpleNamespace(
        give_all_back=lambda: given_back.append(1),
        ledger=SimpleNamespace(trials_left=0),
        out_of_time=False,
        hopeless=False,
    )
    monkeypatch.setattr(Machines, "change", True)
    lost = cause("1" * 56, "", "") if cause is ObjectLostError else cause()

    def run(*given: Any) -> None:
        runs.append(given)
        if len(runs) < 3:
            raise RuntimeError("Caught unexpected exception") from lost

    monkeypatch.setattr(fitting, "_run", run)
    machines = Machines(SweepSettings())
    given: Any = {"context": None, "settings": None, "allotment": None, "console": None}

    def fit() -> bool:
        return fitting.fit(life, machines=machines, folder=tmp_path, **given)

    if cause is ValueError:
        with pytest.raises(RuntimeError, match="unexpected"):
            fit()
    else:
        assert fit() is False
    assert len(runs) == times
    assert len(given_back) == times - 1
