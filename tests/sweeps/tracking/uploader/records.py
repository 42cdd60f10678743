"""Records of a small sweep, and the contents of a store."""

from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import DatasetInput, Run

from sweeps.tracking.spool import CLOSE, RUN_TAG, Spool, TrackingTarget
from sweeps.tracking.uploader import Uploader

DATASET = {
    "name": "digits",
    "digest": "0123abcd",
    "source_type": "local",
    "source": "{}",
    "context": "training",
}


def start(run: str, time: int = 1000, **changes: object) -> dict:
    record = {"op": "start", "run": run, "time": time, "name": f"run {run}", "params": {}}
    return record | {"tags": {}, "dataset": None} | changes


def end(run: str, time: int = 2000, status: str = "FINISHED") -> dict:
    return {"op": "end", "run": run, "status": status, "time": time}


def metrics(run: str, *points: tuple[str, float, int]) -> dict:
    return {"op": "metrics", "run": run, "points": [[*point, 1500 + point[2]] for point in points]}


def fill(spool: Spool, *records: dict) -> None:
    for record in records:
        spool.append(record)


def send(folder: Path, target: TrackingTarget) -> Uploader:
    uploader = Uploader(folder, target)
    while uploader.send_next():
        pass
    return uploader


def runs_of(client: MlflowClient, experiment: str = "digits") -> dict[str, Run]:
    """Active runs by tag; a duplicate run fails the test."""
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs = client.search_runs([found.experiment_id])
    by_tag = {run.data.tags[RUN_TAG]: run for run in runs}
    assert len(by_tag) == len(runs)
    return by_tag


def history(client: MlflowClient, run: Run, key: str) -> list[tuple[int, float, int]]:
    found = client.get_metric_history(run.info.run_id, key)
    return sorted((metric.step, metric.value, metric.timestamp) for metric in found)


def datasets(run: Run) -> list[DatasetInput]:
    assert run.inputs is not None
    return run.inputs.dataset_inputs


def small_sweep(spool: Spool) -> None:
    fill(spool, start("", params={"seed": "1"}, tags={"space": "cnn_ws_aux"}, dataset=DATASET))
    for run in "01":
        fill(spool, start(run, params={"lr": f"0.{run}"}, dataset=DATASET))
        fill(spool, *(metrics(run, ("val_accuracy", step / 10, step)) for step in range(1, 4)))
        fill(spool, end(run))
    fill(spool, end("", 3000), CLOSE)


def check_small_sweep(client: MlflowClient) -> None:
    runs = runs_of(client)
    assert set(runs) == {"first/cnn_ws_aux", "first/cnn_ws_aux/0", "first/cnn_ws_aux/1"}
    for run in (runs["first/cnn_ws_aux/0"], runs["first/cnn_ws_aux/1"]):
        expected = [(step, step / 10, 1500 + step) for step in range(1, 4)]
        assert history(client, run, "val_accuracy") == expected
        assert len(datasets(run)) == 1
