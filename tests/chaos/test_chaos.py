"""A sweep survives three kills, and the comparison detects every kind of difference."""

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
from optuna.trial import TrialState, create_trial

from tests.chaos.__main__ import BLOCK, ChaosSettings, Result, block, cells, summary
from tests.chaos.moments import Lines, draw_moment, lines_in
from tests.chaos.outcome import SWEEP, Outcome, Run, differences
from tests.chaos.processes import descendants
from tests.chaos.sweeping import Kill, Life

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(900)
def test_three_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"<!-- foldsweep: {BLOCK} -->\n<!-- end -->\n")
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--kills", "3", "--trials", "12"]
        + ["--folder", tmp_path / "chaos", "--write", document],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 lost, 0 doubled, 0 in another state, 0 with other scores" in done.stdout
    assert "python -m tests.chaos --seed 0 --kills 3 --trials 12" in document.read_text()


def run_of(number: int, state: str = "COMPLETE") -> Run:
    points = {("val_accuracy", 1): 0.5, ("val_accuracy", 2): 0.6 + number / 10}
    return Run(
        status="FINISHED",
        tags={"foldsweep.state": state, "foldsweep.trial": str(number)},
        params={"lr": "0.1"},
        times=Counter(points),
        points=points,
    )


@pytest.fixture
def wanted() -> Outcome:
    """Outcome of a sweep of two trials."""
    trials = {}
    for number in range(2):
        trial = create_trial(
            state=TrialState.COMPLETE,
            value=0.6 + number / 10,
            user_attrs={"result": {"epoch": 2, "by_fold": {"val_accuracy": [0.5, 0.7]}}},
            intermediate_values={1: 0.5},
        )
        trial.number = number
        trials[number] = trial
    own = Run(status="FINISHED", tags={}, params={}, times=Counter(), points={})
    runs = {0: [run_of(0)], 1: [run_of(1)], SWEEP: [own]}
    return Outcome(trials=trials, runs=runs, held_out={0: b"a", 1: b"b"})


def drop_trial(got: Outcome) -> None:
    del got.trials[1]


def add_trial(got: Outcome) -> None:
    got.trials[2] = got.trials[1]


def leave_running(got: Outcome) -> None:
    got.trials[1] = create_trial(state=TrialState.RUNNING)


def prune(got: Outcome) -> None:
    got.trials[1].state = TrialState.PRUNED
    got.trials[1].values = None


def change_bits(got: Outcome) -> None:
    got.trials[1].intermediate_values[1] += 2**-53


def drop_run(got: Outcome) -> None:
    del got.runs[1]


def double_run(got: Outcome) -> None:
    got.runs[1].append(got.runs[1][0])


def double_sweep(got: Outcome) -> None:
    got.runs[SWEEP] *= 2


def double_point(got: Outcome) -> None:
    got.runs[0][0].times["val_accuracy", 1] += 1


def drop_point(got: Outcome) -> None:
    del got.runs[0][0].points["val_accuracy", 2]


def change_point(got: Outcome) -> None:
    got.runs[0][0].points["val_accuracy", 2] += 2**-53


def kill_run(got: Outcome) -> None:
    got.runs[0][0].status = "KILLED"


def drop_file(got: Outcome) -> None:
    del got.held_out[0]


def change_file(got: Outcome) -> None:
    got.held_out[0] = b"b"


@pytest.mark.parametrize(
    ("change", "trial", "what"),
    [
        (drop_trial, 1, "lost"),
        (add_trial, 2, "doubled"),
        (leave_running, 1, "lost"),
        (prune, 1, "state"),
        (change_bits, 1, "score"),
        (drop_run, 1, "lost"),
        (double_run, 1, "doubled"),
        (double_sweep, SWEEP, "doubled"),
        (double_point, 0, "doubled"),
        (drop_point, 0, "lost"),
        (change_point, 0, "score"),
        (kill_run, 0, "state"),
        (drop_file, 0, "lost"),
        (change_file, 0, "score"),
    ],
)
def test_what_is_not_as_in_peace_is_found(
    wanted: Outcome, change: Callable[[Outcome], None], trial: int, what: str
) -> None:
    got = deepcopy(wanted)
    assert differences(wanted, got) == []
    change(got)
    found = differences(wanted, got)
    assert (trial, what) in {(d.trial, d.what) for d in found}
    assert {d.trial for d in found} == {trial}


def test_lines_are_counted_as_they_come(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    journal.write_text('{"op_code":4}\n')
    lines = Lines(tmp_path)
    with journal.open("a") as file:
        file.write('{"op_code":7}\n{"op_code":7}\n{"op_co')
    (tmp_path / "spool.jsonl").write_text('{"op": "start"}\n')
    new = {("study.journal", "7"): 2, ("spool.jsonl", "start"): 1}
    assert lines.new() == new
    assert lines.new() == {}
    kinds = lines_in(tmp_path)
    assert set(kinds) == {*new, ("study.journal", "4")}
    drawn = [
        [draw_moment(kind, random.Random(seed), kinds) for kind in ("driver", "train")]
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.integration
def test_descendants_are_those_of_a_process_only() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    try:
        while not (below := descendants(process.pid)):
            pass
        assert set(below) < set(descendants(os.getpid()))
        assert process.pid not in below
    finally:
        process.communicate(b"\n")
    assert descendants(process.pid) == {}


def test_the_block_of_a_document_has_command_and_kills(wanted: Outcome) -> None:
    got = deepcopy(wanted)
    double_point(got)
    kills = [
        Kill(sweep=0, kind="gcs", moment="start", trials=[0], ended=True, seconds=3.0, told=True),
        Kill(sweep=0, kind="reset", moment="start", trials=[1]),
    ]
    result = Result(
        lives=[Life(number=0, name="chaos-0", kills=kills)],
        found={0: differences(wanted, got)},
        trials=24,
        minutes=1.0,
    )
    text = block(ChaosSettings(kills=2, trials=12), result)
    assert text.startswith("`python -m tests.chaos --seed 0 --kills 2 --trials 12` on ")
    assert "2 kills in 1 sweeps, 24 trials in all, 1 min: 0 lost, 1 doubled" in summary(result)
    rows = {row[0]: row[1:] for row in cells(result).rows}
    assert rows["gcs"] == ("1", "1", "3 (3)", "1", "0", "0", "1", "0", "0")
    assert rows["reset"] == ("1", "0", "", "0", "0", "0", "0", "0", "0")
    assert rows["all"][0] == "2"
    assert result.faults == [
        "chaos-0, trial 0 (killed: gcs): doubled: 1 points more than once, such as"
        " val_accuracy at 1"
    ]
