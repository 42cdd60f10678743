"""Trials as samplers see them."""

import math

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps import view as view_module
from sweeps.jobs import Rung
from sweeps.samplers import make_sampler
from sweeps.settings import Sampler
from sweeps.view import numbered
from sweeps.visible import LEAST_AT_RUNG, Visible
from sweeps.warm_start import EarlierTrial, Results, Source

RUNGS = (Rung(epochs=3), Rung(epochs=10))
LAST = len(RUNGS)


def trial(number: int) -> FrozenTrial:
    made = create_trial(
        state=TrialState.RUNNING,
        params={"lr": number / 100},
        distributions={"lr": FloatDistribution(0, 1)},
    )
    return numbered(made, number, {})


def visible_of(sampler: Sampler, trials: int) -> Visible:
    visible = Visible("name", [StudyDirection.MAXIMIZE], RUNGS, sampler=sampler)
    for number in range(trials):
        visible.add(trial(number))
    return visible


def states(visible: Visible) -> list[str]:
    return [t.state.name for t in visible.view.get_all_trials(0)]


def test_a_trial_is_as_its_highest_result_that_may_be_seen() -> None:
    visible = visible_of("tpe", 4)
    assert states(visible) == ["RUNNING"] * 4
    visible.show(trial(0), 0, 0.5)
    visible.show(trial(0), LAST, 0.8)
    visible.show(trial(0), 1, 0.7)
    visible.show(trial(1), 0, 0.6)
    visible.show(trial(2), 0, None)
    assert states(visible) == ["COMPLETE", "PRUNED", "FAIL", "RUNNING"]
    whole, pruned, failed, running = visible.view.get_all_trials(0)
    assert (whole.values, whole.intermediate_values) == ([0.8], {3: 0.5, 10: 0.7})
    assert (pruned.values, pruned.intermediate_values) == ([0.6], {3: 0.6})
    assert failed.values is running.values is None
    assert pruned.params == {"lr": 0.01}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_trial_that_diverged_is_worse_than_all_others(value: float) -> None:
    """TPE ranks pruned trials first by their last epoch, and those without a report last."""
    visible = visible_of("tpe", 1)
    visible.show(trial(0), 0, 0.9)
    visible.show(trial(0), 1, value)
    (shown,) = visible.view.get_all_trials(0)
    assert (shown.state, shown.values, shown.intermediate_values) == (TrialState.PRUNED, None, {})


def test_a_trial_that_failed_later_keeps_what_it_came_to() -> None:
    visible = visible_of("tpe", 1)
    visible.show(trial(0), 0, 0.9)
    visible.show(trial(0), 1, None)
    (shown,) = visible.view.get_all_trials(0)
    assert (shown.state, shown.intermediate_values) == (TrialState.PRUNED, {3: 0.9})


def test_samplers_of_complete_trials_see_the_highest_rung_with_enough_results() -> None:
    visible = visible_of("gp", 2 * LEAST_AT_RUNG)
    for number in range(LEAST_AT_RUNG - 1):
        visible.show(trial(number), 0, number / 10)
    assert "COMPLETE" not in states(visible)
    visible.show(trial(LEAST_AT_RUNG - 1), 0, 2.0)
    assert states(visible) == ["COMPLETE"] * LEAST_AT_RUNG + ["RUNNING"] * LEAST_AT_RUNG
    for number in range(1, LEAST_AT_RUNG + 1):
        visible.show(trial(number), 1, 5.0 + number)
    shown = visible.view.get_all_trials(0)
    assert states(visible)[:12] == ["PRUNED"] + ["COMPLETE"] * LEAST_AT_RUNG + ["RUNNING"]
    assert [t.values for t in shown[:3]] == [[0.0], [6.0], [7.0]]


def test_a_trial_that_diverged_does_not_count_among_enough() -> None:
    visible = visible_of("gp", LEAST_AT_RUNG)
    for number in range(LEAST_AT_RUNG):
        visible.show(trial(number), 0, math.nan if number == 3 else 1.0)
    assert "COMPLETE" not in states(visible)


