"""Records that a store does not accept do not block others."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from sweeps.tracking.spool import (
    CLOSE,
    CURSOR_FILE,
    REJECTED_FILE,
    SPOOL_FILE,
    Spool,
    TrackingTarget,
    num_set_aside,
    read_progress,
)
from tests.sweeps.tracking.uploader.records import (
    check_small_sweep,
    end,
    fill,
    metrics,
    runs_of,
    send,
    small_sweep,
    start,
)


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
    assert len([text for text in caplog.messages if text.startswith("skipped")]) == 4
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


def test_text_that_no_database_takes_is_sent_without_it(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    records = [
        start("", name="a\ud800b", params={"p": "\0"}, tags={"t": "x\udfff"}),
        start("0", name="\0", params={"p": "\ud800"}, tags={"foldsweep.config": "\ud800"}),
        end("0"),
    ]
    with (folder / SPOOL_FILE).open("a", encoding="utf-8") as file:  # `Spool` would escape it
        file.writelines(f"{json.dumps(record)}\n" for record in records)
    assert send(folder, target).progress.refused == 0
    runs = runs_of(client)
    assert runs["first/cnn_ws_aux"].data.tags["t"] == "x?"
    assert runs["first/cnn_ws_aux/0"].data.params == {"p": "?"}


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
