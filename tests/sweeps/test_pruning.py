from collections.abc import Iterator
from random import Random

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from sweeps.pruning import (
    BRACKETS,
    AbstractRule,
    MedianRule,
    NoRule,
    Reports,
    RungRule,
    in_force,
    make_rule,
    report_epochs,
    reports,
    rung_epochs,
)
from sweeps.settings import SweepSettings
from trainables.seeds import derive_seed

Curve = list[float]
RUNGS = (1, 2, 4)


@given(st.integers(1, 500))
def test_rungs_rise_and_leave_something_to_save(epochs: int) -> None:
    rungs = rung_epochs(epochs)
    assert list(rungs) == sorted(set(rungs))
    assert all(1 <= rung < epochs for rung in rungs)
    assert bool(rungs) == (epochs >= 2)
    assert all(high >= 2 * low for low, high in zip(rungs, rungs[1:], strict=False))


@pytest.mark.parametrize(
    ("epochs", "rungs"),
    [(1, ()), (2, (1,)), (3, (1,)), (9, (3,)), (27, (3, 9)), (30, (3, 10)), (100, (4, 11, 33))],
)
def test_rungs_are_thirds_of_thirds(epochs: int, rungs: tuple[int, ...]) -> None:
    assert rung_epochs(epochs) == rungs


@pytest.mark.parametrize(
    ("units", "rungs"), [(300, (33, 100)), (100, (11, 33)), (9, (3,)), (2, (1,)), (1, ())]
)
def test_the_last_rungs_may_be_the_only_ones(units: int, rungs: tuple[int, ...]) -> None:
    """Estimators are compared at a ninth and a third of their trees."""
    assert rung_epochs(units, 2) == rungs


def run_curves(
    rule: AbstractRule, curves: list[Curve], order: list[int], *, higher: bool
) -> Iterator[tuple[int, int, bool]]:
    """Report epoch by epoch; `order` has a trial's number once for each of its reports."""
    reports = Reports(higher=higher)
    seen: list[dict[int, float]] = [{} for _ in curves]
    stopped: set[int] = set()
    for i in order:
        if i in stopped or len(seen[i]) == len(curves[i]):
            continue
        epoch = len(seen[i]) + 1
        seen[i][epoch] = curves[i][epoch - 1]
        decision = rule.stops(i, seen[i], reports)
        assert rule.stops(i, seen[i], reports) == decision
        reports.add(epoch, seen[i][epoch])
        if decision:
            stopped.add(i)
        elif epoch == len(curves[i]):
            reports.add_complete(seen[i])
        yield i, epoch, decision


def expected(
    number: int, epoch: int, value: float, seen: dict[int, list[float]], brackets: int, sign: int
) -> bool:
    """Asynchronous successive halving as in the paper, over the reports at each rung so far."""
    if epoch not in RUNGS[derive_seed(number) % brackets :]:
        return False
    ranked = sorted((sign * v for v in [*seen[epoch], value]), reverse=True)
    keep = max(1, len(ranked) // 3)
    return sign * value < ranked[keep - 1]


curves = st.lists(
    st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), min_size=5, max_size=5),
    min_size=1,
    max_size=8,
)


@given(curves, st.randoms(use_true_random=False), st.booleans(), st.integers(1, 3))
def test_decisions_are_those_of_successive_halving(
    curves: list[Curve], rng: Random, minimize: bool, brackets: int
) -> None:
    order = [i for i in range(len(curves)) for _ in range(5)]
    rng.shuffle(order)
    seen: dict[int, list[float]] = {epoch: [] for epoch in range(1, 6)}
    sign = -1 if minimize else 1
    rule = RungRule(RUNGS, brackets=brackets)
    for number, epoch, decision in run_curves(rule, curves, order, higher=not minimize):
        value = curves[number][epoch - 1]
        assert decision == expected(number, epoch, value, seen, brackets, sign)
        seen[epoch].append(value)


def stopped(rule: AbstractRule, curves: list[Curve], *, higher: bool = True) -> list[bool]:
    """Whether each trial is stopped if trials report one after the other."""
    order = [i for i, curve in enumerate(curves) for _ in curve]
    decisions = [False] * len(curves)
    for number, _, decision in run_curves(rule, curves, order, higher=higher):
        decisions[number] |= decision
    return decisions


@pytest.mark.parametrize("higher", [False, True])
def test_the_first_to_arrive_goes_on_and_a_worse_second_does_not(higher: bool) -> None:
    better, worse = (0.9, 0.1) if higher else (0.1, 0.9)
    assert stopped(RungRule((1,)), [[better], [worse]], higher=higher) == [False, True]


def test_a_tie_with_the_best_goes_on() -> None:
    assert not any(stopped(RungRule((1,)), [[0.5]] * 5))


