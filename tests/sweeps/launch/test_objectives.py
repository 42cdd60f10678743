"""Valid objectives of a sweep."""

from collections.abc import Callable

import pytest

from tests.sweeps.launch.launches import Given


@pytest.mark.parametrize("name", ["accuracy", "val_accuracy", "f1_macro", "val_roc_auc"])
def test_an_objective_goes_by_either_name(
    name: str, launched: Callable[..., Given], capsys: pytest.CaptureFixture[str]
) -> None:
    given = launched(data="iris", space=("logistic",), objective=(name,), name="first")
    short = name.removeprefix("val_")
    assert given["first"][0].objective == (f"val_{short}",)
    assert f"objective: {short}" in capsys.readouterr().out


@pytest.mark.parametrize("objective", ["num_params", "loss", "train_time_s"])
def test_what_every_task_has_can_be_the_objective(
    objective: str, launched: Callable[..., Given]
) -> None:
    given = launched(data="iris", space=("mlp",), objective=(objective,), name="first")
    assert given["first"][0].objective == ("val_loss" if objective == "loss" else objective,)


def test_several_objectives_may_be_metrics_that_are_not_the_task_s_own(
    launched: Callable[..., Given],
) -> None:
    given = launched(
        data="iris", space=("logistic",), objective=("roc_auc", "f1_macro"), name="first"
    )
    assert given["first"][0].objective == ("val_roc_auc", "val_f1_macro")
