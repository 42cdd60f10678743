"""Decisions of the program itself; Ray, the sweeps and MLflow are replaced by stand-ins."""

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from filelock import FileLock

from foldsweep.programs import command
from sweeps.reproduction import program
from sweeps.reproduction.grids import RESULT_FILE
from sweeps.reproduction.program import main, selected
from sweeps.reproduction.rows import Job, result_path
from sweeps.reproduction.settings import ReproduceSettings
from sweeps.resources import Allotment
from sweeps.settings import SweepSettings
from tests.refusals import refused, said_as, text
from trainables.presets.preset import Grid
from trainables.presets.registry import GRIDS, PRESETS, TABLES

# Arguments --------------------------------------------------------------------------------------


def names(tables: dict[str, Any]) -> dict[str, list[str]]:
    return {
        table: [row.name if isinstance(row, Grid) else row[0].name for row in rows]
        for table, rows in tables.items()
    }


def test_a_report_is_all_its_tables() -> None:
    chosen = selected(("kong",))
    assert list(chosen) == [table for table in TABLES if table.startswith("kong/")]
    assert chosen == {table: TABLES[table] for table in chosen}


def test_a_table_a_row_and_a_grid_are_chosen_by_name() -> None:
    assert selected(("kong/table3",)) == {"kong/table3": TABLES["kong/table3"]}
    assert names(selected(("aguet2019/auxiliary",))) == {
        "aguet2019/table5": ["aguet2019/auxiliary"]
    }
    assert names(selected(("chahed/fcn_head",))) == {"chahed/table3": ["chahed/fcn_head"]}


def test_a_row_of_two_tables_is_chosen_in_both() -> None:
    assert names(selected(("kong/cnn_base",))) == {
        "kong/table1": ["kong/cnn_base"],
        "kong/table3": ["kong/cnn_base"],
    }


def test_everything_is_every_row_once() -> None:
    assert selected(("",)) == TABLES
    assert selected(("", "kong", "kong/table3")) == TABLES


def test_tables_keep_their_order_and_rows_are_there_once() -> None:
    chosen = selected(("lenet_transfer", "kong/table3", "kong/w_net", "aguet2019/sweep", "kong"))
    assert list(chosen) == [
        table
        for table in TABLES
        if table.startswith(("kong/", "lenet_transfer/")) or table == "aguet2019/sweep"
    ]
    for table, rows in names(chosen).items():
        assert len(set(rows)) == len(rows) == len(TABLES[table])


@pytest.mark.parametrize("name", ["kong/table9", "kon", "a_w_net", "kong/", "KONG"])
def test_an_unknown_name_is_refused_with_the_tables(name: str) -> None:
    with refused("reproduction.unknown", name=name, tables=", ".join(TABLES)):
        selected(("kong", name))


# Settings ---------------------------------------------------------------------------------------

GOOD = ReproduceSettings(what=("kong",), dataset="mnist")


@pytest.mark.parametrize(
    ("changes", "kind", "values"),
    [
        (
            {"rounds": 0},
            "programs.option-out-of-range",
            {"option": "rounds", "rule": text("rules.at-least", least=1), "value": "0"},
        ),
        ({"all": True}, "reproduction-settings.all-and-more", {"what": "kong"}),
        ({"what": ()}, "reproduction-settings.nothing-chosen", {}),
        (
            {"write": Path("no/such.md")},
            "reproduction-settings.write-missing",
            {"path": "no/such.md"},
        ),
        ({"tracking_uri": "here"}, "tracking.uri-not-absolute", {"uri": "here"}),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    changes: dict[str, Any], kind: str, values: dict[str, object]
) -> None:
    GOOD.validate()
    with refused(kind, **values) as caught:
        replace(GOOD, **changes).validate()
    assert "\n" not in str(caught.value)


def test_folders_keep_apart_what_cannot_be_mixed() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"dataset": "digits"},
        {"quick": True},
        {"select_on_test": True},
        {"seed": 1},
        {"seed": 12},
    ]
    found = [replace(GOOD, **change).name for change in changes]
    assert found[0] == "reproduce"
    both = replace(GOOD, dataset="digits", quick=True, select_on_test=True, seed=3)
    assert both.name == "reproduce-digits-quick-on_test-seed3"
    assert len({*found, both.name}) == len(changes) + 1
    assert replace(GOOD, what=("aguet2019",), rounds=3, concurrency=1).name == "reproduce"


