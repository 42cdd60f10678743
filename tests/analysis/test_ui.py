import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from analysis import ui
from analysis.load import open_store
from foldsweep.views import view_tags
from tests.refusals import refused


@pytest.fixture
def start(filled: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Function that runs the program, which is expected to refuse to start."""

    def run(*args: str, uri: str = filled.uri) -> None:
        monkeypatch.setattr(sys, "argv", ["ui.py", *args, "--tracking-uri", uri])
        ui.main()

    return run


def test_a_port_that_is_taken_is_named(start: Callable[..., None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with refused("ui.address-unusable", host="127.0.0.1", port=port):
            start("--port", str(port))


def test_a_host_that_is_not_here_is_named(start: Callable[..., None]) -> None:
    with refused("ui.address-unusable", host="192.0.2.1", port=5000):
        start("--host", "192.0.2.1")


def test_a_port_must_be_one(start: Callable[..., None]) -> None:
    with refused("ui.port-out-of-range", port=0):
        start("--port", "0")


@pytest.mark.parametrize("host", ["", " ", "\t"])
def test_an_empty_host_is_none(start: Callable[..., None], host: str) -> None:
    with refused("checks.option-empty", option="--host"):
        start("--host", host)


@pytest.mark.parametrize(
    ("host", "everywhere"),
    [("0.0.0.0", True), ("0", True), ("::", True), ("127.0.0.1", False), ("localhost", False)],
)
def test_a_host_that_means_every_network_is_known(host: str, everywhere: bool) -> None:
    assert ui._is_everywhere(host) is everywhere


def test_no_store_is_made(start: Callable[..., None], tmp_path: Path) -> None:
    with refused("load.store-missing", path=tmp_path / "none.db"):
        start(uri=f"sqlite:///{tmp_path}/none.db")
    assert not list(tmp_path.iterdir())


def test_an_older_experiment_gets_the_views(make_store: Callable[[], Any]) -> None:
    filled = make_store()
    filled.experiment("foldsweep")
    store = open_store(filled.uri, "foldsweep")
    assert ui._has_views(store)
    tags = filled.client.get_experiment(store.experiment_id).tags
    assert view_tags().items() <= tags.items()
    assert ui._has_views(store)


def test_views_are_of_the_latest_sweeps_objective(make_store: Callable[[], Any]) -> None:
    filled = make_store()
    filled.add("a/mlp", 0.5)
    filled.add("b/ridge", 50.0, measured="val_rmse", objective="val_rmse", task="houses")
    filled.add("early/mlp", 0.5, without=("task",))
    store = open_store(filled.uri, "foldsweep")
    assert ui._has_views(store)
    tags = filled.client.get_experiment(store.experiment_id).tags
    assert view_tags("val_rmse", better="lower").items() <= tags.items()


def test_a_server_that_takes_no_tags_is_shown_without_views(
    make_store: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = make_store()
    filled.experiment("foldsweep")
    store = open_store(filled.uri, "foldsweep")

    def deny(*_: str) -> None:
        raise MlflowException("permission denied")

    monkeypatch.setattr(store.client, "set_experiment_tag", deny)
    assert not ui._has_views(store)
