import io
import math
from dataclasses import replace

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from analysis.load import open_store
from analysis.plots.study import (
    interactive_figures,
    nearest,
    plot_importances,
    rebuild,
)
from analysis.results import load_sweeps
from sweeps import distributions as of_sweeps
from tests.analysis.cases import RMSE, sweep, trial
from tests.refusals import said_as, text

LR = FloatDistribution(1e-4, 1e-1, log=True)
UNITS = IntDistribution(8, 64, step=8)
KIND = CategoricalDistribution(["a", "b"])
FIXED = FloatDistribution(1.0, 4.0)
SPACE = {"fixed": FIXED, "lr": LR, "units": UNITS, "kind": KIND}


def recorded(swept, distributions):
    return replace(
        swept, tags={"foldsweep.distributions": of_sweeps.distributions_json(distributions)}
    )


def many(number, *, space=SPACE, accuracy=None):
    """Sweep in which only the learning rate matters, and a higher one is better."""
    trials = []
    for i in range(number):
        lr = 10 ** (-4 + 2.9 * ((7 * i) % number) / number)
        config = {"fixed": 3.0, "lr": lr, "units": 8 * (1 + i % 8), "kind": "ab"[i % 2]}
        right = accuracy or 0.5 + 0.1 * (math.log10(lr) + 4)
        trials.append(trial(i, (right, right), name="net/mlp", config=config))
    return recorded(sweep("net/mlp", *trials), space)


@pytest.fixture(scope="module")
def store(make_store):
    filled = make_store()
    filled.add("one/mlp", 0.6, 0.9, "PRUNED", "FAIL", 0.7, "RUNNING", origin="report/row")
    tag = of_sweeps.distributions_json({"lr": FloatDistribution(0.0015, 0.1, log=True)})
    filled.client.set_tag(filled.parents["one/mlp"], "foldsweep.distributions", tag)
    return open_store(filled.uri, "foldsweep")


@pytest.fixture(scope="module")
def stored(store):
    """Study in which trial i has the learning rate 0.001 (i + 1).

    Trial 0 is a report's row, and its learning rate is outside the search space.
    """
    return rebuild(store, load_sweeps(store)[0])


def test_trials_are_as_they_ended(stored):
    assert [(t.number, t.state.name) for t in stored.study.trials] == [
        (0, "COMPLETE"),
        (1, "COMPLETE"),
        (2, "PRUNED"),
        (3, "FAIL"),
        (4, "COMPLETE"),
    ]
    assert stored.study.best_value == 0.9
    assert stored.study.best_params == {"lr": 0.002}
    assert stored.left_out == ()


def test_a_pruned_trial_has_what_it_reported(stored):
    pruned = stored.study.trials[2]
    assert pruned.intermediate_values == {2: 0.9999, 4: 0.999}
    assert pruned.value == 0.999


def test_a_reports_setting_is_placed_inside_and_not_among_what_was_searched(stored):
    assert stored.study.trials[0].params == {"lr": 0.0015}
    assert [t.params["lr"] for t in stored.complete] == [0.002, 0.005]


def test_what_cannot_be_placed_is_left_out_and_said(store):
    config = {"fixed": 1.0, "lr": 0.01, "units": 16, "kind": "a"}
    trials = [
        trial(
            0, (0.5, 0.6), name="net/mlp", config={**config, "units": [8, 8]}, origin="report/row"
        ),
        trial(1, (0.5, 0.6), name="net/mlp", config=config),
        trial(2, "FAIL", name="net/mlp", config=config),
        trial(3, "FAIL", name="net/mlp"),
    ]
    rebuilt = rebuild(store, recorded(sweep("net/mlp", *trials), SPACE))
    assert [t.state for t in rebuilt.study.trials] == [TrialState.COMPLETE, TrialState.FAIL]
    number = text("study.not-a-number", value=[8, 8])
    why = text("study.parameter", parameter="units", finding=number)
    first, second = rebuilt.left_out
    assert first == text("study.left-out", trial="net/mlp trial 0", why=why)
    assert said_as("study.left-out", trial="net/mlp trial 3").fullmatch(second)


def test_the_lowest_error_is_the_best_of_its_study(store):
    trials = [
        trial(i, (error, error), name="net/mlp", measure=RMSE, config={"lr": 0.001 * (i + 1)})
        for i, error in enumerate((50.0, 40.0, 45.0))
    ]
    swept = recorded(sweep("net/mlp", *trials, objective=RMSE), {"lr": LR})
    rebuilt = rebuild(store, swept)
    assert rebuilt.study.best_value == 40.0
    assert "val_rmse" in interactive_figures(rebuilt)["slice"].to_json()


def test_an_older_sweep_has_no_study(store):
    assert rebuild(store, sweep("net/mlp", trial(0, (0.5, 0.6), name="net/mlp"))) is None


values = st.one_of(
    st.floats(-5, 100), st.integers(-5, 100), st.sampled_from(["a", "c", True, None])
)
numbers = st.sampled_from(
    [LR, UNITS, KIND, FloatDistribution(0.0, 1.0), FloatDistribution(0.1, 0.7, step=0.2)]
)