def test_of_a_long_sweep_the_latest_and_the_best_are_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view_module, "LATEST", 5)
    monkeypatch.setattr(view_module, "BEST", 2)
    visible = visible_of("tpe", 0)
    for number in range(20):
        visible.add(trial(number))
        visible.show(trial(number), LAST, float(-number))
    assert [t.number for t in visible.view.get_all_trials(0)] == [0, 1, 15, 16, 17, 18, 19]
    again = visible_of("tpe", 20)
    for number in range(20):
        again.show(trial(number), LAST, float(-number))
    assert [t.number for t in again.view.get_all_trials(0)] == [0, 1, 15, 16, 17, 18, 19]


def source_of(*results: Results, point: int | None = None) -> Source:
    """Trials of an earlier sweep; the first one repeats initial point number `point`, if given."""
    trials = [EarlierTrial(params={"lr": i / 100}, results=of) for i, of in enumerate(results)]
    return Source(
        name="earlier/small",
        trials=tuple(trials),
        num_trials=len(trials),
        point=point,
        of_point=None if point is None else results[0],
    )


def with_sources(sampler: Sampler, *sources: Source, trials: int) -> Visible:
    visible = Visible("name", [StudyDirection.MAXIMIZE], RUNGS, sampler=sampler)
    visible.add_sources(sources, {"lr": FloatDistribution(0, 1)})
    for number in range(trials):
        visible.add(trial(number))
    return visible


def test_trials_of_earlier_sweeps_are_older_than_all_others() -> None:
    old = source_of({3: 0.5, None: 0.8}, {3: 0.4})
    new = source_of({10: 0.7}, {5: 0.1}, {})
    visible = with_sources("tpe", old, new, trials=1)
    shown = visible.view.get_all_trials(0)
    assert [(t.number, t.state.name) for t in shown] == [
        (-5, "COMPLETE"),
        (-4, "PRUNED"),
        (-3, "PRUNED"),
        (-1, "PRUNED"),
        (0, "RUNNING"),
    ]
    assert [t.values for t in shown] == [[0.8], [0.4], [0.7], None, None]
    assert [t.intermediate_values for t in shown[:3]] == [{3: 0.5}, {3: 0.4}, {10: 0.7}]


def test_scores_of_other_data_move_with_the_initial_point() -> None:
    """They shift by its difference at each rung, once it is visible; other sources do not."""
    moved = source_of({3: 0.5, None: 0.8}, {3: 0.4, None: 0.9}, {3: 0.3}, point=0)
    kept = source_of({3: 0.5, None: 0.6})
    visible = with_sources("tpe", moved, kept, trials=3)
    visible.show(trial(1), LAST, 0.1)
    visible.show(trial(0), 0, 0.25)
    seen = [t.intermediate_values.get(3) for t in visible.view.get_all_trials(0)]
    assert seen[:4] == [0.25, pytest.approx(0.15), pytest.approx(0.05), 0.5]
    whole = [t.values for t in visible.view.get_all_trials(0)]
    assert whole[:4] == [[0.8], [0.9], [pytest.approx(0.05)], [0.6]]
    visible.show(trial(0), LAST, 0.7)
    whole = [t.values for t in visible.view.get_all_trials(0)]
    assert whole[:4] == [[0.7], [pytest.approx(0.8)], [pytest.approx(0.05)], [0.6]]


def test_earlier_trials_count_among_enough_for_a_model() -> None:
    many = source_of(*({3: i / 10, None: i / 5} for i in range(LEAST_AT_RUNG)))
    visible = with_sources("gp", many, trials=1)
    visible.show(trial(0), LAST, 0.4)
    assert states(visible) == ["COMPLETE"] * (LEAST_AT_RUNG + 1)


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_samplers_model_trials_with_negative_numbers(sampler: Sampler) -> None:
    """This fails with a release of Optuna that requires trial numbers from 0 on."""
    good = 0.05

    def height(lr: float) -> float:
        return -((lr - good) ** 2)

    trials = [
        EarlierTrial(params={"lr": i / 40}, results={None: height(i / 40)}) for i in range(40)
    ]
    source = Source(name="earlier/small", trials=tuple(trials), num_trials=40)
    chosen = []
    for seed in range(5):
        visible = Visible("name", [StudyDirection.MAXIMIZE], RUNGS, sampler=sampler)
        lr = FloatDistribution(0, 1)
        visible.add_sources([source], {"lr": lr})
        study = optuna.load_study(
            study_name="name",
            storage=visible.view,
            sampler=make_sampler(sampler, seed=0, trial_seed=seed),
        )
        chosen.append(study.ask({"lr": lr}).params["lr"])
    assert max(abs(lr - good) for lr in chosen) < 0.2
