import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from rich.console import Console

from sweeps import pace as pace_module
from sweeps import progress as progress_module
from sweeps.cell import Bundle, Cell
from sweeps.ledger import Ledger
from sweeps.lifecycle import Lifecycle, trials
from sweeps.machines import Machines, _Node
from sweeps.progress import PLAIN_EVERY_S, Progress
from sweeps.pruning import NoRule, RungRule
from sweeps.settings import SweepSettings
from sweeps.summary import shown_values
from tests.refusals import text


class SilentTracker:
    """Stand-in for the tracker, for tests of the display."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: set()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (trials, pace_module, progress_module):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def life(make_ledger: Callable[..., Ledger]) -> Lifecycle:
    ledger = make_ledger(trials=10)
    return Lifecycle(
        ledger,
        SilentTracker(),  # type: ignore[arg-type]
        space=ledger.space,
        objective=("val_accuracy",),
        epochs=9,
        report_at=(9,),
        tags={},
        dataset={},
        checkpoint_folder="missing",
        error_folder=Path("missing"),
        held_out_folder=Path("missing"),
        time_budget=None,
    )


class Screen(io.StringIO):
    """Output to a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def show(life: Lifecycle, clock: Clock) -> Iterator[Callable[..., tuple[Progress, io.StringIO]]]:
    shown: list[Progress] = []

    def make(
        *, terminal: bool = False, time_budget: float | None = None
    ) -> tuple[Progress, io.StringIO]:
        file = Screen() if terminal else io.StringIO()
        console = Console(file=file, width=80, soft_wrap=True)
        shown.append(Progress(life, console, time_budget=time_budget))
        return shown[-1], file

    yield make
    for progress in shown:
        progress.stop()


def end(life: Lifecycle, accuracy: float = 0.75) -> None:
    assert life.start("a") is not None
    life.end(
        "a",
        {
            "val_accuracy": accuracy,
            "by_fold": [("val_accuracy", [accuracy - 0.01, accuracy, accuracy + 0.01])],
            "history": [],
            "diverged": False,
            "epoch": 9,
            "num_params": 3,
            "train_time_s": 1.0,
        },
    )


BEST = text("progress.best", score="0.7500 ± 0.0100")
BASELINE = text("progress.best-is-baseline", trial=0, what="report/row")


def tried(number: int) -> str:
    return text("progress.tried", space="small", tried=number, budget=10)


def counts(number: int, *, running: int, pruned: int, failed: int) -> str:
    """Counts of the line, which follow the time."""
    return " · ".join(
        [
            tried(number),
            text("progress.running", trials=running),
            text("progress.pruned", trials=pruned),
            text("progress.failed", trials=failed, kinds=""),
        ]
    )


def best_is(trial: int, life: Lifecycle) -> str:
    assert life.best is not None
    return text("progress.best-is", trial=trial, what=shown_values(life.best.values))


def test_the_line_counts(life: Lifecycle, show: Callable, clock: Clock) -> None:
    progress, _ = show()
    start = counts(0, running=0, pruned=0, failed=0)
    assert progress.line() == f"0:00  {start} · {text('progress.time-unknown')}"
    assert progress.best_line() == ""
    end(life)
    life.start("b")
    life.fail("b")
    life.start("c")
    life.placed("c")
    life.ended[TrialState.PRUNED] += 1
    clock.now += 61
    line = progress.line()
    assert line.startswith(f"1:01  {counts(3, running=1, pruned=1, failed=1)} · ")
    assert BEST in line.split(" · ")
    assert progress.best_line() == f"      {BASELINE}"
    end(life, 0.8)
    assert progress.best_line() == f"      {best_is(3, life)}"


