"""The local file every tracking record goes to before MLflow sees it.

A sweep's folder holds `spool.jsonl` (one JSON record per line, only ever appended to),
`spool.cursor` (how far each tracking server has it), `tracking.json` (where to send it) and two
locks: the driver's, which tells others that it lives, and the uploader's, which keeps it alone.
Lines that are wrong are copied to `spool.rejected.jsonl`, and the rest is sent.

Records name their run by trial number, `"12"`; the run of the sweep itself is `""`:

    {"op": "start", "run", "time", "name", "params", "tags", "dataset"}
    {"op": "metrics", "run", "points": [[key, value, step, time], ...]}
    {"op": "tags", "run", "tags"}
    {"op": "artifact", "run", "path", "to"}
    {"op": "end", "run", "status", "time"}
    {"op": "open"}, {"op": "close"}: a driver came or went

The path of an artifact is relative to the sweep's folder if it is inside. Times are milliseconds
since the epoch and travel with the record: MLflow tells a repeated metric point from a new one by
its time, so sending a spool twice adds nothing.
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
from sweeps.tracking.wrong import are_points, is_run, is_texts

Record = dict[str, Any]
Point = tuple[str, float, int, int]

RUN_TAG = "foldsweep.run"
TARGET_FILE = "tracking.json"
SPOOL_FILE = "spool.jsonl"
CURSOR_FILE = "spool.cursor"
REJECTED_FILE = "spool.rejected.jsonl"
RESTORED_FILE = "spool.restored"
"""Says up to which offset a spool was brought from a copy, see `restored_up_to`."""
DRIVER_LOCK = "driver.lock"
UPLOADER_LOCK = "uploader.lock"
_PLACES = ("tracking_uri", "study_storage")
OPEN: Record = {"op": "open"}
CLOSE: Record = {"op": "close"}
_LONGEST_NAME = 200
"""Bytes of an experiment's name; a folder of artifacts is called by it."""


def now_ms() -> int:
    """Current time in MLflow's unit."""
    return time.time_ns() // 1_000_000


class Spool:
    """Appends records; each is with the operating system when `append` returns.

    A line left incomplete by a kill or a full disk is cut off, so the next record starts clean.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        with path.open("rb") as reader:
            self._file.truncate(_complete_length(reader.read()))

    def append(self, record: Record) -> None:
        """Add one record; NaN and infinities are kept, lone surrogates as escapes.

        No server takes those. Only the path of a file may have them, which none gets to see.

        Raises:
            OSError: If the disk takes no more; the spool is then as it was before.
        """
        text = json.dumps(record)
        if r"\ud" in text and record.get("op") != "artifact":
            text = json.dumps(_plain(record))
        line = f"{text}\n".encode()
        size = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) != len(line):
                raise OSError(f"{self._file.name!r} took only a part of a record: disk full?")
        except OSError:
            self._file.truncate(size)
            raise

    def close(self) -> None:
        """Close the file; the records stay."""
        self._file.close()


def _plain(value: Any) -> Any:
    """The value with text that every encoding of Unicode has."""
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
    """Complete records from a byte offset on, each with the offset behind it.

    A line that is no JSON object (a damaged disk) is given as `{"op": "unreadable"}`.
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
    """Copy lines to a file beside the spool, each once; returns how many are new.

    Args:
        folder: Folder of the spool.
        wrong: Where each line begins, and what is wrong with it.
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
    """Number of lines that were set aside."""
    try:
        return (folder / REJECTED_FILE).read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def count_records(path: Path, offset: int) -> int:
    """Number of records behind an offset that carry something to MLflow."""
    return sum("run" in record for _, record in read_records(path, offset))


def is_closed(path: Path) -> bool:
    """Whether the driver said that no more records follow."""
    mark = (json.dumps(CLOSE) + "\n").encode()
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(mark)))
        return file.read() == mark


@dataclass(slots=True)
class RunState:
    """What a spool says about one run.

    `last_step` holds the highest step of each metric: steps of a metric rise, so a point at or
    below it repeats one that is already there. `params` are those of the sweep's own run as it
    first had them: MLflow refuses others. `nodes` is the tag of that name, which grows.
    """

    is_open: bool = False
    last_step: dict[str, int] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    nodes: str = ""


def run_states(path: Path) -> dict[str, RunState]:
    """State of every run in a spool, in the order of their start."""
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
    """How far one tracking server has a spool, what it refused, what it last failed with.

    `part` counts the runs that it has of the records just behind `offset`; `refusal` is the last
    of those that `refused` counts.
    """

    offset: int = 0
    part: int = 0
    refused: int = 0
    problem: str = ""
    refusal: str = ""


def read_progress(folder: Path, server: str) -> Progress:
    """Progress of a server (`TrackingTarget.server`); nothing yet for one never seen.

    Nothing, too, where the cursor is damaged: what is sent again adds nothing.
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
    """Whether a record begins at an offset, or may be appended there."""
    if offset == 0 or not spool.exists():
        return True
    with spool.open("rb") as file:
        file.seek(offset - 1)
        return file.read(1) == b"\n"


