"""Summary table at the end of a sweep: the best configurations against the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState
from rich.console import Group
from rich.table import Table
from rich.text import Text

from foldsweep import names
from foldsweep.numbers import places_of, plural, shown_score, signed
from foldsweep.streams import escaped
from foldsweep.texts import text
from sweeps.ledger import Ledger
from sweeps.outcomes import Ended

BEST_SHOWN = 5
FRONT_SHOWN = 12
VALUE_SHOWN = 60
"""Most characters of a value that are shown."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A trial that trained all its epochs."""

    number: int
    origin: str | None
    values: Mapping[str, Any]
    scores: tuple[float, ...]
    std: float | None
    num_params: int
    train_time_s: float

    @property
    def score(self) -> float:
        """Value of the first objective."""
        return self.scores[0]


def outcome(ledger: Ledger, trial: Ended) -> Outcome:
    """The outcome of a complete trial, with the searched values that it was trained with."""
    space, chosen = ledger.space, ledger.chosen(trial.number)
    return Outcome(
        number=trial.number,
        origin=trial.origin,
        values={k: v for k, v in chosen.items() if k in space.searched or k in space.grid},
        scores=trial.values or (),
        std=trial.std,
        num_params=trial.num_params,
        train_time_s=trial.train_time_s,
    )


def ranking(ledger: Ledger, objective: tuple[str, ...]) -> list[Ended]:
    """Complete trials, best first by the first objective; if several, the Pareto front first."""
    complete = [t for t in ledger.ended() if t.state == TrialState.COMPLETE]
    front = _front(ledger, complete, objective)
    sign = names.sign(ledger.space.variant.task.better[objective[0]])
    return sorted(complete, key=lambda t: (t.number not in front, -sign * t.score, t.number))


def _front(ledger: Ledger, complete: Sequence[Ended], objective: tuple[str, ...]) -> set[int]:
    """Numbers of the trials on the Pareto front; empty if there is one objective."""
    if len(objective) < 2:
        return set()
    signs = [names.sign(ledger.space.variant.task.better[name]) for name in objective]
    front: dict[int, tuple[float, ...]] = {}
    for trial in complete:
        scores = tuple(s * v for s, v in zip(signs, trial.values or (), strict=True))
        if not any(_dominates(other, scores) for other in front.values()):
            front = {n: other for n, other in front.items() if not _dominates(scores, other)}
            front[trial.number] = scores
    return set(front)


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether `one` is better in some objective and worse in none; higher is better."""
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


def best_table(ledger: Ledger, objective: tuple[str, ...]) -> Group | None:
    """Table of the best configurations and the baseline; None if no trial is complete.

    Below it are the values of the best and of the baseline, or of the whole Pareto front.
    """
    ranked = ranking(ledger, objective)
    if not ranked:
        return None
    points = ledger.space.points
    first = next((t for t in ranked if points and t.origin == points[0].name), None)
    if len(objective) > 1:
        front = _front(ledger, ranked, objective)
        best = [t for t in ranked if t.number in front][:FRONT_SHOWN]
        title = text("summary.front", space=ledger.space.name, configurations=len(front))
    else:
        best = ranked[:BEST_SHOWN]
        title = text("summary.best", space=ledger.space.name)
    if first is not None and first not in best:
        best.append(first)
    rows = [outcome(ledger, t) for t in best]
    baseline = None if first is None else rows[best.index(first)]
    described = rows if len(objective) > 1 else [o for o in rows if o in (rows[0], baseline)]
    configurations = [
        Text(f"  {escaped(_described(o, ledger, is_baseline=o is baseline))}") for o in described
    ]
    return Group(_scores(title, rows, baseline, objective), *configurations)


def _described(o: Outcome, ledger: Ledger, *, is_baseline: bool) -> str:
    if not is_baseline:
        return text("summary.trial", trial=o.number, values=shown_values(o.values))
    epochs = plural(ledger.epochs, "epoch")
    at = text("summary.at-its-epochs", epochs=epochs) if ledger.space.resource == "epochs" else ""
    return text("summary.baseline", trial=o.number, name=o.origin, length=at)


def _scores(
    title: str, rows: list[Outcome], baseline: Outcome | None, objective: tuple[str, ...]
) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("trial", justify="right")
    for name in objective:
        head = names.bare(name)
        table.add_column(f"cross-validated {head}" if head != name else name, justify="right")
    if baseline is not None:
        table.add_column("vs baseline", justify="right")
    with_params = names.NUM_PARAMS not in objective and any(o.num_params for o in rows)
    if with_params:
        table.add_column("params", justify="right")
    table.add_column("train s", justify="right")
    for o in rows:
        cells = [str(o.number), shown_score(objective[0], o.score, o.std)]
        cells += [
            shown_score(name, score, None)
            for name, score in zip(objective[1:], o.scores[1:], strict=True)
        ]
        if baseline is not None:
            cells.append("baseline" if o is baseline else _difference(o, baseline, objective[0]))
        if with_params:
            cells.append(f"{o.num_params:,}")
        cells.append(f"{o.train_time_s:.1f}")
        table.add_row(*cells, style="dim" if o is baseline else "")
    return table


def _difference(o: Outcome, baseline: Outcome, objective: str) -> str:
    places = 0 if objective == names.NUM_PARAMS else places_of(baseline.score)
    return signed(o.score - baseline.score, places=places)


def shown_values(values: Mapping[str, Any]) -> str:
    """Values in one line, as `key=value`."""
    return " ".join(f"{key}={_shown(value)}" for key, value in values.items())


def shorten(value: Any) -> str:
    """A value as text, cut to `VALUE_SHOWN` characters."""
    whole = str(value)
    return whole if len(whole) <= VALUE_SHOWN else f"{whole[:VALUE_SHOWN]}..."


def _shown(value: Any) -> str:
    if not isinstance(value, float):
        return shorten(value)
    # domains with integer steps yield whole floats, which integer fields accept
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.3g}"
