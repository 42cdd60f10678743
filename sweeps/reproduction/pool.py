"""Jobs as Ray tasks, with their progress and their records in MLflow."""

import json
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from rich.console import Console

from foldsweep import names
from foldsweep.numbers import shown_spread
from foldsweep.programs import console
from foldsweep.texts import text
from sweeps.progress import shown_time
from sweeps.provenance import user
from sweeps.records import MLFLOW_SOURCE_NAME, MLFLOW_USER
from sweeps.reproduction.rows import Job, measure, result_path, spread
from sweeps.reproduction.tables import described
from sweeps.resources import Allotment
from sweeps.study import JOURNAL_FILE
from sweeps.sweep import CLOSE_WAIT_S
from sweeps.tracking.spool import (
    SPOOL_FILE,
    TrackingTarget,
    count_records,
    identity_in,
    read_progress,
    read_records,
)
from sweeps.tracking.tracker import Tracker
from trainables.data.source import ImageSource
from trainables.presets.preset import Measurement
from trainables.presets.registry import TABLES
from trainables.variants import VARIANTS

RETRIES = 2
QUIET_S = 30.0
"""Most seconds without a line of progress while rows are trained."""
_POLL_S = 1.0


def run_jobs(
    jobs: Sequence[Job],
    images: ImageSource,
    folder: Path,
    allotment: Allotment,
    console: Console,
) -> list[str]:
    """Measure jobs on a running Ray, the longest first.

    Returns:
        Errors, a line for each job that has no result.
    """
    shared = ray.put(images)
    remote: Any = ray.remote(num_cpus=allotment.cpus, num_gpus=allotment.gpus, max_retries=RETRIES)
    task = remote(measure)
    waiting = sorted(jobs, key=lambda job: -job.cost)
    running: dict[ray.ObjectRef, Job] = {}
    failures = []
    started, done, total = time.monotonic(), 0.0, sum(job.cost for job in jobs)
    num_done, said_at = 0, started
    while waiting or running:
        while waiting and len(running) < allotment.concurrency:
            job = waiting.pop(0)
            ref = task.remote(
                job,
                shared,
                folder.resolve(),
                threads=allotment.threads,
                device=allotment.device,
            )
            running[ref] = job
        ended, _ = ray.wait(list(running), timeout=_POLL_S)
        if not ended and time.monotonic() - said_at >= QUIET_S:
            said_at = time.monotonic()
            now = ", ".join(job.name for job in running.values())
            count = text("pool.rows", done=num_done, rows=len(jobs))
            now = text("pool.running", rows=now)
            console.print(f"{shown_time(said_at - started)}  {count} · {now}")
        for ref in ended:
            job = running.pop(ref)
            num_done += 1
            done += job.cost
            try:
                said = _said(ray.get(ref))
            except ray.exceptions.RayError as error:
                reason = next(reversed(str(error).strip().splitlines()), repr(error))
                failures.append(f"{job.name}: {reason}")
                said = text("pool.failed", reason=reason)
            said_at = time.monotonic()
            left = (said_at - started) / done * (total - done)
            count = text("pool.rows", done=num_done, rows=len(jobs))
            line = f"{shown_time(said_at - started)}  {count} · {job.name}: {said}"
            if num_done < len(jobs):
                line += f" · {text('pool.left', time=shown_time(left))}"
            console.print(line)
    return failures


def _said(result: dict[str, Any]) -> str:
    if "error" in result:
        return str(result["error"])
    return shown_spread(*spread(result["accuracy"]))


