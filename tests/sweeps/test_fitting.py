import os
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest
from ray import tune
from ray.exceptions import ObjectLostError

from sweeps import fitting
from sweeps.machines import Machines
from sweeps.settings import SweepSettings


@pytest.mark.parametrize(("cause", "times"), [(ObjectLostError, 3), (ValueError, 1)])
def test_a_result_that_is_lost_with_its_node_does_not_end_the_sweep(
    cause: type[Exception], times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray Tune raises it wrapped, like every exception that it does not know."""
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


NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def environment_of_a_child() -> dict[str, str]:
    said = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def test_keys_are_hidden_from_tune_until_it_has_defined_its_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """pyarrow and new processes still get the keys."""
    for name in NAMES[:2]:
        monkeypatch.setenv(name, "secret")
    monkeypatch.delenv(NAMES[2], raising=False)
    keys = fitting.KeysStayHere()
    keys.setup()
    assert not set(NAMES) & set(os.environ)
    assert environment_of_a_child()[NAMES[1]] == "secret"
    keys.on_trial_start(1, [], cast(Any, None))
    assert {name: os.environ.get(name) for name in NAMES} == {
        **dict.fromkeys(NAMES[:2], "secret"),
        NAMES[2]: None,
    }


def test_ctrl_c_ends_tune_after_its_step_and_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signal handlers and S3 keys are restored afterwards."""
    monkeypatch.setenv(NAMES[0], "secret")
    before = signal.getsignal(signal.SIGINT)
    life: Any = Mock(running={"a": 1})
    steps: list[int] = []

    def run(*given: Any, callbacks: list[tune.Callback], **options: Any) -> None:
        (keys,) = (each for each in callbacks if isinstance(each, fitting.KeysStayHere))
        keys.setup()
        callbacks[-1].on_step_end(1, [])
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is before
        steps.append(1)
        callbacks[-1].on_step_end(2, [])
        steps.append(2)

    monkeypatch.setattr(tune, "run", run)
    monkeypatch.setattr(tune, "with_parameters", lambda trainable, **_: trainable)
    monkeypatch.setattr(fitting, "trainable_for", lambda variant: None)
    monkeypatch.setattr(fitting, "Progress", Mock())
    given: Any = (Mock(), SweepSettings(), Mock(), Machines(SweepSettings()), tmp_path, Mock())
    fitting._run(life, *given)
    assert steps == [1]
    assert signal.getsignal(signal.SIGINT) is before
    assert os.environ[NAMES[0]] == "secret"
