import numpy as np
import pytest

from analysis.plots.classes import (
    MOST_LISTED,
    calibration_info,
    confusion_info,
    plot_calibrations,
    plot_confusions,
)


def evaluation(confusion, classes=None, **more):
    names = classes or [f"class {i}" for i in range(len(confusion))]
    return {
        "kind": "classification",
        "rounds": 2,
        "classes": names,
        "confusion": confusion,
        **more,
    }


def texts(axes):
    """Texts in a confusion matrix by (actual, predicted) class."""
    return {
        (round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in axes.texts
    }


def test_shares_are_of_the_actual_class():
    info = confusion_info("net", evaluation([[6, 2, 0], [0, 0, 0], [1, 0, 3]]))
    np.testing.assert_allclose(info.share[0], [0.75, 0.25, 0.0])
    assert np.isnan(info.share[1]).all()  # a class that never occurs


def test_a_matrix_has_actual_classes_down_and_answers_across():
    info = confusion_info("net", evaluation([[50, 3], [1, 40]], ["benign", "malignant"]))
    axes = plot_confusions([info]).axes[0]
    assert texts(axes) == {(0, 0): "50", (0, 1): "3", (1, 0): "1", (1, 1): "40"}
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("actual", "predicted")
    assert [t.get_text() for t in axes.get_xticklabels()] == ["benign", "malignant"]
    assert axes.get_title() == "net\n2 x 47 rows"


def test_mistakes_that_were_not_made_are_left_blank():
    info = confusion_info("net", evaluation([[5, 0], [0, 0]]))
    assert texts(plot_confusions([info]).axes[0]) == {(0, 0): "5", (1, 1): "0"}


@pytest.mark.parametrize(
    ("number", "infos"), [(2, 1), (2, 4), (5, 1), (5, 5), (10, 1), (20, 1), (30, 1), (30, 3)]
)
def test_no_label_is_cut_off(number, infos):
    confusion = np.full((number, number), 1234).tolist()
    names = [f"a class of a long name {i}" for i in range(number)]
    info = confusion_info("net", evaluation(confusion, names))
    figure = plot_confusions([info] * infos)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    for axes in filter(lambda axes: axes.get_visible(), figure.axes):
        box = axes.get_tightbbox().transformed(figure.dpi_scale_trans.inverted())
        assert box.x0 > -0.02
        assert box.y0 > -0.02
        assert box.x1 < width + 0.02
        assert box.y1 < height + 0.02


def test_of_many_classes_the_most_frequent_mistakes_are_listed():
    number = 30
    confusion = np.diag(np.full(number, 90))
    confusion[3, 7], confusion[12, 1], confusion[8, 9] = 10, 6, 2
    info = confusion_info("net", evaluation(confusion.tolist()))
    axes = plot_confusions([info]).axes[0]
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels == ["class 3 → class 7", "class 12 → class 1", "class 8 → class 9"]
    assert [t.get_text() for t in axes.texts] == ["10 (10 %)", "6 (6 %)", "2 (2 %)"]
    low, high = axes.get_ylim()
    assert low > high  # the most frequent is on top


def test_no_more_are_listed_than_fit():
    info = confusion_info("net", evaluation(np.ones((30, 30), dtype=int).tolist()))
    assert len(info.listed) == MOST_LISTED
    assert all(actual != answered for actual, answered in info.listed)
    perfect = confusion_info("net", evaluation(np.eye(30, dtype=int).tolist()))
    assert perfect.listed == []
    assert plot_confusions([perfect]).axes


CALIBRATION = {"predicted": [0.1, 0.9], "observed": [0.2, 0.8], "count": [30, 10]}


def test_the_calibration_error_is_the_mean_distance_from_the_diagonal():
    info = calibration_info("net", {"calibration": {**CALIBRATION, "observed": [0.1, 0.5]}})
    assert info.error == pytest.approx(0.4 * 10 / 40)


def test_a_calibration_has_its_curve_and_its_counts():
    info = calibration_info("net", {"calibration": CALIBRATION})
    curve, counts = plot_calibrations([info]).axes
    diagonal, line, hollow = curve.lines
    assert list(diagonal.get_ydata()) == [0, 1]
    np.testing.assert_allclose([line.get_xdata(), line.get_ydata()], [[0.1, 0.9], [0.2, 0.8]])
    assert line.get_label() == "net (ECE 0.100)"
    assert counts.lines[0].get_ydata().tolist() == [30, 10]
    assert hollow.get_xdata().tolist() == [0.9]  # this bin has only 10 predictions


def test_answers_without_probabilities_have_no_calibration():
    assert calibration_info("net", evaluation([[1, 0], [0, 1]])) is None