def test_while_all_are_tried_and_some_train_the_line_says_that_the_best_continue(
    life: Lifecycle, show: Callable
) -> None:
    progress, _ = show()
    for number in range(9):
        end(life)
        assert f"{tried(number + 1)} · " in progress.line()
    life.ended[TrialState.PRUNED] += 1  # as if the tenth had been paused, and is promoted
    assert f"{tried(10)}{text('progress.best-continue')} · " in progress.line()
    life.ended[TrialState.PRUNED] -= 1
    end(life)
    assert f"{tried(10)} · " in progress.line()


# Time left ---------------------------------------------------------------------------------------


def train(life: Lifecycle, clock: Clock, progress: Progress, key: str, *, to: int) -> None:
    """Train a trial up to an epoch, at one second per epoch."""
    row = {"val_accuracy": 0.5, "epoch": to, "history": [], "by_fold": [], "num_params": 3}
    if key not in life.running:
        life.start(key)
        life.placed(key)
    for epoch in range(life.running[key].epoch + 1, to + 1):
        progress.pace.tick()
        clock.now += 1
        progress.pace.tick()
        life.result(key, row | {"epoch": epoch, "train_time_s": 1.0})


def test_time_left_is_that_of_the_epochs_left_at_the_pace_so_far(
    life: Lifecycle, show: Callable, clock: Clock
) -> None:
    """With 10 trials of 9 epochs; the pace is measured from the first report on."""
    progress, _ = show()
    life.start("a")
    life.placed("a")
    clock.now += 60  # processes start
    assert progress.seconds_left() is None
    train(life, clock, progress, "a", to=1)
    assert progress.seconds_left() is None
    train(life, clock, progress, "a", to=4)
    assert progress.seconds_left() == pytest.approx(5 + 9 * 9)
    assert text("progress.time-left", time="1:26") in progress.line()


def test_two_processes_need_half_the_time_but_for_the_last_trials(
    life: Lifecycle, show: Callable, clock: Clock
) -> None:
    progress, _ = show()
    for key in "xy":
        life.start(key)
        life.placed(key)
    for epoch in range(1, 6):
        train(life, clock, progress, "x", to=epoch)
        train(life, clock, progress, "y", to=epoch)
    per_epoch = progress.pace._busy_s / 9
    assert progress.seconds_left() == pytest.approx(per_epoch * (2 * 4 + 8 * 9) / 2)
    for _ in range(8):
        end(life)
    assert life.ledger.trials_left == 2
    assert progress.seconds_left() == pytest.approx(progress.pace._busy_s / 81 * 4)


def test_trials_that_are_stopped_early_are_expected_to_be_short(
    make_ledger: Callable[..., Ledger],
) -> None:
    rule = RungRule((3, 9))
    assert rule.mean_epochs(27) == 3 + 6 / 3 + 18 / 9
    assert rule.mean_epochs(27, 3) == 3 + 6 + 18 / 3
    assert rule.mean_epochs(27, 20) == 27
    assert rule.mean_epochs(6) == 3 + 3 / 3
    assert RungRule((3, 9), brackets=2).mean_epochs(27) == (7 + 9 + 18 / 3) / 2
    assert NoRule().mean_epochs(27) == 27


def test_what_an_earlier_process_did_does_not_count_for_the_pace(
    life: Lifecycle, show: Callable, clock: Clock
) -> None:
    """A trial that resumes from a checkpoint starts at its epoch."""
    life.start("a")
    life.ledger.give_back(life.running.pop("a").asked.number)
    progress, _ = show()
    train(life, clock, progress, "a", to=7)
    assert life.tally.epochs_here == 6
    life.tally.epochs_here = 0
    progress, _ = show()
    train(life, clock, progress, "a", to=8)
    train(life, clock, progress, "a", to=9)
    assert progress.seconds_left() == pytest.approx(9 * 9)


def test_time_left_never_exceeds_the_budget(life: Lifecycle, show: Callable, clock: Clock) -> None:
    progress, _ = show(time_budget=7260.0)
    assert progress.seconds_left() == 7260
    assert text("progress.time-left", time="2:01:00") in progress.line()
    clock.now += 7200
    end(life)
    assert progress.seconds_left() == 60
    clock.now += 100
    assert progress.seconds_left() == 0