def test_a_grid_is_swept_whole_and_as_its_report_did(tmp_path: Path) -> None:
    settings = replace(GOOD, storage=tmp_path, seed=3).sweep(GRIDS["kong/loss_ratio"])
    assert (settings.space, settings.sampler) == (("kong-loss_ratio",), "grid")
    assert (settings.folds, settings.scheduler) == (4, "none")
    assert (settings.trials, settings.epochs, settings.train_pairs) == (None, None, None)
    assert (settings.seed, settings.dataset, settings.resume) == (3, "mnist", None)
    assert settings.objective == ("val_accuracy",)
    assert GOOD.sweep(GRIDS["aguet2019/sweep_fc"]).scheduler == "asha"


def test_a_quick_grid_is_two_points_of_two_folds_and_epochs() -> None:
    settings = replace(GOOD, quick=True).sweep(GRIDS["chahed/fcn_head"])
    assert (settings.trials, settings.folds, settings.epochs) == (2, 2, 2)
    assert (settings.train_pairs, settings.test_pairs) == (60, 60)


# The program ------------------------------------------------------------------------------------

ROW, GRID = "gervaise2020/fnn_ws", "gervaise2020/grid_fnn_ws"


class Stage:
    """Stand-ins for the parts that the program starts, with settings for how they end."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.jobs: list[Job] = []
        self.logged: list[str] = []
        self.sweeps: list[SweepSettings] = []
        self.interrupts: str | None = None
        self.fails: str | None = None
        self.waiting = 0
        self.drawn: list[list[str]] = []
        self.drawn_from: list[str] = []

    def Cluster(self, settings: SweepSettings) -> Any:
        self.started.append("ray")
        cluster = MagicMock()
        cluster.__enter__.return_value = Allotment(cpus=1, gpus=0, concurrency=2)
        return cluster

    def sweep_grid(self, grid: Grid, settings: SweepSettings, data: Any, **options: Any) -> Any:
        self.started.append(grid.name)
        self.sweeps.append(settings)
        interrupted = self.interrupts == grid.name
        if not interrupted and self.fails != grid.name:
            best = {key: values[-1] for key, values in grid.axes.items()}
            found: dict[str, Any] = {"best": best, "values": best, "score": 0.5, "std": 0.1}
            found |= {"num_params": 3, "trials": 2, "failed": 0, "time_s": 1.0}
            folder = options["root"] / grid.space
            folder.mkdir()
            (folder / RESULT_FILE).write_text(json.dumps(found | {"select_on_test": False}))
        return SimpleNamespace(interrupted=interrupted, last_error="trial 1: out of luck")

    def run_jobs(self, jobs: list[Job], images: Any, folder: Path, *_: Any) -> list[str]:
        if self.interrupts in [job.preset.name for job in jobs]:
            raise KeyboardInterrupt
        failures = []
        for job in jobs:
            self.started.append(job.name)
            self.jobs.append(job)
            if self.fails == job.preset.name:
                failures.append(f"{job.name}: out of luck")
                continue
            result_path(folder, job).parent.mkdir(parents=True, exist_ok=True)
            values: dict[str, Any] = {"key": job.key, "accuracy": [0.5, 0.6], "time_s": 1.0}
            values |= {"count": [[1] * 10] * 10, "wrong": [[0] * 10] * 10}
            if job.protocol.curves:
                values["curves"] = {"accuracy": [[0.5, 0.6]]}
            result_path(folder, job).write_text(json.dumps(values))
        return failures

    def draw(self, command: list[str], env: dict[str, str], **_: Any) -> Any:
        self.drawn.append(command[1:])
        self.drawn_from.append(env["MLFLOW_TRACKING_URI"])
        failed = self.fails == "drawing"
        return SimpleNamespace(returncode=int(failed), stdout="a.png\nb.png\n", stderr="no rows\n")

    def log_rows(self, rows: list[Any], folder: Path, **options: Any) -> int:
        self.logged = [job.name for job, _, _ in rows]
        return self.waiting


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    stage = Stage()
    monkeypatch.chdir(tmp_path)
    for name in ("Cluster", "sweep_grid", "run_jobs", "log_rows"):
        monkeypatch.setattr(program, name, getattr(stage, name))
    monkeypatch.setattr(program.subprocess, "run", stage.draw)
    monkeypatch.setattr(program, "show_end", lambda *args: None)
    handler = signal.getsignal(signal.SIGTERM)
    yield stage
    signal.signal(signal.SIGTERM, handler)


Run = Callable[..., str]


@pytest.fixture
def run(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the program on the embedded digits; returns its output."""

    def run(*args: object, code: int = 0) -> str:
        stage.started.clear()
        assert main([*map(str, args), "--dataset", "digits"]) == code
        return capsys.readouterr().out

    return run


