from datetime import datetime

import optuna
import pytest
from optuna.trial import create_trial

import growth
from growth import Growth, cpu_cells, ends_of, growth_cells, slowdown, too_slow


def row(trials: int, *, span_s: float = 10.0, slowdown: float = 1.0) -> Growth:
    return Growth(
        trials=trials,
        wall_s=20.0,
        span_s=span_s,
        slowdown=slowdown,
        memory_mb={"driver": 300.4},
        cpu_s={"driver": 1.0, "actors": 2.0},
        study_mb=1.0,
        opening_s=0.5,
        spool_mb=2.0,
        store_mb=3.0,
    )


def test_slowdown_compares_the_last_tenth_with_the_first() -> None:
    assert slowdown([float(i) for i in range(101)]) == pytest.approx(1)
    slower = [float(i) for i in range(91)] + [90 + 3.0 * i for i in range(1, 11)]
    assert slowdown(slower) == pytest.approx(3)


def test_ends_are_in_order_of_time() -> None:
    trials = [create_trial(value=0.0) for _ in range(2)]
    trials.append(create_trial(state=optuna.trial.TrialState.WAITING))
    for second, trial in zip((9, 3), trials, strict=False):
        trial.datetime_complete = datetime(2026, 1, 1, 0, 0, second)
    first, last = ends_of(trials)
    assert last - first == 6


def test_growth_that_is_not_linear_is_said() -> None:
    assert not too_slow([row(100), row(1000, span_s=100.0)])
    (said,) = too_slow([row(100, slowdown=1.6)])
    assert "1.60 times" in said
    (said,) = too_slow([row(101), row(1001, span_s=160.0)])
    assert "1.60 times" in said


def test_a_role_without_processes_holds_nothing() -> None:
    cells = growth_cells([row(10_000)])
    assert cells.rows[0][0] == "10,000"
    assert cells.rows[0][4:7] == ("300", "0", "0")
    assert len(cells.rows[0]) == len(cells.head)
    assert growth.MOST_SLOWER == 1.5


def test_cpu_time_is_shared_out_over_trials() -> None:
    (shown,) = cpu_cells([row(1000)]).rows
    assert shown == ("1,000", "1.0", "2.0", "0.0", "0.0", "3.0")