def log_rows(
    rows: Sequence[tuple[Job, Measurement, dict[str, Any]]],
    folder: Path,
    *,
    sweep: str,
    tracking_uri: str,
    experiment: str,
    select_on_test: bool = False,
) -> int:
    """Log results that have not been logged yet, each as a child of one run.

    `select_on_test` says that the points of the grids were selected on the test pairs; the rows
    that these grids tuned are tagged so.

    Returns:
        Number of records that are not sent and stay in the spool.
    """
    identity = identity_in(folder, within=folder.parent)
    target = TrackingTarget(
        tracking_uri=tracking_uri,
        experiment=experiment,
        sweep=sweep,
        uuid=identity.uuid,
        project=identity.project,
        study_storage=JOURNAL_FILE,
        study_name=sweep,
    )
    logged, waiting = _logged(folder, target)
    new = [row for row in rows if str(_number(row[0])) not in logged]
    if not (new or waiting):
        return 0
    tracker = Tracker(folder, target)
    try:
        if new:
            tags = {names.TAG_KIND: "reproduction", names.TAG_SWEEP: sweep}
            tags |= {MLFLOW_SOURCE_NAME: "sweeps/reproduce.py", MLFLOW_USER: user()}
            tracker.start_sweep(sweep, {}, tags)
            for job, measurement, result in new:
                on_test = select_on_test and job.preset.tuned_by is not None
                own = {names.TAG_SELECTED_ON: "test"} if on_test else {}
                _log_row(tracker, tags | own, job, measurement, result, folder)
            tracker.end_sweep("FINISHED")
    finally:
        waiting = tracker.close(CLOSE_WAIT_S)
    if tracker.refused:
        console.print(text("pool.refused", uri=target.shown_uri, items=tracker.refused))
    return waiting


def _logged(folder: Path, target: TrackingTarget) -> tuple[set[str], int]:
    """Runs that were logged to their end, and the number of records still to be sent."""
    spool = folder / SPOOL_FILE
    if not spool.exists():
        return set(), 0
    ends = [record for _, record in read_records(spool) if record["op"] == "end"]
    waiting = count_records(spool, read_progress(folder, target.server).offset)
    return {end["run"] for end in ends if end["status"] != "KILLED"}, waiting


def _log_row(
    tracker: Tracker,
    tags: dict[str, str],
    job: Job,
    measurement: Measurement,
    result: dict[str, Any],
    folder: Path,
) -> None:
    number = _number(job)
    variant = VARIANTS[job.preset.variant]
    tags = {
        **tags,
        names.TAG_PRESET: job.preset.name,
        names.TAG_TABLE: measurement.table,
        names.TAG_ROW: str(TABLES[measurement.table].index((job.preset, measurement))),
        names.TAG_PROTOCOL: described(job.protocol),
        names.TAG_TASK: variant.task.name,
        names.TAG_VARIANT: variant.full_name,
        **variant.tags,
        names.TAG_DATASET: job.dataset,
        names.TAG_SEED: str(job.seed),
        names.TAG_CONFIG: json.dumps(result["config"]),
        names.TAG_GIT_COMMIT: result["git_commit"],
        names.TAG_MACHINE: result["machine"],
        **{f"{names.TAG_VERSION}{lib}": v for lib, v in result["versions"].items()},
    }
    tracker.start_trial(number, f"{job.preset.name} {job.protocol.kind}", result["config"], tags)
    if "error" in result:
        tracker.set_tags(number, {names.TAG_ERROR: result["error"]})
        tracker.end_trial(number, "FAILED")
        return
    folds = job.protocol.kind == "folds"
    held_out = names.val_key if folds else names.test_key
    by_name = {
        held_out("accuracy"): result["accuracy"],
        names.train_key("accuracy"): result["train_accuracy"],
        names.TRAIN_LOSS: result["train_loss"],
    }
    if result["digit_accuracy"]:
        by_name[held_out("digit_accuracy")] = result["digit_accuracy"]
    found = {names.NUM_PARAMS: result["num_params"], names.TRAIN_TIME: result["time_s"]}
    for name, values in by_name.items():
        found[name], std = spread(values)
        if std is not None:
            found[names.std_key(name)] = std
        key = names.fold_key if folds else names.round_key
        found |= {key(i, name): value for i, value in enumerate(values)}
    reported, reported_key = measurement.reported, f"{names.REPORTED}accuracy"
    if reported.accuracy is not None:
        found[reported_key] = reported.accuracy
    if reported.std is not None:
        found[names.std_key(reported_key)] = reported.std
    tracker.log_metrics(number, found, step=result["config"]["epochs"])
    tracker.log_artifact(number, result_path(folder, job))
    tracker.end_trial(number, "FINISHED")


def _number(job: Job) -> int:
    """Permanent number of a job; it differs if the job would have another result."""
    return zlib.crc32(f"{job.name} {job.key}".encode())