def test_a_row_takes_the_best_of_its_grid_which_is_swept_before(run: Run, stage: Stage) -> None:
    said = run(ROW, "--rounds", 2)
    assert stage.started == ["ray", GRID, f"{ROW}-rounds"]
    (job,) = stage.jobs
    config = job.config.to_dict()
    assert (config["lr"], config["weight_decay"]) == (0.015, 0.001)
    assert {key: config[key] for key in ("batch_size", "hidden")} == {
        "batch_size": 64,
        "hidden": (128, 64),
    }
    assert text("reproduction.grid", number=1, grids=1, grid=GRID) in said
    assert text("reproduction.other-images") in said
    assert "fnn_ws" in said
    assert "0.5500 ± 0.0707" in said
    assert said_as("reproduction.results-in", folder="runs/reproduce-digits").search(said)


def test_nothing_is_started_where_everything_is_there(run: Run, stage: Stage) -> None:
    first = run(ROW, "--rounds", 2)
    assert (
        run(ROW, "--rounds", 2).partition("gervaise2020/table1")[2]
        == (first.partition("gervaise2020/table1")[2])
    )
    assert stage.started == []
    assert stage.logged == [f"{ROW}-rounds"]


def test_only_what_is_missing_is_started(run: Run, stage: Stage) -> None:
    run(ROW, "kong/fc_1")
    run(ROW, "kong/fc_1", "kong/fc_2")
    assert stage.started == ["ray", "kong/fc_2-folds"]
    run(ROW, "kong/fc_1", "--rounds", 3)  # fc_1 is measured by folds
    assert stage.started == ["ray", f"{ROW}-rounds"]
    assert stage.jobs[-1].protocol.count == 3


def test_groups_of_grids_are_swept_in_turn_and_each_once(run: Run, stage: Stage) -> None:
    groups = [f"chahed/fcn_{group}" for group in ("hidden", "head", "alpha")]
    run("chahed/fcn_alpha", "chahed/fcn_head")
    assert stage.started == ["ray", *groups]
    run("chahed/table3")
    assert stage.started == []


def test_a_quick_run_is_small_and_says_that_it_says_nothing(run: Run, stage: Stage) -> None:
    said = run(ROW, "--quick")
    (job,) = stage.jobs
    assert (job.protocol.count, job.protocol.train_pairs, job.config.epochs) == (2, 60, 2)
    assert stage.sweeps[0].trials == 2
    assert text("reproduction.quick") in said
    assert said_as("reproduction.results-in", folder="runs/reproduce-digits-quick").search(said)


def interrupted() -> str:
    """Last line of an interrupted run of the row."""
    again = command("sweeps/reproduce.py", ROW, "--dataset", "digits")
    return text("commands.interrupted", resume=again)


def test_an_interrupted_grid_stops_all_and_says_how_to_go_on(run: Run, stage: Stage) -> None:
    stage.interrupts = GRID
    said = run(ROW, code=130)
    assert stage.started == ["ray", GRID]
    assert stage.logged == []
    assert said.splitlines()[-1] == interrupted()


def test_so_do_interrupted_rows(run: Run, stage: Stage) -> None:
    stage.interrupts = ROW
    assert run(ROW, code=130).splitlines()[-1] == interrupted()
    stage.interrupts = None
    run(ROW)
    assert stage.started == ["ray", f"{ROW}-rounds"]


