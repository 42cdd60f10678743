import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from rich.console import Console

from sweeps.reproduction import pool
from sweeps.reproduction.pool import log_rows, run_jobs
from sweeps.reproduction.rows import Job, result_path
from sweeps.resources import Allotment
from sweeps.tracking.spool import (
    SPOOL_FILE,
    Progress,
    Record,
    TrackingTarget,
    read_records,
    write_progress,
)
from sweeps.tracking.tracker import Tracker
from tests.refusals import said_as, text
from trainables.presets.preset import Measurement, Reported

MakeJob = Callable[..., Job]
SWEEP = "reproduce/rows"
URI = "http://127.0.0.1:1"

# Running ----------------------------------------------------------------------------------------


class SerialRay:
    """Stand-in for Ray: tasks run when they are waited for, in the order of their start."""

    exceptions = ray.exceptions

    def __init__(self) -> None:
        self.running: list[Any] = []
        self.most_running = 0
        self.options: dict[str, Any] = {}

    def put(self, value: Any) -> Any:
        return value

    def remote(self, **options: Any) -> Callable[..., Any]:
        self.options = options

        def start(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            self.running.append(partial(function, *args, **kwargs))
            self.most_running = max(self.most_running, len(self.running))
            return self.running[-1]

        return lambda function: SimpleNamespace(remote=partial(start, function))

    def wait(self, refs: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        return refs[:1], refs[1:]

    def get(self, ref: Any) -> Any:
        self.running.remove(ref)
        return ref()


@pytest.fixture
def serial_ray(monkeypatch: pytest.MonkeyPatch) -> SerialRay:
    monkeypatch.setattr(pool, "ray", SerialRay())
    return pool.ray  # type: ignore[return-value]


def run(
    jobs: Sequence[Job], measure: Callable[[Job], dict[str, Any]], folder: Path, concurrency: int
) -> tuple[list[str], list[str]]:
    """Run jobs; return the failures and the printed lines."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "measure", lambda job, *args, **kwargs: measure(job))
        failures = run_jobs(
            jobs,
            None,  # type: ignore[arg-type]
            folder,
            Allotment(cpus=1, gpus=0, concurrency=concurrency),
            Console(file=said, width=200),
        )
    return failures, said.getvalue().splitlines()


def test_the_longest_rows_come_first_and_no_more_at_a_time_than_fit(
    make_job: MakeJob, serial_ray: SerialRay, tmp_path: Path
) -> None:
    jobs = [make_job(name=f"report/{epochs}", epochs=epochs) for epochs in (3, 9, 1, 5)]
    order = []

    def measure(job: Job) -> dict[str, Any]:
        order.append(job.config.epochs)
        return {"accuracy": [0.5, 0.7]}

    failures, said = run(jobs, measure, tmp_path, concurrency=2)
    assert order == [9, 5, 3, 1]
    assert serial_ray.most_running == 2
    assert serial_ray.options["num_cpus"] == 1
    assert failures == []
    left = said_as("pool.left")
    assert [bool(left.search(line)) for line in said] == [True, True, True, False]
    done = text("pool.rows", done=4, rows=4)
    assert said[3].endswith(f"{done} · report/1-rounds: 0.6000 ± 0.1414")


def test_a_row_that_cannot_be_measured_stops_no_other(
    make_job: MakeJob, serial_ray: SerialRay, tmp_path: Path
) -> None:
    def measure(job: Job) -> dict[str, Any]:
        if job.name == "report/first-rounds":
            raise ray.exceptions.RayError("worker died\nOutOfMemoryError: no more")
        return {"error": "a loss became infinite"}

    jobs = [make_job(name="report/first", epochs=9), make_job(name="report/second")]
    failures, said = run(jobs, measure, tmp_path, concurrency=1)
    assert failures == ["report/first-rounds: OutOfMemoryError: no more"]
    failed = text("pool.failed", reason="OutOfMemoryError: no more")
    assert f"report/first-rounds: {failed}" in said[0]
    done = text("pool.rows", done=2, rows=2)
    assert said[1].endswith(f"{done} · report/second-rounds: a loss became infinite")


# Logging ----------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _without_uploader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sends nothing: all records stay in the spool."""

    def start(tracker: Tracker) -> None:
        tracker._started = 0.0
        tracker._uploader = SimpleNamespace(  # type: ignore[assignment]
            poll=lambda: 0, terminate=lambda: None, wait=lambda timeout=None: 0
        )

    monkeypatch.setattr(Tracker, "_start_uploader", start)


REPORTED = Reported(accuracy=0.9, std=0.01)


def result_of(job: Job, **changes: Any) -> dict[str, Any]:
    return {
        "config": job.config.to_dict(),
        "accuracy": [0.5, 0.7],
        "train_accuracy": [0.75, 0.75],
        "train_loss": [0.3, 0.1],
        "digit_accuracy": [],
        "num_params": 321,
        "time_s": 1.5,
        "git_commit": "0123",
        "machine": "here",
        "versions": {"torch": "2"},
        **changes,
    }


def log(folder: Path, *jobs: Job, on_test: bool = False, **changes: Any) -> int:
    rows = []
    for job in jobs:
        measurement = Measurement(
            table="report/table", protocol=job.protocol, reported=changes.get("reported", REPORTED)
        )
        values = {key: value for key, value in changes.items() if key != "reported"}
        rows.append((job, measurement, result_of(job, **values)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "TABLES", {"report/table": [(job.preset, m) for job, m, _ in rows]})
        return log_rows(
            rows,
            folder,
            sweep=SWEEP,
            tracking_uri=URI,
            experiment="digits",
            select_on_test=on_test,
        )


def records(folder: Path, op: str | None = None) -> list[Record]:
    """Records of rows, and of their parent run."""
    found = [record for _, record in read_records(folder / SPOOL_FILE) if "run" in record]
    return [record for record in found if op in (None, record["op"])]


def values_of(folder: Path) -> dict[str, float]:
    return {k: v for record in records(folder, "metrics") for k, v, _, _ in record["points"]}


def all_sent(folder: Path) -> None:
    """Mark all records as accepted by the server."""
    server = TrackingTarget.load(folder).server
    write_progress(folder, server, Progress(offset=(folder / SPOOL_FILE).stat().st_size))


def test_a_row_is_a_run_below_the_one_of_all_rows(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job()
    assert log(tmp_path, job) == len(records(tmp_path))
    above, row = records(tmp_path, "start")
    assert above["run"] == ""
    assert above["tags"]["foldsweep.kind"] == "reproduction"
    assert row["name"] == "report/row rounds"
    assert row["params"]["lr"] == "0.01"
    tags = row["tags"]
    assert {
        "foldsweep.kind": "reproduction",
        "foldsweep.sweep": SWEEP,
        "foldsweep.preset": "report/row",
        "foldsweep.table": "report/table",
        "foldsweep.row": "0",
        "foldsweep.protocol": text("reproduction-tables.same-rounds", rounds=2, train=24, test=20),
        "task": "larger_digit",
        "variant": "larger_digit/mlp",
        "weight_sharing": "false",
        "auxiliary": "false",
        "dataset": "digits",
        "seed": "0",
        "git_commit": "0123",
        "version.torch": "2",
    }.items() <= tags.items()
    assert "foldsweep.selected_on" not in tags
    (points,) = [record["points"] for record in records(tmp_path, "metrics")]
    assert {step for _, _, step, _ in points} == {2}
    assert values_of(tmp_path) == pytest.approx(
        {
            "test_accuracy": 0.6,
            "test_accuracy_std": 0.02**0.5,
            "round_0/test_accuracy": 0.5,
            "round_1/test_accuracy": 0.7,
            "train_accuracy": 0.75,
            "train_accuracy_std": 0.0,
            "round_0/train_accuracy": 0.75,
            "round_1/train_accuracy": 0.75,
            "train_loss": 0.2,
            "train_loss_std": 0.02**0.5,
            "round_0/train_loss": 0.3,
            "round_1/train_loss": 0.1,
            "reported_accuracy": 0.9,
            "reported_accuracy_std": 0.01,
            "num_params": 321,
            "train_time_s": 1.5,
        }
    )
    (artifact,) = records(tmp_path, "artifact")
    assert tmp_path / artifact["path"] == result_path(tmp_path, job)
    ends = {record["run"]: record["status"] for record in records(tmp_path, "end")}
    assert ends == {"": "FINISHED", row["run"]: "FINISHED"}


def test_folds_are_logged_as_validation(make_job: MakeJob, tmp_path: Path) -> None:
    log(tmp_path, make_job(protocol={"kind": "folds"}), digit_accuracy=[0.1, 0.2])
    values = values_of(tmp_path)
    assert (values["val_accuracy"], values["fold_1/val_accuracy"]) == (0.6, 0.7)
    assert values["fold_1/val_digit_accuracy"] == 0.2
    assert not [name for name in values if "test_" in name or "round_" in name]


def test_one_round_has_no_spread(make_job: MakeJob, tmp_path: Path) -> None:
    one = {"accuracy": [0.5], "train_accuracy": [0.5], "train_loss": [0.5]}
    log(tmp_path, make_job(), reported=Reported(accuracy=0.9), **one)
    values = values_of(tmp_path)
    assert (values["test_accuracy"], values["reported_accuracy"]) == (0.5, 0.9)
    assert not [name for name in values if name.endswith("_std")]


def test_what_is_not_reported_is_not_logged(make_job: MakeJob, tmp_path: Path) -> None:
    log(tmp_path, make_job(), reported=Reported())
    assert not [name for name in values_of(tmp_path) if "reported" in name]


def test_a_diverged_row_has_failed_with_its_error(make_job: MakeJob, tmp_path: Path) -> None:
    log(tmp_path, make_job(), error="a loss became infinite")
    (tags,) = records(tmp_path, "tags")
    assert tags["tags"] == {"foldsweep.error": "a loss became infinite"}
    statuses = {record["run"]: record["status"] for record in records(tmp_path, "end")}
    assert statuses == {"": "FINISHED", tags["run"]: "FAILED"}
    assert values_of(tmp_path) == {}


def test_rows_that_a_grid_tuned_on_test_pairs_say_so(make_job: MakeJob, tmp_path: Path) -> None:
    plain, tuned = make_job(), make_job(name="report/tuned", tuned_by="report/grid")
    log(tmp_path, plain, tuned, on_test=True)
    tags = {r["name"]: r["tags"].get("foldsweep.selected_on") for r in records(tmp_path, "start")}
    assert tags == {SWEEP: None, "report/row rounds": None, "report/tuned rounds": "test"}


def test_each_row_is_logged_once_and_again_when_it_changes(
    make_job: MakeJob, tmp_path: Path
) -> None:
    one, two = make_job(), make_job(name="report/two")
    log(tmp_path, one)
    all_sent(tmp_path)
    spool = (tmp_path / SPOOL_FILE).read_bytes()
    assert log(tmp_path, one) == 0
    assert log(tmp_path) == 0
    assert (tmp_path / SPOOL_FILE).read_bytes() == spool
    log(tmp_path, one, two)
    names = ["report/row rounds", "report/two rounds"]
    assert [r["name"] for r in records(tmp_path, "start") if r["run"]] == names
    log(tmp_path, make_job(lr=0.02), two)
    rows = [r for r in records(tmp_path, "start") if r["run"]]
    assert [r["name"] for r in rows] == [*names, "report/row rounds"]
    assert len({r["run"] for r in rows}) == 3


def test_nothing_is_logged_where_there_is_nothing(tmp_path: Path) -> None:
    assert log(tmp_path / "rows") == 0
    assert not (tmp_path / "rows").exists()


def test_records_that_wait_are_sent_and_counted_by_the_next_command(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = log(tmp_path, make_job())
    assert waiting > 0
    assert log(tmp_path, make_job()) == waiting
    started = []
    start = Tracker._start_uploader
    monkeypatch.setattr(
        Tracker, "_start_uploader", lambda tracker: (started.append(tracker), start(tracker))
    )
    assert log(tmp_path) == waiting
    assert started


@pytest.mark.parametrize("fatal", [False, True])
def test_a_row_that_was_cut_off_while_it_was_logged_is_logged_again(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fatal: bool
) -> None:
    """Ctrl-C ends the open runs; a kill does not."""

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Tracker, "log_artifact", interrupted)
        with pytest.raises(KeyboardInterrupt):
            log(tmp_path, make_job())
    if fatal:
        lines = (tmp_path / SPOOL_FILE).read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if b'"end"' not in line and b'"close"' not in line]
        (tmp_path / SPOOL_FILE).write_bytes(b"".join(kept))
    log(tmp_path, make_job())
    assert [record["status"] for record in records(tmp_path, "end")][-2:] == ["FINISHED"] * 2
    assert len({r["run"] for r in records(tmp_path, "start")}) == 2
    assert len(records(tmp_path, "metrics")) == 1
    assert len(records(tmp_path, "artifact")) == 1
