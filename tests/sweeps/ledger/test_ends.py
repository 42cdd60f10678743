"""Records of reports and ends in the study."""

import math

import pytest
from optuna.trial import TrialState

from sweeps.ledger import ERROR_LENGTH
from sweeps.outcomes import RESULT_ATTR, failure_of
from tests.sweeps.ledger.asking import (
    MakeLedger,
    Reopen,
    ask,
    trials_of,
)


def test_the_ends_of_trials_are_in_the_study(reopen: Reopen, make_ledger: MakeLedger) -> None:
    ledger = make_ledger(over=reopen())
    numbers = [ask(ledger).number for _ in range(4)]
    ledger.complete(0, [0.75], {"num_params": 3, "by_fold": {"val_loss": [1.0, 2.0]}})
    ledger.report(1, 3, 0.25)
    ledger.prune(1, {"num_params": 4})
    ledger.fail(2, "x" * 2 * ERROR_LENGTH)
    again = make_ledger(over=reopen(), resume=True)
    trials = trials_of(again)[:3]
    assert [t.number for t in again.ended()] == numbers[:3]
    assert [t.state for t in trials] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
    assert trials[0].value == 0.75
    assert trials[0].user_attrs[RESULT_ATTR]["by_fold"] == {"val_loss": [1.0, 2.0]}
    assert (trials[1].value, trials[1].user_attrs[RESULT_ATTR]) == (0.25, {"num_params": 4})
    assert failure_of(trials[2]) == ("crashed", "x" * ERROR_LENGTH)
    assert trials[2].value is None


def test_a_report_of_the_same_epoch_is_passed_over_in_silence(
    make_ledger: MakeLedger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = make_ledger()
    number = ask(ledger).number
    for value in (0.5, 0.75):
        assert not ledger.report(number, 3, value)
    assert ledger.frozen(number).intermediate_values == {3: 0.5}
    assert not caplog.records


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_not_reported(make_ledger: MakeLedger, value: float) -> None:
    ledger = make_ledger()
    number = ask(ledger).number
    assert not ledger.report(number, 3, value)
    assert ledger.frozen(number).intermediate_values == {}