def test_a_log_gets_plain_lines_when_there_is_something_to_say(
    life: Lifecycle, show: Callable, clock: Clock
) -> None:
    progress, file = show()

    def said() -> list[str]:
        progress.on_step_end(0, [])
        lines = file.getvalue().splitlines()
        file.truncate(0)
        file.seek(0)
        return lines

    assert said() == []
    life.start("x")
    clock.now += PLAIN_EVERY_S
    assert len(said()) == 1
    assert said() == []
    end(life)
    first = said()
    assert len(first) == 2
    assert BEST in first[0]
    assert first[1] == f"      {best_is(1, life)}"
    assert said() == []
    end(life, 0.5)
    assert len(said()) == 1
    clock.now += PLAIN_EVERY_S - 1
    assert said() == []
    clock.now += 1
    assert len(said()) == 1


@pytest.mark.parametrize("terminal", [False, True])
def test_an_error_is_shown_once_and_letter_by_letter(
    life: Lifecycle, show: Callable, terminal: bool
) -> None:
    progress, file = show(terminal=terminal)
    error = "RuntimeError: no [/such] layer, [red] :warning: and much more " + "x" * 60
    life.start("a")
    life.crashed("a", error)
    for _ in range(3):
        progress.on_step_end(0, [])
    line = text("attempts.of-trial", trial=0, error=error)
    assert file.getvalue().count(f"      {line}\n") == 1
    life.crashed("a", "another")
    progress.on_step_end(0, [])
    progress.on_step_end(0, [])
    assert file.getvalue().count(text("attempts.of-trial", trial=0, error="another")) == 1
    assert file.getvalue().count("RuntimeError") == 1


