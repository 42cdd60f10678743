import json
import math
import signal
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from filelock import FileLock

from foldsweep.tracking import absolute_uri, sqlite_uri
from sweeps.tracking.spool import (
    CLOSE,
    CURSOR_FILE,
    DRIVER_LOCK,
    OPEN,
    SPOOL_FILE,
    TARGET_FILE,
    Progress,
    Spool,
    TrackingTarget,
    check_files,
    count_records,
    driver_lives,
    identity_in,
    is_closed,
    read_progress,
    read_records,
    run_states,
    write_progress,
)
from tests.refusals import refused

RECORDS: list[dict] = [
    {"op": "start", "run": "7", "name": "größer"},
    {"op": "metrics", "run": "7", "points": [["val_accuracy", 0.1 + 0.2, 3, 1700000000000]]},
    {"op": "end", "run": "7", "status": "FINISHED"},
]


def write(path: Path, *records: dict) -> Path:
    spool = Spool(path)
    for record in records:
        spool.append(record)
    spool.close()
    return path


def records_in(path: Path, offset: int = 0) -> list[dict]:
    return [record for _, record in read_records(path, offset)]


def target(**changes: str) -> TrackingTarget:
    fields = {
        "tracking_uri": "http://127.0.0.1:5000",
        "experiment": "digits",
        "sweep": "first/cnn_ws_aux",
        "study_storage": "study.journal",
        "study_name": "first/cnn_ws_aux",
    }
    return TrackingTarget(**(fields | changes))


@pytest.fixture
def spool_path(tmp_path: Path) -> Path:
    return tmp_path / "spool.jsonl"


def test_records_come_back_exactly(spool_path: Path) -> None:
    assert records_in(write(spool_path, *RECORDS)) == RECORDS


def test_reading_goes_on_from_any_given_offset(spool_path: Path) -> None:
    write(spool_path, *RECORDS)
    offsets = [offset for offset, _ in read_records(spool_path)]
    assert [records_in(spool_path, offset) for offset in offsets] == [RECORDS[1:], RECORDS[2:], []]


def test_nan_and_infinities_survive(spool_path: Path) -> None:
    write(spool_path, {"values": [math.nan, math.inf, -math.inf]})
    nan, *infinities = records_in(spool_path)[0]["values"]
    assert math.isnan(nan)
    assert infinities == [math.inf, -math.inf]


def test_a_line_cut_anywhere_is_not_read_and_is_removed_by_the_next_writer(
    spool_path: Path,
) -> None:
    whole = write(spool_path, *RECORDS).read_bytes()
    for length in range(len(whole)):
        spool_path.write_bytes(whole[:length])
        complete = RECORDS[: whole[:length].count(b"\n")]
        assert records_in(spool_path) == complete
        write(spool_path, {"op": "close"})
        assert records_in(spool_path) == [*complete, {"op": "close"}]


def test_a_damaged_line_does_not_hide_the_others(spool_path: Path) -> None:
    write(spool_path, *RECORDS)
    lines = spool_path.read_bytes().splitlines(keepends=True)
    spool_path.write_bytes(lines[0] + b"\0\0\0\xff\n" + b"[1]\n" + lines[2])
    unreadable = {"op": "unreadable"}
    assert records_in(spool_path) == [RECORDS[0], unreadable, unreadable, RECORDS[2]]
    assert run_states(spool_path)["7"].is_open is False


