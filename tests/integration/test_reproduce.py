"""One command reproduces rows of reports: once, despite interruptions, and logged in MLflow."""

import json
import os
import re
import signal
from collections.abc import Callable
from itertools import takewhile

import pytest

from sweeps.lifecycle.runs import RUN_STATUS
from tests.integration.user import User, until
from tests.refusals import said_as, text

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]

PROGRAM = "sweeps/reproduce.py"
QUICK = ("--quick", "--dataset", "digits")
FOLDER = "reproduce-digits-quick"
ROWS = f"{FOLDER}/rows"
TRANSFER, AUXILIARY = "lenet_transfer/transfer", "aguet2019/auxiliary"


def results(user: User) -> dict[str, str]:
    """Stored results by row, as text."""
    folder = user.folder / "runs" / ROWS
    return {path.stem: path.read_text() for path in folder.glob("*/*.json")}


def printed(said: str, table: str) -> dict[str, str]:
    """Lines of a printed table, by row."""
    lines = said.partition(f"\n{table}: ")[2].splitlines()[1:]
    body = takewhile(lambda line: line.startswith(" ") or not line, lines)
    return {line.split()[0]: line for line in body if line.strip()}


def test_rows_are_measured_logged_and_not_measured_again(user: User) -> None:
    end = user.run(PROGRAM, TRANSFER, AUXILIARY, *QUICK)
    assert end.stderr == ""
    assert said_as("reproduction.rows-to-train", rows=2).search(end.stdout)
    stored = {name: json.loads(found) for name, found in results(user).items()}
    assert {result["preset"] for result in stored.values()} == {TRANSFER, AUXILIARY}

    aguet = printed(end.stdout, "aguet2019/table5")
    lenet = printed(end.stdout, "lenet_transfer/table1")
    assert "0.9558 ± 0.0111" in aguet["auxiliary"]
    assert "not run" in lenet["auxiliary"]

    runs = user.mlflow(ROWS)
    parent = runs.pop("")
    assert {run.status for run in (parent, *runs.values())} == {"FINISHED"}
    assert len(runs) == 2
    by_row = {run.tags["foldsweep.preset"]: run for run in runs.values()}
    for result in stored.values():
        run = by_row[result["preset"]]
        assert run.tags["mlflow.parentRunId"] == parent.run_id
        assert run.tags["foldsweep.kind"] == "reproduction"
        assert run.tags["variant"] == f"larger_digit/{result['variant']}"
        assert json.loads(run.tags["foldsweep.config"]) == result["config"]
        one, two = result["accuracy"]
        assert run.last("test_accuracy") == pytest.approx((one + two) / 2)
        assert run.last("test_accuracy_std") == pytest.approx(abs(one - two) / 2**0.5)
        assert [run.last(f"round_{i}/test_accuracy") for i in (0, 1)] == [one, two]
        line = aguet["auxiliary"] if result["preset"] == AUXILIARY else lenet["transfer"]
        assert f" {(one + two) / 2:.4f} ± {abs(one - two) / 2**0.5:.4f} " in line
    assert by_row[AUXILIARY].last("reported_accuracy") == 0.9558
    assert by_row[AUXILIARY].last("reported_accuracy_std") == 0.0111
    assert by_row[TRANSFER].last("reported_accuracy") == 0.94
    assert by_row[AUXILIARY].tags["foldsweep.table"] == "aguet2019/table5"
    drawn = user.folder / "runs" / FOLDER / "figures" / "lenet_transfer-table1-wrong.png"
    assert drawn.is_file()

    spool = (user.folder / "runs" / ROWS / "spool.jsonl").read_bytes()
    before = results(user)
    again = user.run(PROGRAM, TRANSFER, AUXILIARY, *QUICK)
    assert not said_as("reproduction.rows-to-train").search(again.stdout)
    assert printed(again.stdout, "aguet2019/table5") == aguet
    assert printed(again.stdout, "lenet_transfer/table1") == lenet
    assert results(user) == before  # including the training time
    assert (user.folder / "runs" / ROWS / "spool.jsonl").read_bytes() == spool
    assert {run.run_id for run in user.mlflow(ROWS).values()} == {
        parent.run_id,
        *(run.run_id for run in runs.values()),
    }
    user.is_gone()


def test_a_table_killed_and_stopped_on_its_way_comes_to_what_an_undisturbed_one_does(
    user: User, make_user: Callable[[str], User]
) -> None:
    row, grid = "gervaise2020/fnn_ws", f"{FOLDER}/gervaise2020-grid_fnn_ws"
    args = (row, *QUICK, "--concurrency", 1)
    best = user.folder / "runs" / grid / "grid.json"

    process = user.start(PROGRAM, *args)
    until(lambda: user.records(grid, "end"), process)
    user.kill(process)
    ended = {t.number: t for t in user.study(grid) if t.state.is_finished()}
    assert ended
    assert not results(user)

    # Ctrl-C reaches every process of the terminal's process group
    process = user.start(PROGRAM, *args)
    until(best.exists, process)
    os.killpg(process.pid, signal.SIGINT)
    end = user.end(process, code=130)
    assert end.stderr == ""
    interrupted = re.escape(text("commands.interrupted", resume="RESUME"))
    line = interrupted.replace("RESUME", "(.*)")
    (command,) = re.findall(rf"^{line}\n\Z", end.stdout, re.MULTILINE)
    assert command.endswith(f"{PROGRAM} {row} --quick --dataset digits --concurrency 1")
    assert not results(user)
    user.is_gone()
    swept = best.read_text(), (user.folder / "runs" / grid / "study.journal").read_bytes()

    said = user.run_printed(command).stdout
    assert text("reproduction.rows-to-train", rows=1, concurrency=1) in said
    assert not said_as("reproduction.grid").search(said)
    assert swept == (
        best.read_text(),
        (user.folder / "runs" / grid / "study.journal").read_bytes(),
    )

    undisturbed = make_user("undisturbed")
    undisturbed.run(PROGRAM, *args)
    wanted = undisturbed.study(grid)
    trials = user.study(grid)
    assert [t.values for t in trials] == [t.values for t in wanted]
    assert len(trials) == 2  # of the grid's 60, which are added one by one
    assert all(t.state.is_finished() for t in trials)
    for number, trial in ended.items():
        assert trials[number].datetime_complete == trial.datetime_complete
    statuses = {number: run.status for number, run in user.mlflow(grid).items()}
    assert statuses == {"": "FINISHED"} | {str(t.number): RUN_STATUS[t.state] for t in trials}
    (found,) = results(user).values()
    (wanted_text,) = results(undisturbed).values()
    result, wanted_result = json.loads(found), json.loads(wanted_text)
    for times in (result, wanted_result):
        del times["time_s"]
    assert result == wanted_result
    chosen = json.loads(best.read_text())["best"]
    assert {key: result["config"][key] for key in chosen} == chosen
    assert set(user.mlflow(ROWS)) == set(undisturbed.mlflow(ROWS))

    said = user.run_printed(command).stdout
    assert not said_as("reproduction.rows-to-train").search(said)