def test_a_line_longer_than_the_terminal_is_folded(
    life: Lifecycle, show: Callable, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    progress, file = show(terminal=True)
    end(life)
    clock.now += 3600
    file.truncate(0)
    file.seek(0)
    progress.on_step_end(0, [])
    progress.live.refresh()
    line = progress.line()
    assert len(line) > 80
    assert line.endswith(text("progress.time-unknown"))
    rows = re.sub(r"\x1b\[[0-9?]*[A-Za-z]", "", file.getvalue()).splitlines()
    assert max(map(len, rows)) <= 80
    assert "".join("".join(rows).split()).count("".join(line.split())) >= 1


def test_no_line_of_a_log_moves_the_cursor(life: Lifecycle, show: Callable) -> None:
    progress, file = show()
    end(life)
    progress.on_step_end(0, [])
    progress.stop()
    assert "\x1b" not in file.getvalue()
    assert "\r" not in file.getvalue()


def test_colours_that_are_asked_for_move_no_cursor_in_a_log(
    life: Lifecycle, show: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, variable in enumerate(("FORCE_COLOR", "TTY_COMPATIBLE"), start=1):
        with monkeypatch.context() as patch:
            patch.setenv(variable, "1")
            progress, file = show()
            assert progress.console.is_terminal
            end(life)
            progress.on_step_end(0, [])
            progress.stop()
            assert tried(number) in re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())
            assert not re.search(r"\r|\x1b\[[0-9?;]*[^m0-9?;]", file.getvalue())


def test_a_value_that_would_clear_the_screen_is_shown_as_it_is_written(
    life: Lifecycle, show: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress, file = show(terminal=True)
    monkeypatch.setattr(progress, "best_line", lambda: "best is kernel=\x1b[2J\ud800")
    end(life)
    progress.on_step_end(0, [])
    progress.live.refresh()
    assert r"kernel=\x1b[2J\ud800" in file.getvalue()


def test_a_terminal_gets_a_live_line_that_goes_away(life: Lifecycle, show: Callable) -> None:
    progress, file = show(terminal=True)
    end(life)
    progress.on_step_end(0, [])
    progress.live.refresh()
    assert tried(1) in file.getvalue()
    assert BASELINE in file.getvalue()
    progress.stop()
    after = file.getvalue()
    assert after.rindex("\x1b[2K") > after.rindex(tried(1))
    assert after.endswith("\x1b[2K") or "\x1b[?25h" in after[-30:]
    progress.stop()


def test_the_terminal_s_cursor_comes_back(show: Callable) -> None:
    progress, file = show(terminal=True)
    assert "\x1b[?25l" in file.getvalue()
    progress.stop()
    assert file.getvalue().rindex("\x1b[?25h") > file.getvalue().rindex("\x1b[?25l")


def test_only_trials_that_have_a_process_are_running(life: Lifecycle, clock: Clock) -> None:
    machines = Machines(SweepSettings())
    file = io.StringIO()
    progress = Progress(life, Console(file=file), time_budget=None, machines=machines)
    for key in "ab":
        life.start(key)
    life.placed("b")
    running, pruned = text("progress.running", trials=1), text("progress.pruned", trials=0)
    assert f"{running} · {pruned}" in progress.line()  # a local Ray soon starts the other
    machines._nodes["a"] = _Node(name="a", cpus=1.0, gpus=0.0)
    waiting = text("progress.waiting", trials=1)
    assert f"{running} · {waiting} · {pruned}" in progress.line()
    machines._news.append("lost: b (10.0.0.2); 1 trial at a time")
    progress.on_step_end(1, [])
    assert file.getvalue().startswith("      lost: b (10.0.0.2); 1 trial at a time\n")
    progress.stop()


def shown(progress: Progress, file: io.StringIO) -> list[str]:
    """Lines that a terminal shows in the end."""
    file.truncate(0)
    file.seek(0)
    progress.on_step_end(0, [])
    progress.live.refresh()
    return re.sub(r"\x1b\[[0-9?;]*[A-Za-z]", "", file.getvalue()).splitlines()


def test_a_terminal_has_a_row_for_each_trial_in_training(
    life: Lifecycle, show: Callable, clock: Clock
) -> None:
    progress, file = show(terminal=True)
    for key in "abc":
        life.start(key)
    for key in "ab":
        life.placed(key, "n1 (10.0.0.1)")
    life.running["b"].since = clock.now - 61
    life.running["b"].epoch, life.running["b"].score = 3, 0.75
    rows = [row.split() for row in shown(progress, file)]
    assert ["trial", "epochs", "val_accuracy", "time"] in rows
    assert ["1", "3/9", "0.7500", "1:01"] in rows
    assert not any(row[:1] == ["2"] for row in rows)  # trial 2 waits for a process


def test_on_a_cluster_it_says_where_and_no_more_than_there_is_room_for(
    life: Lifecycle, show: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "MOST_SHOWN", 2)
    progress, file = show(terminal=True)
    progress.machines = Machines(SweepSettings())
    progress.machines._nodes["a"] = _Node(name="a", cpus=1.0, gpus=0.0)
    for key in "abc":
        life.start(key)
        life.placed(key, f"n{key} (10.0.0.1)")
    rows = [row.strip() for row in shown(progress, file)]
    assert sum("(10.0.0.1)" in row for row in rows) == 2
    assert rows[-1] == text("progress.and-more", trials=1)


# A notebook --------------------------------------------------------------------------------------


def test_a_notebook_has_the_line_and_the_table_in_one_output(
    life: Lifecycle, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[Bundle] = []
    progress = Progress(life, Cell(shown.append), time_budget=None)
    end(life)
    life.start("b")
    life.placed("b")
    progress.on_step_end(0, [])
    line, best, head, row = shown[-1]["text/plain"].splitlines()
    assert line == progress.line()
    assert best == progress.best_line()
    assert head.split() == ["trial", "epochs", "val_accuracy", "time"]
    assert row.split() == ["1", "0/9", "0:00"]
    progress.stop()
    assert shown[-1]["text/plain"].splitlines() == [progress.line(), progress.best_line()]
    assert capsys.readouterr().out == ""
