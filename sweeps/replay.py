"""Send to MLflow the records that a sweep kept while the tracking server was unavailable.

    python sweeps/replay.py NAME
    python sweeps/replay.py NAME --tracking-uri http://127.0.0.1:5000

Sending records again that the server already has changes nothing. Exit codes: 0 the server has
all records, 1 it does not accept them, 2 a mistake in the command.
"""

if __name__ == "__main__":
    import foldsweep.early  # noqa: F401

import argparse
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from filelock import FileLock, Timeout

from foldsweep import streams
from foldsweep.checks import nearest, refuse_empty, require_local
from foldsweep.errors import UserError
from foldsweep.interrupts import leave_to_python
from foldsweep.texts import text
from foldsweep.tracking import absolute_uri, check_store
from foldsweep.tracking import tracking_uri as present_uri
from sweeps.tracking.spool import (
    CLOSE,
    OPEN,
    REJECTED_FILE,
    SPOOL_FILE,
    TARGET_FILE,
    UPLOADER_LOCK,
    TrackingTarget,
    check_files,
    count_records,
    driver_lives,
    is_closed,
    made_in,
    read_records,
)

JOURNAL_FILE = "study.journal"
_POLL_S = 0.2
_REST = 3.0
"""Seconds of pause per second of CPU time, at least `_LEAST_REST_S` and at most `_LAST_DELAY_S`:
sending takes a quarter of a processor. If more records wait than one step sends, there is no
pause, since the end of the sweep would wait for them."""
_LEAST_REST_S = 2.0
"""Shortest pause: a run that begins and ends within a pause takes half the calls of a run that is
sent in parts."""
_FIRST_DELAY_S, _LAST_DELAY_S = 0.5, 10.0
_GIVE_UP_S = 60.0
_FIRST_RESULTS_S = 15.0
"""Longest wait for a sweep's first results; after it, the run is created without any."""
_LOCK_WAIT_S = 2.0
_DEPTHS = (TARGET_FILE, f"*/{TARGET_FILE}", f"*/*/{TARGET_FILE}")
"""Patterns of the target file in the folder of a space, of a sweep, and of all sweeps."""
_REQUESTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the loop below retries, and knows what was sent
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_log = logging.getLogger(__name__)


def follow(folder: Path) -> None:
    """Send a spool to MLflow as it grows, until the driver has closed it or has ended.

    While the driver runs, a failing server is retried without limit. After the driver has ended,
    the upload is given up: at the next failure if the spool is closed, else once the server has
    failed for `_GIVE_UP_S` seconds. If the uploader of an earlier driver is still running, this
    one waits to take over.
    """
    lock = FileLock(folder / UPLOADER_LOCK)
    while True:
        try:
            lock.acquire(timeout=_POLL_S)
            break
        except Timeout:
            if not driver_lives(folder):
                _log.info("another uploader is at work on %s", folder)
                return
    try:
        _follow(folder)
    finally:
        lock.release()


def _follow(folder: Path) -> None:
    _wait_for_results(folder)
    from sweeps.tracking.uploader import RECORDS_PER_STEP, Uploader, one_line

    uploader = Uploader(folder, TrackingTarget.load(folder))
    spool = folder / SPOOL_FILE
    delay, failing_since = _FIRST_DELAY_S, None
    while True:
        has_driver = driver_lives(folder)
        started = time.process_time()
        try:
            sent = uploader.send_next()
            if sent == 0:
                if is_closed(spool) or not has_driver:
                    uploader.finish(driver_died=not is_closed(spool))
                    return
                time.sleep(_POLL_S)
            elif has_driver and sent < RECORDS_PER_STEP:
                _pause(spool, rest_s(time.process_time() - started))
        except Exception as error:  # any failure: the records are safe, and the driver works
            if failing_since is None:
                _log.warning("cannot send: %s", one_line(error))
                failing_since = time.monotonic()
            is_late = is_closed(spool) or time.monotonic() > failing_since + _GIVE_UP_S
            if is_late and not has_driver:
                _log.warning(
                    "giving up: %d records wait", count_records(spool, uploader.progress.offset)
                )
                return
            _pause(spool, delay)
            delay = min(2 * delay, _LAST_DELAY_S)
        else:
            if failing_since is not None:
                _log.info("sending again")
            delay, failing_since = _FIRST_DELAY_S, None


