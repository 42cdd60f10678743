import numpy as np
import pytest

from analysis.plots.residuals import plot_predicted, plot_residuals, predicted_info

POINTS = [[10.0, 12.0], [20.0, 19.0], [30.0, 30.0]]


@pytest.fixture
def info():
    return predicted_info("net", {"kind": "regression", "points": POINTS})


def test_actual_values_come_first(info):
    assert info.actual.tolist() == [10.0, 20.0, 30.0]
    assert info.predicted.tolist() == [12.0, 19.0, 30.0]
    assert info.residual.tolist() == [-2.0, 1.0, 0.0]


def test_rows_without_points_are_not_drawn():
    assert predicted_info("net", {"kind": "regression"}) is None
    assert predicted_info("net", {"points": [[1.0, float("nan")]]}) is None


def test_predicted_is_drawn_against_actual_on_equal_axes(info):
    axes = plot_predicted([info]).axes[0]
    assert axes.collections[0].get_offsets().tolist() == POINTS
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("actual", "predicted")
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_xlim()[0] < 10
    assert axes.get_title() == "net: 3 rows"


def test_residuals_are_drawn_around_zero(info):
    axes, beside = plot_residuals([info]).axes
    assert axes.collections[0].get_offsets().tolist() == [[12, -2], [19, 1], [30, 0]]
    low, high = axes.get_ylim()
    assert -low == high > 2
    assert beside.get_xlabel() == "rows"


def test_medians_show_a_trend_that_is_left():
    x = np.linspace(0, 1, 200)
    info = predicted_info("net", {"points": np.stack([x**2, x], 1).tolist()})
    where, median = info.medians()
    assert (np.diff(where) > 0).all()
    np.testing.assert_allclose(median, where**2 - where, atol=0.01)
    lines = plot_residuals([info]).axes[0].lines
    assert any(len(line.get_xdata()) == len(where) for line in lines)


def test_perfect_predictions_can_be_drawn():
    info = predicted_info("net", {"points": [[1.0, 1.0]] * 50})
    for plot in (plot_predicted, plot_residuals):
        plot([info, info, info]).draw_without_rendering()
