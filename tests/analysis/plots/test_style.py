import pytest
from matplotlib.figure import Figure

from analysis.plots.style import axis_label, in_two_lines, log_ticks, looks
from foldsweep.objective import Objective
from tests.analysis.cases import RMSE


def test_names_have_one_look_whatever_their_order():
    assert looks(["b", "a", "b"]) == looks(["a", "b"])
    many = looks(map(str, range(30)))
    assert len(many) == len(set(many.values())) == 30


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (32, 90, {"40", "60", "80"}),
        (0.0005, 0.01, {"0.001", "0.002", "0.005"}),
        (1e-6, 1e-2, {"1e-5", "0.0001", "0.001"}),
        (15_000, 300_000, {"20k", "50k", "100k", "200k"}),
        (9_000, 600_000, {"10k", "30k", "100k", "300k"}),
    ],
)
def test_logarithmic_axes_have_a_few_plain_numbers(low, high, ticks):
    figure = Figure()
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    log_ticks(axes.xaxis)
    figure.draw_without_rendering()
    shown = {
        label.get_text()
        for place, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        if low < place < high
    }
    assert ticks <= shown
    assert len(shown) <= 6


def test_units_go_to_a_line_of_their_own():
    assert in_two_lines("training time (s)") == "training time\n(s)"
    assert in_two_lines("parameters") == "parameters"


def test_axes_say_which_way_is_better():
    assert axis_label(RMSE) == "validation rmse (lower is better)"
    assert axis_label(RMSE, "test") == "test rmse (lower is better)"
    size = Objective(key="num_params", better="lower", equal=0.0)
    assert axis_label(size) == "trainable parameters"
