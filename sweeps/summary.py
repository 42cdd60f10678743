"""The end of a sweep in a table: the best configurations against the baseline."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from rich.console import Group
from rich.table import Table
from rich.text import Text

from foldsweep import names
from foldsweep.numbers import places_of, shown_score, signed
from foldsweep.streams import escaped
from search_spaces.space import SearchSpace
from sweeps.ledger import POINT_ATTR, RESULT_ATTR, Ledger
from trainables.trainable import BY_FOLD

BEST_SHOWN = 5
FRONT_SHOWN = 12
VALUE_SHOWN = 60
"""Characters of a value that are shown."""


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


def outcome(trial: FrozenTrial, space: SearchSpace, objective: str) -> Outcome:
    """Read a complete trial."""
    result = trial.user_attrs[RESULT_ATTR]
    by_fold = result[BY_FOLD].get(objective)
    point = trial.user_attrs.get(POINT_ATTR) or {"name": None, "config": {}}
    chosen = {**trial.params, **point["config"]}
    return Outcome(
        number=trial.number,
        origin=point["name"],
        values={k: v for k, v in chosen.items() if k in space.searched or k in space.grid},
        scores=tuple(trial.values),
        std=statistics.stdev(by_fold) if by_fold else None,
        num_params=result[names.NUM_PARAMS],
        train_time_s=result[names.TRAIN_TIME],
    )


def ranking(ledger: Ledger, objective: tuple[str, ...]) -> list[Outcome]:
    """Complete trials, best first by the first objective; the Pareto front first if several."""
    complete = [t for t in ledger.ended() if t.state == TrialState.COMPLETE]
    outcomes = [outcome(t, ledger.space, objective[0]) for t in complete]
    front = {t.number for t in ledger.study.best_trials} if len(objective) > 1 else set()
    sign = names.sign(ledger.space.variant.task.better[objective[0]])
    return sorted(outcomes, key=lambda o: (o.number not in front, -sign * o.score, o.number))


def best_table(ledger: Ledger, objective: tuple[str, ...]) -> Group | None:
    """The best configurations and the baseline; None where no trial is complete."""
    ranked = ranking(ledger, objective)
    if not ranked:
        return None
    points = ledger.space.points
    baseline = next((o for o in ranked if points and o.origin == points[0].name), None)
    if len(objective) > 1:
        front = {t.number for t in ledger.study.best_trials}
        rows = [o for o in ranked if o.number in front][:FRONT_SHOWN]
        title = f"{ledger.space.name}: Pareto front, {len(front)} configurations"
    else:
        rows = ranked[:BEST_SHOWN]
        title = f"{ledger.space.name}: best configurations"
    if baseline is not None and baseline not in rows:
        rows.append(baseline)
    configurations = [
        Text(escaped(f"  trial {o.number}: {_described(o, ledger, is_baseline=o is baseline)}"))
        for o in rows
    ]
    return Group(_scores(title, rows, baseline, objective), *configurations)


def _described(o: Outcome, ledger: Ledger, *, is_baseline: bool) -> str:
    if is_baseline:
        length = ", at this sweep's epochs" if ledger.space.resource == "epochs" else ""
        return f"{o.origin}, the baseline{length}"
    return shown_values(o.values)


def _scores(
    title: str, rows: list[Outcome], baseline: Outcome | None, objective: tuple[str, ...]
) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("trial", justify="right")
    for name in objective:
        table.add_column(f"{name}, mean ± std" if name == objective[0] else name, justify="right")
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
    """A choice of values in one line."""
    return " ".join(f"{key}={_shown(value)}" for key, value in values.items())


def shorten(value: Any) -> str:
    """A value as people read it; no more than the beginning of a long one."""
    text = str(value)
    return text if len(text) <= VALUE_SHOWN else f"{text[:VALUE_SHOWN]}..."


def _shown(value: Any) -> str:
    if not isinstance(value, float):
        return shorten(value)
    # steps of a whole size give whole floats, which an integer field takes as they are meant
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.3g}"
