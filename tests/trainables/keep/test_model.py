"""Contract of the kept model of every task, network or estimator."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from benchmarks.bits import machine_key
from foldsweep.recipe import Recipe
from tests.refusals import refused, text
from tests.trainables.keep.cases import CASES, ESTIMATORS, NETWORKS, Case, customers, recipe_of
from trainables.keep.fit import fit
from trainables.keep.model import (
    CODE_FILE,
    ESTIMATOR_FILE,
    RECIPE_FILE,
    WEIGHTS_FILE,
    KeptModel,
)
from trainables.models.pairs.variants import MLP
from trainables.tasks import disc
from trainables.tasks.reload import data_of
from trainables.variants import variant_named

FORMAT1 = Path(__file__).parents[2] / "fixtures" / "format1"
BITS = FORMAT1.parent / "bits.json"
ALL = pytest.mark.parametrize("name", CASES)


def loaded(folder, variant):
    return KeptModel.load(folder, variant_of=lambda recipe, file: variant)


def same(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)


@ALL
def test_model_comes_back_from_its_folder(name, case_of, model_of, tmp_path):
    case, model = case_of(name), model_of(name)
    model.save(tmp_path)
    again = loaded(tmp_path, case.variant)
    inputs = case.rows.inputs
    assert same(again.predict(inputs), model.predict(inputs))
    assert (again.raw, again.schema, again.classes) == (model.raw, model.schema, model.classes)
    learnt = ESTIMATOR_FILE if name in ESTIMATORS else WEIGHTS_FILE
    assert sorted(f.name for f in tmp_path.iterdir()) == sorted([RECIPE_FILE, learnt])
    again.save(tmp_path)
    assert same(loaded(tmp_path, case.variant).predict(inputs), model.predict(inputs))


@pytest.mark.parametrize("name", ["cnn_digit", "mlp", "disc_relu"])
def test_model_of_an_earlier_format_answers_as_it_did(name):
    """Models and answers that format 1 wrote: equal to the last bit on the same processor."""
    folder = FORMAT1 / f"kept-{name}"
    model = KeptModel.load(folder, variant_of=lambda recipe, _: variant_named(recipe.variant))
    data = data_of(model.recipe, model.variant.task)
    wanted = json.loads((folder / "answers.json").read_text())["probability"]
    given = model.predict(data.test_rows.inputs)["probability"][:, 1]
    assert given.tolist() == pytest.approx(wanted, abs=1e-6)
    if machine_key() == json.loads(BITS.read_text())["machine"]:
        assert given.tolist() == wanted
    assert model.recipe.format == 2


@ALL
def test_predictions_are_those_of_the_task(name, case_of, model_of):
    case, model = case_of(name), model_of(name)
    said, rows, outputs = (
        model.predict(case.rows.inputs),
        len(case.rows),
        case.variant.task.outputs,
    )
    if case.variant.task.kind == "regression":
        several = () if outputs == 1 else (outputs,)
        assert said["value"].shape == (rows, *several)
        target = case.rows.targets["target"]
        assert np.abs(said["value"].mean(0) - target.mean(0)).max() < 3 * target.std()
    else:
        assert said["answer"].shape == (rows,)
        assert said["answer"].dtype == np.int64
        assert said["probability"].shape == (rows, outputs)
        np.testing.assert_allclose(said["probability"].sum(1), 1, rtol=1e-5)
        np.testing.assert_array_equal(said["probability"].argmax(1), said["answer"])


@ALL
def test_row_is_predicted_alone_as_among_others(name, case_of, model_of):
    inputs, model = case_of(name).rows.inputs, model_of(name)
    together = model.predict(inputs)
    for row in range(3):
        alone = model.predict({key: array[row : row + 1] for key, array in inputs.items()})
        for key, values in alone.items():
            np.testing.assert_allclose(values[0], together[key][row], rtol=1e-5, atol=1e-6)


@ALL
def test_many_rows_are_predicted_in_parts(name, case_of, model_of):
    inputs, model = case_of(name).rows.inputs, model_of(name)
    rows = len(next(iter(inputs.values())))
    times = 1200 // rows
    many = model.predict({k: np.concatenate([array] * times) for k, array in inputs.items()})
    for values in many.values():
        assert len(values) == times * rows
        parts = values.reshape(times, rows, *values.shape[1:])
        np.testing.assert_allclose(parts, parts[:1].repeat(times, 0), rtol=1e-5, atol=1e-6)


def test_one_input_may_come_without_its_name(case_of, model_of):
    images = case_of("larger_digit").rows.inputs["images"]
    model = model_of("larger_digit")
    named = model.predict({"images": images})
    assert same(model.predict(images), named)
    whole = np.round(images)
    bytes_ = model.predict(whole.astype(np.uint8))
    assert same(bytes_, model.predict(whole.astype(np.float64)))


def test_logit_and_two_scores_mean_the_same(case_of):
    """The loss, and so the probability, is of the sigmoid of one unit or the softmax of two."""
    case = case_of("larger_digit")
    for units in (1, 2):
        config = replace(case.config, outputs=units)
        model = fit(recipe_of(MLP, config, case.data), MLP, case.data)
        scores = model.output(case.rows.inputs).comparison
        wanted = scores.sigmoid()[:, 0] if units == 1 else scores.softmax(1)[:, 1]
        given = model.predict(case.rows.inputs)["probability"][:, 1]
        np.testing.assert_allclose(given, wanted, rtol=1e-5)


# Data frames -------------------------------------------------------------------------------------

TABLES = pytest.mark.parametrize("name", [n for n in CASES if n.endswith(("classes", "numbers"))])


@TABLES
def test_data_frame_is_predicted_by_its_columns(name, case_of, model_of):
    case, model = case_of(name), model_of(name)
    frame = customers(30, seed=5)
    wanted = model.predict(case.data.schema.inputs(frame))
    assert same(model.predict(frame), wanted)
    shuffled = frame[[*reversed(frame.columns)]].assign(more="else")
    assert same(model.predict(shuffled), wanted)
    assert same(model.predict(frame.drop(columns=["customer id", "left", "bill"])), wanted)


@TABLES
def test_category_that_no_training_row_has_is_as_a_missing_one(name, model_of):
    frame = customers(30, seed=5)
    unseen = model_of(name).predict(frame.assign(plan="of tomorrow"))
    missing = model_of(name).predict(frame.assign(plan=None))
    assert same(unseen, missing)
    assert not same(unseen, model_of(name).predict(frame))


@TABLES
@pytest.mark.parametrize(
    ("change", "kind", "values"),
    [
        (lambda f: f.drop(columns="plan"), "schema.columns-missing", {"columns": "'plan'"}),
        (
            lambda f: f.rename(columns={"plan": "plane"}),
            "schema.columns-missing",
            {"columns": "'plan'", "hint": text("checks.did-you-mean", word="'plane'")},
        ),
        (
            lambda f: f.assign(**{"age in years": "old"}),
            "columns.bad-value",
            {
                "column": "age in years",
                "value": "old",
                "row": 1,
                "why": text("columns.not-a-number"),
            },
        ),
        (
            lambda f: f.assign(active="perhaps"),
            "columns.bad-value",
            {
                "column": "active",
                "value": "perhaps",
                "row": 1,
                "why": text("columns.not-true-or-false"),
            },
        ),
        (
            lambda f: f.assign(since="yesterday"),
            "columns.bad-value",
            {"value": "yesterday", "row": 1, "why": text("columns.not-a-date")},
        ),
        (lambda f: f.iloc[:0], "keep-model.no-rows", {}),
    ],
)
def test_data_frame_with_other_columns_is_refused(name, change, kind, values, model_of):
    with refused(kind, **values):
        model_of(name).predict(change(customers(30, seed=5)))


def test_data_frame_is_refused_by_a_model_of_arrays(model_of):
    with refused("keep-model.table-for-arrays", wanted="images (n, 2, 14, 14)"):
        model_of("larger_digit").predict(pd.DataFrame({"x": [1]}))


# Invalid arrays ----------------------------------------------------------------------------------


@ALL
def test_no_rows_are_refused(name, case_of, model_of):
    none = {key: array[:0] for key, array in case_of(name).rows.inputs.items()}
    with refused("keep-model.no-rows"):
        model_of(name).predict(none)


@ALL
def test_other_names_are_refused(name, case_of, model_of):
    inputs, model = case_of(name).rows.inputs, model_of(name)
    first = next(iter(inputs))
    fewer = {key: array for key, array in inputs.items() if key != first}
    with refused("keep-model.input-missing", names=", ".join(inputs), missing=first):
        model.predict(fewer)
    with refused("keep-model.input-unknown", names=", ".join(inputs), unknown="more"):
        model.predict({**inputs, "more": inputs[first]})


@ALL
def test_rows_of_another_shape_are_refused(name, case_of, model_of):
    inputs, model = case_of(name).rows.inputs, model_of(name)
    first = next(iter(inputs))
    wide = np.zeros((3, 5, 9))
    with refused("shapes.other-shape", input=first, shape=(3, 5, 9)):
        model.predict({**inputs, first: wide})
    with refused("shapes.other-shape", input=first, shape=()):
        model.predict({**inputs, first: 1.0})


def test_inputs_of_unequal_length_are_refused(case_of, model_of):
    inputs = case_of("two inputs").rows.inputs
    with refused("keep-model.rows-unequal", sizes={"numbers": 20, "code": 3}):
        model_of("two inputs").predict({**inputs, "code": inputs["code"][:3]})
    with refused("keep-model.arrays-without-names", wanted="numbers (n, 4), code (n)"):
        model_of("two inputs").predict(inputs["numbers"])


def broken(images, change):
    images = images.copy()
    change(images)
    return images


@pytest.mark.parametrize(
    ("of", "kind", "values"),
    [
        (lambda x: x[0], "shapes.other-shape", {"wanted": "n, 2, 14, 14", "shape": (2, 14, 14)}),
        (lambda x: x[:, :, :13], "shapes.other-shape", {"shape": (10, 2, 13, 14)}),
        (lambda x: x.astype(str), "shapes.input-not-numbers", {"dtype": "<U32"}),
        (lambda x: broken(x, lambda y: y.fill(np.nan)), "shapes.input-not-finite", {}),
        (lambda x: x / 255, "larger-digit.images-not-raw", {"low": 0, "high": 1}),
        (lambda x: x * 2, "larger-digit.images-not-raw", {"high": 510}),
    ],
)
def test_image_that_is_not_raw_is_refused(of, kind, values, case_of, model_of):
    with refused(kind, **values):
        model_of("larger_digit").predict(of(case_of("larger_digit").rows.inputs["images"]))


def test_standardised_image_is_refused(case_of, model_of):
    images = case_of("larger_digit").rows.inputs["images"]
    with refused("larger-digit.images-not-raw") as caught:
        model_of("larger_digit").predict((images - images.mean()) / images.std())
    assert caught.value.values["low"] < 0


def test_missing_numbers_are_for_tables_only(case_of, model_of):
    inputs = case_of("two inputs").rows.inputs
    holes = {**inputs, "numbers": np.full_like(inputs["numbers"], np.nan)}
    with refused("shapes.input-not-finite", input="numbers"):
        model_of("two inputs").predict(holes)
    frame = customers(30, seed=5).assign(**{"age in years": np.nan})
    assert np.isfinite(model_of("table classes").predict(frame)["probability"]).all()


# Changed folders ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["table classes", "estimator classes"])
@pytest.mark.parametrize(
    ("damage", "kinds", "said"),
    [
        (
            lambda folder, _: (folder / RECIPE_FILE).unlink(),
            ("recipe.file-unreadable", "recipe.file-unreadable"),
            "No such file",
        ),
        (
            lambda _, learnt: learnt.unlink(),
            ("keep-model.weights-unreadable", "keep-estimator.file-unreadable"),
            "No such file",
        ),
        (
            lambda _, learnt: learnt.write_bytes(b"\x80\x04."),
            ("keep-model.weights-unreadable", "keep-estimator.not-an-estimator-file"),
            "",
        ),
    ],
    ids=["no recipe", "nothing learnt", "a pickle"],
)
def test_damaged_folder_is_refused(name, damage, kinds, said, case_of, model_of, tmp_path):
    model_of(name).save(tmp_path)
    learnt = tmp_path / (ESTIMATOR_FILE if name in ESTIMATORS else WEIGHTS_FILE)
    damage(tmp_path, learnt)
    with refused(kinds[name in ESTIMATORS]) as caught:
        loaded(tmp_path, case_of(name).variant)
    assert said in caught.value.values["reason"]
    assert "\n" not in str(caught.value)


def changed(folder, change):
    path = folder / RECIPE_FILE
    values = yaml.safe_load(path.read_text())
    change(values)
    path.write_text(yaml.safe_dump(values, sort_keys=False))


@pytest.mark.parametrize(
    ("change", "kind", "values"),
    [
        (lambda v: v["record"].update(inputs={}), "shapes.record-without-inputs", {}),
        (lambda v: v["record"].update(encoded=3), "shapes.record-without-shapes", {}),
        (lambda v: v["record"].update(schema=3), "keep-task.schema-damaged", {}),
        (lambda v: v["record"]["schema"].pop("columns"), "schema.columns-not-mappings", {}),
        (
            lambda v: v["record"]["inputs"]["numeric"].update(dtype="object"),
            "shapes.recorded-input-invalid",
            {"input": "numeric"},
        ),
    ],
)
def test_damaged_recipe_is_refused(change, kind, values, case_of, model_of, tmp_path):
    model_of("table classes").save(tmp_path)
    changed(tmp_path, change)
    with refused(kind, **values):
        loaded(tmp_path, case_of("table classes").variant)


def test_weights_of_another_size_are_refused(case_of, model_of, tmp_path):
    model_of("table classes").save(tmp_path)
    changed(tmp_path, lambda values: values["config"].update(hidden=31))
    with refused("keep-model.weights-unreadable", path=tmp_path / WEIGHTS_FILE) as caught:
        loaded(tmp_path, case_of("table classes").variant)
    assert re.search(r"must have the shape \(31.*\), but has \(", caught.value.values["reason"])


def test_unknown_variant_is_refused(model_of, tmp_path):
    model_of("larger_digit").save(tmp_path)
    changed(tmp_path, lambda values: values.update(variant="larger_digit/mlq"))
    with refused("variants.unknown", variant="larger_digit/mlq"):
        KeptModel.load(tmp_path, variant_of=lambda recipe, _: variant_named(recipe.variant))


def test_folder_that_is_gone_is_named(model_of, tmp_path):
    with refused("files.file-not-writable", path=tmp_path / "missing" / RECIPE_FILE):
        model_of("larger_digit").save(tmp_path / "missing")


# A user's own variant ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sequences", "estimator classes"])
def test_file_of_a_user_s_own_variant_travels_along(name, case_of, tmp_path):
    """The code file is copied unchanged, and loaded from the folder of the model."""
    case = case_of(name)
    file = tmp_path / "mine.py"
    file.write_text("# my own\n")
    model = case.fit(space=str(file))
    folder = tmp_path / "model"
    folder.mkdir()
    model.save(folder)
    file.unlink()
    asked = []

    def find(recipe, path):
        asked.append((path, recipe.variant))
        return case.variant

    again = KeptModel.load(folder, variant_of=find)
    assert asked == [(folder / CODE_FILE, case.variant.full_name)]
    assert (folder / CODE_FILE).read_text() == again.code == "# my own\n"
    assert Recipe.load(folder / RECIPE_FILE).space == str(file)
    assert same(again.predict(case.rows.inputs), model.predict(case.rows.inputs))


def test_estimator_of_a_user_s_own_type_is_trusted_with_its_file_alone(case_of, tmp_path):
    from sklearn.linear_model import Ridge

    class Mine(Ridge):
        """Estimator type that skops does not trust."""

    globals()["Mine"] = Mine
    Mine.__qualname__ = "Mine"
    case = case_of("estimator numbers")
    own = replace(case.variant, model=lambda config, shapes: _after_columns(shapes, Mine()))
    with refused("keep-estimator.types-not-trusted", types=f"{__name__}.Mine"):
        Case(variant=own, config=case.config, data=case.data).fit().save(tmp_path)
    (tmp_path / "mine.py").write_text("")
    model = Case(variant=own, config=case.config, data=case.data).fit(
        space=str(tmp_path / "mine.py")
    )
    folder = tmp_path / "model"
    folder.mkdir()
    model.save(folder)
    again = loaded(folder, own)
    assert isinstance(again.estimators[0][-1], Mine)
    assert same(again.predict(case.rows.inputs), model.predict(case.rows.inputs))
    (folder / ESTIMATOR_FILE).write_bytes(b"PK no zip")
    with refused("keep-estimator.not-an-estimator-file", path=folder / ESTIMATOR_FILE):
        loaded(folder, own)


def _after_columns(shapes, estimator):
    from trainables.models.estimators.columns import pipeline

    return pipeline(shapes, estimator, scaled=True)


def test_missing_code_is_refused(case_of, tmp_path):
    (tmp_path / "mine.py").write_text("")
    case_of("disc").fit(space=str(tmp_path / "mine.py")).save(tmp_path)
    (tmp_path / CODE_FILE).unlink()
    missing = {"path": tmp_path / CODE_FILE, "reason": "No such file or directory"}
    with refused("keep-model.code-unreadable", **missing):
        loaded(tmp_path, case_of("disc").variant)


def test_weights_shared_by_name_are_kept_once(case_of, tmp_path):
    """Tied parameters have two names in a state dict; safetensors accepts only one of them."""

    class Twice(torch.nn.Module):
        def __init__(self, config, shapes):
            super().__init__()
            self.one = MLP.model(config)
            self.two = self.one

        def forward(self, images):
            return self.two(images)

    case = case_of("larger_digit")
    own = replace(MLP, name="twice", model=Twice)
    model = Case(variant=own, config=case.config, data=case.data).fit()
    model.save(tmp_path)
    again = loaded(tmp_path, own)
    assert same(again.predict(case.rows.inputs), model.predict(case.rows.inputs))


def test_networks_and_estimators_are_both_among_the_cases():
    assert NETWORKS
    assert ESTIMATORS
    assert disc.TASK.name == "disc"
    assert os.path.isdir(FORMAT1)
