"""The MLflow UI, with an address that shows the sweeps: `python analysis/ui.py` or `make ui`."""

if __name__ == "__main__":
    import foldsweep.early  # noqa: F401

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from mlflow.exceptions import MlflowException

from analysis.load import ELSEWHERE, Store, find_runs, objective_keys, objectives, open_store
from foldsweep.errors import UserError
from foldsweep.programs import console, parse, run_program
from foldsweep.texts import text
from foldsweep.tracking import default_experiment, shown, tracking_uri
from foldsweep.views import SWEEPS, address, view_tags

SERVER = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # else the server asks an MLflow host what to report
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # else eight more processes for agents' traces
    "PYTHONWARNINGS": "ignore",
}
_POLL_S = 0.1


@dataclass(frozen=True, kw_only=True)
class UiSettings:
    """Start MLflow's UI on a store and print the address that shows its sweeps; Ctrl-C ends it.

    If the store is an MLflow server, only print the address.
    """

    port: int = 5000
    """Port to listen on."""
    beside: bool = False
    """Serve beside another program: on any free port if --port is taken, until standard input
    ends."""
    host: str = "127.0.0.1"
    """Address to listen on; any other address opens MLflow to a network without a password."""
    experiment: str = field(default_factory=default_experiment)
    """MLflow experiment [MLFLOW_EXPERIMENT_NAME, else foldsweep]."""
    tracking_uri: str | None = None
    """MLflow server or store [MLFLOW_TRACKING_URI, else mlflow.db in this folder]."""


def main() -> int:
    """Serve the UI until it is interrupted; return the exit code."""
    settings = parse(UiSettings, sys.argv[1:], prog="analysis/ui.py")
    if not 0 < settings.port < 2**16:
        raise UserError.of("ui.port-out-of-range", port=settings.port)
    store = open_store(tracking_uri(settings.tracking_uri), settings.experiment)
    view = SWEEPS if _has_views(store) else None
    if store.tracking_uri.startswith("http"):
        page = address(shown(store.tracking_uri), store.experiment_id, view)
        console.print(text("ui.open", page=page))
        return 0
    if settings.beside:
        settings = replace(settings, port=_free_port(settings))
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    if (old := store.moved_from()) is not None:
        console.print(text("ui.artifacts-elsewhere", place=old, meaning=ELSEWHERE))
    _check_free(settings)
    console.print(text("ui.starting", uri=shown(store.tracking_uri)))
    if _is_everywhere(settings.host):
        console.print(text("ui.every-network", host=settings.host))
    with _server(settings, store) as server:
        if not _answers(server, settings):
            raise UserError.of("ui.server-ended", code=server.wait())
        here = f"http://{_reachable(settings.host)}:{settings.port}"
        console.print(text("ui.open", page=address(here, store.experiment_id, view)))
        try:
            return server.wait()
        except KeyboardInterrupt:
            return 0


def _views(store: Store) -> dict[str, str]:
    """Tags of the saved views, for the objective of the latest readable sweep."""
    for sweep in find_runs(store, foldsweep__kind="sweep"):
        try:
            known = objectives(sweep)
        except UserError:
            continue
        first = known[objective_keys(sweep)[0]]
        return view_tags(first.key, better=first.better)
    return view_tags()


def _has_views(store: Store) -> bool:
    """Create or update foldsweep's views of the experiment; return whether it then has them."""
    try:
        there = store.client.get_experiment(store.experiment_id).tags
        for key, value in _views(store).items():
            if there.get(key) != value:
                store.client.set_experiment_tag(store.experiment_id, key, value)
    except MlflowException:  # the server is read-only
        return False
    return True


def _free_port(settings: UiSettings) -> int:
    """The requested port if it is free, else any free port."""
    for port in (settings.port, 0):
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, port))
            return int(probe.getsockname()[1])
    return settings.port


def _end_with_stdin() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _check_free(settings: UiSettings) -> None:
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.port))
    except OSError as error:
        raise UserError.of(
            "ui.address-unusable", host=settings.host, port=settings.port, reason=error.strerror
        ) from None


@contextmanager
def _server(settings: UiSettings, store: Store) -> Iterator[subprocess.Popen[bytes]]:
    """MLflow's server in its own session, whose processes all end on exit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "ui", "--workers", "1"),
            *("--host", settings.host, "--port", str(settings.port)),
            *("--uvicorn-opts", "--log-level warning"),
        ],
        # not an argument: other users can read arguments, and a URI may contain a password
        env=os.environ | SERVER | {"MLFLOW_BACKEND_STORE_URI": store.tracking_uri},
        start_new_session=True,
    )
    try:
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _answers(server: subprocess.Popen[bytes], settings: UiSettings) -> bool:
    """Wait until the server answers or ends; return whether it answers."""
    while server.poll() is None:
        try:
            socket.create_connection((_reachable(settings.host), settings.port), 1).close()
            return True
        except OSError:
            time.sleep(_POLL_S)
    return False


def _is_everywhere(host: str) -> bool:
    """Whether a server that listens on `host` listens on all addresses of this machine."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(ip_address(address[0]).is_unspecified for *_, address in found)


def _reachable(host: str) -> str:
    """The address at which a browser on this machine reaches a server that listens on `host`."""
    return "127.0.0.1" if _is_everywhere(host) else host


if __name__ == "__main__":
    run_program(main)