@given(numbers, values)
def test_settings_are_placed_as_the_sweep_has_placed_them(distribution, value):
    theirs = of_sweeps.nearest(distribution, value)
    if theirs is None:
        kinds = ("study.not-a-number", "choices.none-of")
        said = "|".join(said_as(kind, value=value).pattern for kind in kinds)
        with pytest.raises(ValueError, match=said):
            nearest(distribution, value)
    else:
        assert nearest(distribution, value) == theirs


def test_importances_find_what_matters_and_repeat(store):
    rebuilt, again = (rebuild(store, many(16)) for _ in range(2))
    info = rebuilt.importances
    assert info.num_trials == 16
    for shares in (info.fanova, info.ped_anova):
        assert max(shares, key=shares.get) == "lr"
        assert sum(shares.values()) == pytest.approx(1)
    assert again.importances == info
    assert rebuilt.contour_params[0] == "lr"
    axes = plot_importances(info).axes[0]
    assert "n = 16 complete trials" in axes.get_title()
    assert [label.get_text() for label in axes.get_yticklabels()][-1] == "lr"


def test_the_legend_of_importances_covers_no_bar(store):
    figure = plot_importances(rebuild(store, many(16)).importances)
    figure.savefig(io.BytesIO())  # computes the layout
    (legend,) = figure.legends
    assert not legend.get_window_extent().overlaps(figure.axes[0].get_window_extent())


@pytest.mark.parametrize(
    ("swept", "why"),
    [
        (many(9), text("study.too-few-complete", least=10)),
        (many(12, space={"lr": LR}), text("study.too-few-vary")),
        (many(12, accuracy=0.5), text("study.same-value")),
    ],
)
def test_it_is_said_why_there_are_no_importances(store, swept, why):
    assert rebuild(store, swept).importances == why


WIDTHS = CategoricalDistribution(["[8, 16]", '{"a": [1]}', None])
TREE = {"lr": LR, "kind": KIND, "units": UNITS, "widths": WIDTHS}


def conditional(number):
    """Sweep in which only one kind has `units`, and `widths` is a list, a dict or None."""
    trials = []
    for i in range(number):
        lr = 10 ** (-4 + 2.9 * ((7 * i) % number) / number)
        config = {"lr": lr, "kind": "ab"[i % 2], "widths": ([8, 16], {"a": [1]}, None)[i % 3]}
        config |= {"units": 8 * (1 + i % 8)} if i % 2 else {}
        right = 0.5 + 0.1 * (math.log10(lr) + 4) + 0.01 * config.get("units", 0)
        trials.append(trial(i, (right, right), name="net/mlp", config=config))
    kept = recorded(sweep("net/mlp", *trials), TREE)
    return replace(kept, tags={**kept.tags, "foldsweep.conditional": "units"})


def test_a_conditional_parameter_is_there_where_it_counts(store):
    rebuilt = rebuild(store, conditional(18))
    assert rebuilt.left_out == ()
    for frozen in rebuilt.study.trials:
        assert ("units" in frozen.params) == (frozen.params["kind"] == "b")
    assert [t.params["widths"] for t in rebuilt.complete[:3]] == [*WIDTHS.choices]
    assert (rebuilt.common, rebuilt.params[-1]) == (["lr", "kind", "widths"], "units")


def test_importances_have_conditional_parameters_by_the_evaluator_that_can(store):
    info = rebuild(store, conditional(18)).importances
    assert set(info.fanova) == {"lr", "kind", "widths"}
    assert set(info.ped_anova) == set(TREE)
    axes = plot_importances(info).axes[0]
    assert axes.get_title().endswith(f"\n* {text('study.only-some')}")
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert set(labels) == {"lr", "kind", "widths", "units *"}


def test_figures_of_conditional_parameters_are_of_the_trials_that_have_them(store):
    rebuilt = rebuild(store, conditional(18))
    assert "units" not in rebuilt.contour_params
    shown = interactive_figures(rebuilt)
    assert list(shown) == ["history", "slice", "parallel", "contour", "importance"]
    assert "units" in shown["slice"].to_json()
    assert "units" not in shown["parallel"].to_json()
    panels = {axis.title.text: trace for axis, trace in _panels(shown["slice"])}
    assert set(panels) == set(TREE)
    assert len(panels["units"].x) == 9


def _panels(figure):
    """Pairs of an x axis and the points over it."""
    return [(figure.layout[trace.xaxis.replace("x", "xaxis")], trace) for trace in figure.data]


def test_a_trial_without_an_unconditional_parameter_is_left_out(store):
    kept = conditional(4)
    first, *others = kept.trials
    wrong = replace(first, config={"kind": "a", "widths": None})
    rebuilt = rebuild(store, replace(kept, trials=(wrong, *others)))
    (said,) = rebuilt.left_out
    assert said_as("study.left-out", trial="net/mlp trial 0").fullmatch(said)


def test_too_few_trials_are_not_drawn(store):
    rebuilt = rebuild(store, many(2))
    assert list(interactive_figures(rebuilt)) == ["history"]


def test_figures_to_explore_are_named_after_the_sweep(store):
    figures = interactive_figures(rebuild(store, many(12)))
    assert list(figures) == ["history", "slice", "parallel", "contour", "importance"]
    assert figures["slice"].layout.title.text == "net/mlp: slice"


def test_nothing_is_said_while_studies_are_made(store, capfd):
    rebuild(store, many(3))
    optuna.create_study()
    assert capfd.readouterr() == ("", "")
