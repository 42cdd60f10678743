"""The spool: a local file that takes every tracking record before it is sent to MLflow.

A sweep's folder holds `spool.jsonl` (one JSON record per line, append-only), `spool.cursor` (how
much each tracking server has received), `tracking.json` (where to send it) and two locks. The
driver holds its lock while it runs; the uploader's lock excludes a second uploader. Invalid lines
are copied to `spool.rejected.jsonl`, and the others are sent.

A record names its run by trial number, such as `"12"`; the sweep's own run is `""`:

    {"op": "start", "run", "time", "name", "params", "tags", "dataset"}
    {"op": "metrics", "run", "points": [[key, value, step, time], ...]}
    {"op": "tags", "run", "tags"}
    {"op": "artifact", "run", "path", "to"}
    {"op": "end", "run", "status", "time"}
    {"op": "open"}, {"op": "close"}: a driver has started or ended

The path of an artifact inside the sweep's folder is relative to that folder. Times are
milliseconds since the epoch and are part of the record: MLflow recognises a repeated metric point
by its time, so sending a spool twice adds nothing.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from foldsweep import names
from foldsweep.errors import UserError
from foldsweep.files import parsed, write_whole
from foldsweep.objective import Better
from foldsweep.tracking import artifacts_beside, check_uri, shown, sqlite_path
from sweeps.identity import Identity, portable, resolved
from sweeps.tracking.validation import are_points, is_run, is_texts

Record = dict[str, Any]
Point = tuple[str, float, int, int]

RUN_TAG = "foldsweep.run"
TARGET_FILE = "tracking.json"
SPOOL_FILE = "spool.jsonl"
CURSOR_FILE = "spool.cursor"
REJECTED_FILE = "spool.rejected.jsonl"
RESTORED_FILE = "spool.restored"
"""Byte offset up to which the spool was restored from a copy, see `restored_up_to`."""
DRIVER_LOCK = "driver.lock"
UPLOADER_LOCK = "uploader.lock"
_PLACES = ("tracking_uri", "study_storage")
OPEN: Record = {"op": "open"}
CLOSE: Record = {"op": "close"}
_LONGEST_NAME = 200
"""Most bytes of an experiment's name, which is also the name of its folder of artifacts."""


def now_ms() -> int:
    """Current time in milliseconds since the epoch, MLflow's unit."""
    return time.time_ns() // 1_000_000


