import math
from collections.abc import Iterator

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.study import StudyDirection
from optuna.trial import TrialState

from sweeps.pruning import (
    BRACKETS,
    RungPruner,
    in_force,
    make_pruner,
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
    study: optuna.Study, pruner: RungPruner, curves: list[Curve], order: list[int]
) -> Iterator[tuple[int, int, bool]]:
    """Report epoch after epoch, trials in `order`, which names one as often as it reports."""
    trials = [study.ask() for _ in curves]
    stopped: set[int] = set()
    epochs = [0] * len(curves)
    for i in order:
        if i in stopped or epochs[i] == len(curves[i]):
            continue
        epochs[i] += 1
        trials[i].report(curves[i][epochs[i] - 1], epochs[i])
        frozen = study.get_trials()[i]
        decision = pruner.prune(study, frozen)
        assert pruner.prune(study, frozen) == decision
        if decision:
            stopped.add(i)
            study.tell(trials[i], state=TrialState.PRUNED)
        elif epochs[i] == len(curves[i]):
            study.tell(trials[i], curves[i][-1])
        yield i, epochs[i], decision


def expected(
    number: int, epoch: int, value: float, seen: dict[int, list[float]], brackets: int, sign: int
) -> bool:
    """Asynchronous successive halving as in the paper, over what each rung has seen so far."""
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
    curves: list[Curve], rng: object, minimize: bool, brackets: int
) -> None:
    study = optuna.create_study(direction="minimize" if minimize else "maximize")
    order = [i for i in range(len(curves)) for _ in range(5)]
    rng.shuffle(order)  # type: ignore[attr-defined]
    seen: dict[int, list[float]] = {epoch: [] for epoch in range(1, 6)}
    sign = -1 if minimize else 1
    pruner = RungPruner(RUNGS, brackets=brackets)
    for number, epoch, decision in run_curves(study, pruner, curves, order):
        value = curves[number][epoch - 1]
        assert decision == expected(number, epoch, value, seen, brackets, sign)
        seen[epoch].append(value)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_first_to_arrive_goes_on_and_a_worse_second_does_not(direction: str) -> None:
    study = optuna.create_study(direction=direction)
    pruner = RungPruner((1,))
    better, worse = (0.1, 0.9) if direction == "minimize" else (0.9, 0.1)
    first, second, third = (study.ask() for _ in range(3))
    for trial, value, decision in ((first, better, False), (second, worse, True)):
        trial.report(value, 1)
        assert pruner.prune(study, study.get_trials()[trial.number]) is decision
    assert not pruner.prune(study, study.get_trials()[third.number])
    assert study.direction == StudyDirection[direction.upper()]


def test_a_tie_with_the_best_goes_on() -> None:
    study = optuna.create_study(direction="maximize")
    pruner = RungPruner((1,))
    for _ in range(5):
        trial = study.ask()
        trial.report(0.5, 1)
        assert not pruner.prune(study, study.get_trials()[trial.number])


def test_between_rungs_nothing_is_stopped() -> None:
    study = optuna.create_study(direction="maximize")
    for number in range(4):
        trial = study.ask()
        for epoch in (1, 2):
            trial.report(-number, epoch)
        assert not RungPruner((1, 3)).prune(study, study.get_trials()[number])


def test_trials_of_higher_brackets_pass_the_lower_rungs() -> None:
    study = optuna.create_study(direction="maximize")
    pruner = RungPruner(RUNGS, brackets=BRACKETS)
    decisions: dict[int, set[bool]] = {0: set(), 1: set(), 2: set()}
    for number in range(40):
        trial = study.ask()
        trial.report(-number, 1)
        decisions[derive_seed(number) % BRACKETS].add(
            pruner.prune(study, study.get_trials()[number])
        )
    assert True in decisions[0]
    assert decisions[1] == decisions[2] == {False}


def test_there_are_no_more_brackets_than_rungs() -> None:
    assert RungPruner((3,), brackets=3).brackets == 1
    assert RungPruner((), brackets=3).brackets == 1


def test_each_scheduler_has_its_pruner() -> None:
    asha = make_pruner("asha", 27, rung_epochs(27))
    hyperband = make_pruner("hyperband", 81, rung_epochs(81))
    assert isinstance(asha, RungPruner)
    assert (asha.rungs, asha.brackets) == ((3, 9), 1)
    assert isinstance(hyperband, RungPruner)
    assert (hyperband.rungs, hyperband.brackets) == ((3, 9, 27), 3)
    assert isinstance(make_pruner("median", 10, ()), optuna.pruners.MedianPruner)
    assert isinstance(make_pruner("none", 10, ()), optuna.pruners.NopPruner)


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "median", "none"])
def test_any_scheduler_stops_trials_from_nine_sampled_ones_on(scheduler: str) -> None:
    settings = SweepSettings(scheduler=scheduler, objective=("val_loss",))  # type: ignore[arg-type]
    assert [in_force(settings, n) for n in (0, 1, 8)] == ["none"] * 3
    assert [in_force(settings, n) for n in (9, 10, 1000)] == [scheduler] * 3


def test_with_several_objectives_no_scheduler_stops_any() -> None:
    assert in_force(SweepSettings(objective=("val_loss", "num_params")), 100) == "none"


@given(st.sampled_from(["asha", "hyperband", "median", "none"]), st.integers(1, 300))
def test_trials_report_at_every_rung_and_at_the_end(scheduler: str, epochs: int) -> None:
    at = reports(scheduler, epochs, rung_epochs(epochs))  # type: ignore[arg-type]
    assert at[-1] == epochs
    assert list(at) == sorted(set(at))
    if scheduler in ("asha", "hyperband"):
        assert set(rung_epochs(epochs)) <= set(at)


def test_a_median_compares_only_after_a_fifth_of_the_epochs() -> None:
    study = optuna.create_study(direction="maximize", pruner=make_pruner("median", 10, ()))
    for number in range(6):
        trial = study.ask()
        for epoch in range(1, 11):
            trial.report(1.0 if number < 5 else 0.0, epoch)
            if trial.should_prune():
                assert (number, epoch) == (5, math.ceil(10 / 5))
                break
        study.tell(trial, 1.0)


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
