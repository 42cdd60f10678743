import numpy as np
import pytest

from analysis.plots.history import history_info, plot_histories
from tests.analysis.cases import ACCURACY, LOSS, sweep, trial

UP = [(0.4, 0.6), (0.6, 0.8), "PRUNED", (0.6, 0.6), "FAIL", (0.7, 0.9), "RUNNING", "PRUNED"]
DOWN = [(0.4, 0.6), (0.6, 0.8), (0.6, 0.6)]


@pytest.fixture
def sweeps():
    def swept(name, accuracies, **options):
        trials = [trial(i, folds, name=name) for i, folds in enumerate(accuracies)]
        trials[0] = trial(0, accuracies[0], name=name, origin=options.pop("origin", None))
        return sweep(name, *trials, **options)

    up = swept("up/mlp", UP, origin="report/row")
    return {"up": up, "down": swept("down/mlp", DOWN, objective=LOSS, measure=ACCURACY)}


def test_the_best_so_far_is_of_complete_trials_in_order(sweeps):
    info = history_info(sweeps["up"], name="net")
    assert info.number.tolist() == [0, 1, 3, 5]
    np.testing.assert_allclose(info.value, [0.5, 0.7, 0.6, 0.8])
    np.testing.assert_allclose(info.best, [0.5, 0.7, 0.7, 0.8])
    np.testing.assert_allclose(info.std, np.sqrt([0.02, 0.02, 0.0, 0.02]))
    assert info.stopped.tolist() == [2, 7]
    assert info.baseline == (0, 0.5)


def test_the_best_is_the_lowest_where_less_is_better(sweeps):
    info = history_info(sweeps["down"], name="net")
    np.testing.assert_allclose(info.best, [0.5, 0.3, 0.3])
    assert info.baseline is None


def test_the_best_is_drawn_to_the_last_trial(sweeps):
    axes = plot_histories([history_info(sweeps["up"], name="net")]).axes[0]
    best = next(line for line in axes.lines if line.get_label() == "best so far")
    assert best.get_xdata()[-1] == 7
    assert best.get_ydata()[-1] == 0.8
    assert axes.get_xlabel() == "trial"


def test_one_sweep_of_one_trial_can_be_drawn():
    alone = sweep("one/mlp", trial(0, (0.5, 0.5), name="one/mlp"))
    assert plot_histories([history_info(alone, name="net")]).axes


def test_sweeps_of_different_objectives_do_not_share_an_axis(sweeps):
    infos = [history_info(s, name=n) for n, s in sweeps.items()]
    labels = {axes.get_ylabel().partition("\n")[0] for axes in plot_histories(infos).axes}
    assert labels == {"validation accuracy", "validation loss"}
