"""Number of trials of a sweep, and trials of a grid."""

import pytest

from search_spaces.space import SearchSpace
from sweeps.budget import DEFAULT_TRIALS
from tests.refusals import refused
from tests.sweeps.ledger.asking import BASELINE, GRID, MakeLedger, MakeSpace, Reopen, ask, complete


def test_the_budget_counts_all_that_ever_started(reopen: Reopen, make_ledger: MakeLedger) -> None:
    ledger = make_ledger(over=reopen(), trials=4)
    complete(ledger, ask(ledger))
    ledger.fail(ask(ledger).number, "broken")
    ask(ledger)
    assert (ledger.budget, ledger.trials_left, len(ledger.ended())) == (4, 2, 2)
    again = make_ledger(over=reopen(), resume=True, trials=4)
    assert again.trials_left == 2
    numbers = [asked.number for asked in iter(again.ask, None)]
    assert numbers == [2, 3]
    assert again.trials_left == 2
    for number in numbers:
        again.complete(number, [0.5], {})
    assert again.trials_left == 0
    assert again.ask() is None


def test_a_resumed_sweep_may_have_more_trials(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(trials=2)
    for asked in iter(ledger.ask, None):
        complete(ledger, asked)
    more = make_ledger(resume=True, trials=3)
    assert (more.trials_left, ask(more).number, more.ask()) == (1, 2, None)


def test_or_fewer_than_it_has_had(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(trials=5)
    for _ in range(3):
        complete(ledger, ask(ledger))
    fewer = make_ledger(resume=True, trials=2)
    assert (fewer.trials_left, fewer.ask()) == (0, None)


def test_trials_that_were_cut_off_end_even_beyond_the_budget(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(trials=5)
    for _ in range(3):
        ask(ledger)
    fewer = make_ledger(resume=True, trials=1)
    assert fewer.trials_left == 3
    assert [asked.number for asked in iter(fewer.ask, None)] == [0, 1, 2]


def test_without_a_number_there_are_some_trials(make_ledger: MakeLedger) -> None:
    assert make_ledger(trials=None).budget == DEFAULT_TRIALS


@pytest.mark.parametrize(
    ("reopen", "trials"),
    [("journal", None), ("sqlite", None), ("journal", 6), ("journal", 100)],
    indirect=["reopen"],
)
def test_a_grid_is_tried_once_and_whole(
    reopen: Reopen, grid_space: SearchSpace, make_ledger: MakeLedger, trials: int | None
) -> None:
    found = []
    resume = False
    for stop in (2, 100):
        ledger = make_ledger(
            over=reopen(), space=grid_space, sampler="grid", trials=trials, resume=resume
        )
        while len(found) < stop and (asked := ledger.ask()) is not None:
            found.append((asked.values["lr"], asked.values["hidden"]))
            complete(ledger, asked)
        resume = True
    assert sorted(found) == sorted((lr, hidden) for lr in GRID["lr"] for hidden in GRID["hidden"])
    assert ledger.trials_left == 0


def test_a_baseline_comes_before_the_grid(make_space: MakeSpace, make_ledger: MakeLedger) -> None:
    ledger = make_ledger(space=make_space(domains={}, grid=GRID), sampler="grid", trials=None)
    asked = list(iter(ledger.ask, None))
    assert [a.origin for a in asked] == ["report/row"] + ["grid"] * 6
    assert asked[0].values["lr"] == BASELINE["lr"]


def test_a_part_of_a_grid_may_be_tried(grid_space: SearchSpace, make_ledger: MakeLedger) -> None:
    ledger = make_ledger(space=grid_space, sampler="grid", trials=2)
    assert len(list(iter(ledger.ask, None))) == 2


def test_a_space_without_a_grid_is_refused(make_ledger: MakeLedger, make_space: MakeSpace) -> None:
    with refused("distributions.no-grid", space="small"):
        make_ledger(sampler="grid")
    with refused(
        "distributions.keys-not-in-grid", space="small", keys="batch_size, dropout, lr_schedule"
    ):
        make_ledger(sampler="grid", space=make_space(grid=GRID))


def test_a_grid_of_what_no_study_can_hold_is_refused_by_name(
    make_ledger: MakeLedger, make_space: MakeSpace
) -> None:
    space = make_space(domains={}, grid={"hidden": [(8, 8), [8, 8]]}, points=())
    with refused("distributions.choice-twice", key="hidden", value="(8, 8)"):
        make_ledger(sampler="grid", space=space)
