"""Sends the records of one spool to one MLflow server.

MLflow cannot create a run with a chosen id, so a run is identified by two tags: `RUN_TAG` and
`TAG_UUID`, the sweep's UUID. Before the first run is created, and after every failure, the
sweep's runs are looked up by these tags and reused. So each trial has one run, however often an
uploader is killed or a spool is sent again, and no run of another sweep of the same name is
changed.
"""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, chdir, nullcontext
from itertools import islice
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from filelock import FileLock
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Experiment, LifecycleStage, Metric, Param, Run, RunInfo, RunTag
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import Study, load_study
from requests import RequestException

from foldsweep.artifacts import attach
from foldsweep.errors import UserError
from foldsweep.files import disk_problem
from foldsweep.names import TAG_UUID
from foldsweep.tracking import shown
from foldsweep.views import view_tags
from sweeps.journal import StudyInJournal, journal_storage
from sweeps.passwords import masked_url
from sweeps.retries import options_of
from sweeps.tracking.entities import Item, clean, dataset_input, entities, storable
from sweeps.tracking.spool import (
    REJECTED_FILE,
    RUN_TAG,
    SPOOL_FILE,
    Record,
    TrackingTarget,
    read_progress,
    read_records,
    restored_up_to,
    run_states,
    set_aside,
    write_progress,
)
from sweeps.tracking.validation import problem_of