class Spool:
    """Appends records to a spool file, without a buffer: a kill loses none that was appended.

    An incomplete last line, left by a kill or a full disk, is cut off when the file is opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        with path.open("rb") as reader:
            self._file.truncate(_complete_length(reader.read()))

    def append(self, record: Record) -> None:
        """Add one record, with NaN and infinities.

        Lone surrogates are replaced by escapes, since no server accepts them. The path of an
        artifact keeps them: it names a local file, and is not sent.

        Raises:
            OSError: If the disk is full; the spool is unchanged.
        """
        text = json.dumps(record)
        if r"\ud" in text and record.get("op") != "artifact":
            text = json.dumps(_plain(record))
        line = f"{text}\n".encode()
        size = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) != len(line):
                raise OSError(
                    f"{self._file.name!r} took only a part of a record: is the disk full?"
                )
        except OSError:
            self._file.truncate(size)
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _plain(value: Any) -> Any:
    """The value with lone surrogates in its texts replaced by escapes."""
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {_plain(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
    return value


def _complete_length(data: bytes) -> int:
    return data.rfind(b"\n") + 1


def read_records(path: Path, offset: int = 0) -> Iterator[tuple[int, Record]]:
    """Yield the complete records from a byte offset on, each with the offset of its end.

    A line that is not a JSON object (a damaged disk) is yielded as `{"op": "unreadable"}`.
    """
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                record = parsed(line)
            except ValueError:
                record = None
            yield offset, record if isinstance(record, dict) else {"op": "unreadable"}


def set_aside(folder: Path, wrong: Sequence[tuple[int, str]]) -> int:
    """Copy invalid lines to a file beside the spool, each once; return the number of new ones.

    Args:
        folder: Folder of the spool.
        wrong: Byte offset of each line, and what is wrong with it.
    """
    path = folder / REJECTED_FILE
    known = set(path.read_text(encoding="utf-8").splitlines()) if path.exists() else set()
    new = []
    with (folder / SPOOL_FILE).open("rb") as spool:
        for offset, why in wrong:
            spool.seek(offset)
            text = spool.readline().decode(errors="replace").rstrip("\n")
            line = json.dumps({"offset": offset, "why": why, "line": text})
            new += [line] if line not in known else []
    if new:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in new)
    return len(new)


def num_set_aside(folder: Path) -> int:
    """Number of lines that `set_aside` has copied."""
    try:
        return (folder / REJECTED_FILE).read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def count_records(path: Path, offset: int) -> int:
    """Number of records after a byte offset that are to be sent to MLflow."""
    return sum("run" in record for _, record in read_records(path, offset))


def is_closed(path: Path) -> bool:
    """Whether the spool ends with a `close` record: the driver adds no more."""
    mark = (json.dumps(CLOSE) + "\n").encode()
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(mark)))
        return file.read() == mark


@dataclass(slots=True)
class RunState:
    """State of one run, as recorded in a spool.

    `last_step` holds the highest step of each metric. Steps of a metric rise, so a point at or
    below it is a repetition. `params` are the first parameters of the sweep's own run, empty for
    trials: MLflow refuses changed ones. `nodes` is the tag `names.TAG_NODES`, which grows with
    each attempt.
    """

    is_open: bool = False
    last_step: dict[str, int] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    nodes: str = ""


def run_states(path: Path) -> dict[str, RunState]:
    """State of every run in a spool, in the order of first records."""
    states: dict[str, RunState] = {}
    for _, record in read_records(path):
        run, op = record.get("run"), record.get("op")
        if not is_run(run):
            continue
        state = states.setdefault(run, RunState())
        if op == "metrics" and are_points(record.get("points")):
            for key, _, step, _ in record["points"]:
                state.last_step[key] = max(step, state.last_step.get(key, step))
        elif op == "tags" and is_texts(record.get("tags")):
            state.nodes = record["tags"].get(names.TAG_NODES, state.nodes)
        elif op in ("start", "end"):
            state.is_open = op == "start"
            params = record.get("params", {})
            if op == "start" and not run and is_texts(params):
                state.params = {**params, **state.params}
    return states


@dataclass(slots=True)
class Progress:
    """Progress of sending a spool to one tracking server.

    `offset` is the byte offset up to which the server has all records, and `part` the number of
    runs already sent of the records that follow it. `refused` counts the items that the server
    refused, and `refusal` describes the last one. `problem` is the last error, empty after a
    success.
    """

    offset: int = 0
    part: int = 0
    refused: int = 0
    problem: str = ""
    refusal: str = ""


def read_progress(folder: Path, server: str) -> Progress:
    """Progress of a server (`TrackingTarget.server`).

    It is zero for a server not seen before, and if the cursor is damaged: sending records again
    adds nothing.
    """
    try:
        progress = Progress(**_cursors(folder).get(server, {}))
    except TypeError:
        return Progress()
    counts = (progress.offset, progress.part, progress.refused)
    if not all(type(count) is int and count >= 0 for count in counts):
        return Progress()
    is_said = isinstance(progress.problem, str) and isinstance(progress.refusal, str)
    return progress if is_said and _is_place(folder / SPOOL_FILE, progress.offset) else Progress()


def _is_place(spool: Path, offset: int) -> bool:
    """Whether a record begins, or may be appended, at a byte offset."""
    if offset == 0 or not spool.exists():
        return True
    with spool.open("rb") as file:
        file.seek(offset - 1)
        return file.read(1) == b"\n"


def write_progress(folder: Path, server: str, progress: Progress) -> None:
    """Store progress atomically: after a kill the file holds the old or the new one."""
    cursors = _cursors(folder) | {server: asdict(progress)}
    draft = folder / f"{CURSOR_FILE}.new"
    draft.write_text(json.dumps(cursors), "utf-8")
    draft.replace(folder / CURSOR_FILE)


def _cursors(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        return dict(parsed((folder / CURSOR_FILE).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return {}


def restored_up_to(folder: Path) -> int | None:
    """Byte offset of the first record after a spool restored from a copy; None if not restored.

    The copy is that of a driver elsewhere. The server may have further records of that driver,
    which are missing in the copy. A damaged file counts as offset 0.
    """
    try:
        offset = dict(parsed((folder / RESTORED_FILE).read_bytes())).get("offset")
        return offset if type(offset) is int and offset >= 0 else 0
    except FileNotFoundError:
        return None
    except (OSError, TypeError, ValueError):
        return 0


def driver_lives(folder: Path) -> bool:
    """Whether a process holds the driver's lock, which the kernel frees when that process ends."""
    try:
        with FileLock(folder / DRIVER_LOCK, timeout=0):
            return False
    except Timeout:
        return True


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackingTarget:
    """Where the records of one sweep are sent: an MLflow server and an experiment.

    `sweep` is its permanent name, `"NAME/cnn_ws_aux"`. `study_storage` is a database URL or the
    path of an Optuna journal, relative to the sweep's folder if the two are to move together.
    `uuid` is the sweep's: runs of other sweeps of the same name are never touched.
    """

    tracking_uri: str
    experiment: str
    sweep: str
    study_storage: str
    study_name: str
    objective: str = "val_accuracy"
    """Key of the objective, which the views of a new experiment show."""
    better: Better = "higher"
    uuid: str = ""
    project: Path | None = field(default=None, compare=False)
    """Folder that the user works in, see `sweeps.identity`; None for the working directory."""

    def __post_init__(self) -> None:
        if not self.experiment.isprintable() or len(self.experiment.encode()) > _LONGEST_NAME:
            raise UserError.of(
                "spool.experiment-invalid", experiment=self.experiment, most=_LONGEST_NAME
            )
        check_uri(self.tracking_uri)
        if not re.fullmatch(r"[0-9a-f-]{0,36}", self.uuid):
            raise UserError.of("spool.not-a-uuid", sweep=self.sweep, uuid=self.uuid)

    @property
    def server(self) -> str:
        """Short stable name of the tracking server."""
        return hashlib.sha256(self.tracking_uri.encode()).hexdigest()[:8]

    @property
    def shown_uri(self) -> str:
        """The tracking URI without user and password, for messages."""
        return shown(self.tracking_uri)

    @property
    def sqlite_path(self) -> Path | None:
        """The SQLite file that the records are sent to; None for other servers and stores."""
        return sqlite_path(self.tracking_uri)

    @property
    def artifact_root(self) -> str | None:
        """Artifact location for a new experiment; None leaves the choice to the server.

        A SQLite file has no server. MLflow would then use the working directory of the uploader,
        so the artifacts are put beside the database.
        """
        if self.sqlite_path is None:
            return None
        root = artifacts_beside(self.sqlite_path, self.experiment)
        # MLflow reads a path as a URI, in which `%` is an escape
        return root.as_uri() if "%" in str(root) else str(root)

    def run_key(self, run: str) -> str:
        """Value of `RUN_TAG`: permanent name of a run of this sweep, the same on any server."""
        return f"{self.sweep}/{run}" if run else self.sweep

    def run_attribute(self, run: str) -> str:
        """Study user attribute that holds the MLflow id of a run on this server."""
        return f"mlflow_run:{run}@{self.server}"

    def save(self, folder: Path) -> None:
        """Write `tracking.json`, readable by its owner only: a URL in it may hold a password."""
        project = self.project or Path.cwd()
        place = Identity(uuid=self.uuid, folder=folder.resolve(), project=project)
        values = asdict(self) | place.to_dict()
        values |= {key: portable(values[key], project) for key in _PLACES}
        write_whole(folder / TARGET_FILE, json.dumps(values, indent=2) + "\n", private=True)

    @classmethod
    def load(cls, folder: Path) -> "TrackingTarget":
        """Read what `save` wrote.

        Raises:
            UserError: If the folder holds no sweep or the file is damaged.
        """
        path = folder / TARGET_FILE
        try:
            values = dict(parsed(path.read_bytes()))
            project = Identity.of(values, folder).at(folder).project
            values |= {key: resolved(values[key], project) for key in _PLACES}
            return cls(**{k: v for k, v in values.items() if k != "folder"} | {"project": project})
        except FileNotFoundError:
            raise UserError.of("spool.no-sweep", folder=folder, file=TARGET_FILE) from None
        except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
            raise UserError.of("spool.damaged", path=path, error=error) from None


