import numpy as np
import pytest

from analysis.plots.curves import CurvesInfo, curves_info, plot_all, plot_one

CURVES = {
    "train_loss": [[0.9, 0.7], [0.5, 0.3]],
    "train_accuracy": [[0.5, 0.7], [0.8, 0.8]],
    "loss": [[1.0, 0.8], [0.6, 0.6]],
    "accuracy": [[0.4, 0.6], [0.6, 0.8]],
}


@pytest.fixture
def info():
    return curves_info("net", CURVES)


def test_curves_are_mean_and_sample_std_over_rounds(info):
    assert info.number == 2
    np.testing.assert_allclose(info.mean["accuracy"], [0.5, 0.7])
    np.testing.assert_allclose(info.std["accuracy"], [np.sqrt(0.02), np.sqrt(0.02)])
    np.testing.assert_allclose(info.std["loss"], [np.sqrt(0.02), 0.0])


def test_one_round_has_no_spread():
    info = curves_info("net", {key: [[row[0]] for row in rows] for key, rows in CURVES.items()})
    assert info.number == 1
    assert not info.std["loss"].any()


@pytest.mark.parametrize("quantity", ["loss", "accuracy"])
def test_one_network_is_drawn_with_training_and_test_curve(info, quantity):
    axes = plot_one(info, quantity).axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    np.testing.assert_allclose(drawn["training"], info.mean[f"train_{quantity}"])
    np.testing.assert_allclose(drawn["test"], info.mean[quantity])
    assert axes.get_xlabel() == "epoch"
    assert quantity in axes.get_ylabel()


def test_all_networks_have_a_panel_each_on_common_axes(info):
    figure = plot_all([info] * 5, "loss")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == ["net"] * 5
    assert len({axes.get_ylim() for axes in panels}) == 1


def test_no_panel_is_cut_off_by_the_limits_of_the_first(info):
    low = curves_info("low", {k: [[v - 0.3 for v in row] for row in c] for k, c in CURVES.items()})
    panel = plot_all([info, low], "accuracy").axes[1]
    assert panel.get_ylim()[0] < (low.mean["accuracy"] - low.std["accuracy"]).min()


def sparse(**more):
    """Curves of a metric over all rows, measured at three epochs and not on training batches."""
    values = {"roc_auc": np.array([0.7, 0.8, 0.9])}
    return CurvesInfo(
        name="net",
        over="folds",
        number=5,
        mean=values,
        std=values,
        epochs={"roc_auc": np.array([1, 10, 20])},
        **more,
    )


def test_points_are_marked_where_not_every_epoch_was_measured(info):
    (line,) = plot_one(sparse(), "roc_auc", "roc_auc (higher is better)").axes[0].lines
    assert line.get_marker() == "o"
    assert line.get_xdata().tolist() == [1, 10, 20]
    assert line.get_label() == "validation"
    dense = plot_one(info, "loss").axes[0].lines
    assert {line.get_marker() for line in dense} <= {"", "None"}
    assert [line.get_xdata().tolist() for line in dense] == [[1, 2], [1, 2]]


def test_trees_and_epochs_do_not_share_an_axis():
    trees = sparse(unit="trees or iterations")
    figure = plot_all([sparse(), trees], "roc_auc")
    assert [axes.get_xlabel() for axes in figure.axes] == ["epoch", "trees or iterations"]
    one, two = figure.axes
    assert not one.get_shared_x_axes().joined(one, two)
    assert one.get_shared_y_axes().joined(one, two)
