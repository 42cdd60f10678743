import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType

from foldsweep.numbers import plural
from foldsweep.programs import console as program_console
from sweeps.ledger import Ledger
from sweeps.summary import (
    BEST_SHOWN,
    FRONT_SHOWN,
    best_table,
    outcome,
    ranking,
    shown_score,
    shown_values,
)
from tests.refusals import said_as, text

ACCURACY = ("val_accuracy",)
BOTH = ("val_accuracy", "num_params")
MakeLedger = Callable[..., Ledger]


def rendered(what: RenderableType | None, width: int = 80) -> str:
    assert what is not None
    console = Console(width=width, file=io.StringIO(), soft_wrap=program_console.soft_wrap)
    console.print(what)
    return console.file.getvalue()  # type: ignore[attr-defined]


def listed(shown: str) -> list[int]:
    """Numbers of the trials whose configurations are below the table, in their order."""
    kinds = "summary.trial", "summary.baseline"
    return [
        number
        for line in shown.splitlines()
        for number in range(50)
        if any(said_as(kind, trial=number).fullmatch(line.strip()) for kind in kinds)
    ]


def complete(ledger: Ledger, score: float, params: int = 12345, folds: int = 3) -> int:
    asked = ledger.ask()
    assert asked is not None
    objective = ledger.settings.objective
    scores = [{"num_params": params}.get(name, score) for name in objective]
    by_fold = [score + 0.01 * (fold - (folds - 1) / 2) for fold in range(folds)]
    result = {
        "by_fold": {"val_accuracy": by_fold, "val_loss": by_fold},
        "num_params": params,
        "train_time_s": 1.25,
        "epoch": 9,
    }
    ledger.complete(asked.number, scores, result)
    return asked.number


@pytest.mark.parametrize("prunes", [True, False])
def test_without_a_complete_trial_there_is_no_table(make_ledger: MakeLedger, prunes: bool) -> None:
    ledger = make_ledger(objective=ACCURACY if prunes else BOTH)
    assert best_table(ledger, ledger.settings.objective) is None
    for _ in range(2):
        asked = ledger.ask()
        assert asked is not None
        if prunes:
            ledger.report(asked.number, 3, 0.5)
            ledger.prune(asked.number, {})
        else:
            ledger.fail(asked.number, "broken")
    assert best_table(ledger, ledger.settings.objective) is None
    assert ranking(ledger, ledger.settings.objective) == []


