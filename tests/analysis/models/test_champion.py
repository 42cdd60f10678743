"""Rules by which a new model replaces the champion, for models of every kind."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.models import difference
from analysis.models.champion import Champion, judge
from analysis.models.difference import mcnemar
from analysis.models.trained import Places, Trained
from tests.trainables.keep.cases import (
    customers,
    of_space,
    recipe_of,
    sequences,
    table,
    task_data,
)
from trainables.config import TrialConfig
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.keep.fit import fit
from trainables.models.pairs.variants import MLP
from trainables.tasks import disc
from trainables.variants import VARIANTS

SOURCE = digits_source()


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(difference, "RESAMPLES", difference.FEWEST)


def images(*, seed=0, rows=300, source=SOURCE, **config):
    data = draw_pairs(source, seed=seed, train_pairs=rows, test_pairs=300)
    recipe = recipe_of(MLP, MLP.config(**config), data, seed=seed)
    return Trained(model=fit(recipe, MLP, data), data=data)


@pytest.fixture(scope="module")
def weak():
    return images(epochs=1, lr=1e-5)


@pytest.fixture(scope="module")
def strong():
    return images(epochs=12, lr=0.003)


def champion(trained, **recipe):
    model = replace(trained.model, recipe=replace(trained.model.recipe, **recipe))
    return Champion(version="7", model=model)


def test_first_one_wins(weak):
    verdict = judge(weak, None)
    assert verdict.wins
    score = weak.measured(weak.model).value()
    assert verdict.why == f", the first one: accuracy {score:.4f} on 300 test pairs"


def test_better_one_wins(weak, strong):
    verdict = judge(strong, champion(weak))
    assert verdict.wins
    ours, theirs = (strong.measured(t.model) for t in (strong, weak))
    assert verdict.why == (
        f" in place of version 7: accuracy {ours.value():.4f} against {theirs.value():.4f}"
        f" on the same 300 digits pairs, p = {mcnemar(ours.right, theirs.right):.2g}"
    )


def test_worse_or_equal_one_does_not(weak, strong):
    for challenger in (weak, strong):
        verdict = judge(challenger, champion(strong))
        assert not verdict.wins
        assert verdict.why.startswith(" version 7: accuracy 0.")
    assert verdict.why.endswith("on the same 300 digits pairs, p = 1")


# Training data of the champion -------------------------------------------------------------------


def test_champion_of_other_rows_is_compared_on_these(strong):
    """The images of training pairs are never those of test pairs, for any draw of pairs."""
    other = images(seed=5, rows=200, epochs=1, lr=1e-5)
    verdict = judge(strong, champion(other))
    assert verdict.wins
    assert verdict.why.endswith("(version 7 was trained on other data: digits, seed 5)")


def test_champion_whose_data_is_not_known_is_not_compared(weak, strong):
    verdict = judge(strong, champion(weak, data_digest="another"))
    assert not verdict.wins
    assert verdict.why == (
        " version 7, not compared: its training data, digits, seed 0, cannot be read here"
    )


def test_champion_that_has_seen_parts_of_the_test_rows_is_not_compared(strong, monkeypatch):
    """Overlap is checked by single images, not by pairs."""
    both = replace(
        SOURCE,
        train=replace(
            SOURCE.train,
            images=np.concatenate([SOURCE.test.images, SOURCE.train.images]),
            labels=np.concatenate([SOURCE.test.labels, SOURCE.train.labels]),
        ),
    )
    cheat = images(source=both, epochs=1)
    monkeypatch.setattr(Places, "data_of", lambda self, recipe, task: cheat.data)
    verdict = judge(strong, champion(cheat))
    assert not verdict.wins
    assert verdict.why == (
        " version 7, not compared: some of these test pairs were among its training data"
    )


def points(seed=0, **config):
    variant = VARIANTS["disc_relu"]
    data = disc.draw(seed, 100, 60)
    recipe = recipe_of(variant, variant.config(epochs=1, **config), data, seed=seed)
    return Trained(model=fit(recipe, variant, data), data=data)


def test_models_of_two_tasks_are_not_compared(strong):
    verdict = judge(strong, champion(points()))
    assert not verdict.wins
    assert verdict.why == " version 7, not compared: it is a model of another task, disc"


def test_rows_without_parts_of_their_own_are_looked_through_whole():
    """Points are checked as whole rows: only a champion trained on them is not compared."""
    new, other = points(), points(seed=9)
    assert "p = " in judge(new, champion(other)).why
    swapped = replace(new, data=replace(new.data, test=other.data.train, own_digest="other"))
    assert "were among its training data" in judge(swapped, champion(other)).why


# Tables ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def of_table(folder, space, target, *, objective=None, seed=0, options=None, **config):
    task = table(folder, target, objective, **(options or {}))
    variant, full = of_space(space, task, **config)
    data = task_data(task)
    recipe = recipe_of(variant, full, data, seed=seed, trial=seed)
    places = Places(path=folder / "customers.csv")
    return Trained(model=fit(recipe, variant, data), data=data, places=places)


@pytest.mark.slow
def test_network_and_estimator_are_compared_on_the_task_s_objective(folder):
    half = {"objective": "roc_auc", "options": {"holdout": 0.5}}
    network = of_table(folder, "mlp", "left", epochs=1, lr=1e-6, **half)
    forest = of_table(folder, "random_forest", "left", n_estimators=50, **half)
    verdict = judge(forest, champion(network))
    assert verdict.wins
    assert verdict.why.startswith(" in place of version 7: roc_auc 0.")
    assert "on the same 80 customers rows, 95 % interval of the difference 0." in verdict.why
    assert not judge(network, champion(forest)).wins
    same = judge(forest, champion(forest))
    assert not same.wins
    assert same.why.endswith("interval of the difference 0.0000 to 0.0000")


def test_lower_error_wins(folder):
    ridge = of_table(folder, "ridge", "bill", objective="rmse")
    network = of_table(folder, "mlp", "bill", objective="rmse", epochs=1, lr=1e-6)
    assert judge(ridge, champion(network)).wins
    assert not judge(network, champion(ridge)).wins


def test_objective_is_that_of_the_new_model(folder):
    by_accuracy = of_table(folder, "logistic", "left")
    by_auc = of_table(folder, "random_forest", "left", objective="roc_auc", n_estimators=20)
    assert " roc_auc " in judge(by_auc, champion(by_accuracy)).why
    assert " accuracy " in judge(by_accuracy, champion(by_auc)).why


def test_objective_that_is_no_metric_of_rows_is_replaced_by_the_task_s(folder):
    by_loss = of_table(folder, "logistic", "left")
    recipe = replace(by_loss.model.recipe, objective="loss")
    by_loss = replace(by_loss, model=replace(by_loss.model, recipe=recipe))
    assert judge(by_loss, champion(by_loss)).why.startswith(" version 7: accuracy 0.")


def test_other_columns_are_not_compared(folder, tmp_path):
    (tmp_path / "customers.csv").write_text(
        customers().assign(more=np.arange(160) % 7).to_csv(index=False)
    )
    one, two = of_table(folder, "logistic", "left"), of_table(tmp_path, "logistic", "left")
    verdict = judge(two, champion(one))
    assert not verdict.wins
    assert verdict.why == (
        " version 7, not compared: it was trained on customers, seed 0, whose inputs or classes"
        " differ"
    )


def test_another_draw_of_the_same_file_has_seen_these_rows(folder):
    one = of_table(folder, "logistic", "left")
    wide = of_table(folder, "logistic", "left", options={"holdout": 0.5})
    verdict = judge(wide, champion(one))
    assert not verdict.wins
    assert "some of these test rows were among its training data" in verdict.why


def test_file_that_is_gone_is_not_compared(folder, tmp_path):
    (tmp_path / "customers.csv").write_text(customers(seed=3).to_csv(index=False))
    one, two = of_table(folder, "logistic", "left"), of_table(tmp_path, "logistic", "left")
    verdict = judge(two, champion(one))
    assert not verdict.wins
    assert "customers, seed 0, cannot be read here" in verdict.why


def test_grouped_rows_are_compared_by_groups(folder, tmp_path):
    frame = customers().assign(house=np.arange(160) // 4)
    (tmp_path / "customers.csv").write_text(frame.to_csv(index=False))
    trained = of_table(tmp_path, "logistic", "left", options={"group": "house"})
    assert trained.groups is not None
    assert "95 % interval of the difference" in judge(trained, champion(trained)).why
    assert of_table(folder, "logistic", "left").groups is None


def test_fold_column_makes_no_groups(tmp_path):
    frame = customers().assign(part=np.arange(160) % 4)
    (tmp_path / "customers.csv").write_text(frame.to_csv(index=False))
    trained = of_table(tmp_path, "logistic", "left", options={"fold": "part"})
    assert trained.data.test_rows.groups is not None
    assert trained.groups is None


def test_without_test_rows_the_champion_stays():
    task = sequences()
    from tests.trainables.keep.cases import SMALL, Recurrent
    from trainables.tasks.task import Variant

    variant = Variant(name="own", task=task, model=Recurrent, config=TrialConfig)
    data = task_data(task)
    model = fit(recipe_of(variant, TrialConfig(**SMALL), data), variant, data)
    trained = Trained(model=model, data=data)
    assert judge(trained, None).why == ", the first one: no test rows to measure on"
    verdict = judge(trained, champion(trained))
    assert not verdict.wins
    assert verdict.why == " version 7, not compared: there are no test rows to compare on"
    assert trained.scores == {}
