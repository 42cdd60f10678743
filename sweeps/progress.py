"""Progress of a running sweep: a live table on a terminal or in a notebook, else lines."""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from optuna.trial import TrialState
from ray import tune
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from foldsweep import names
from foldsweep.numbers import shown_score
from foldsweep.programs import on_terminal
from foldsweep.streams import escaped
from foldsweep.texts import text
from sweeps.cell import Cell
from sweeps.lifecycle import Lifecycle
from sweeps.machines import Machines
from sweeps.outcomes import GRID_POINT
from sweeps.pace import Pace
from sweeps.summary import shown_values

PLAIN_EVERY_S = 30.0
"""Longest time in seconds between two lines of a plain log."""
MOST_SHOWN = 10
"""Maximum number of trials in training that the table shows."""


class Progress(tune.Callback):
    """Shows trials done, running, pruned, failed, the best so far and the time left."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        console: Console,
        *,
        time_budget: float | None,
        machines: Machines | None = None,
    ):
        self.lifecycle = lifecycle
        self.machines = machines
        self.console = console
        self.time_budget = time_budget
        self.started = time.monotonic()
        self.pace = Pace(lifecycle)
        self.shown_at = self.started
        self.shown_ended = -1
        self.shown_best: int | None = None
        self.shown_error: str | None = None
        self.shown_away = False
        lifecycle.outages.show = self.while_away
        self.cell = console if isinstance(console, Cell) else None
        on_screen = on_terminal(console)
        self.is_live = on_screen or self.cell is not None
        # the programs' console does not fold long lines, but a live display must
        folding = Console(
            file=console.file,
            force_terminal=on_screen,
            force_jupyter=False,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self.live = Live(console=folding, refresh_per_second=4, transient=True)
        if on_screen:
            self.live.start()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Refresh the table, or print lines if there is news."""
        self.pace.tick()
        for line in self.machines.news() if self.machines is not None else ():
            self.live.console.print(f"      {escaped(line)}", soft_wrap=True)
        if self.lifecycle.attempts.last_error != self.shown_error:
            self.shown_error = self.lifecycle.attempts.last_error
            self.live.console.print(f"      {escaped(str(self.shown_error))}", soft_wrap=True)
        if self.is_live:
            self._refresh()
            return
        self.shown_away = False
        now = time.monotonic()
        ended = self.lifecycle.tally.ended_here + self.lifecycle.tally.paused_here
        if ended != self.shown_ended or now - self.shown_at >= PLAIN_EVERY_S:
            if self.lifecycle.running or ended:
                self.console.print(self.line())
                best = self.lifecycle.best
                if best is not None and best.number != self.shown_best:
                    self.console.print(self.best_line())
                    self.shown_best = best.number
            self.shown_at, self.shown_ended = now, ended

    def while_away(self) -> None:
        """Show, in the middle of a step, that the sweep waits for a service."""
        now = time.monotonic()
        if self.is_live:
            self._refresh()
        elif not self.shown_away or now - self.shown_at >= PLAIN_EVERY_S:
            self.console.print(f"{self.line()} ({self.lifecycle.outages.why()})")
            self.shown_at, self.shown_away = now, True

    def _refresh(self) -> None:
        lines, table = self._lines(), self._running()
        if self.cell is not None:
            self.cell.update(lines, *table, at_once=False)
        else:
            self.live.update(Group(lines, *table))

    def _lines(self) -> Text:
        return Text(f"{self.line()}\n{escaped(self.best_line())}".rstrip(), overflow="fold")

    def _running(self) -> Iterator[RenderableType]:
        """Table of the trials that have a process, and the number beyond `MOST_SHOWN`."""
        running = [r for r in self.lifecycle.running.values() if r.has_process]
        if not running:
            return
        objective = self.lifecycle.objective[0]
        on_many = self.machines is not None and self.machines.change
        table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
        for title in ("      trial", self.lifecycle.space.resource or "epochs", objective, "time"):
            table.add_column(title, justify="right")
        if on_many:
            table.add_column("node")
        for r in running[:MOST_SHOWN]:
            score = "" if r.score is None else shown_score(objective, r.score)
            passed = shown_time(time.monotonic() - r.since)
            row = [f"{r.asked.number}", f"{r.epoch}/{r.epochs}", score, passed]
            table.add_row(*row, *([escaped(r.node)] if on_many else []), style="dim")
        yield table
        if len(running) > MOST_SHOWN:
            beyond = text("progress.and-more", trials=len(running) - MOST_SHOWN)
            yield Text(f"      {beyond}", style="dim")

    def stop(self) -> None:
        """End the live display: clear it on a terminal, keep its last state in a notebook."""
        self.lifecycle.outages.show = lambda: None
        self.live.stop()
        if self.cell is not None:
            self.cell.update(self._lines())

    def line(self) -> str:
        """State of the sweep in one line."""
        life = self.lifecycle
        tried = life.ended.total() + len(life.paused) + self._num_promoted()
        budget = max(tried, life.ledger.budget)
        stopped = text("progress.paused", trials=life.num_paused)
        if life.ledger.ends_early:
            stopped = text("progress.pruned", trials=life.ended[TrialState.PRUNED])
        kinds = shown_failures(life.failures)
        counted = text("progress.tried", space=life.space.name, tried=tried, budget=budget)
        if tried == budget and life.ledger.trials_left:
            counted += text("progress.best-continue")
        parts = [
            counted,
            text("progress.running", trials=life.num_training),
            stopped,
            text("progress.failed", trials=life.ended[TrialState.FAIL], kinds=kinds),
        ]
        waiting = len(life.running) - life.num_training
        if waiting and self.machines is not None and self.machines.change:
            parts.insert(2, text("progress.waiting", trials=waiting))
        best = life.best
        if best is not None:
            score = shown_score(life.objective[0], best.score, best.std)
            parts.append(text("progress.best", score=score))
        left = self.seconds_left()
        if left is None:
            parts.append(text("progress.time-unknown"))
        else:
            parts.append(text("progress.time-left", time=shown_time(left)))
        away = life.outages.shown()
        if away:
            parts.append(away)
        return f"{shown_time(time.monotonic() - self.started)}  " + " · ".join(parts)

    def _num_promoted(self) -> int:
        """Number of trials in training that have passed a rung."""
        rungs = self.lifecycle.ledger.rungs
        first = rungs[0].epochs if rungs else math.inf
        return sum((r.asked.reported_at or 0) >= first for r in self.lifecycle.running.values())

    def best_line(self) -> str:
        """The best configuration so far; empty if there is none."""
        best = self.lifecycle.best
        if best is None:
            return ""
        is_baseline = best.number == 0 and best.origin not in (None, GRID_POINT)
        said = text(
            "progress.best-is-baseline" if is_baseline else "progress.best-is",
            trial=best.number,
            what=best.origin or shown_values(best.values),
        )
        return f"      {said}"

    def seconds_left(self) -> float | None:
        """Seconds to the end at the pace so far, or to the end of the budget; None if unknown."""
        left = self.pace.seconds_left()
        if self.time_budget is not None:
            rest = max(0.0, self.time_budget - (time.monotonic() - self.started))
            left = rest if left is None else min(left, rest)
        return left


def shown_failures(failures: Mapping[str, int]) -> str:
    """Numbers of refused and timed-out trials, in brackets; empty if there are none."""
    kinds = [f"{failures[k]} {k}" for k in (names.REFUSED, names.TIMED_OUT) if failures.get(k)]
    return f" ({', '.join(kinds)})" if kinds else ""


def shown_time(seconds: float) -> str:
    """Duration as `h:mm:ss`; as `m:ss` if shorter than an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