def rest_s(worked_s: float) -> float:
    """Seconds to pause after `worked_s` seconds of CPU time."""
    return min(max(_REST * worked_s, _LEAST_REST_S), _LAST_DELAY_S)


def _wait_for_results(folder: Path) -> None:
    """Wait for the first results of trials, or at most `_FIRST_RESULTS_S`.

    Importing MLflow takes seconds of CPU time, which the start of a sweep needs itself. Only
    results since the driver opened the spool count: the sweep's own run has metrics from the
    start, and a resumed sweep has earlier results.
    """
    end = time.monotonic() + _FIRST_RESULTS_S
    read_up_to, has_results = 0, False
    while not has_results and time.monotonic() < end and driver_lives(folder):
        for offset, record in read_records(folder / SPOOL_FILE, read_up_to):
            read_up_to = offset
            op = record.get("op")
            of_trial = bool(record.get("run")) and op in ("metrics", "end")
            has_results = op != OPEN["op"] and (has_results or of_trial or op == CLOSE["op"])
        if not has_results:
            time.sleep(_POLL_S)


def _pause(spool: Path, seconds: float) -> None:
    """Wait, but at most `_POLL_S` longer once the driver has closed the spool."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if is_closed(spool):
            return
        time.sleep(min(left, _POLL_S))


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A checked spool folder of a sweep, with the target of its records."""

    folder: Path
    target: TrackingTarget
    foreign: bool
    """Whether the folder was made elsewhere; if so, no file outside it is read."""


def waiting(folder: Path, tracking_uri: str | None = None, *, trust: bool = False) -> Waiting:
    """Check one sweep's folder before anything is sent.

    Args:
        folder: Folder of the spool.
        tracking_uri: Server or store to send to [that of the sweep].
        trust: Whether to use a server or store that only the folder names, though the folder may
            come from another person.

    Raises:
        UserError: If the folder's files are damaged, or the server or store cannot accept records
            or is not the user's.
    """
    check_files(folder)
    target = TrackingTarget.load(folder)
    if tracking_uri is not None:
        target = replace(target, tracking_uri=absolute_uri(tracking_uri))
    check_store(target.tracking_uri)
    foreign = not trust and made_in(folder) != folder.resolve()
    if foreign:
        target = _checked(folder, target, given=tracking_uri is not None)
    return Waiting(folder=folder, target=target, foreign=foreign)


def replay(sweep: Waiting) -> str:
    """Send the records that wait in one sweep's folder, and return a report.

    Raises:
        UserError: If another uploader is at work in the folder, or the experiment is deleted.
        ConnectionError: If the server does not accept the records, which stay in the folder.
    """
    folder = sweep.folder
    if not (folder / SPOOL_FILE).exists():
        return text("replay.nothing-recorded", folder=folder)
    try:
        with FileLock(folder / UPLOADER_LOCK, timeout=_LOCK_WAIT_S):
            return _replay(folder, sweep.target, foreign=sweep.foreign)
    except Timeout:
        raise UserError.of("replay.folder-in-use", folder=folder) from None


def _checked(folder: Path, target: TrackingTarget, *, given: bool) -> TrackingTarget:
    """Check the target of a folder that was made elsewhere, and return it with a local study.

    Args:
        folder: The folder.
        target: Its target.
        given: Whether the user named the server or store.

    Raises:
        UserError: If the folder names a store that is not the user's, and the user named none.
    """
    if not given and target.tracking_uri != present_uri(None):
        raise UserError.of("replay.made-elsewhere", folder=folder, uri=target.shown_uri)
    return replace(target, study_storage=JOURNAL_FILE)


