"""Fixtures and settings of all tests: repeatable properties, one thread, no user settings."""

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
    from playwright.sync_api import Browser

    from tests.cluster.services import Postgres

settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=15)
settings.register_profile("random", deadline=None, max_examples=100, print_blob=True)
settings.load_profile("repeatable")  # unless pytest is called with --hypothesis-profile

# Networks this small are slower on several threads, and one thread always sums in the same order.
torch.set_num_threads(1)

os.environ.update(RAY_ENVIRONMENT)  # for the tests that have Ray in this process

# A shell makes its background processes ignore Ctrl-C, and the processes that tests start inherit
# that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_tracking_server_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps tests from writing to the tracking server that the user's shell has configured."""
    for what in ("TRACKING_URI", "REGISTRY_URI", "EXPERIMENT_NAME", "EXPERIMENT_ID", "RUN_ID"):
        monkeypatch.delenv(f"MLFLOW_{what}", raising=False)


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, copied by tests because creating them takes seconds."""
    from mlflow import MlflowClient  # takes a second to import, and few tests need it

    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def service_folder() -> Iterator[Path]:
    """A folder that other users may enter; pytest's own folders may not be entered."""
    folder = Path(tempfile.mkdtemp(prefix="foldsweep-services-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(service_folder: Path) -> "Iterator[Postgres]":
    """PostgreSQL for tests with the marker `cluster`, with an empty database `STUDIES`."""
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


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A real Chromium. A test opens pages of its own: nothing of one is left to the next."""
    from docs.screenshots import chromium, open_browser

    program = chromium()
    if program is None:
        pytest.skip("needs Chromium (on Debian and Ubuntu: apt install chromium)")
    with open_browser(program) as opened:
        yield opened
