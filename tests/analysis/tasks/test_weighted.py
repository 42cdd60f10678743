import numpy as np
import pytest

from analysis.tasks.weighted import is_annealed, plot_weighted, weighted_info

CURVES = {
    "train_loss": [[4.0, 5.0], [3.0, 3.0], [1.0, 1.0]],
    "train_aux_loss": [[4.0, 5.0], [2.6, 2.4], [0.8, 0.8]],
}


@pytest.fixture
def info():
    return weighted_info("net", CURVES, annealed=True)


def test_the_comparison_has_what_the_digits_have_not(info):
    mean, std = info.curves.mean, info.curves.std
    np.testing.assert_allclose(mean["digits"], [4.5, 2.5, 0.8])
    np.testing.assert_allclose(mean["comparison"], [0.0, 0.5, 0.2])
    np.testing.assert_allclose(std["digits"], [np.sqrt(0.5), np.sqrt(0.02), 0.0])
    np.testing.assert_allclose(std["comparison"], [0.0, np.sqrt(0.02), 0.0])
    assert (info.curves.over, info.curves.number) == ("rounds", 2)


def test_the_comparison_is_enlarged_by_a_round_number_that_is_said(info):
    assert info.factor == 5
    axes = plot_weighted([info]).axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    np.testing.assert_allclose(drawn["digits"], info.curves.mean["digits"])
    np.testing.assert_allclose(drawn["comparison × 5"], 5 * info.curves.mean["comparison"])
    assert axes.get_xlabel() == "epoch"
    assert axes.get_title() == "net: annealed weights"


def test_parts_of_one_size_are_left_as_they_are():
    curves = {"train_loss": [[1.0]], "train_aux_loss": [[0.4]]}
    info = weighted_info("net", curves, annealed=False)
    assert info.factor == 1
    labels = {line.get_label() for line in plot_weighted([info]).axes[0].lines}
    assert labels == {"digits", "comparison"}


def test_a_configuration_says_whether_its_weights_move():
    assert is_annealed({"aux_schedule": "linear"})
    assert not is_annealed({"aux_schedule": "constant"})
    assert not is_annealed({})
