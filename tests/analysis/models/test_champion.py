"""Rules by which a new model replaces the champion, for models of every kind."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.models import difference
from analysis.models.champion import Champion, judge
from analysis.models.difference import mcnemar
from analysis.models.trained import Places, Trained
from tests.refusals import said_as, text
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


def stays(kind, **values):
    """Why a champion of version 7 stays without a comparison."""
    return text("champion.stays", version="7", why=text(kind, **values))


def drawn(name):
    return text("champion.data", dataset=name, seed=0)


def test_first_one_wins(weak):
    verdict = judge(weak, None)
    assert verdict.wins
    score = weak.measured(weak.model).value()
    measured = text(
        "trained.score", metric="accuracy", score=f"{score:.4f}", rows=300, unit="pairs"
    )
    assert verdict.why == text("champion.first", score=measured)


def test_better_one_wins(weak, strong):
    verdict = judge(strong, champion(weak))
    assert verdict.wins
    ours, theirs = (strong.measured(t.model) for t in (strong, weak))
    finding = text(
        "champion.compared",
        metric="accuracy",
        score=f"{ours.value():.4f}",
        other_score=f"{theirs.value():.4f}",
        rows="300 digits pairs",
        test=text("difference.p-value", p=mcnemar(ours.right, theirs.right)),
    )
    assert verdict.why == text("champion.better", version="7", finding=finding)


def test_worse_or_equal_one_does_not(weak, strong):
    for challenger in (weak, strong):
        verdict = judge(challenger, champion(strong))
        assert not verdict.wins
        assert said_as("champion.not-better", version="7").fullmatch(verdict.why)
    equal = text("difference.p-value", p=1)
    rows = "300 digits pairs"
    assert said_as("champion.compared", metric="accuracy", rows=rows, test=equal).search(
        verdict.why
    )


# Training data of the champion -------------------------------------------------------------------


def test_champion_of_other_rows_is_compared_on_these(strong):
    """The images of training pairs are never those of test pairs, for any draw of pairs."""
    other = images(seed=5, rows=200, epochs=1, lr=1e-5)
    verdict = judge(strong, champion(other))
    assert verdict.wins
    digits = text("champion.data", dataset="digits", seed=5)
    assert verdict.why.endswith(text("champion.other-data", version="7", data=digits))


def test_champion_whose_data_is_not_known_is_not_compared(weak, strong):
    verdict = judge(strong, champion(weak, data_digest="another"))
    assert not verdict.wins
    assert verdict.why == stays("champion.data-gone", data=drawn("digits"))


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
    assert verdict.why == stays("champion.has-seen-rows", unit="pairs")


def points(seed=0, **config):
    variant = VARIANTS["disc_relu"]
    data = disc.draw(seed, 100, 60)
    recipe = recipe_of(variant, variant.config(epochs=1, **config), data, seed=seed)
    return Trained(model=fit(recipe, variant, data), data=data)


def test_models_of_two_tasks_are_not_compared(strong):
    verdict = judge(strong, champion(points()))
    assert not verdict.wins
    assert verdict.why == stays("champion.of-another-task", task="disc")


def test_rows_without_parts_of_their_own_are_looked_through_whole():
    """Points are checked as whole rows: only a champion trained on them is not compared."""
    new, other = points(), points(seed=9)
    assert said_as("difference.p-value").search(judge(new, champion(other)).why)
    swapped = replace(new, data=replace(new.data, test=other.data.train, own_digest="other"))
    assert judge(swapped, champion(other)).why == stays(
        "champion.has-seen-rows", unit=disc.TASK.unit
    )


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
    assert said_as("champion.better", version="7").fullmatch(verdict.why)
    compared = said_as("champion.compared", metric="roc_auc", rows="80 customers rows")
    assert compared.search(verdict.why)
    assert said_as("difference.interval").search(verdict.why)
    assert not judge(network, champion(forest)).wins
    same = judge(forest, champion(forest))
    assert not same.wins
    assert same.why.endswith(text("difference.interval", low="0.0000", high="0.0000"))


def test_lower_error_wins(folder):
    ridge = of_table(folder, "ridge", "bill", objective="rmse")
    network = of_table(folder, "mlp", "bill", objective="rmse", epochs=1, lr=1e-6)
    assert judge(ridge, champion(network)).wins
    assert not judge(network, champion(ridge)).wins


def test_objective_is_that_of_the_new_model(folder):
    by_accuracy = of_table(folder, "logistic", "left")
    by_auc = of_table(folder, "random_forest", "left", objective="roc_auc", n_estimators=20)
    by_auc_said = judge(by_auc, champion(by_accuracy)).why
    assert said_as("champion.compared", metric="roc_auc").search(by_auc_said)
    by_accuracy_said = judge(by_accuracy, champion(by_auc)).why
    assert said_as("champion.compared", metric="accuracy").search(by_accuracy_said)


def test_objective_that_is_no_metric_of_rows_is_replaced_by_the_task_s(folder):
    by_loss = of_table(folder, "logistic", "left")
    recipe = replace(by_loss.model.recipe, objective="loss")
    by_loss = replace(by_loss, model=replace(by_loss.model, recipe=recipe))
    why = judge(by_loss, champion(by_loss)).why
    assert said_as("champion.not-better", version="7").fullmatch(why)
    assert said_as("champion.compared", metric="accuracy").search(why)


def test_other_columns_are_not_compared(folder, tmp_path):
    (tmp_path / "customers.csv").write_text(
        customers().assign(more=np.arange(160) % 7).to_csv(index=False)
    )
    one, two = of_table(folder, "logistic", "left"), of_table(tmp_path, "logistic", "left")
    verdict = judge(two, champion(one))
    assert not verdict.wins
    assert verdict.why == stays("champion.other-inputs", data=drawn("customers"))


def test_another_draw_of_the_same_file_has_seen_these_rows(folder):
    one = of_table(folder, "logistic", "left")
    wide = of_table(folder, "logistic", "left", options={"holdout": 0.5})
    verdict = judge(wide, champion(one))
    assert not verdict.wins
    assert verdict.why == stays("champion.has-seen-rows", unit="rows")


def test_file_that_is_gone_is_not_compared(folder, tmp_path):
    (tmp_path / "customers.csv").write_text(customers(seed=3).to_csv(index=False))
    one, two = of_table(folder, "logistic", "left"), of_table(tmp_path, "logistic", "left")
    verdict = judge(two, champion(one))
    assert not verdict.wins
    assert verdict.why == stays("champion.data-gone", data=drawn("customers"))


def test_grouped_rows_are_compared_by_groups(folder, tmp_path):
    frame = customers().assign(house=np.arange(160) // 4)
    (tmp_path / "customers.csv").write_text(frame.to_csv(index=False))
    trained = of_table(tmp_path, "logistic", "left", options={"group": "house"})
    assert trained.groups is not None
    why = judge(trained, champion(trained)).why
    assert said_as("difference.interval").search(why)
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
    unmeasured = text("trained.no-test-rows")
    assert judge(trained, None).why == text("champion.first", score=unmeasured)
    verdict = judge(trained, champion(trained))
    assert not verdict.wins
    assert verdict.why == stays("champion.no-test-rows")
    assert trained.scores == {}
