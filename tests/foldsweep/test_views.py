import json

from foldsweep.views import SWEEPS, TAG, TRIALS, address, view_tags


def test_views_have_mean_and_std_and_an_order() -> None:
    views = {key.removeprefix(TAG): json.loads(value) for key, value in view_tags().items()}
    assert set(views) == {SWEEPS, TRIALS}
    for view in views.values():
        state = json.loads(view["state"])
        assert {"metrics.`val_accuracy`", "metrics.`val_accuracy_std`"} <= set(
            state["selectedColumns"]
        )
        assert set(state["selectedColumns"]) < set(state["columnOrder"])
        assert set(state["columnOrder"]) == set(state["columnWidths"])
    assert json.loads(views[SWEEPS]["state"])["orderByKey"] == "attributes.start_time"
    assert "COMPLETE" in json.loads(views[TRIALS]["state"])["searchFilter"]
    assert view_tags() == view_tags()


def test_views_are_of_the_task_s_own_objective() -> None:
    views = view_tags("val_rmse", better="lower")
    for value in views.values():
        selected = json.loads(json.loads(value)["state"])["selectedColumns"]
        assert {"metrics.`val_rmse`", "metrics.`val_rmse_std`"} <= set(selected)
        assert "accuracy" not in value
    trials = json.loads(json.loads(views[TAG + TRIALS])["state"])
    assert (trials["orderByKey"], trials["orderByAsc"]) == ("metrics.`val_rmse`", True)
    plain = view_tags("num_params", better="lower")
    assert "num_params_std" not in "".join(plain.values())


def test_address_names_experiment_and_view() -> None:
    page = "http://host:5000/#/experiments/7/runs?workflowType=machine_learning"
    assert address("http://host:5000/", "7", None) == page
    assert address("http://host:5000", "7") == f"{page}&viewStateShareKey={SWEEPS}"


def test_columns_and_order_are_those_of_the_objective() -> None:
    tags = view_tags("val_rmse", better="lower")
    states = [json.loads(json.loads(tags[f"{TAG}{view}"])["state"]) for view in (SWEEPS, TRIALS)]
    for state in states:
        assert {"metrics.`val_rmse`", "metrics.`val_rmse_std`"} <= set(state["selectedColumns"])
        assert not any("accuracy" in column for column in state["columnOrder"])
    assert (states[1]["orderByKey"], states[1]["orderByAsc"]) == ("metrics.`val_rmse`", True)
    trials = json.loads(json.loads(view_tags()[f"{TAG}{TRIALS}"])["state"])
    assert (trials["orderByKey"], trials["orderByAsc"]) == ("metrics.`val_accuracy`", False)
    size = json.loads(json.loads(view_tags("num_params")[f"{TAG}{SWEEPS}"])["state"])
    assert size["columnOrder"].count("metrics.`num_params`") == 1
    assert "metrics.`num_params_std`" not in size["columnOrder"]
