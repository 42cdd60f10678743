import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.plots.interactive import interactive_tradeoff, write_html
from analysis.plots.tradeoffs import COSTS, pareto_front, plot_tradeoff, shown_cost, tradeoff_info
from tests.analysis.cases import RMSE, sweep, trial


def test_the_front_is_what_nothing_beats():
    cost = [3.0, 1.0, 2.0, 4.0, 2.0, 1.0]
    value = [0.9, 0.5, 0.7, 0.8, 0.6, 0.5]
    assert pareto_front(cost, value) == (1, 2, 0)
    assert pareto_front([], []) == ()


values = st.integers(0, 9).map(float)
points = st.lists(st.tuples(values, values), min_size=1, max_size=12)


@given(points)
def test_every_point_is_matched_by_the_front_and_no_member_by_another(points):
    cost, value = zip(*points, strict=True)
    front = pareto_front(cost, value)
    for c, v in points:
        assert any(cost[i] <= c and value[i] >= v for i in front)
    costs, values = [cost[i] for i in front], [value[i] for i in front]
    assert costs == sorted(set(costs))
    assert values == sorted(set(values))


@pytest.fixture
def sweeps():
    """Sweeps whose complete trials took 400, 200 and 100 seconds."""
    mlp = [
        trial(0, (0.6, 0.8), name="a/mlp", train_time_s=200.0, origin="report/row"),
        trial(1, (0.5, 0.7), name="a/mlp", train_time_s=100.0),
        trial(2, "PRUNED", name="a/mlp", train_time_s=1.0, num_params=1.0),
    ]
    cnn = trial(0, (0.8, 0.9), name="a/cnn", train_time_s=400.0)
    return [sweep("a/cnn", cnn), sweep("a/mlp", *mlp)]


@pytest.fixture
def info(sweeps):
    return tradeoff_info(sweeps, "train_time_s")


def test_complete_trials_of_all_sweeps_are_compared(info):
    assert [(t.variant, t.number) for t in info.trials] == [("cnn", 0), ("mlp", 0), ("mlp", 1)]
    assert info.x == (400.0, 200.0, 100.0)
    assert info.front == (2, 1, 0)


def test_a_trial_without_its_cost_is_left_out():
    unknown = trial(0, (0.5, 0.6), name="a/mlp", num_params=0.0)
    assert tradeoff_info([sweep("a/mlp", unknown)], "num_params").trials == ()


@pytest.mark.parametrize("cost", COSTS)
def test_axes_have_labels_and_the_front_its_members(sweeps, cost):
    figure = plot_tradeoff(tradeoff_info(sweeps, cost))
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert "(s)" in axes.get_xlabel() or axes.get_xlabel() == "trainable parameters"
    assert axes.get_ylabel().startswith("validation accuracy (higher is better)")
    (legend,) = figure.legends
    assert {"cnn", "mlp", "Pareto front"} <= {text.get_text() for text in legend.get_texts()}
    assert "cnn, trial 0" in legend.get_title().get_text()


def test_the_front_is_drawn_as_steps(info):
    axes = plot_tradeoff(info).axes[0]
    front = next(line for line in axes.lines if line.get_label() == "Pareto front")
    assert front.get_drawstyle() == "steps-post"
    assert front.get_ydata() == pytest.approx([0.6, 0.7, 0.85, 0.85])


def test_costs_are_shown_with_their_unit():
    assert shown_cost(12345.0, "num_params") == "12,345 parameters"
    assert shown_cost(1.23456, "train_time_s") == "1.23 s"


def test_pages_need_no_network(info, tmp_path):
    paths = write_html(
        {"one": interactive_tradeoff(info), "two": interactive_tradeoff(info)}, tmp_path
    )
    assert [path.name for path in paths] == ["one.html", "two.html"]
    assert (tmp_path / "plotly.min.js").is_file()
    for path in paths:
        page = path.read_text()
        assert "cnn trial 0" in page
        assert 'src="http' not in page


def test_the_front_of_errors_falls():
    errors = [
        trial(i, (error, error + 2), name="a/mlp", measure=RMSE, train_time_s=seconds)
        for i, (error, seconds) in enumerate([(50.0, 100.0), (40.0, 200.0), (45.0, 300.0)])
    ]
    info = tradeoff_info([sweep("a/mlp", *errors, objective=RMSE)], "train_time_s")
    assert [info.trials[i].number for i in info.front] == [0, 1]
    figure = plot_tradeoff(info)
    assert figure.axes[0].get_ylabel().startswith("validation rmse (lower is better)")
    assert "100 s: 51.000 ± 1.414" in figure.legends[0].get_title().get_text()
    assert (
        interactive_tradeoff(info).layout.yaxis.title.text == "validation rmse (lower is better)"
    )