def write_progress(folder: Path, server: str, progress: Progress) -> None:
    """Store progress in one step, so that a kill leaves the old or the new."""
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
    """Where records of this driver begin, after one elsewhere; None where there was none.

    The server may have records of that one which its copy, brought here, has not.
    """
    try:
        offset = dict(parsed((folder / RESTORED_FILE).read_bytes())).get("offset")
        return offset if type(offset) is int and offset >= 0 else 0
    except FileNotFoundError:
        return None
    except (OSError, TypeError, ValueError):
        return 0


def driver_lives(folder: Path) -> bool:
    """Whether a process holds the driver's lock; the kernel frees it when that process dies."""
    try:
        with FileLock(folder / DRIVER_LOCK, timeout=0):
            return False
    except Timeout:
        return True


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackingTarget:
    """One sweep on one MLflow server.

    `sweep` is its name for ever, `"NAME/cnn_ws_aux"`. `study_storage` is a database URL or the
    path of an Optuna journal, relative to the sweep's folder if the two are to move together.
    `uuid` is that of the sweep: runs of other sweeps of the same name are never touched.
    """

    tracking_uri: str
    experiment: str
    sweep: str
    study_storage: str
    study_name: str
    objective: str = "val_accuracy"
    """Key of what the sweep optimises, which views of a new experiment show."""
    better: Better = "higher"
    uuid: str = ""
    project: Path | None = field(default=None, compare=False)
    """Folder that the user works in, see `sweeps.identity`; None for the present one."""

    def __post_init__(self) -> None:
        if not self.experiment.isprintable() or len(self.experiment.encode()) > _LONGEST_NAME:
            raise UserError(
                f"--experiment {self.experiment!r} must be printable and have at most"
                f" {_LONGEST_NAME} bytes"
            )
        check_uri(self.tracking_uri)
        if not re.fullmatch(r"[0-9a-f-]{0,36}", self.uuid):
            raise UserError(f"sweep {self.sweep!r}: {self.uuid!r} is no UUID")

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
        """The database file, if that is what the records go to."""
        return sqlite_path(self.tracking_uri)

    @property
    def artifact_root(self) -> str | None:
        """Artifact location for a new experiment; None leaves it to the server.

        A SQLite file has no server: MLflow would take the folder that the uploader happens to
        run in, so the artifacts are put beside the database.
        """
        if self.sqlite_path is None:
            return None
        root = artifacts_beside(self.sqlite_path, self.experiment)
        # MLflow takes a path for a URI, where `%` escapes
        return root.as_uri() if "%" in str(root) else str(root)

    def run_key(self, run: str) -> str:
        """Value of `RUN_TAG`: names a run of this sweep for ever, on any server."""
        return f"{self.sweep}/{run}" if run else self.sweep

    def run_attribute(self, run: str) -> str:
        """Study user attribute that holds the MLflow id of a run on this server."""
        return f"mlflow_run:{run}@{self.server}"

    def save(self, folder: Path) -> None:
        """Write `tracking.json`, for its owner only: a database URL may hold a password."""
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
            raise UserError(f"{folder} holds no sweep: it has no {TARGET_FILE}") from None
        except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error}): restore it or remove it") from None


def check_files(folder: Path, *more: str) -> None:
    """Refuse a folder in which something else stands where a spool's files belong.

    Args:
        folder: Folder of the spool, which may be new.
        more: Names of further files.

    Raises:
        UserError: At the first, which may be a folder, or a link that leads nowhere.
    """
    for name in (SPOOL_FILE, TARGET_FILE, CURSOR_FILE, REJECTED_FILE, *more):
        path = folder / name
        if not path.is_file() and (path.exists() or path.is_symlink()):
            raise UserError(f"{path} is no file: restore it or remove it")


def identity_in(folder: Path, *, within: Path | None = None) -> Identity:
    """What the spool in a folder is known by where the sweep's settings do not say it.

    Args:
        folder: Folder of the spool.
        within: Folder of spools that are known by one UUID.
    """
    for place in (folder, *sorted(path.parent for path in (within or folder).glob("*/"))):
        if (recorded := spool_identity(place)) is not None:
            return replace(recorded.at(place), folder=folder.resolve())
    made = Identity.new(folder)  # a spool without a record is of an earlier version
    return replace(made, uuid="") if (folder / SPOOL_FILE).exists() else made


def spool_identity(folder: Path) -> Identity | None:
    """What a spool is known by, as its target was last written; None where there is none."""
    try:
        return Identity.of(dict(parsed((folder / TARGET_FILE).read_bytes())), folder)
    except (OSError, TypeError, ValueError):
        return None


def made_in(folder: Path) -> Path | None:
    """Where the spool in a folder was when a sweep last wrote to it; None if it does not say."""
    try:
        return Path(dict(parsed((folder / TARGET_FILE).read_bytes()))["folder"])
    except (KeyError, OSError, TypeError, ValueError):
        return None