def run_writer(spool_path: Path, body: str) -> subprocess.CompletedProcess[str]:
    code = "\n".join(
        [
            "import os, resource, signal",
            "from pathlib import Path",
            "from sweeps.tracking.spool import Spool",
            f"spool = Spool(Path({str(spool_path)!r}))",
            body,
        ]
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_killed_writer_loses_nothing(spool_path: Path) -> None:
    body = "for i in range(100): spool.append({'run': i})\nos.kill(os.getpid(), signal.SIGKILL)"
    assert run_writer(spool_path, body).returncode == -signal.SIGKILL
    assert records_in(spool_path) == [{"run": i} for i in range(100)]


def test_a_full_disk_is_an_error_and_leaves_whole_lines(spool_path: Path) -> None:
    body = (
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "for i in range(100): spool.append({'run': 'x' * 30})"
    )
    done = run_writer(spool_path, body)
    assert "OSError" in done.stderr
    assert spool_path.read_bytes().endswith(b"\n")
    assert records_in(spool_path) == [{"run": "x" * 30}] * 2


def test_run_states_know_what_is_open_and_the_highest_step(spool_path: Path) -> None:
    points = [["a", 1.0, 1, 0], ["a", 1.0, 2, 0], ["b", 1.0, 0, 0]]
    write(
        spool_path,
        OPEN,
        {"op": "start", "run": ""},
        {"op": "start", "run": "0"},
        {"op": "metrics", "run": "0", "points": points},
        {"op": "end", "run": "0"},
        CLOSE,
    )
    states = run_states(spool_path)
    assert {run: state.is_open for run, state in states.items()} == {"": True, "0": False}
    assert states["0"].last_step == {"a": 2, "b": 0}


def test_only_a_last_record_of_close_closes(spool_path: Path) -> None:
    spool_path.touch()
    assert not is_closed(spool_path)
    assert is_closed(write(spool_path, CLOSE))
    assert not is_closed(write(spool_path, OPEN))


def test_counting_leaves_out_what_mlflow_never_sees(spool_path: Path) -> None:
    assert count_records(write(spool_path, OPEN, *RECORDS, CLOSE), 0) == 3


def test_progress_is_kept_for_each_server(tmp_path: Path) -> None:
    write_progress(tmp_path, "here", Progress(offset=12, refused=1, problem="away"))
    write_progress(tmp_path, "there", Progress(offset=3))
    assert read_progress(tmp_path, "here") == Progress(offset=12, refused=1, problem="away")
    assert read_progress(tmp_path, "there") == Progress(offset=3)
    assert read_progress(tmp_path, "elsewhere") == Progress()


def test_a_damaged_cursor_means_sending_again(tmp_path: Path) -> None:
    (tmp_path / CURSOR_FILE).write_text('{"here": {"off')
    assert read_progress(tmp_path, "here") == Progress()


def test_the_driver_lives_while_it_holds_its_lock(tmp_path: Path) -> None:
    assert not driver_lives(tmp_path)
    with FileLock(tmp_path / DRIVER_LOCK):
        assert driver_lives(tmp_path)
    assert not driver_lives(tmp_path)


def test_a_target_is_read_back_and_private(tmp_path: Path) -> None:
    target().save(tmp_path)
    assert TrackingTarget.load(tmp_path) == target()
    assert stat.S_IMODE((tmp_path / TARGET_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "mlruns", "./mlruns", "", "C:"])
def test_a_relative_tracking_uri_is_refused(uri: str) -> None:
    with refused("tracking.uri-not-absolute", uri=uri):
        target(tracking_uri=uri)


@pytest.mark.parametrize(
    "uri",
    ["http://10.0.0.1:5000", "sqlite:////a/m.db", "postgresql+psycopg2://h/db", "databricks"],
)
def test_an_absolute_tracking_uri_is_taken(uri: str) -> None:
    assert absolute_uri(uri) == target(tracking_uri=uri).tracking_uri == uri


def test_a_relative_sqlite_path_can_be_made_absolute() -> None:
    assert absolute_uri("sqlite:///a/m.db") == f"sqlite:///{Path.cwd()}/a/m.db"


def test_passwords_are_not_shown() -> None:
    uri = "postgresql://user:secret@host/db"
    assert target(tracking_uri=uri).shown_uri == "postgresql://***@host/db"


def test_artifacts_of_a_sqlite_file_lie_beside_it() -> None:
    sqlite = "sqlite:////a/m.db"
    assert target(tracking_uri=sqlite).artifact_root == "/a/mlartifacts/digits"
    assert target().artifact_root is None


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"tracking_uri": "http://h/"})])
def test_a_damaged_target_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / TARGET_FILE).write_text(text)
    with refused("spool.damaged", path=tmp_path / TARGET_FILE):
        TrackingTarget.load(tmp_path)