def test_a_grid_without_a_result_is_an_error_with_its_cause(run: Run, stage: Stage) -> None:
    stage.fails = GRID
    with refused("reproduction.no-result", grid=GRID, error="trial 1: out of luck"):
        run(ROW)
    assert stage.started == ["ray", GRID]


def test_a_row_that_fails_is_said_at_the_end_and_tried_again(run: Run, stage: Stage) -> None:
    stage.fails = ROW
    said = run(ROW, "kong/fc_1", code=1)
    failed = text("reproduction.row-failed", failure=f"{ROW}-rounds: out of luck")
    assert said.endswith(f"{failed}\n")
    assert stage.logged == ["kong/fc_1-folds"]
    assert said_as("reproduction-tables.not-run").search(said)
    stage.fails = None
    run(ROW, "kong/fc_1")
    assert stage.started == ["ray", f"{ROW}-rounds"]


@pytest.mark.parametrize("storage", ["runs", "my runs"])
def test_what_waits_can_be_sent_with_the_command_that_is_said(
    run: Run, stage: Stage, storage: str
) -> None:
    stage.waiting = 7
    said = run("kong/fc_1", "--storage", storage)
    option = "" if storage == "runs" else " --storage 'my runs'"
    replay = f"{command('sweeps/replay.py', 'reproduce-digits')}{option}"
    assert f"{text('reproduction.records-wait', records=7, replay=replay)}\n" in said


def test_a_document_gets_the_tables_that_were_asked_for(
    run: Run, stage: Stage, tmp_path: Path
) -> None:
    marks = ("verdict", "kong/table1", "errors kong/table1", "kong/table3")
    document = tmp_path / "results.md"
    document.write_text("".join(f"<!-- foldsweep: {m} -->\nold\n<!-- end -->\n" for m in marks))
    updated = text("reproduction.blocks-updated", blocks=3, file="results.md")
    assert updated in run("kong/fc_1", "--write", "results.md")
    parts = document.read_text().split("<!-- end -->\n")
    assert said_as("reproduction-tables.verdict", within=0, rows=1).search(parts[0])
    assert "| fc_1 | 0.765 ± 0.007 | 0.5500 ± 0.0707 |" in parts[1]
    assert "| fc_1 | 0.0 % | 0.0 % | 0.0 % |" in parts[2]
    assert parts[3] == "<!-- foldsweep: kong/table3 -->\nold\n"


def test_tables_with_curves_are_drawn_by_analysis(run: Run, stage: Stage, tmp_path: Path) -> None:
    uri = "http://user:secret@host:5000"
    said = run(ROW, "kong/fc_1", "--tracking-uri", uri, "--experiment", "mine")
    ((program, table, *options),) = stage.drawn
    assert program.endswith("analysis/figures.py")
    assert Path(program).is_file()
    assert table == "gervaise2020/table1"
    assert options == [
        "--out=runs/reproduce-digits/figures",
        "--sweep=reproduce-digits",
        "--experiment=mine",
    ]
    assert stage.drawn_from == [uri]
    folder, table = "runs/reproduce-digits/figures", "gervaise2020/table1"
    assert text("reproduction.figures", figures=2, table=table, folder=folder) in said
    assert "secret" not in said
    stage.fails = "drawing"
    not_drawn = text("reproduction.figures-not-drawn", table=table, why="no rows")
    assert f"{not_drawn}\n" in run(ROW)


def test_two_at_once_in_one_folder_are_refused(run: Run, stage: Stage, tmp_path: Path) -> None:
    run("kong/fc_1")
    with FileLock(tmp_path / "runs/reproduce-digits/lock"):
        with refused("reproduction.folder-in-use", folder="runs/reproduce-digits"):
            run("kong/fc_1")
        run("kong/fc_1", "--seed", 1)


def test_the_list_starts_nothing(run: Run, stage: Stage, tmp_path: Path) -> None:
    said = run("--list")
    assert all(preset.name in said for preset in PRESETS.values() if preset.measurements)
    assert stage.started == []
    assert not list(tmp_path.iterdir())
