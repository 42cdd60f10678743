import pytest

from analysis.load import complete_trials, open_store
from analysis.results import compared_by, load_sweeps
from foldsweep import names as keys
from tests.analysis.cases import RMSE, ROC_AUC
from tests.refusals import refused, said_as, text


@pytest.fixture(scope="module")
def store(make_store):
    filled = make_store()
    filled.add("old/mlp", 0.7, 0.9)
    filled.add("new/mlp", (0.8, 0.9, 0.7), 0.95, "PRUNED", "RUNNING", folds=3, origin="a/b")
    filled.add("new/cnn", "FAIL")
    filled.add("other/cnn", 0.8, dataset="mnist")
    filled.add("chosen/mlp_ws", 0.8, select_on_test=True)
    filled.measure("new/mlp", 0, "evaluation", (0.5, 0.6))
    filled.measure("new/mlp", 0, "evaluation", (0.7, 0.9))
    filled.measure("new/mlp", 0, "finals", (0.7, 0.8, 0.9), protocol="1 x 3 folds")
    return open_store(filled.uri, "foldsweep")


def names(sweeps):
    return [sweep.name for sweep in sweeps]


def test_everything_comes_newest_first(store):
    every = ["chosen/mlp_ws", "other/cnn", "new/cnn", "new/mlp", "old/mlp"]
    assert names(load_sweeps(store)) == every


@pytest.mark.parametrize(
    ("asked", "want"),
    [
        ({"sweeps": ["new"]}, ["new/cnn", "new/mlp"]),
        ({"sweeps": ["new/mlp", "old"]}, ["new/mlp", "old/mlp"]),
        ({"spaces": ["cnn"]}, ["other/cnn", "new/cnn"]),
        ({"variants": ["mlp"], "dataset": "digits"}, ["new/mlp", "old/mlp"]),
        ({"variants": ["larger_digit/cnn"]}, ["other/cnn", "new/cnn"]),
        ({"task": "larger_digit", "sweeps": ["old"]}, ["old/mlp"]),
        ({"dataset": "mnist"}, ["other/cnn"]),
    ],
)
def test_sweeps_are_chosen_by_name_space_variant_and_dataset(store, asked, want):
    assert names(load_sweeps(store, **asked)) == want


def test_a_trial_has_its_folds_state_and_configuration(store):
    (sweep,) = load_sweeps(store, sweeps=["new/mlp"])
    assert [t.state for t in sweep.trials] == ["COMPLETE", "COMPLETE", "PRUNED", "RUNNING"]
    first, second, pruned, running = sweep.trials
    assert first.folds == (0.8, 0.9, 0.7)
    assert (first.score, first.std) == (pytest.approx(0.8), pytest.approx(0.1))
    assert (first.origin, second.origin) == ("a/b", None)
    assert first.config["lr"] == 0.001
    assert (first.num_params, first.train_time_s) == (321, 1.5)
    assert second.folds == ()  # fold scores are missing
    assert pruned.folds == running.folds == ()
    assert sweep.complete == [first]
    assert (sweep.num_folds, sweep.fold_rows) == (3, 10)
    assert (sweep.task, sweep.variant) == ("larger_digit", "mlp")


def test_measurements_of_a_trial_are_found_the_latest_first(store):
    (sweep,) = load_sweeps(store, sweeps=["new/mlp"])
    assert [m.scores for m in sweep.evaluations] == [(0.7, 0.9), (0.5, 0.6)]
    assert sweep.evaluation(0).mean == pytest.approx(0.8)
    assert sweep.evaluation(1) is None
    (finals,) = sweep.finals
    assert (finals.trial, finals.protocol) == (0, "1 x 3 folds")
    assert finals.scores == (0.7, 0.8, 0.9)


def test_the_same_rows_and_folds_are_known_by_what_trials_were_judged_on(store):
    judged = {s.name: s.judged_on for s in load_sweeps(store)}
    assert judged["old/mlp"] == judged["chosen/mlp_ws"]
    assert len({judged[name] for name in ("old/mlp", "new/mlp", "other/cnn")}) == 3


def test_selection_on_test_is_known(store):
    assert [s.name for s in load_sweeps(store) if s.selected_on_test] == ["chosen/mlp_ws"]


def test_a_trial_whose_metric_is_not_finite_has_no_scores(make_store):
    filled = make_store()
    filled.add("a/mlp", (0.8, 0.85, 0.9), (0.7, 0.8, 0.9), folds=3)
    run_id = filled.trials["a/mlp", 0]
    filled.client.log_metric(run_id, "fold_1/val_accuracy", float("nan"), step=9)
    (sweep,) = load_sweeps(open_store(filled.uri, "foldsweep"))
    assert [t.number for t in sweep.complete] == [1]


def test_a_filter_of_mlflow_chooses_trials(store):
    (sweep,) = load_sweeps(store, sweeps=["old"], matching="params.lr = '0.002'")
    assert [t.number for t in sweep.trials] == [1]


@pytest.mark.parametrize(
    ("asked", "name", "known"),
    [
        (
            {"sweeps": ["newest"]},
            "newest",
            "chosen, chosen/mlp_ws, new, new/cnn, new/mlp, old, old/mlp, other, other/cnn",
        ),
        ({"spaces": ["rnn"]}, "rnn", "cnn, mlp, mlp_ws"),
        ({"dataset": "cifar"}, "cifar", "digits, mnist"),
        ({"task": "churn"}, "churn", "larger_digit"),
        (
            {"variants": ["churn/mlp"]},
            "churn/mlp",
            "cnn, larger_digit/cnn, larger_digit/mlp, larger_digit/mlp_ws, mlp, mlp_ws",
        ),
    ],
)
def test_what_is_unknown_is_refused_with_what_is_known(store, asked, name, known):
    with refused("analysis-results.name-unknown", name=name, known=known):
        load_sweeps(store, **asked)