def test_a_folder_without_a_target_holds_no_sweep(tmp_path: Path) -> None:
    with refused("spool.no-sweep", folder=tmp_path):
        TrackingTarget.load(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        "[]",
        "3",
        '{"server": 3}',
        '{"server": {"offset": "12"}}',
        '{"server": {"offset": -1}}',
        '{"server": {"offset": 3}}',
        '{"server": {"offset": 100000}}',
        '{"server": {"offset": 0, "unknown": 1}}',
        "[" * 5000,
    ],
)
def test_a_damaged_cursor_sends_all_again(spool_path: Path, damage: str) -> None:
    """An offset within a line, or beyond the end, would lose records."""
    write(spool_path, *RECORDS)
    (spool_path.parent / CURSOR_FILE).write_text(damage)
    assert read_progress(spool_path.parent, "server") == Progress()


def test_wrong_records_open_no_runs(spool_path: Path) -> None:
    wrong = [
        {"op": "start", "run": "one"},
        {"op": "start", "run": ["1"]},
        {"run": "2"},
        {"op": "metrics", "run": "3", "points": [["acc", 1.0]]},
    ]
    write(spool_path, *wrong, {"op": "start", "run": "4"})
    states = run_states(spool_path)
    assert [run for run, state in states.items() if state.is_open] == ["4"]


@pytest.mark.parametrize("name", ["a" * 300, "ü" * 101, "a\x1b[2J", "\ud800", "a\nb", "\x00"])
def test_a_name_of_an_experiment_that_no_store_can_have_is_refused(name: str) -> None:
    with refused("spool.experiment-invalid", experiment=name, most=200):
        target(experiment=name)


@pytest.mark.parametrize("folder", ["a?b", "a#b", "a%20b", "it's"])
def test_artifacts_are_beside_the_database_whatever_its_folder_is_called(folder: str) -> None:
    path = Path("/tmp") / folder / "mlflow.db"
    root = target(tracking_uri=sqlite_uri(path), experiment="mine").artifact_root
    assert root is not None
    found = url2pathname(urlsplit(root).path) if root.startswith("file:") else root
    assert Path(found) == path.parent / "mlartifacts" / "mine"


def test_lone_surrogates_reach_no_server_and_paths_keep_them(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.jsonl")
    hostile = {"a\udce9": ["\ud800", 1.5, None, "größe 🙂"]}
    spool.append({"op": "tags", "run": "0", "tags": hostile})
    spool.append({"op": "artifact", "run": "0", "path": "caf\udce9", "to": ""})
    spool.close()
    tags, artifact = [record for _, record in read_records(tmp_path / "spool.jsonl")]
    assert tags["tags"] == {r"a\udce9": [r"\ud800", 1.5, None, "größe 🙂"]}
    assert artifact["path"] == "caf\udce9"


@pytest.mark.parametrize("name", [SPOOL_FILE, TARGET_FILE, CURSOR_FILE, "study.journal"])
@pytest.mark.parametrize("what", ["folder", "loop", "dangling"])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, what: str) -> None:
    check_files(tmp_path, "study.journal")
    path = tmp_path / name
    if what == "folder":
        path.mkdir()
    else:
        path.symlink_to(name if what == "loop" else "nowhere")
    with refused("spool.not-a-file", path=path):
        check_files(tmp_path, "study.journal")


def test_spools_of_one_folder_share_their_sweep_s_identity(tmp_path: Path) -> None:
    """Grids and rows of a reproduction are one sweep for MLflow."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    target(uuid="4f3c").save(first)
    second.mkdir()
    assert identity_in(second, within=tmp_path).uuid == "4f3c"
    assert identity_in(second, within=tmp_path).folder == second.resolve()
    assert identity_in(second).uuid not in ("", "4f3c")
