"""Optuna's dashboard on the study of a sweep, from a journal and from a database."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from optuna.storages import RDBStorage

from search_spaces.loading import load_space
from sweeps.ledger import Ledger
from sweeps.settings import SweepSettings
from sweeps.study import open_storage
from tests.integration.test_mlflow_ui import free_port
from tests.integration.user import until

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(120)]

NAME = "sweep/mlp"


@pytest.fixture(params=["journal", "database"])
def study_url(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    return f"sqlite:///{tmp_path}/study.db" if request.param == "database" else None


@pytest.fixture
def ledger(study_url: str | None, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger of trials in all states: complete, running, pruned and failed."""
    storage = open_storage(study_url, tmp_path / "study.journal")
    space = load_space("mlp")
    settings = SweepSettings(space=("mlp",), trials=9, sampler="random")
    settings = settings.for_task(space.variant.task)
    ledger = Ledger(storage, NAME, space, settings, epochs=9, identity={})
    for number, value in enumerate((0.5, 0.75, 0.25)):
        ledger.ask()
        ledger.report(number, 3, value)
    ledger.report(0, 9, 0.625, ended=True)  # not a rung, so this report goes to MLflow only
    ledger.complete(0, [0.625], {"by_fold": {"val_accuracy": [0.5, 0.75]}})
    ledger.prune(2, {})
    ledger.ask()
    ledger.fail(3, "a loss became infinite")
    yield ledger
    if isinstance(storage, RDBStorage):
        storage.engine.dispose()


@pytest.fixture
def api(study_url: str | None, ledger: Ledger, tmp_path: Path) -> Iterator[str]:
    """Address of the dashboard's API, started as the documentation says."""
    port = free_port()
    program = shutil.which("optuna-dashboard", path=str(Path(sys.executable).parent))
    assert program is not None
    with (tmp_path / "dashboard.log").open("wb") as log:
        server = subprocess.Popen(
            [program, study_url or "study.journal", "--port", str(port)],
            cwd=tmp_path,
            env=os.environ | {"HOME": str(tmp_path)},  # gunicorn keeps a socket there
            stdout=log,
            stderr=log,
        )

    def answers() -> bool:
        assert server.poll() is None, (tmp_path / "dashboard.log").read_text()
        try:
            return requests.get(f"http://127.0.0.1:{port}/api/studies", timeout=5).ok
        except requests.ConnectionError:
            return False

    try:
        until(answers)
        yield f"http://127.0.0.1:{port}/api/studies"
    finally:
        server.terminate()
        server.wait()


def shown(api: str) -> dict[str, Any]:
    """The only study, as the dashboard's pages get it."""
    (study,) = requests.get(api, timeout=5).json()["study_summaries"]
    assert study["study_name"] == NAME
    return requests.get(f"{api}/{study['study_id']}", timeout=5).json() | study


def test_the_dashboard_shows_the_study_and_leaves_it_to_the_sweep(
    api: str, ledger: Ledger
) -> None:
    study = shown(api)
    assert study["directions"] == ["maximize"]
    assert study["objective_names"] == ["val_accuracy"]
    trials = study["trials"]
    assert [t["state"] for t in trials] == ["Complete", "Running", "Pruned", "Fail"]
    assert trials[0]["values"] == [0.625]
    steps = [[(v["step"], v["value"]) for v in t["intermediate_values"]] for t in trials]
    assert steps == [[(3, 0.5)], [(3, 0.75)], [(3, 0.25)], []]
    assert {p["name"] for p in trials[1]["params"]} == set(ledger.distributions)

    note = {"body": "a good one", "version": 1}
    trial = f"{api}/{study['study_id']}/{trials[0]['trial_id']}/note"
    assert requests.put(trial, json=note, timeout=15).status_code == 204
    ledger.complete(1, [0.75], {})
    until(lambda: shown(api)["trials"][1]["state"] == "Complete")
    assert shown(api)["trials"][0]["note"]["body"] == "a good one"
    assert [t.number for t in ledger.ended()] == [0, 1, 2, 3]