_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Tag of a new experiment, by which the UI shows it as one of training runs."""

RECORDS_PER_STEP = 500
_PAGE = 1000
_TABLES_WAIT_S = 60.0
_log = logging.getLogger(__name__)


class Uploader:
    """Sends a spool in steps; an exception leaves the cursor unchanged.

    Items that the server refuses for good are logged, counted and skipped. With `inside_only` the
    same happens to files outside the folder, which a spool from another machine may name.
    """

    def __init__(self, folder: Path, target: TrackingTarget, *, inside_only: bool = False) -> None:
        self._inside_only = inside_only
        self.progress = read_progress(folder, target.server)
        self.num_sent = 0
        self.num_set_aside = 0
        self.sent_runs: set[str] = set()
        self._folder = folder
        self._path = folder / SPOOL_FILE
        self._target = target
        self._client: MlflowClient
        self._study: Study | None = None
        self._together: Callable[[], AbstractContextManager[None]] = nullcontext
        self._noted: dict[str, Any] = {}
        self._infos: dict[str, RunInfo] = {}
        self._restored_up_to = restored_up_to(folder)
        self._found: set[str] = set()
        self._known_steps: dict[tuple[str, str], set[int]] = {}
        self._is_connected = False
        self._had_failure = False

    def send_next(self) -> int:
        """Send the next records, at most `RECORDS_PER_STEP`, and return their number.

        Raises:
            UserError: If the experiment of the sweep is deleted.
            Exception: Any error of the server or the network; call again later.
        """
        refused, aside = self.progress.refused, self.num_set_aside
        try:
            self._connect()
            chunk = list(islice(read_records(self._path, self.progress.offset), RECORDS_PER_STEP))
            runs: dict[str, list[Record]] = {}
            wrong, begin = [], self.progress.offset
            for end, record in chunk:
                if why := problem_of(record):
                    wrong.append((begin, why))
                elif "run" in record:
                    runs.setdefault(record["run"], []).append(self._new_in(record, begin))
                begin = end
            self._set_aside(wrong)
            if "" in runs:  # the sweep's own run, the parent of the others
                self._send_run("", runs[""])
            for part, run in enumerate(run for run in runs if run):
                self.progress.part = part
                self._save(self.progress.problem)
                self._send_run(run, runs[run])
            self._note_in_study(run for run in runs if run in self._infos)
            self.num_sent += sum(map(len, runs.values()))
            self.sent_runs |= runs.keys()
        except Exception as error:
            self._is_connected = False
            self._had_failure = True
            self.progress.refused, self.num_set_aside = refused, aside
            self._save(one_line(error))
            raise
        if chunk:
            self.progress.offset, self.progress.part = chunk[-1][0], 0
        if chunk or self.progress.problem:
            self._save("")
        return len(chunk)

    def finish(self, *, driver_died: bool) -> None:
        """Clean up when all records are sent: delete duplicate runs, end abandoned ones.

        With `driver_died`, open runs are ended as KILLED at the time of the last record; a resumed
        sweep that starts such a run again sets it to RUNNING.
        """
        if self._had_failure:
            self._connect(again=True)
        if driver_died:
            ended = int(self._path.stat().st_mtime * 1000)
            for run, state in run_states(self._path).items():
                if state.is_open and run in self._infos:
                    self._client.set_terminated(self._infos[run].run_id, "KILLED", ended)

    def _new_in(self, record: Record, begin: int) -> Record:
        """The record without metric points whose steps the server has from an earlier driver.

        After a restore from a copy, this driver trains such a trial again and measures the same
        steps at other times, so MLflow would not recognise the points as repetitions.
        """
        run, from_here = record["run"], self._restored_up_to
        foreign = from_here is not None and begin >= from_here and run in self._found
        if record["op"] != "metrics" or not foreign:
            return record
        points = [
            point for point in record["points"] if point[2] not in self._steps(run, point[0])
        ]
        return {**record, "points": points}

    def _steps(self, run: str, key: str) -> set[int]:
        """Steps of a metric that the server has; looked up once per connection."""
        if (run, key) not in self._known_steps:
            history = self._client.get_metric_history(self._infos[run].run_id, clean(key))
            self._known_steps[run, key] = {metric.step for metric in history}
        return self._known_steps[run, key]

    def _set_aside(self, wrong: Sequence[tuple[int, str]]) -> None:
        """Copy invalid lines to a file beside the spool; log the first time only.

        No server could accept them, so the records after them are sent.
        """
        if not wrong:
            return
        if set_aside(self._folder, wrong) and not self.num_set_aside:
            file, why = self._folder / REJECTED_FILE, wrong[0][1]
            _log.warning("skipped a line of the spool, %s: it is kept in %s", why, file)
        self.num_set_aside += len(wrong)

    def _save(self, problem: str) -> None:
        self.progress.problem = problem
        write_progress(self._folder, self._target.server, self.progress)

    def _connect(self, *, again: bool = False) -> None:
        if self._is_connected and not again:
            return
        self._client = _connected_client(self._target)
        self._experiment = self._find_experiment()
        self._infos = self._find_runs()
        if "" not in self._infos:
            self.progress.offset = 0  # the server has no run of the sweep: send all
        self._study = self._open_study()
        self._note_in_study(self._infos)
        self._found = set(self._infos)
        self._known_steps.clear()
        self._is_connected = True

    def _find_experiment(self) -> Experiment:
        name = self._target.experiment
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            try:
                views = view_tags(self._target.objective, better=self._target.better)
                root = self._target.artifact_root
                self._client.create_experiment(name, root, {**_KIND, **views})
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            experiment = self._client.get_experiment_by_name(name)
        if experiment is None or experiment.lifecycle_stage == LifecycleStage.DELETED:
            raise UserError.of("uploader.experiment-deleted", experiment=name)
        return experiment

    def _find_runs(self) -> dict[str, RunInfo]:
        """The sweep's runs by trial number, and its own run under the empty text.

        A second run of a trial, created when a response was lost, is deleted.
        """
        key, uuid = self._target.run_key(""), self._target.uuid
        pattern = re.sub(r"[^\w/ .-]", "_", key)  # in LIKE, `_` matches any character
        of_sweep = f" and tags.`{TAG_UUID}` = '{uuid}'" if uuid else ""
        found: dict[str, list[Run]] = {}
        token: str | None = None
        while token != "":
            page = self._client.search_runs(
                [self._experiment.experiment_id],
                f"tags.`{RUN_TAG}` LIKE '{pattern}%'{of_sweep}",
                max_results=_PAGE,
                page_token=token,
            )
            for run in page:
                name = run.data.tags[RUN_TAG]
                if run.data.tags.get(TAG_UUID, "") != uuid:
                    continue
                if name == key or name.startswith(key + "/"):
                    found.setdefault(name[len(key) + 1 :], []).append(run)
            token = page.token or ""
        infos = {}
        for name, runs in found.items():
            runs.sort(key=lambda run: (-len(run.data.params) - len(run.data.metrics), _id(run)))
            infos[name] = runs[0].info
            for run in runs[1:]:
                _log.info("run %r is there twice: deleting %s", name, _id(run))
                self._client.delete_run(_id(run))
        return infos

    def _send_run(self, run: str, records: Sequence[Record]) -> None:
        starts = [record for record in records if record["op"] == "start"]
        is_new = run not in self._infos
        if is_new:
            if not starts:
                return self._refuse(f"run {run!r}", "it is no longer on the server")
            self._infos[run] = self._create(run, starts[0])
        run_id = self._infos[run].run_id
        if not self._send_items(run, entities(records)):
            return
        for record in starts:
            if record["dataset"]:
                inputs = [dataset_input(record["dataset"])]
                self._attempt(run, self._client.log_inputs, run_id, inputs)
        self._attach(run, records)
        changes = [record for record in records if record["op"] in ("start", "end")]
        if changes and changes[-1]["op"] == "end":
            end = changes[-1]
            self._attempt(run, self._client.set_terminated, run_id, end["status"], end["time"])
        elif changes and not is_new:
            self._attempt(run, self._client.update_run, run_id, "RUNNING")

    def _attach(self, run: str, records: Sequence[Record]) -> None:
        """Attach the files of a run that the server has."""
        for record in records:
            if record["op"] == "artifact":
                path = self._folder / record["path"]
                if self._inside_only and not _is_inside(path, self._folder):
                    self._refuse(f"{path} of run {run!r}", "it is outside the folder")
                    continue
                args = self._client, self._target.tracking_uri, self._infos[run]
                self._attempt(run, attach, *args, path, record["to"])

    def _own_tags(self, run: str) -> dict[str, str]:
        """Tags that identify a run and its parent run."""
        sweep = self._infos.get("") if run else None
        parent = {"mlflow.parentRunId": sweep.run_id} if sweep else {}
        own = {TAG_UUID: self._target.uuid} if self._target.uuid else {}
        return {RUN_TAG: self._target.run_key(run)} | own | parent

    def _create(self, run: str, start: Record) -> RunInfo:
        experiment, tags = self._experiment.experiment_id, self._own_tags(run)
        name = storable(start["name"])
        return self._client.create_run(experiment, start["time"], tags, name).info

    def _send_items(self, run: str, items: Sequence[Item]) -> bool:
        """Send items, skipping refused ones; return False if the run is deleted on the server."""
        try:
            self._log_batch(run, items)
        except MlflowException as error:
            if not _is_refusal(error):
                raise
            info = self._client.get_run(self._infos[run].run_id).info
            if info.lifecycle_stage == LifecycleStage.DELETED:
                del self._infos[run]
                self._refuse(f"run {run!r}", "it is deleted on the server")
                return False
            self._halve(run, items, error)
        return True

    def _halve(self, run: str, items: Sequence[Item], error: Exception) -> None:
        if len(items) == 1:
            return self._refuse(f"{items[0]} of run {run!r}", one_line(error))
        middle = len(items) // 2
        for part in (items[:middle], items[middle:]):
            try:
                self._log_batch(run, part)
            except MlflowException as part_error:
                if not _is_refusal(part_error):
                    raise
                self._halve(run, part, part_error)

    def _log_batch(self, run: str, items: Sequence[Item]) -> None:
        self._client.log_batch(
            self._infos[run].run_id,
            metrics=[item for item in items if isinstance(item, Metric)],
            params=[item for item in items if isinstance(item, Param)],
            tags=[item for item in items if isinstance(item, RunTag)],
            synchronous=True,
        )

    def _attempt(self, run: str, call: Callable[..., None], *args: object) -> None:
        """Call, skipping what can never succeed: a refusal or an unusable local file."""
        try:
            call(*args)
        except (MlflowException, OSError, UnicodeError) as error:
            if not _is_refusal(error):
                raise
            self._refuse(f"{call.__name__} of run {run!r}", one_line(error))

    def _refuse(self, what: str, why: str) -> None:
        self.progress.refused += 1
        self.progress.refusal = shown(f"{what}: {why}")
        _log.warning("skipped %s: %s", what, why)

    def _note_in_study(self, runs: Iterable[str]) -> None:
        """Store the ids of runs in the study too, if the study is available.

        Runs are identified by their tags in MLflow, so a missing study does not stop an upload.
        A study in a database gets the id of the sweep's own run only, since each id would be a
        transaction.
        """
        if self._study is None:
            return
        noted = [run for run in runs if run == "" or "://" not in self._target.study_storage]
        ids = {self._target.run_attribute(run): self._infos[run].run_id for run in noted}
        missing = {key: run_id for key, run_id in ids.items() if self._noted.get(key) != run_id}
        if not missing:
            return
        try:
            with self._together():
                for key, run_id in missing.items():
                    self._study.set_user_attr(key, run_id)
            self._noted |= missing
        except Exception as error:  # any database or file error
            _log.warning("run ids are no longer kept in the study: %s", one_line(error))
            self._study = None

    def _open_study(self) -> Study | None:
        name, storage = self._target.study_name, self._target.study_storage
        try:
            opened = _study_storage(storage, self._folder)
            study = load_study(study_name=name, storage=opened)
            if isinstance(opened, StudyInJournal):
                self._together = opened.journal.together
            if "://" not in storage:
                self._noted = study.user_attrs  # a copy, which is slow if there are many runs
            return study
        except Exception as error:  # any database or file error
            reason = one_line(error).replace(storage, masked_url(storage))
            _log.warning("no study %r in %s: %s", name, masked_url(storage), reason)
            return None


def one_line(error: BaseException) -> str:
    """Message of an error in one line; of a failed request, the message of its first cause."""
    if str(error).startswith("API request"):
        while (reason := error.__cause__ or error.__context__) is not None:
            error = reason
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}..."


def _connected_client(target: TrackingTarget) -> MlflowClient:
    """A client; locked for SQLite, whose tables two processes cannot create at the same time."""
    if (database := target.sqlite_path) is None:
        return MlflowClient(tracking_uri=target.tracking_uri)
    database.parent.mkdir(parents=True, exist_ok=True)
    # creating tables, MLflow puts the path of the working directory into SQL without quoting it
    quoted = "'" in str(Path.cwd()) and not database.exists()
    with (
        FileLock(f"{database}.lock", timeout=_TABLES_WAIT_S),
        chdir(gettempdir()) if quoted else nullcontext(),
    ):
        return MlflowClient(tracking_uri=target.tracking_uri)


def _is_refusal(error: Exception) -> bool:
    """Whether sending the same again can never succeed."""
    if isinstance(error, MlflowException):
        return bool(error.error_code == "INVALID_PARAMETER_VALUE")
    if isinstance(error, ConnectionError | TimeoutError | RequestException):
        return False
    return isinstance(error, OSError | UnicodeError) and disk_problem(error) is None


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _id(run: Run) -> str:
    return str(run.info.run_id)


def _study_storage(storage: str, folder: Path) -> BaseStorage:
    if "://" in storage:
        return RDBStorage(storage, engine_kwargs=options_of(storage))
    path = folder / storage
    if not path.exists():
        raise FileNotFoundError(path)
    return journal_storage(path)