def test_the_table_fits_80_columns_and_says_what_matters(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(trials=9)
    for score in (0.5, 0.8125, 0.75):
        complete(ledger, score)
    shown = rendered(best_table(ledger, ACCURACY))
    assert text("summary.best", space="small") in shown
    assert " cross-validated accuracy " in shown
    rows = re.findall(r"│\s*(\d+) │ (.+?)│ *(\S+) │\s*([\d,]+) │\s*(\S+) │", shown)
    assert [row[0] for row in rows] == ["1", "2", "0"]
    assert rows[0][1].strip() == "0.8125 ± 0.0100"
    assert [row[2] for row in rows] == ["+0.3125", "+0.2500", "baseline"]
    assert rows[0][3:] == ("12,345", "1.2")
    assert listed(shown) == [1, 0]
    lines = [line.removeprefix("  ") for line in shown.splitlines()]
    values = shown_values(outcome(ledger, ledger.end_of(1)).values)
    assert re.match(r"lr=\S+ batch_size=\d+ dropout=\S+ hidden=\d+", values)
    assert text("summary.trial", trial=1, values=values) in lines
    length = text("summary.at-its-epochs", epochs=plural(ledger.epochs, "epoch"))
    assert text("summary.baseline", trial=0, name="report/row", length=length) in lines
    assert "…" not in shown
    table = [line for line in lines if "│" in line or "━" in line]
    assert all(len(line) <= 80 for line in table)


def test_a_baseline_that_is_not_among_the_best_is_shown_below(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(trials=20)
    numbers = [complete(ledger, score) for score in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)]
    shown = rendered(best_table(ledger, ACCURACY))
    rows = [int(number) for number in re.findall(r"^│\s*(\d+) │", shown, re.MULTILINE)]
    assert rows == [*numbers[: -BEST_SHOWN - 1 : -1], 0]
    assert listed(shown) == [numbers[-1], 0]


def test_without_a_baseline_nothing_is_compared_with_it(
    make_ledger: MakeLedger, make_space: Callable
) -> None:
    ledger = make_ledger(space=make_space(points=()))
    complete(ledger, 0.5)
    assert "baseline" not in rendered(best_table(ledger, ACCURACY))


def test_a_baseline_that_failed_is_left_out(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    asked = ledger.ask()
    assert asked is not None
    ledger.fail(asked.number, "diverged")
    complete(ledger, 0.5)
    assert "baseline" not in rendered(best_table(ledger, ACCURACY))


@pytest.mark.parametrize(
    ("objective", "order"), [("val_accuracy", [1, 2, 0]), ("val_loss", [0, 2, 1])]
)
def test_the_best_comes_first(make_ledger: MakeLedger, objective: str, order: list[int]) -> None:
    ledger = make_ledger(objective=(objective,))
    for score in (0.1, 0.9, 0.5):
        complete(ledger, score)
    assert [o.number for o in ranking(ledger, (objective,))] == order


def test_of_equals_the_earlier_comes_first(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    for _ in range(4):
        complete(ledger, 0.5)
    assert [o.number for o in ranking(ledger, ACCURACY)] == [0, 1, 2, 3]


def test_the_front_comes_first(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(objective=BOTH)
    for score, params in ((0.5, 500), (0.9, 900), (0.85, 1000), (0.6, 100)):
        complete(ledger, score, params)
    ranked = ranking(ledger, BOTH)
    assert [o.number for o in ranked] == [1, 3, 2, 0]
    assert ranked[0].values == (0.9, 900.0)
    shown = rendered(best_table(ledger, BOTH))
    assert text("summary.front", space="small", configurations=2) in shown
    assert listed(shown) == [1, 3, 0]
    assert re.search(r"0\.9000 ± 0\.0100 │\s+900 │", shown)
    assert "params" in shown


def test_a_long_front_is_cut(make_ledger: MakeLedger, make_space: Callable) -> None:
    ledger = make_ledger(objective=BOTH, trials=40, space=make_space(points=()))
    for i in range(FRONT_SHOWN + 5):
        complete(ledger, i / 100, 100 * i + 1)
    shown = rendered(best_table(ledger, BOTH))
    front = text("summary.front", space="small", configurations=FRONT_SHOWN + 5)
    assert front in shown
    assert len(listed(shown)) == FRONT_SHOWN


def test_an_objective_that_folds_share_has_no_spread(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(objective=("num_params",))
    complete(ledger, 0.5, params=1234567)
    complete(ledger, 0.5, params=4567)
    found = ranking(ledger, ("num_params",))
    assert [(o.std, o.score) for o in found] == [(None, 4567.0), (None, 1234567.0)]
    shown = rendered(best_table(ledger, ("num_params",)))
    assert re.search(r"4,567 │\s+-1,230,000 │", shown)
    assert re.search(r"1,234,567 │\s+baseline │", shown)


def test_the_baseline_is_shown_with_its_own_values(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    complete(ledger, 0.5)
    found = outcome(ledger, ranking(ledger, ACCURACY)[0])
    assert (found.origin, found.values["lr"], found.values["hidden"]) == ("report/row", 0.5, 13)
    assert "weight_decay" not in found.values


def test_numbers_are_short() -> None:
    assert shown_score("val_accuracy", 0.98765, 0.01234) == "0.9877 ± 0.0123"
    values = {"lr": 0.00123456, "hidden": 64, "batch_norm": "before", "dropout": 0.5}
    assert shown_values(values) == "lr=0.00123 hidden=64 batch_norm=before dropout=0.5"


def test_a_long_value_is_shown_by_its_beginning() -> None:
    shown = shown_values({"lr": 0.00123, "note": "a" * 9000})
    assert shown == f"lr=0.00123 note={'a' * 60}..."
