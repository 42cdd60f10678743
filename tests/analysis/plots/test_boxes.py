from dataclasses import replace

from analysis.plots.boxes import BoxInfo, box_info, plot_boxes
from tests.analysis.cases import ACCURACY, RMSE, sweep, trial

TRIALS = [trial(i, folds, name="one/mlp") for i, folds in enumerate([(0.6, 0.8), (0.7, 0.75)])]
SWEEP = sweep("one/mlp", *TRIALS, rounds={1: (0.5, 0.6, 0.7)})


def test_a_box_holds_the_rounds_of_the_evaluated_trial():
    info = box_info(SWEEP, TRIALS[1], name="net")
    assert (info.over, info.values) == ("rounds", (0.5, 0.6, 0.7))


def test_folds_stand_for_rounds_where_there_are_none():
    info = box_info(SWEEP, TRIALS[0], name="net")
    assert (info.over, info.values) == ("folds", (0.6, 0.8))


def test_every_single_value_is_a_point():
    infos = [
        BoxInfo(name="a", over="rounds", values=(0.5, 0.6, 0.7)),
        BoxInfo(name="b", over="rounds", values=(0.9,)),
    ]
    (axes,) = plot_boxes(infos, ACCURACY).axes
    points = [sorted(c.get_offsets()[:, 1].tolist()) for c in axes.collections]
    assert points == [[0.5, 0.6, 0.7], [0.9]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a\nn = 3", "b\nn = 1"]
    assert axes.get_ylabel() == "test accuracy (higher is better)\none point per round"
    (axes,) = plot_boxes(infos, RMSE).axes
    assert axes.get_ylabel().startswith("test rmse (lower is better)")


def test_rounds_and_folds_are_never_on_one_axis():
    rounds = BoxInfo(name="a", over="rounds", values=(0.5, 0.6))
    folds = replace(rounds, name="b", over="folds")
    labels = [
        axes.get_ylabel().partition(" ")[0] for axes in plot_boxes([folds, rounds], ACCURACY).axes
    ]
    assert labels == ["test", "validation"]


def test_a_long_name_is_cut_in_two_lines():
    info = BoxInfo(name="hist_gradient_boosting", over="rounds", values=(0.5, 0.6))
    (label,) = plot_boxes([info], ACCURACY).axes[0].get_xticklabels()
    assert label.get_text() == "hist_gradient_\nboosting\nn = 2"