def _replay(folder: Path, target: TrackingTarget, *, foreign: bool) -> str:
    from sweeps.tracking.uploader import Uploader, one_line

    uploader = Uploader(folder, target, inside_only=foreign)
    spool, refused = folder / SPOOL_FILE, uploader.progress.refused
    uri, experiment = target.shown_uri, target.experiment
    print(text("replay.sends", folder=folder, uri=uri, experiment=experiment))
    try:
        while uploader.send_next():
            pass
        if not driver_lives(folder):
            uploader.finish(driver_died=not is_closed(spool))
    except UserError:
        raise
    except Exception as error:  # any failure: the records stay
        waiting = count_records(spool, uploader.progress.offset)
        problem = one_line(error)
        raise ConnectionError(
            text("replay.unreachable", uri=uri, records=waiting, folder=folder, problem=problem)
        ) from error
    report = f"{folder}: sent {uploader.num_sent} records of {len(uploader.sent_runs)} runs"
    if passed := uploader.progress.refused - refused:
        report += f", {passed} refused by the server, the last {uploader.progress.refusal}"
    report += f" to {target.shown_uri}"
    if uploader.num_set_aside:
        aside = f"{uploader.num_set_aside} invalid lines of the spool"
        report += f"; {aside} are set aside in {folder / REJECTED_FILE}"
    return report


def sweep_folders(name: str, storage: Path) -> list[Path]:
    """Spool folders of the sweeps that a name or a path refers to.

    Raises:
        UserError: If there are none.
    """
    for folder in (storage / name, Path(name)):
        found: list[Path] = []
        with suppress(OSError, UnicodeEncodeError):  # no file can have such a name
            depths = _DEPTHS if folder.resolve().name else ()  # never search the root
            found = [path.parent for depth in depths for path in folder.glob(depth)]
        if found:
            return sorted(found)
    known = sorted({path.parent.parent.name for path in storage.glob(f"*/*/{TARGET_FILE}")})
    raise UserError.of(
        "replay.no-sweep", name=name, storage=storage, known=", ".join(known) or "(none there)"
    )


OPTIONS = ("--storage", "--tracking-uri", "--trust")


class _Parser(argparse.ArgumentParser):
    """Parser that raises its errors as one line, as the other programs do."""

    def error(self, message: str) -> NoReturn:
        unknown = re.search("unrecognized arguments: (--[^ =]+)", message)
        meant = nearest(unknown[1], OPTIONS) if unknown else ""
        raise UserError.of("replay.command-line-invalid", message=message, meant=meant)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    parser = _Parser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", help="name of the sweep, or the path of its folder")
    parser.add_argument("--storage", type=Path, default=Path("runs"), help="folder of the sweeps")
    parser.add_argument("--tracking-uri", help="send everything to this server instead")
    parser.add_argument(
        "--trust",
        action="store_true",
        help="use the MLflow store named in the folder, even if the folder was made elsewhere",
    )
    parser.add_argument("--follow", action="store_true", help=argparse.SUPPRESS)
    try:
        refuse_empty(sys.argv[1:] if argv is None else argv)
        options = parser.parse_args(argv)
        require_local(options.storage)
    except UserError as error:
        print(f"error: {streams.escaped(str(error))}", file=sys.stderr)
        return 2
    os.environ.update({key: os.environ.get(key, value) for key, value in _REQUESTS.items()})
    logging.basicConfig(format="%(asctime)s %(message)s")
    if options.follow:
        _log.setLevel(logging.INFO)
        os.nice(19)  # Ray nices trials by 15
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # frees the locks on the way out
        follow(Path(options.name))
        return 0
    try:
        leave_to_python()
        sweeps = [
            waiting(folder, options.tracking_uri, trust=options.trust)
            for folder in sweep_folders(options.name, options.storage)
        ]
        for sweep in sweeps:
            print(replay(sweep))
    except UserError as error:
        print(f"error: {streams.escaped(str(error))}", file=sys.stderr)
        return 2
    except ConnectionError as error:
        print(streams.escaped(str(error)), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; records that were not sent are kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    streams.start_in_utf8()
    streams.secure()
    sys.exit(main())