def check_files(folder: Path, *more: str) -> None:
    """Refuse a folder in which a name of a spool's files is taken by something else.

    Args:
        folder: Folder of the spool, which may be new.
        more: Names of further files.

    Raises:
        UserError: At the first such name, for example of a folder or a broken link.
    """
    for name in (SPOOL_FILE, TARGET_FILE, CURSOR_FILE, REJECTED_FILE, *more):
        path = folder / name
        if not path.is_file() and (path.exists() or path.is_symlink()):
            raise UserError.of("spool.not-a-file", path=path)


def identity_in(folder: Path, *, within: Path | None = None) -> Identity:
    """Identity of the spool in a folder, for sweeps whose settings do not record it.

    It is read from `tracking.json`. Without that file it is new, and its UUID is empty if the
    folder has a spool.

    Args:
        folder: Folder of the spool.
        within: Folder whose spools share one UUID [this one has its own].
    """
    beside = () if within is None else sorted(within.glob(f"*/{TARGET_FILE}"))
    for place in (folder, *(path.parent for path in beside)):
        if (recorded := spool_identity(place)) is not None:
            return replace(recorded.at(place), folder=folder.resolve())
    made = Identity.new(folder)  # a spool without this record was written by an earlier version
    return replace(made, uuid="") if (folder / SPOOL_FILE).exists() else made


def spool_identity(folder: Path) -> Identity | None:
    """Identity of a spool, as recorded in `tracking.json`; None if that is missing or damaged."""
    try:
        return Identity.of(dict(parsed((folder / TARGET_FILE).read_bytes())), folder)
    except (OSError, TypeError, ValueError):
        return None


def made_in(folder: Path) -> Path | None:
    """Folder of the spool when a sweep last wrote to it; None if that is not recorded."""
    try:
        return Path(dict(parsed((folder / TARGET_FILE).read_bytes()))["folder"])
    except (KeyError, OSError, TypeError, ValueError):
        return None
