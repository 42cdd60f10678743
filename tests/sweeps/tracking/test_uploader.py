"""Against a real SQLite store, which is also what a tracking server keeps."""

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.entities import DatasetInput, Run, ViewType
from requests import RequestException

from foldsweep.errors import UserError
from foldsweep.views import view_tags
from sweeps.tracking.spool import (
    CLOSE,
    CURSOR_FILE,
    REJECTED_FILE,
    RESTORED_FILE,
    RUN_TAG,
    SPOOL_FILE,
    Spool,
    TrackingTarget,
    num_set_aside,
    read_progress,
)
from sweeps.tracking.uploader import Uploader

DATASET = {
    "name": "digits",
    "digest": "0123abcd",
    "source_type": "local",
    "source": "{}",
    "context": "training",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "first" / "cnn_ws_aux"
    folder.mkdir(parents=True)
    journal = optuna.storages.journal.JournalFileBackend(str(folder / "study.journal"))
    storage = optuna.storages.JournalStorage(journal)
    optuna.create_study(study_name="first/cnn_ws_aux", storage=storage)
    return folder


@pytest.fixture
def target(tmp_path: Path, empty_mlflow: Path) -> TrackingTarget:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    return TrackingTarget(
        tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
        experiment="digits",
        sweep="first/cnn_ws_aux",
        study_storage="study.journal",
        study_name="first/cnn_ws_aux",
    )


@pytest.fixture
def client(target: TrackingTarget) -> MlflowClient:
    return MlflowClient(tracking_uri=target.tracking_uri)


@pytest.fixture
def spool(folder: Path) -> Iterator[Spool]:
    spool = Spool(folder / SPOOL_FILE)
    yield spool
    spool.close()


def test_steps_that_a_lost_driver_has_sent_are_not_there_twice(
    folder: Path, target: TrackingTarget, spool: Spool, client: MlflowClient, tmp_path: Path
) -> None:
    """It was ahead of the copy that the sweep is resumed from, which trains them again."""
    fill(spool, start(""), start("1"), metrics("1", ("loss", 0.5, 1), ("loss", 0.4, 2)))
    send(folder, target)
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    lines = (again / SPOOL_FILE).read_text().splitlines(keepends=True)
    lines[-1] = json.dumps(metrics("1", ("loss", 0.5, 1))) + "\n"
    (again / SPOOL_FILE).write_text("".join(lines))
    (again / CURSOR_FILE).unlink()
    (again / RESTORED_FILE).write_text(json.dumps({"offset": sum(map(len, lines))}))
    other = Spool(again / SPOOL_FILE)
    later = [["loss", 0.4, 2, 9000], ["loss", 0.3, 3, 9001], ["a%", 1.0, 1, 9001]]
    fill(other, start("1"), {"op": "metrics", "run": "1", "points": later}, end("1"))
    fill(other, start("2"), metrics("2", ("loss", 0.9, 1)), end("2"))
    other.close()
    for _ in range(2):
        send(again, target)
    runs = runs_of(client)
    assert [step for step, *_ in history(client, runs["first/cnn_ws_aux/1"], "loss")] == [1, 2, 3]
    assert [step for step, *_ in history(client, runs["first/cnn_ws_aux/1"], "a_")] == [1]
    assert [step for step, *_ in history(client, runs["first/cnn_ws_aux/2"], "loss")] == [1]


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
    """Active runs by tag; a run that is there twice fails the test."""
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


def test_a_sweep_arrives_whole(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    small_sweep(spool)
    uploader = send(folder, target)
    check_small_sweep(client)
    assert (uploader.num_sent, uploader.sent_runs) == (12, {"", "0", "1"})
    assert uploader.progress.offset == (folder / SPOOL_FILE).stat().st_size
    parent, trial = (runs_of(client)[f"first/cnn_ws_aux{name}"] for name in ("", "/1"))
    assert parent.data.params == {"seed": "1"}
    assert parent.data.tags["space"] == "cnn_ws_aux"
    assert trial.info.run_name == "run 1"
    assert trial.data.params == {"lr": "0.1"}
    assert trial.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert "mlflow.parentRunId" not in parent.data.tags
    assert (trial.info.status, trial.info.start_time, trial.info.end_time) == (
        "FINISHED",
        1000,
        2000,
    )
    (dataset,) = datasets(trial)
    assert (dataset.dataset.name, dataset.dataset.digest) == ("digits", "0123abcd")
    assert [(tag.key, tag.value) for tag in dataset.tags] == [("mlflow.data.context", "training")]
    experiment = client.get_experiment(parent.info.experiment_id)
    assert view_tags().items() <= experiment.tags.items()


def test_sending_again_from_the_start_adds_nothing(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    small_sweep(spool)
    fill(spool, metrics("0", ("nan", math.nan, 1), ("inf", math.inf, 1)))
    for _ in range(3):
        (folder / CURSOR_FILE).unlink(missing_ok=True)
        send(folder, target)
        check_small_sweep(client)
    run = runs_of(client)["first/cnn_ws_aux/0"]
    assert len(history(client, run, "nan")) == len(history(client, run, "inf")) == 1
    assert math.isnan(run.data.metrics["nan"])


def test_nothing_is_sent_twice_when_nothing_waits(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    small_sweep(spool)
    send(folder, target)
    assert send(folder, target).num_sent == 0


def test_run_ids_are_in_the_study(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    small_sweep(spool)
    send(folder, target)
    journal = optuna.storages.journal.JournalFileBackend(str(folder / "study.journal"))
    study = optuna.load_study(
        study_name="first/cnn_ws_aux", storage=optuna.storages.JournalStorage(journal)
    )
    runs = runs_of(client)
    for run in ("", "0", "1"):
        run_id = runs[target.run_key(run)].info.run_id
        assert study.user_attrs[target.run_attribute(run)] == run_id


def test_a_study_in_a_database_has_the_id_of_the_sweep_s_run_only(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool, tmp_path: Path
) -> None:
    """Each would be a transaction; runs are known by their tags."""
    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(study_name="first/cnn_ws_aux", storage=url)
    small_sweep(spool)
    send(folder, replace(target, study_storage=url))
    run_id = runs_of(client)[target.run_key("")].info.run_id
    assert study.user_attrs == {target.run_attribute(""): run_id}


def test_what_the_study_notes_is_read_once_however_many_runs_there_are(
    folder: Path, target: TrackingTarget, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Optuna copies all of it for each look, and the sweep waits for its journal meanwhile."""
    looked = []
    attributes = optuna.Study.user_attrs
    monkeypatch.setattr(
        optuna.Study,
        "user_attrs",
        property(lambda study: looked.append(study) or attributes.fget(study)),
    )
    small_sweep(spool)
    send(folder, target)
    send(folder, target)  # all is noted already
    assert len(looked) == 2


@pytest.mark.parametrize(
    "storage", ["gone.journal", "sqlite:////nowhere/at/all.db", "nonsense://"]
)
def test_a_study_that_is_gone_does_not_stop_the_upload(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool, storage: str
) -> None:
    small_sweep(spool)
    send(folder, replace(target, study_storage=storage))
    check_small_sweep(client)
    assert not (folder / "gone.journal").exists()


@pytest.mark.parametrize(
    "storage",
    [
        "postgresql://user:secret@127.0.0.1:1/studies",
        "nonsense://user:secret@127.0.0.1:1/studies",
        "user:secret@127.0.0.1:1://studies",
        "user:secret@127.0.0.1:1/studies",
        "sqlite:////nowhere/at/all.db?password=secret",
    ],
)
def test_a_study_that_does_not_open_is_logged_without_its_password(
    folder: Path,
    target: TrackingTarget,
    spool: Spool,
    storage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill(spool, start(""), CLOSE)
    send(folder, replace(target, study_storage=storage))
    (warning,) = [text for text in caplog.messages if text.startswith("no study")]
    assert warning.startswith("no study 'first/cnn_ws_aux' in ")
    assert "secret" not in warning


def test_another_server_gets_its_own_copy(
    tmp_path: Path, folder: Path, target: TrackingTarget, spool: Spool, empty_mlflow: Path
) -> None:
    small_sweep(spool)
    shutil.copy(empty_mlflow, tmp_path / "other.db")
    other = replace(target, tracking_uri=f"sqlite:///{tmp_path}/other.db")
    for each in (target, other):
        send(folder, each)
    for each in (target, other):
        check_small_sweep(MlflowClient(tracking_uri=each.tracking_uri))
    assert target.run_attribute("0") != other.run_attribute("0")


def test_a_server_that_lost_everything_gets_everything(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    small_sweep(spool)
    send(folder, target)
    for run in runs_of(client).values():
        client.delete_run(run.info.run_id)
    send(folder, target)
    check_small_sweep(client)


def test_a_run_started_again_is_the_same_run(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    fill(spool, start(""), start("0"), metrics("0", ("a", 1.0, 1)), end("0", status="KILLED"))
    send(folder, target)
    before = runs_of(client)["first/cnn_ws_aux/0"].info
    assert before.status == "KILLED"
    fill(spool, start("0", time=5000), metrics("0", ("a", 2.0, 2)))
    send(folder, target)
    again = runs_of(client)["first/cnn_ws_aux/0"].info
    assert (again.run_id, again.status, again.start_time) == (before.run_id, "RUNNING", 1000)
    fill(spool, end("0", time=9000))
    send(folder, target)
    run = runs_of(client)["first/cnn_ws_aux/0"]
    assert (run.info.status, run.info.end_time) == ("FINISHED", 9000)
    assert [step for step, _, _ in history(client, run, "a")] == [1, 2]


def test_a_dead_driver_leaves_no_run_running(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    fill(spool, start(""), start("0"), start("1"), end("0"))
    send(folder, target).finish(driver_died=True)
    statuses = {name: run.info.status for name, run in runs_of(client).items()}
    assert statuses == {
        "first/cnn_ws_aux": "KILLED",
        "first/cnn_ws_aux/0": "FINISHED",
        "first/cnn_ws_aux/1": "KILLED",
    }
    fill(spool, start(""))
    send(folder, target).finish(driver_died=False)
    assert runs_of(client)["first/cnn_ws_aux"].info.status == "RUNNING"


def test_refused_records_are_counted_and_the_rest_arrives(
    folder: Path,
    target: TrackingTarget,
    client: MlflowClient,
    spool: Spool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    small_sweep(spool)
    fill(spool, start("0", params={"lr": "other", "batch_size": "64"}))
    too_long = "k" * 300
    fill(spool, metrics("0", ("good", 1.0, 1), (too_long, 2.0, 1), ("fine", 3.0, 1)))
    fill(spool, {"op": "artifact", "run": "0", "path": str(folder / "absent.txt"), "to": ""})
    with (folder / SPOOL_FILE).open("ab") as file:
        file.write(b"\0\0\n")
    fill(spool, end("0"))
    uploader = send(folder, target)
    assert uploader.progress.refused == read_progress(folder, target.server).refused == 3
    assert uploader.num_set_aside == 1
    assert len([text for text in caplog.messages if text.startswith("passed over")]) == 4
    check_small_sweep(client)
    run = runs_of(client)["first/cnn_ws_aux/0"]
    assert run.info.status == "FINISHED"
    assert run.data.params == {"lr": "0.0", "batch_size": "64"}
    assert (run.data.metrics["good"], run.data.metrics["fine"]) == (1.0, 3.0)


def test_a_trial_deleted_by_its_user_stays_deleted(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    fill(spool, start(""), start("0"), start("1"))
    uploader = send(folder, target)
    client.delete_run(runs_of(client)["first/cnn_ws_aux/0"].info.run_id)
    fill(spool, metrics("0", ("a", 1.0, 1), ("a", 2.0, 2)), metrics("1", ("a", 1.0, 1)))
    uploader.send_next()
    assert uploader.progress.refused == 1
    assert set(runs_of(client)) == {"first/cnn_ws_aux", "first/cnn_ws_aux/1"}
    assert runs_of(client)["first/cnn_ws_aux/1"].data.metrics == {"a": 1.0}


def test_limits_of_mlflow_are_kept(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    params = {f"p{i:03}": "x" for i in range(150)} | {"long": "x" * 7000}
    fill(spool, start("", params=params, tags={f"t{i:03}": "x" for i in range(150)}))
    fill(spool, metrics("", *(("m", float(step), step) for step in range(2500))))
    fill(spool, metrics("", ("acc@1 (%)", 1.0, 1)))
    assert send(folder, target).progress.refused == 0
    run = runs_of(client)["first/cnn_ws_aux"]
    assert len(run.data.params) == 151
    assert len(run.data.params["long"]) == 6000
    assert len([tag for tag in run.data.tags if tag.startswith("t")]) == 150
    assert len(history(client, run, "m")) == 2500
    assert run.data.metrics["acc_1 ___"] == 1.0


def test_small_files_are_attached(
    tmp_path: Path, folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    (tmp_path / "space.py").write_text("SPACE = {}")
    fill(spool, start(""))
    fill(spool, {"op": "artifact", "run": "", "path": str(tmp_path / "space.py"), "to": "code"})
    send(folder, target)
    run_id = runs_of(client)["first/cnn_ws_aux"].info.run_id
    assert [file.path for file in client.list_artifacts(run_id, "code")] == ["code/space.py"]
    assert (tmp_path / "mlartifacts").is_dir()


def test_a_run_that_has_ended_is_inserted_whole_with_its_files(
    tmp_path: Path,
    folder: Path,
    target: TrackingTarget,
    client: MlflowClient,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if the first try to attach them fails."""
    (tmp_path / "rows.npz").write_bytes(b"rows")
    attach = {"op": "artifact", "run": "0", "path": str(tmp_path / "rows.npz"), "to": "held_out"}
    fill(spool, start(""), start("0"), metrics("0", ("a", 1.0, 1)), attach, end("0"), end(""))
    uploader = Uploader(folder, target)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_run", _only_the_sweep_s(client.create_run))
        patch.setattr(MlflowClient, "log_artifact", _away)
        with pytest.raises(RequestException):
            uploader.send_next()
        assert runs_of(client)["first/cnn_ws_aux/0"].info.status == "FINISHED"
    while uploader.send_next():
        pass
    run = runs_of(client)["first/cnn_ws_aux/0"]
    assert [f.path for f in client.list_artifacts(run.info.run_id, "held_out")] == [
        "held_out/rows.npz"
    ]
    assert run.info.status == "FINISHED"
    assert history(client, run, "a") == [(1, 1.0, 1501)]
    assert uploader.progress.refused == 0


def _away(*args: object) -> None:
    raise RequestException


def _only_the_sweep_s(create: Callable[..., Run]) -> Callable[..., Run]:
    def checked(client: MlflowClient, *args: Any) -> Run:
        assert args[-1] == "run ", "a trial's run is created by itself"
        return create(*args)

    return checked


def test_a_run_left_by_a_lost_answer_is_removed(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    small_sweep(spool)
    send(folder, target)
    experiment_id = runs_of(client)["first/cnn_ws_aux"].info.experiment_id
    empty = client.create_run(experiment_id, tags={RUN_TAG: "first/cnn_ws_aux/0"}).info.run_id
    send(folder, target)
    check_small_sweep(client)
    assert client.get_run(empty).info.lifecycle_stage == "deleted"


@pytest.mark.parametrize("sweep", ["first/cnn_ws_aux", "it's/50%_x"])
def test_sweeps_of_similar_names_are_kept_apart(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool, sweep: str
) -> None:
    small_sweep(spool)
    for name in (sweep, f"{sweep}2", sweep.replace("/", "_")):
        send(folder, replace(target, sweep=name))
        (folder / CURSOR_FILE).unlink()
        send(folder, replace(target, sweep=name))
        (folder / CURSOR_FILE).unlink()
    assert len(runs_of(client)) == 9


def test_a_deleted_experiment_is_named(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    small_sweep(spool)
    client.delete_experiment(client.create_experiment("digits"))
    with pytest.raises(UserError, match="experiment 'digits' is deleted"):
        send(folder, target)
    assert "is deleted" in read_progress(folder, target.server).problem
    assert read_progress(folder, target.server).offset == 0


def test_an_experiment_made_by_someone_else_meanwhile_is_used(
    folder: Path,
    target: TrackingTarget,
    client: MlflowClient,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_sweep(spool)
    client.create_experiment("digits")
    look_up = MlflowClient.get_experiment_by_name
    answers = iter([lambda client, name: None])
    monkeypatch.setattr(
        MlflowClient,
        "get_experiment_by_name",
        lambda client, name: next(answers, look_up)(client, name),
    )
    assert Uploader(folder, target).send_next() == 13
    check_small_sweep(client)


def test_a_database_that_cannot_be_opened_is_tried_again(
    tmp_path: Path,
    folder: Path,
    target: TrackingTarget,
    spool: Spool,
    empty_mlflow: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 1)  # 102 s otherwise
    small_sweep(spool)
    database = tmp_path / "later.db"
    database.mkdir()
    uploader = Uploader(folder, replace(target, tracking_uri=f"sqlite:///{database}"))
    with pytest.raises(Exception, match="unable to open database file"):
        uploader.send_next()
    database.rmdir()
    shutil.copy(empty_mlflow, database)
    assert uploader.send_next() == 13
    check_small_sweep(MlflowClient(tracking_uri=f"sqlite:///{database}"))


@pytest.mark.parametrize("call", ["create_run", "log_batch", "log_inputs", "set_terminated"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_failure_at_any_call_is_mended_by_the_next_try(
    folder: Path,
    target: TrackingTarget,
    client: MlflowClient,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    before: bool,
) -> None:
    """Each call fails once per trial, before or after the server did its work."""
    monkeypatch.setattr(
        "sweeps.tracking.uploader.database_of", lambda client: None
    )  # as with a server
    small_sweep(spool)
    uploader = Uploader(folder, target)
    real: Callable[..., object] = getattr(MlflowClient, call)
    failures = iter(range(3))

    def failing(*args: object, **kwargs: object) -> object:
        must_fail = next(failures, None) is not None
        if must_fail and before:
            raise MlflowException("API request failed")
        answer = real(*args, **kwargs)
        if must_fail:
            raise MlflowException("API request failed with timeout exception")
        return answer

    monkeypatch.setattr(MlflowClient, call, failing)
    for _ in range(3):
        with pytest.raises(MlflowException):
            uploader.send_next()
        assert read_progress(folder, target.server).problem.startswith("API request failed")
    assert uploader.send_next() == 13
    uploader.finish(driver_died=False)
    check_small_sweep(client)
    assert read_progress(folder, target.server).problem == ""
    deleted = client.search_runs(["1"], run_view_type=ViewType.DELETED_ONLY)
    assert not deleted


WRONG = [
    b'{"op": "start", "run": "5", "name": "no time"}',
    b'{"op": "metrics", "run": "0", "points": [["acc", 0.5]]}',
    b'{"op": "metrics", "run": "0", "points": [["acc", 0.5, 36893488147419103232, 1]]}',
    b'{"op": "tags", "run": ["0"], "tags": {}}',
    b'{"op": "end", "run": "0", "status": "DONE", "time": 1}',
    b'{"op": "artifact", "run": "0", "path": "a\\u0000b", "to": ""}',
    b'{"run": "0"}',
    b"[1, 2]",
    b"\xff\xfe",
]


def test_a_wrong_record_is_set_aside_and_holds_up_no_other(
    folder: Path,
    target: TrackingTarget,
    client: MlflowClient,
    spool: Spool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (folder / SPOOL_FILE).open("ab") as file:
        for line in WRONG[:5]:
            file.write(line + b"\n")
    small_sweep(spool)
    with (folder / SPOOL_FILE).open("ab") as file:
        for line in WRONG[5:]:
            file.write(line + b"\n")
    for _ in "ab":  # the second time from the start, as to another server
        uploader = send(folder, target)
        assert uploader.num_set_aside == len(WRONG)
        (folder / CURSOR_FILE).unlink()
    check_small_sweep(client)
    aside = (folder / REJECTED_FILE).read_text().splitlines()
    assert [json.loads(line)["line"] for line in aside][:-1] == [w.decode() for w in WRONG[:-1]]
    assert num_set_aside(folder) == len(WRONG)
    said = [text for text in caplog.messages if REJECTED_FILE in text]
    assert len(said) == 1, "said once"


def test_a_server_that_is_away_sets_nothing_aside(
    folder: Path, target: TrackingTarget, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_sweep(spool)
    uploader = Uploader(folder, target)

    def away(*_: object) -> None:
        raise ValueError("the server answers in HTML")

    with monkeypatch.context() as patch:
        patch.setattr(Uploader, "_send_run", away)
        for _ in range(3):
            with pytest.raises(ValueError, match="HTML"):
                uploader.send_next()
    assert not (folder / REJECTED_FILE).exists()
    assert uploader.progress.offset == 0
    assert send(folder, target).num_sent > 0


def test_text_that_no_database_takes_is_sent_without_it(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    records = [
        start("", name="a\ud800b", params={"p": "\0"}, tags={"t": "x\udfff"}),
        start("0", name="\0", params={"p": "\ud800"}, tags={"foldsweep.config": "\ud800"}),
        end("0"),
    ]
    with (folder / SPOOL_FILE).open("a", encoding="utf-8") as file:  # past what `Spool` escapes
        file.writelines(f"{json.dumps(record)}\n" for record in records)
    assert send(folder, target).progress.refused == 0
    runs = runs_of(client)
    assert runs["first/cnn_ws_aux"].data.tags["t"] == "x?"
    assert runs["first/cnn_ws_aux/0"].data.params == {"p": "?"}


# Another sweep of the same name ------------------------------------------------------------------


def uuids_of(client: MlflowClient) -> dict[tuple[str, str], Run]:
    """Active runs by tag and UUID; a run that is there twice fails the test."""
    found = client.get_experiment_by_name("digits")
    assert found is not None
    runs = client.search_runs([found.experiment_id])
    named = {(r.data.tags[RUN_TAG], r.data.tags.get("foldsweep.uuid", "")): r for r in runs}
    assert len(named) == len(runs)
    return named


@pytest.mark.parametrize("other", ["", "1111"])
def test_a_sweep_of_the_same_name_is_left_alone(
    other: str, folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    """One of an earlier version, without a UUID, too."""
    small_sweep(spool)
    for _ in range(2):
        for uuid in (other, "2222"):
            (folder / CURSOR_FILE).unlink(missing_ok=True)
            send(folder, replace(target, uuid=uuid))
    runs = uuids_of(client)
    assert len(runs) == 6
    for uuid in (other, "2222"):
        parent = runs["first/cnn_ws_aux", uuid]
        for trial in "01":
            run = runs[f"first/cnn_ws_aux/{trial}", uuid]
            assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
            assert len(history(client, run, "val_accuracy")) == 3


def test_what_mlflow_refuses_is_counted_and_the_last_is_kept(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    fill(spool, start("", params={"seed": "1"}), start("0", params={"lr": "0.1"}))
    send(folder, target)
    fill(spool, start("0", params={"lr": "0.2"}), end("0"), end(""))
    fill(spool, {"op": "artifact", "run": "", "path": "gone.txt", "to": ""}, CLOSE)
    send(folder, target)
    progress = read_progress(folder, target.server)
    assert progress.refused == 2
    assert progress.refusal


def test_an_artifact_in_the_folder_is_found_where_the_folder_has_moved_to(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    (folder / "task.json").write_text("{}")
    fill(spool, start(""), {"op": "artifact", "run": "", "path": "task.json", "to": ""}, CLOSE)
    moved = folder.rename(folder.with_name("moved"))
    assert send(moved, target).progress.refused == 0
    (run,) = runs_of(client).values()
    assert [f.path for f in client.list_artifacts(run.info.run_id)] == ["task.json"]


def test_files_outside_of_a_folder_from_elsewhere_are_not_sent(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    paths = [str(tmp_path / "secret"), "../../../secret", "link"]
    records = [{"op": "artifact", "run": "", "path": path, "to": ""} for path in paths]
    fill(spool, start(""), *records, CLOSE)
    uploader = Uploader(folder, target, inside_only=True)
    while uploader.send_next():
        pass
    assert uploader.progress.refused == 3
    (run,) = runs_of(client).values()
    assert client.list_artifacts(run.info.run_id) == []
