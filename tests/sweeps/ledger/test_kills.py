"""State of the study after a kill, and its resumption."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage

from sweeps.outcomes import POINT_ATTR, RESULT_ATTR
from sweeps.study import open_storage
from tests.sweeps.earlier import EarlierLedger
from tests.sweeps.ledger.asking import (
    BASELINE,
    MakeLedger,
    Reopen,
    ask,
    complete,
    study_of,
    trials_of,
)


def test_what_was_cut_off_is_asked_first_and_as_it_was(
    reopen: Reopen, make_ledger: MakeLedger
) -> None:
    ledger = make_ledger(over=reopen(), sampler="tpe")
    asked = [ask(ledger) for _ in range(4)]
    complete(ledger, asked[1])
    ledger.report(2, 3, 0.5)
    again = make_ledger(over=reopen(), sampler="tpe", resume=True)
    assert [ask(again) for _ in range(3)] == [asked[0], asked[2], asked[3]]
    assert ask(again).number == 4


@pytest.mark.parametrize(
    ("reopen", "sampler"),
    [("journal", "random"), ("journal", "tpe"), ("sqlite", "tpe"), ("journal", "qmc")],
    indirect=["reopen"],
)
def test_a_kill_before_the_values_are_chosen_changes_none(
    reopen: Reopen, make_ledger: MakeLedger, sampler: str
) -> None:
    """The study then has the trial, RUNNING, without parameters."""
    ledger = make_ledger(over=reopen(), sampler=sampler)
    complete(ledger, ask(ledger))
    study_of(reopen()).ask()
    again = make_ledger(over=reopen(), sampler=sampler, resume=True)
    asked = [ask(again) for _ in range(3)]
    assert [a.number for a in asked] == [1, 2, 3]
    assert all(set(a.values) == set(again.distributions) for a in asked)
    assert len({a.values["lr"] for a in asked}) == 3
    found = study_of(reopen()).trials
    for a in asked:
        assert found[a.number].params == a.values
        complete(again, a)


def test_a_random_trial_without_values_gets_those_it_would_have_had(
    make_ledger: MakeLedger, storage: BaseStorage
) -> None:
    undisturbed = make_ledger(over=optuna.storages.InMemoryStorage())
    expected = [ask(undisturbed) for _ in range(3)]
    ask(make_ledger())
    study_of(storage).ask()
    again = make_ledger(resume=True)
    assert [ask(again) for _ in range(3)] == expected


def test_a_baseline_that_was_cut_off_is_still_the_baseline(
    reopen: Reopen, make_ledger: MakeLedger
) -> None:
    EarlierLedger(reopen(), make_ledger()).study.ask()
    again = ask(make_ledger(over=reopen(), resume=True))
    assert (again.number, again.origin) == (0, "report/row")
    assert {key: again.values[key] for key in BASELINE} == BASELINE


def test_a_kill_just_before_the_end_is_told_repeats_the_end(
    reopen: Reopen, make_ledger: MakeLedger
) -> None:
    ledger = make_ledger(over=reopen())
    asked = ask(ledger)
    ledger.study.note(asked.number, RESULT_ATTR, {"num_params": 1})
    again = make_ledger(over=reopen(), resume=True)
    assert ask(again).number == asked.number
    complete(again, asked, 0.75)
    (trial,) = trials_of(again)
    assert (trial.values, trial.user_attrs[RESULT_ATTR]) == ([0.75], {"num_params": 3})


def test_a_half_written_line_of_the_journal_is_cut_off(
    tmp_path: Path, make_ledger: MakeLedger
) -> None:
    journal = tmp_path / "study.journal"
    ledger = make_ledger(over=open_storage(None, journal))
    complete(ledger, ask(ledger))
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole.splitlines(keepends=True)[-1][:-5])
    again = make_ledger(over=open_storage(None, journal), resume=True)
    assert journal.read_bytes().startswith(whole)
    assert [t.values for t in again.ended()] == [(0.5,)]
    complete(again, ask(again), 0.6)
    last = make_ledger(over=open_storage(None, journal), resume=True)
    assert [t.values for t in last.ended()] == [(0.5,), (0.6,)]


def test_every_cut_of_the_journal_can_be_resumed(tmp_path: Path, make_ledger: MakeLedger) -> None:
    """The journal is cut as if the process had been killed while writing."""
    journal = tmp_path / "study.journal"
    ledger = make_ledger(over=open_storage(None, journal), trials=3)
    first = ask(ledger)
    ledger.report(first.number, 3, 0.25)
    complete(ledger, first)
    ledger.fail(ask(ledger).number, "broken")
    whole = journal.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    cuts = sorted({0, *ends, *(end + 9 for end in ends[:-1:4])})
    for cut in cuts:
        copy = tmp_path / f"{cut}.journal"
        copy.write_bytes(whole[:cut])
        resumed = make_ledger(over=open_storage(None, copy), trials=3, resume=True)
        for asked in iter(resumed.ask, None):
            complete(resumed, asked)
        assert len(resumed.ended()) == 3, cut
        trials = trials_of(resumed)
        assert [t.number for t in trials] == [0, 1, 2], cut
        origins = [t.user_attrs.get(POINT_ATTR, {}).get("name") for t in trials]
        assert origins == [t.origin for t in resumed.ended()] == ["report/row", None, None], cut


def test_a_trial_given_back_is_the_next(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(trials=3)
    first, second = ask(ledger), ask(ledger)
    ledger.give_back(first.number)
    assert ledger.trials_left == 3
    assert ask(ledger) == first
    assert ask(ledger).number == 2
    ledger.give_back(second.number)
    assert ask(ledger) == second
    assert ledger.ask() is None
