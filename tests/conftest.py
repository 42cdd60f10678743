"""What every test stands on: repeatable properties, one thread, no settings of whoever runs it."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import settings

from sweeps.supervisor import RAY_ENVIRONMENT

if TYPE_CHECKING:
    from tests.cluster.services import Postgres

settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=15)
settings.load_profile("repeatable")

# Networks this small are slower on several threads, and one thread always sums in one order.
torch.set_num_threads(1)

os.environ.update(RAY_ENVIRONMENT)  # for the tests that have Ray in this process

# A shell has what it starts in the background ignore Ctrl-C, and with it all that tests start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_tracking_server_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps tests from writing where the shell they were started from would write."""
    for what in ("TRACKING_URI", "REGISTRY_URI", "EXPERIMENT_NAME", "EXPERIMENT_ID", "RUN_ID"):
        monkeypatch.delenv(f"MLFLOW_{what}", raising=False)


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, which take seconds to make."""
    from mlflow import MlflowClient  # which takes a second, and few tests need

    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def service_folder() -> Iterator[Path]:
    """A folder that other users may enter, which those of pytest do not let them."""
    folder = Path(tempfile.mkdtemp(prefix="foldsweep-services-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(service_folder: Path) -> "Iterator[Postgres]":
    """A PostgreSQL for tests of the marker `cluster`, with an empty database `STUDIES`."""
    pytest.importorskip("psycopg")
    from tests.cluster.services import STUDIES, Postgres

    folder = service_folder / "postgres"
    folder.mkdir()
    service = Postgres(folder).start()
    service.execute(f"create database {STUDIES}")
    yield service
    service.kill()


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """Folder holding the four MNIST files."""
    folder = os.environ.get("FOLDSWEEP_DATA")
    if not folder:
        pytest.skip("needs the MNIST files: name their folder in FOLDSWEEP_DATA")
    return Path(folder)