def test_filters_that_choose_nothing_are_refused(store):
    with refused("analysis-results.no-sweep", which=" that matches mlp and mnist"):
        load_sweeps(store, variants=["mlp"], dataset="mnist")
    with refused("analysis-results.filter-invalid", filter="accuracy is high"):
        load_sweeps(store, matching="accuracy is high")


# Tasks of other metrics -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def others(make_store):
    filled = make_store()
    houses = {"task": "houses", "dataset": "houses", "measured": "val_rmse"}
    filled.add("early/mlp", 0.9, without=(keys.TAG_TASK, keys.TAG_METRICS))
    filled.add("prices/ridge", 53.0, 51.5, 60.0, objective="val_rmse", num_params=0.0, **houses)
    filled.add("small/ridge", 53.0, objective="num_params val_rmse", **houses)
    repeated = tuple(0.9 + 0.01 * i for i in range(6))
    filled.add(
        "auc/mlp", repeated, folds=3, repeats=2, measured="val_roc_auc", objective="val_roc_auc"
    )
    filled.measure("prices/ridge", 1, "evaluation", (50.0, 52.0), measured="val_rmse")
    return open_store(filled.uri, "foldsweep")


def load(store, *sweeps):
    said = []
    return load_sweeps(store, sweeps=sweeps, notice=said.append), said


def test_the_lowest_error_is_the_best(others):
    (sweep,), _ = load(others, "prices")
    assert sweep.objective == sweep.measure == RMSE
    assert [t.score for t in sweep.complete] == [51.5, 53.0, 60.0]
    assert sweep.evaluation(1).scores == (50.0, 52.0)


def test_a_metric_by_fold_is_compared_where_the_objective_is_none(others):
    (sweep,), _ = load(others, "small")
    assert (sweep.objective.key, sweep.measure) == ("num_params", RMSE)


def test_folds_are_those_of_one_repeat(others):
    (sweep,), _ = load(others, "auc")
    assert len(sweep.trials[0].folds) == 6
    assert (sweep.measure, sweep.num_folds, sweep.fold_rows) == (ROC_AUC, 3, 10)


def test_a_sweep_can_be_compared_by_what_else_it_measured(others):
    (sweep,), _ = load(others, "prices")
    by_loss = compared_by(sweep, sweep.metrics["val_loss"])
    assert [t.score for t in by_loss.complete] == [-59.0, -52.0, -50.5]
    assert by_loss.evaluation(1).scores == ()
    assert compared_by(sweep, ROC_AUC).complete == []


def test_a_sweep_of_an_earlier_version_is_left_out_and_hides_no_other(others):
    found, said = load(others)
    assert names(found) == ["auc/mlp", "small/ridge", "prices/ridge"]
    why = text("load.sweep-of-earlier-version")
    assert said == [text("analysis-results.left-out", sweep="early/mlp", why=why)]
    assert load(others, "auc")[1] == []
    with refused("analysis-results.none-readable", which=" that matches early and", reason=why):
        load(others, "early")


# Damaged runs -----------------------------------------------------------------------------------


def damaged(make_store, capsys, tag, value, run="trial"):
    """Damage a tag of a run and check the warning: trials still read by sweep, and the store."""
    filled = make_store()
    filled.add("bad/mlp", 0.5, 0.75, 0.625)
    filled.add("good/cnn", 0.5, 0.75)
    run_id = filled.trials["bad/mlp", 1] if run == "trial" else filled.parents["bad/mlp"]
    if value is None:
        filled.client.delete_tag(run_id, tag)
    else:
        filled.client.set_tag(run_id, tag, value)
    store = open_store(filled.uri, "foldsweep")
    sweeps = load_sweeps(store, notice=lambda line: None)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said_as("load.left-out", run=run_id).search(said)
    return {s.name: [t.number for t in s.trials] for s in sweeps}, store


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (keys.TAG_CONFIG, '{"hidden": [1, 2'),  # truncated, as MLflow does
        (keys.TAG_CONFIG, "[1]"),
        (keys.TAG_CONFIG, "[" * 5000),
        (keys.TAG_CONFIG, "in parts: 2"),
        (keys.TAG_TRIAL, "one"),
        (keys.TAG_VARIANT, None),
    ],
)
def test_a_damaged_trial_is_left_out_with_a_line_and_hides_no_other(
    make_store, capsys, tag, value
):
    found, store = damaged(make_store, capsys, tag, value)
    assert found == {"good/cnn": [0, 1], "bad/mlp": [0, 2]}
    if tag != keys.TAG_VARIANT:
        runs = complete_trials(store, "bad/mlp")
        assert [run.data.tags[keys.TAG_TRIAL] for run in runs] == ["2", "0"]


@pytest.mark.parametrize(
    ("tag", "value"),
    [(keys.TAG_SPACE, None), (keys.TAG_FOLDS, "five"), (keys.TAG_OVERLAP, "x")],
)
def test_a_damaged_sweep_is_left_out_with_a_line_and_hides_no_other(
    make_store, capsys, tag, value
):
    found, _ = damaged(make_store, capsys, tag, value, run="sweep")
    assert found == {"good/cnn": [0, 1]}
