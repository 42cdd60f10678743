import json

import pytest

from foldsweep.objective import Objective, objectives_of

ROC_AUC = Objective(key="val_roc_auc", better="higher", equal=0.01)
PARAMS = Objective(key="num_params", better="lower", equal=0.0)


def test_a_record_names_metrics_directions_and_what_is_equal() -> None:
    record = {
        "val_roc_auc": {"better": "higher", "equal": 0.01},
        "num_params": {"better": "lower", "equal": 0},
    }
    assert objectives_of(json.dumps(record)) == {"val_roc_auc": ROC_AUC, "num_params": PARAMS}


def test_an_objective_has_a_name_and_a_sign() -> None:
    assert (ROC_AUC.name, ROC_AUC.sign, ROC_AUC.by_fold) == ("roc_auc", 1, True)
    assert ROC_AUC.test_key == "test_roc_auc"
    assert (PARAMS.sign, PARAMS.by_fold) == (-1, False)


def test_only_an_accuracy_is_a_share_of_rows() -> None:
    accuracy = Objective(key="val_accuracy", better="higher", equal=0.01)
    balanced = Objective(key="val_balanced_accuracy", better="higher", equal=0.01)
    assert (accuracy.is_share, balanced.is_share, ROC_AUC.is_share) == (True, False, False)


@pytest.mark.parametrize(
    "record",
    [
        "",
        "[]",
        '{"val_f1": 1}',
        '{"val_f1": {"better": "higher", "equal": true}}',
        '{"val_f1": {"better": "higher", "equal": NaN}}',
        '{"val_f1": {"better": "higher", "equal": -1}}',
        '{"val_f1": {"better": "maximize", "equal": 0}}',
    ],
)
def test_a_damaged_record_is_refused(record: str) -> None:
    with pytest.raises(ValueError, match=r"record|Expecting"):
        objectives_of(record)