def test_between_rungs_nothing_is_stopped() -> None:
    assert not any(stopped(RungRule((3, 5)), [[-number, -number] for number in range(4)]))


def test_trials_of_higher_brackets_pass_the_lower_rungs() -> None:
    found = stopped(RungRule(RUNGS, brackets=BRACKETS), [[-number] for number in range(40)])
    by_bracket: dict[int, set[bool]] = {0: set(), 1: set(), 2: set()}
    for number, decision in enumerate(found):
        by_bracket[derive_seed(number) % BRACKETS].add(decision)
    assert True in by_bracket[0]
    assert by_bracket[1] == by_bracket[2] == {False}


def test_there_are_no_more_brackets_than_rungs() -> None:
    curves = [[-number] for number in range(20)]
    assert stopped(RungRule((1,), brackets=3), curves) == stopped(RungRule((1,)), curves)
    assert not any(stopped(RungRule((), brackets=3), curves))


@given(curves, st.randoms(use_true_random=False), st.booleans())
def test_the_median_rule_is_that_of_optuna(
    curves: list[Curve], rng: Random, minimize: bool
) -> None:
    order = [i for i in range(len(curves)) for _ in range(5)]
    rng.shuffle(order)
    study = optuna.create_study(direction="minimize" if minimize else "maximize")
    pruner = optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=2, interval_steps=1)
    trials = [study.ask() for _ in curves]
    rule = MedianRule(warmup=2, least=2)
    for number, epoch, decision in run_curves(rule, curves, order, higher=not minimize):
        trials[number].report(curves[number][epoch - 1], epoch)
        assert decision == pruner.prune(study, study.get_trials()[number])
        if decision:
            study.tell(number, state=TrialState.PRUNED)
        elif epoch == len(curves[number]):
            study.tell(number, curves[number][-1])


def test_each_scheduler_has_its_rule() -> None:
    assert make_rule("asha-stop", 27, rung_epochs(27)) == RungRule((3, 9))
    assert make_rule("hyperband", 81, rung_epochs(81)) == RungRule((3, 9, 27), brackets=3)
    assert make_rule("median", 10, ()) == MedianRule(warmup=2, least=5)
    assert isinstance(make_rule("none", 10, ()), NoRule)
    assert not any(stopped(make_rule("none", 10, ()), [[-number] for number in range(20)]))


@pytest.mark.parametrize("scheduler", ["asha", "asha-stop", "hyperband", "median", "none"])
def test_any_scheduler_stops_trials_from_nine_sampled_ones_on(scheduler: str) -> None:
    settings = SweepSettings(scheduler=scheduler, objective=("val_loss",))  # type: ignore[arg-type]
    assert [in_force(settings, n) for n in (0, 1, 8)] == ["none"] * 3
    assert [in_force(settings, n) for n in (9, 10, 1000)] == [scheduler] * 3


def test_with_several_objectives_no_scheduler_stops_any() -> None:
    assert in_force(SweepSettings(objective=("val_loss", "num_params")), 100) == "none"


@given(st.sampled_from(["asha", "asha-stop", "hyperband", "median", "none"]), st.integers(1, 300))
def test_trials_report_at_every_rung_and_at_the_end(scheduler: str, epochs: int) -> None:
    at = reports(scheduler, epochs, rung_epochs(epochs))  # type: ignore[arg-type]
    assert at[-1] == epochs
    assert list(at) == sorted(set(at))
    if scheduler in ("asha", "asha-stop", "hyperband"):
        assert set(rung_epochs(epochs)) <= set(at)


def test_a_median_compares_only_after_a_fifth_of_the_epochs() -> None:
    curves = [[1.0] * 10] * 5 + [[0.0] * 10]
    order = [i for i in range(6) for _ in range(10)]
    rule = make_rule("median", 10, ())
    found = [(i, e) for i, e, stops in run_curves(rule, curves, order, higher=True) if stops]
    assert found == [(5, 2)]


@given(
    epochs=st.integers(1, 400),
    rungs=st.lists(st.integers(1, 500), max_size=6),
    at_most=st.integers(1, 20),
)
def test_reports_rise_to_the_last_epoch(epochs: int, rungs: list[int], at_most: int) -> None:
    found = report_epochs(epochs, rungs=rungs, at_most=at_most)
    assert found[-1] == epochs
    assert list(found) == sorted(set(found))
    assert found[0] >= 1
    if rungs:
        assert set(found) == {e for e in rungs if e < epochs} | {epochs}
    else:
        assert len(found) <= at_most
        gaps = {b - a for a, b in zip((0, *found), found[:-1], strict=False)}
        assert len(gaps) <= 1
