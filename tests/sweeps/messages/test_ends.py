"""Messages at the end of a sweep: counts, the best trial, failures."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from optuna.storages import InMemoryStorage

from search_spaces.space import Point, SearchSpace
from sweeps.cell import Bundle, Cell
from sweeps.messages import constant, show_end, without_sampled
from sweeps.settings import SweepSettings
from tests.refusals import said_as, text
from tests.sweeps.messages.said import MakeEnd, MakeEnded, Said

BASELINE = text("messages.best-is-baseline")


def none_sampled(best: str, advice: str) -> str:
    return text("messages.none-sampled-complete", best=best, advice=text(advice))


def test_a_notebook_has_the_end_of_a_space_in_one_output(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    shown: list[Bundle] = []
    end = make_end()
    show_end(settings, end, "first", shown=Cell(shown.append))
    assert said() == ""
    (bundle,) = shown
    assert text("summary.best", space="small") in bundle["text/plain"]
    show_end(settings, end, "first")
    assert bundle["text/plain"].splitlines()[0] == said().splitlines()[0]


def test_the_end_begins_with_counts_and_a_warning(
    make_end: MakeEnd, settings: SweepSettings, said: Said
) -> None:
    show_end(settings, make_end(), "first")
    lines = said().splitlines()
    assert lines[0] == text("messages.ended", space="small", complete=1, pruned=0, failed=0)
    assert lines[1] == none_sampled(BASELINE, "messages.more-trials")
    assert lines[2] == text("summary.best", space="small")


@pytest.mark.parametrize(
    "states",
    [["ends", "ends", "stops", "stops", "fails"], ["fails", "ends", "stops"], ["ends", "ends"]],
)
def test_one_sampled_configuration_is_enough(make_ended: MakeEnded, states: list[str]) -> None:
    """The first trial is the baseline."""
    assert without_sampled(make_ended(*states)) is None


@pytest.mark.parametrize(
    ("states", "warned"),
    [
        (["ends", "stops", "stops"], none_sampled(BASELINE, "messages.more-or-no-scheduler")),
        (["ends", "fails"], none_sampled(BASELINE, "messages.see-why")),
        (
            ["fails", "stops"],
            none_sampled(text("messages.no-best"), "messages.more-or-no-scheduler"),
        ),
    ],
)
def test_where_none_did_a_warning_says_what_to_do(
    make_ended: MakeEnded, states: list[str], warned: str
) -> None:
    assert without_sampled(make_ended(*states)) == warned


def test_of_several_initial_points_any_may_be_the_best(
    make_ended: MakeEnded, make_space: Callable[..., SearchSpace]
) -> None:
    points = [Point(name=name, config={"lr": 0.1}) for name in "ab"]
    end = make_ended("ends", "ends", "stops", space=make_space(points=points))
    best = text("messages.best-is-initial-point")
    assert without_sampled(end) == none_sampled(best, "messages.more-or-no-scheduler")


def test_a_grid_needs_another_sweep(
    make_ended: MakeEnded, make_space: Callable[..., SearchSpace]
) -> None:
    space = make_space(domains={}, grid={"lr": (0.1, 0.2), "hidden": (8, 16)})
    end = make_ended("ends", "stops", "stops", space=space, sampler="grid", trials=None)
    advice = text("messages.no-scheduler")
    assert without_sampled(end) == text(
        "messages.no-grid-point-complete", best=BASELINE, advice=advice
    )


def test_an_interrupted_sweep_is_not_warned_of(make_ended: MakeEnded) -> None:
    assert without_sampled(make_ended("ends", "stops", interrupted=True)) is None


def test_refused_and_late_trials_are_counted_with_an_example(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    end = make_end()
    for kind, error in (
        ("refused", "block 2 leaves no image"),
        ("refused", "kernel must be odd"),
        ("timed out", "ended after 9 s (--trial-timeout)"),
    ):
        asked = end.ledger.ask()
        assert asked is not None
        end.ledger.fail(asked.number, error, kind)
    show_end(settings, end, "first")
    lines = said().splitlines()
    refused = text(
        "messages.untrainable",
        space="small",
        configurations="2 configurations",
        instead=text("messages.tried-instead", more=2),
        trial=1,
        error="block 2 leaves no image",
    )
    late = text(
        "messages.timed-out",
        space="small",
        trials="1 trial",
        trial=3,
        error="ended after 9 s (--trial-timeout)",
    )
    assert {refused, late} <= set(lines)


def test_the_end_says_what_more_trials_may_gain(
    settings: SweepSettings, make_ended: MakeEnded, said: Said
) -> None:
    gains = said_as("messages.expected-gain", space="small", more=20, metric="accuracy")
    none = text("messages.no-gain", space="small", more=20, metric="accuracy")
    show_end(settings, make_ended(*["ends"] * 20), "first")
    too_few = said()  # nineteen sampled trials
    show_end(settings, make_ended(*["ends"] * 21, over=InMemoryStorage()), "first")
    equal = said()
    scores = [0.5 + 0.01 * i for i in range(21)]
    show_end(settings, make_ended(*scores, over=InMemoryStorage()), "first")
    rising = said()
    assert [bool(gains.search(end)) for end in (too_few, equal, rising)] == [False, False, True]
    assert [none in end.splitlines() for end in (too_few, equal, rising)] == [False, True, False]


def test_what_may_end_the_promise_of_the_same_sweep_is_said(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    end = make_end()
    asked = end.ledger.ask()
    assert asked is not None
    end.ledger.fail(asked.number, "broken", "crashed")
    line = text("messages.may-differ-elsewhere", space="small", trials="1 trial")
    show_end(settings, end, "first")
    assert line in said().splitlines()
    show_end(replace(settings, order="arrival"), end, "first")
    assert line not in said()


@pytest.mark.parametrize("hopeless", [False, True])
def test_an_error_is_shown_literally(
    settings: SweepSettings, make_end: MakeEnd, said: Said, hopeless: bool
) -> None:
    error = "trial 3: ValueError: no [/such] layer [red] :warning:"
    show_end(settings, make_end(hopeless=hopeless, last_error=error), "first")
    assert error in said()


def test_a_constant_prediction_is_said_once_for_all_spaces(
    settings: SweepSettings, make_end: MakeEnd, make_ended: MakeEnded
) -> None:
    end = make_end(constant=0.53)
    failed = replace(make_ended("fails", over=InMemoryStorage()), constant=0.53)
    said = text("messages.of-most-frequent-class", metric="accuracy", score="0.5300")
    assert constant(settings, [replace(end, constant=None), failed, end, end]) == said
    assert constant(settings, [replace(end, constant=None)]) is None
    assert constant(settings, [failed]) is None
