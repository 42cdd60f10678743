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


def test_address_names_experiment_and_view() -> None:
    page = "http://host:5000/#/experiments/7/runs?workflowType=machine_learning"
    assert address("http://host:5000/", "7", None) == page
    assert address("http://host:5000", "7") == f"{page}&viewStateShareKey={SWEEPS}"
