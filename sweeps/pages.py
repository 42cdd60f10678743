"""MLflow UI beside a sweep: a separate process, which ends with the sweep."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sweeps.settings import SweepSettings
from sweeps.tracking.spool import TARGET_FILE, TrackingTarget, read_progress

LOOK_EVERY_S = 0.5
END_WITHIN_S = 10.0


@contextmanager
def pages(settings: SweepSettings, folder: Path) -> Iterator[None]:
    """Serve the MLflow UI of a sweep, and print its address once it is up.

    Args:
        settings: Settings of the sweep.
        folder: Local folder of its first space.
    """
    over = threading.Event()
    thread = threading.Thread(target=_serve, args=(settings, folder, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(END_WITHIN_S)


def _serve(settings: SweepSettings, folder: Path, over: threading.Event) -> None:
    # the experiment exists after its first record; only one process may create a new store
    while not _has_begun(folder):
        if over.wait(LOOK_EVERY_S):
            return
    root = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    server = subprocess.Popen(
        [
            *(sys.executable, "-P", "-m", "analysis.ui", "--beside"),
            *("--experiment", settings.experiment),
        ],
        # not an argument, which other users can read: a URI may hold a password
        env=os.environ | {"PYTHONPATH": path, "MLFLOW_TRACKING_URI": settings.tracking_uri or ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,  # Ctrl-C is for the sweep, which ends the server
    )
    assert server.stdin is not None
    assert server.stdout is not None
    threading.Thread(target=_show, args=(server.stdout,), daemon=True).start()
    over.wait()
    with suppress(BrokenPipeError):
        server.stdin.close()
    server.wait()


def _show(said: Iterator[str]) -> None:
    for line in said:
        if line.startswith(("open ", "error: ")):
            print(f"      {line.strip()}", flush=True)  # above the live line, if there is one


def _has_begun(folder: Path) -> bool:
    if not (folder / TARGET_FILE).exists():
        return False
    return read_progress(folder, TrackingTarget.load(folder).server).offset > 0
