import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps import view as view_module
from sweeps.view import View, numbered

UP, DOWN = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
RUNNING, COMPLETE, FAIL = TrialState.RUNNING, TrialState.COMPLETE, TrialState.FAIL


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_module, "LATEST", 5)
    monkeypatch.setattr(view_module, "BEST", 4)


def trial(number: int, state: TrialState, *values: float) -> FrozenTrial:
    return numbered(create_trial(state=state, values=list(values) or None), number, {})


def numbers(view: View) -> list[int]:
    return [t.number for t in view.get_all_trials(0)]


def filled(trials: list[FrozenTrial], length: int, *directions: StudyDirection) -> View:
    view = View("study", directions or (UP,), length=length)
    for one in trials:
        view.add(one)
    return view


def test_a_short_study_is_all_in_the_view() -> None:
    states = [COMPLETE, RUNNING, FAIL, COMPLETE, RUNNING]
    trials = [trial(i, s, *([0.5] if s == COMPLETE else [])) for i, s in enumerate(states)]
    assert numbers(filled(trials, 5)) == [0, 1, 2, 3, 4]


def test_of_a_long_one_the_best_the_latest_and_those_in_training_are() -> None:
    trials = [trial(i, COMPLETE, value) for i, value in enumerate([3, 9, 9, 1, 8, 2, 7, 0])]
    trials += [trial(8, RUNNING), trial(9, FAIL), trial(10, RUNNING)]
    trials += [trial(i, COMPLETE, -1.0) for i in range(11, 20)]
    assert numbers(filled(trials, 20)) == [1, 2, 4, 6, 8, 10, 15, 16, 17, 18, 19]


def test_several_objectives_share_the_places_of_the_best() -> None:
    values = [(0, 9), (5, 5), (9, 8), (8, 0), (1, 1), (0, 9)]
    trials = [trial(i, COMPLETE, *map(float, pair)) for i, pair in enumerate(values)]
    assert numbers(filled(trials, 100, UP, DOWN)) == [2, 3, 4]


values = st.lists(st.one_of(st.none(), st.sampled_from([0.1, 0.2, 0.3])), min_size=1, max_size=30)


@given(values, st.randoms(use_true_random=False), st.booleans())
def test_the_view_depends_on_the_study_alone(
    values: list[float | None], rng: object, minimize: bool
) -> None:
    """It depends neither on the order in which trials ended nor on the time of a resumption."""
    ends = [
        trial(i, FAIL) if value is None else trial(i, COMPLETE, value)
        for i, value in enumerate(values)
    ]
    direction = DOWN if minimize else UP
    lived = View("study", (direction,), length=0)
    running: list[FrozenTrial] = []
    for end in ends:
        lived.create_new_trial(0)
        running.append(end)
        if len(running) == 3:
            lived.add(running.pop(rng.randrange(3)))  # type: ignore[attr-defined]
    shuffled = [*ends, *(trial(end.number, RUNNING) for end in running)]
    shuffled = [t for t in shuffled if t.state == RUNNING or t not in running]
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert numbers(filled(shuffled, len(ends), direction)) == numbers(lived)
    assert len(numbers(lived)) <= view_module.LATEST + view_module.BEST + len(running)


def test_what_was_looked_at_stays_as_it_was() -> None:
    """Optuna's own storages behave in the same way: a sampler may keep the trials it was given."""
    view = View("study", (UP,), length=0)
    view.create_new_trial(0)
    (before,) = view.get_all_trials(0, deepcopy=False)
    view.set_trial_param(0, "lr", 0.5, FloatDistribution(0, 1))
    view.set_trial_intermediate_value(0, 3, 0.25)
    view.set_trial_system_attr(0, "generation", 1)
    assert (before.params, before.intermediate_values, before.system_attrs) == ({}, {}, {})
    after = view.get_trial(0)
    assert (after.params, after.intermediate_values) == ({"lr": 0.5}, {3: 0.25})


def test_changes_of_the_study_s_attributes_are_taken_once() -> None:
    view = View("study", (UP,), length=0)
    view.attrs = {"qmc": 3}
    view.set_study_system_attr(0, "qmc", 4)
    assert view.get_study_system_attrs(0) == {"qmc": 4}
    assert (view.taken_changes(), view.taken_changes()) == ({"qmc": 4}, {})


def test_optuna_asks_for_a_point_that_was_put_into_it() -> None:
    view = View("study", (UP,), length=7)
    study = optuna.load_study(study_name="study", storage=view)
    study.enqueue_trial({"lr": 0.25}, user_attrs={"point": {"name": "row"}})
    first, second = study.ask(), study.ask()
    assert (first.number, first.suggest_float("lr", 0, 1)) == (7, 0.25)
    assert first.user_attrs == {"point": {"name": "row"}}
    assert second.number == 8
