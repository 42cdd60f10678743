"""Ensembles of the models of a trial's folds, for any task."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import r2_score

from tests.refusals import refused
from tests.trainables.keep.cases import CASES, ESTIMATORS, NETWORKS
from trainables.keep.ensemble import averaged
from trainables.keep.fit import fit
from trainables.keep.formats import write_standalone
from trainables.keep.measure import measured
from trainables.keep.model import WEIGHTS_FILE, KeptModel
from trainables.trial import Context, CrossValidation


@pytest.fixture(scope="module")
def ensemble_of(case_of):
    """Function that returns the ensemble of a case by its name; each is trained once."""
    made = {}

    def of(name):
        if name not in made:
            case = case_of(name)
            made[name] = fit(case.recipe, case.variant, case.data, ensemble=True)
        return made[name]

    return of


def folds_of(case):
    task, data = case.variant.task, case.data
    return task.split.folds(data.train, target=task.target, num_folds=3, seed=0)


def predictions_by_fold(case):
    """Train a trial of a case, whose fold models predict separately; return it and its folds."""
    recipe = case.recipe
    folds = folds_of(case)
    context = Context(data=case.data, folds=folds, seed=recipe.seed, mode=recipe.mode)
    trial = CrossValidation(case.variant, case.config, context, recipe.trial)
    trial.advance(case.config.epochs)
    return trial, folds


@pytest.mark.parametrize("name", CASES)
def test_members_are_the_models_of_the_trial_s_folds(name, case_of, ensemble_of):
    case, model = case_of(name), ensemble_of(name)
    trial, folds = predictions_by_fold(case)
    assert model.size == 3
    for i, (fold, said) in enumerate(zip(folds, trial_predictions(trial), strict=True)):
        alone = member_of(model, i)
        given = alone.predict(case.data.train.take(fold.val).inputs)
        for key, values in given.items():
            np.testing.assert_allclose(values, said[key], rtol=1e-4, atol=1e-6)


def trial_predictions(trial):
    stack = trial.stack
    return stack.predict() if hasattr(stack, "predict") else stack.predictions()


def member_of(model, i):
    if model.predictor is None:
        return replace(model, estimators=model.estimators[i : i + 1])
    return replace(model, predictor=model.predictor.members[i])


@pytest.mark.parametrize("name", CASES)
def test_predictions_are_the_members_averaged(name, case_of, ensemble_of):
    case, model = case_of(name), ensemble_of(name)
    members = [member_of(model, i).predict(case.rows.inputs) for i in range(model.size)]
    given = model.predict(case.rows.inputs)
    for key in given.keys() - {"answer"}:
        wanted = np.mean([member[key] for member in members], axis=0)
        np.testing.assert_allclose(given[key], wanted, rtol=1e-5, atol=1e-7)
    if "answer" in given:
        np.testing.assert_array_equal(given["answer"], given["probability"].argmax(-1))


def test_without_probabilities_the_most_frequent_answer_counts():
    said = [torch.tensor(answers) for answers in ([0, 2, 1], [1, 2, 0], [1, 0, 2])]
    assert averaged([{"answer": each} for each in said])["answer"].tolist() == [1, 2, 0]


def test_one_model_s_answers_stay_its_own():
    alone = {"answer": torch.tensor([1]), "probability": torch.tensor([[0.9, 0.1]])}
    assert averaged([alone])["answer"].tolist() == [1]


@pytest.mark.parametrize("name", CASES)
def test_an_ensemble_is_kept_as_data(name, case_of, ensemble_of, tmp_path):
    case, model = case_of(name), ensemble_of(name)
    model.save(tmp_path)
    again = KeptModel.load(tmp_path, variant_of=lambda recipe, path: case.variant)
    assert again.size == 3
    one, two = (m.predict(case.rows.inputs) for m in (model, again))
    assert all(np.array_equal(one[key], two[key]) for key in one)


def test_a_missing_member_is_said(case_of, ensemble_of, tmp_path):
    ensemble_of("disc").save(tmp_path)
    kept = load_file(tmp_path / WEIGHTS_FILE)
    save_file({k: v for k, v in kept.items() if ".1." not in k}, tmp_path / WEIGHTS_FILE)
    reason = "parts of an ensemble are missing"
    with refused("keep-model.weights-unreadable", path=tmp_path / WEIGHTS_FILE, reason=reason):
        KeptModel.load(tmp_path, variant_of=lambda recipe, path: case_of("disc").variant)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["torchscript", "onnx", "pt2"])
@pytest.mark.parametrize("name", ["larger_digit", "table classes", "table numbers"])
def test_an_ensemble_of_networks_is_one_file(name, kind, case_of, ensemble_of, tmp_path):
    assert name in NETWORKS
    rows = case_of(name).rows
    assert write_standalone(ensemble_of(name), tmp_path / "model", kind, rows) <= 1e-5


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_ensemble_of_estimators_is_no_file_of_skops(name, case_of, ensemble_of, tmp_path):
    with refused("keep-formats.ensemble-for-skops"):
        write_standalone(ensemble_of(name), tmp_path / "model", "skops", case_of(name).rows)


@pytest.mark.parametrize("name", CASES)
def test_the_objective_of_an_ensemble_is_that_of_its_predictions(name, case_of, ensemble_of):
    case, model = case_of(name), ensemble_of(name)
    task = case.variant.task
    value = measured(model, case.rows, task.objective, task.metrics[task.objective]).value()
    said, target = model.predict(case.rows.inputs), case.rows.targets[task.target]
    wanted = {
        "accuracy": lambda: (said["answer"] == target).mean(),
        "r2": lambda: r2_score(target, said["value"]),
    }
    assert value == pytest.approx(wanted[task.objective](), rel=1e-6)
